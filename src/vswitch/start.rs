//! Starting and stopping the processes of a switch. They are known by their numbers beside the record, and
//! those are believed only as far as the process itself bears them out.

use crate::dir::SwitchDir;
use crate::directory;
use crate::named;
use crate::process;
use crate::process_switch::PROGRAM;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::fs;
use std::io::{ErrorKind, PipeReader};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use vmnet_access::name::NetName;
use vmnet_access::vde::CONTROL;
use vmnet_host::files::gone;
use vmnet_model::error::{self, Error, network};
use vmnet_model::vde_switch::Switch;
use vmnet_sys::daemon::READY;
use vmnet_sys::lock::Claim;
use vmnet_sys::process::Process;
use vmnet_sys::ready::{Source, hear, wait};
use vmnet_sys::trust::plain;
use vmnet_sys::{claim, daemon};
use vmnet_tools::find;

/// How long a switch or a pump may take until it is ready.
const PATIENCE: Duration = Duration::from_secs(25);
/// Between a socket's coming and its listening are two system calls.
const MOMENT: Duration = Duration::from_millis(1);
/// Most that is heard of a process, in bytes.
const WORDS_MAX: usize = 64 << 10;
/// So many of its sentences are told on.
const SENTENCES_MAX: usize = 3;

/// Start the network's switch, unless it runs, and wait until it listens.
pub fn start_switch(dir: &SwitchDir, switch: &Switch) -> Result<(), Error> {
    let failed = |cause: &dyn std::fmt::Display| Error::new("start", named(&switch.door.directory), cause);
    // Before anything is made.
    find::program(PROGRAM).map_err(|error| failed(&error).hint("it is in the package vde2"))?;
    directory::make(switch)?;
    let news = news_of(switch).map_err(|error| failed(&plain(&error)))?;
    let process = match process::switch(dir) {
        // Its starter may have been killed a moment ago.
        Some(process) => process,
        None => {
            begin_switch(dir).map_err(|trouble| trouble.unwrap_or_else(|error| failed(&plain(&error))))?
        }
    };
    await_switch(&process, switch, &news).map_err(|cause| {
        // Whatever state it is in.
        let _ = stop_switch(dir);
        failed(&cause)
    })
}

/// What a process said of its failure, or what the kernel did.
type Trouble = Result<Error, std::io::Error>;

fn begin_switch(dir: &SwitchDir) -> Result<Process, Trouble> {
    // One that was on its way there before us would be a second one.
    process::stop_switches(dir).map_err(Err)?;
    let record = dir.record();
    let words = ["switch".as_ref(), "--record".as_ref(), record.as_os_str()];
    let (child, said) = begin(&words, Hear::Errors).map_err(Err)?;
    let process = Process::watch(number_of(&child)).map_err(Err)?;
    // It ends when the switch begins.
    let said = hear(said, Instant::now() + PATIENCE, WORDS_MAX).map_err(Err)?.words;
    if said.is_empty() { Ok(process) } else { Err(Ok(told(&said))) }
}

fn await_switch(process: &Process, switch: &Switch, news: &Inotify) -> Result<(), String> {
    let plain = |error: std::io::Error| plain(&error);
    let end = Instant::now() + PATIENCE;
    let control = format!("{}/{CONTROL}", switch.door.directory);
    let sockets: Vec<&str> = switch.console.iter().map(String::as_str).chain([control.as_str()]).collect();
    while Instant::now() < end {
        let list = fs::read("/proc/net/unix").map_err(plain)?;
        if listening(&String::from_utf8_lossy(&list), &sockets) {
            return Ok(());
        }
        let are_there = sockets.iter().all(|path| Path::new(path).exists());
        let left = if are_there { MOMENT } else { end.saturating_duration_since(Instant::now()) };
        let source = |descriptor| Source { descriptor, read: true, write: false };
        let sources = [source(process.as_fd()), source(news.as_fd())];
        let [ended, _news] = wait(sources, Some(left)).map_err(plain)?;
        if ended.read {
            return Err(format!("{PROGRAM} ended at once"));
        }
        let _ = news.read_events();
    }
    Err(format!("{PROGRAM} does not listen after {} s", PATIENCE.as_secs()))
}

/// Do all of these listen, by the kernel's list of sockets? The fourth column is its flags, with
/// `__SO_ACCEPTCON` (include/linux/net.h) among them. Asked this way, because a switch loses ports on
/// connections that come to nothing.
fn listening(list: &str, paths: &[&str]) -> bool {
    let listens = |line: &str| {
        let flags = line.split_whitespace().nth(3).and_then(|flags| u32::from_str_radix(flags, 16).ok());
        flags.is_some_and(|flags| flags & 1 << 16 != 0)
    };
    let is_at = |line: &str, path: &str| line.strip_suffix(path).is_some_and(|rest| rest.ends_with(' '));
    paths.iter().all(|path| list.lines().any(|line| is_at(line, path) && listens(line)))
}

/// Sockets come into its directories, or change.
fn news_of(switch: &Switch) -> std::io::Result<Inotify> {
    let news = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    let kinds = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_ATTRIB;
    for directory in directory::directories(switch) {
        news.add_watch(directory, kinds | AddWatchFlags::IN_ONLYDIR | AddWatchFlags::IN_DONT_FOLLOW)?;
    }
    Ok(news)
}

/// Stop the network's switch, and whatever is becoming it.
pub fn stop_switch(dir: &SwitchDir) -> Result<(), Error> {
    let failed = |error| Error::new("stop", format!("the switch in {}", dir.path().display()), plain(&error));
    process::stop_switches(dir).and_then(|()| gone(fs::remove_file(dir.pid()))).map_err(failed)
}

/// Start a pump, unless it is at work, and wait until it is.
pub fn start_pump(name: &NetName, record: &Path, cable: Option<&str>) -> Result<(), Error> {
    if pump(&SwitchDir::of_file(record).pump()).is_some() {
        return Ok(());
    }
    let failed =
        |cause: &dyn std::fmt::Display| Error::new("start", format!("the pump of {}", network(name)), cause);
    let mut words: Vec<&OsStr> =
        vec!["pump".as_ref(), name.as_str().as_ref(), "--record".as_ref(), record.as_os_str()];
    words.extend(cable.iter().flat_map(|cable| [OsStr::new("--cable"), OsStr::new(*cable)]));
    let (mut child, said) = begin(&words, Hear::All).map_err(|error| failed(&plain(&error)))?;
    let said =
        hear(said, Instant::now() + PATIENCE, WORDS_MAX).map_err(|error| failed(&plain(&error)))?.words;
    if said == READY {
        return Ok(());
    }
    let ended = reap(&mut child);
    if said.is_empty() {
        let cause = if ended { "it ended at once" } else { "it does not get ready" };
        return Err(failed(&cause));
    }
    Err(told(&said))
}

/// The pump that has claimed this file.
pub fn pump(claim: &Path) -> Option<Process> {
    let pump = claim::claimant(claim)?;
    let words = vmnet_sys::process::command_line(pump.pid().as_raw().unsigned_abs());
    let is_pump =
        words.windows(2).any(|pair| matches!(pair, [wire, verb] if wire == b"wire" && verb == b"pump"));
    is_pump.then_some(pump)
}

/// Stop the pump that has claimed this file, and tidy up after it.
pub fn stop_pump(claim: &Path) -> Result<(), Error> {
    let attempt = || -> std::io::Result<()> {
        if let Some(pump) = pump(claim) {
            claim::stop(&pump)?;
        }
        // One that is just beginning has not said its number yet.
        if !Claim::is_held(claim)? {
            gone(fs::remove_file(claim))?;
        }
        match vmnet_vde::held_port::tidy(&SwitchDir::of_file(claim).plugs()) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    };
    attempt().map_err(|error| Error::new("stop", format!("pump {}", claim.display()), plain(&error)))
}

/// Plug everybody in again who holds a port.
pub fn plug_again(record: &Path, plugs: &Path) -> Result<(), Error> {
    let failed = |cause: &dyn std::fmt::Display| Error::new("plug in", "ports again", cause);
    let words =
        ["plug".as_ref(), "--record".as_ref(), record.as_os_str(), "--plugs".as_ref(), plugs.as_os_str()];
    let (mut child, said) = begin(&words, Hear::All).map_err(|error| failed(&plain(&error)))?;
    let limit = crate::process_rejoin::LIMIT + PATIENCE;
    let said = hear(said, Instant::now() + limit, WORDS_MAX).map_err(|error| failed(&plain(&error)))?.words;
    let ended = reap(&mut child);
    match (said.is_empty(), ended) {
        (true, true) => Ok(()),
        (true, false) => Err(failed(&format!("it was not done within {} s", limit.as_secs()))),
        (false, _) => Err(told(&said)),
    }
}

/// What is heard of a process.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hear {
    Errors,
    All,
}

/// Start another of the wire's processes.
fn begin(words: &[&OsStr], hear: Hear) -> std::io::Result<(Child, PipeReader)> {
    let (reader, writer) = std::io::pipe()?;
    let out = if hear == Hear::All { writer.try_clone()?.into() } else { Stdio::null() };
    let child = daemon::command()?.arg("wire").args(words).stdout(out).stderr(writer).spawn()?;
    Ok((child, reader))
}

/// End a process that has said its last word; false where it would not end.
fn reap(child: &mut Child) -> bool {
    let ended =
        Process::watch(number_of(child)).is_ok_and(|process| process.wait(MOMENT * 1000).unwrap_or(false));
    let _ = child.kill();
    if ended {
        let _ = child.wait();
    }
    ended
}

fn number_of(child: &Child) -> Pid {
    Pid::from_raw(child.id().cast_signed())
}

/// The sentences of a process of ours.
fn told(said: &[u8]) -> Error {
    let said = String::from_utf8_lossy(said);
    let hint = said.lines().find_map(|line| line.strip_prefix("hint: ")).map(str::to_owned);
    let sentences: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("vmnet: ")).collect();
    let mut text = sentences.iter().take(SENTENCES_MAX).copied().collect::<Vec<_>>().join("; ");
    if let rest @ 1.. = sentences.len().saturating_sub(SENTENCES_MAX) {
        text.push_str(&format!("; and {rest} more"));
    }
    Error::told(text, hint).kind(error::ErrorKind::Host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_listens_once_the_kernel_says_so() {
        let list = "Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 804 /run/my lab/vde/ctl\n\
            0000000000000000: 00000002 00000000 00000000 0001 01 805 /run/my lab/console/mgmt\n";
        assert!(listening(list, &["/run/my lab/vde/ctl"]));
        assert!(!listening(list, &["/run/my lab/vde/ctl", "/run/my lab/console/mgmt"]));
        assert!(!listening(list, &["lab/vde"]));
    }

    #[test]
    fn what_a_process_complained_of_is_told_on_in_one_line() {
        let said: String = (1..6).map(|at| format!("vmnet: cannot {at}: x\n")).collect();
        let failure = told(format!("{said}hint: do y\n").as_bytes());
        assert_eq!(failure.to_string(), "cannot 1: x; cannot 2: x; cannot 3: x; and 2 more");
        assert_eq!(failure.hint.as_deref(), Some("do y"));
        assert_eq!(failure.kind, error::ErrorKind::Host);
    }
}
