//! The processes of a running network, known by what they hold: the server by its file, the switch by its
//! directory, the keeper and pumps by their locks.

use crate::places::Room;
use crate::record;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::fs::OpenOptions;
use std::io::{Seek, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;
use vmnet_host::files::read_file;
use vmnet_model::error::Error;
use vmnet_sys::lock::Claim;
use vmnet_sys::process::{Process, command_line, is_dying, program};
use vmnet_sys::trust::plain;

/// The server's program.
const SERVER: &str = "dnsmasq";
/// How long a server may take to end after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(2);

/// The network's server, if it runs. Its number is believed only if that process has our file on
/// its command line, looked at while we hold it.
pub fn server(room: &Room) -> Option<Process> {
    let process = Process::watch(number(&room.dnsmasq_pid())?).ok()?;
    if is_server(room, process.pid().as_raw().unsigned_abs()) {
        return Some(process);
    }
    // One that was killed loses its command line before its sockets.
    if is_dying(process.pid()) {
        let _ = process.wait(PATIENCE);
    }
    None
}

fn is_server(room: &Room, pid: u32) -> bool {
    command_line(pid).contains(&format!("--conf-file={}", room.dnsmasq().display()).into_bytes())
}

/// How often strays are looked for: one that is just becoming a daemon forks twice.
const LOOKS: usize = 10;

/// Stop every server with our file on its command line but `known`: one whose starter was killed
/// has not yet said its number, or never will. Again and again until none is found, because one
/// that we stop may just have forked. None can come later: until its exec(2) it holds our lock.
pub fn stop_strays(room: &Room, known: Option<Pid>) -> std::io::Result<()> {
    for _ in 0..LOOKS {
        let mut strays = strays(room);
        strays.retain(|stray| Some(stray.pid()) != known);
        if strays.is_empty() {
            return Ok(());
        }
        strays.iter().try_for_each(stop)?;
    }
    Err(std::io::ErrorKind::TimedOut.into())
}

/// Any server that is just ending may be ours: it has no command line any more.
fn strays(room: &Room) -> Vec<Process> {
    let is_ending =
        |pid| program(pid).as_deref() == Some(SERVER) && is_dying(Pid::from_raw(pid.cast_signed()));
    let mut strays = processes(|pid| is_server(room, pid) || is_ending(pid));
    // What is left of one until its parent hears of it holds nothing.
    strays.retain(|stray| !stray.has_ended());
    strays
}

fn processes(is_ours: impl Fn(u32) -> bool) -> Vec<Process> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        let Some(pid) = pid.filter(|pid| is_ours(*pid)) else { continue };
        let process = i32::try_from(pid).ok().and_then(|pid| Process::watch(Pid::from_raw(pid)).ok());
        // Looked at again while we hold it.
        found.extend(process.filter(|_| is_ours(pid)));
    }
    found
}

/// The network's VDE switch, if it runs, or what is about to become it.
pub fn switch(room: &Room) -> Option<Process> {
    let process = Process::watch(number(&room.switch_pid())?).ok()?;
    let pid = process.pid().as_raw().unsigned_abs();
    SwitchMarks::of(room)?.are_of(pid).then_some(process)
}

/// Stop the network's switch, and every one that has not said its number yet, again and again until there
/// is none.
pub fn stop_switches(room: &Room) -> std::io::Result<()> {
    let Some(marks) = SwitchMarks::of(room) else { return Ok(()) };
    for _ in 0..LOOKS {
        let switches = processes(|pid| marks.are_of(pid));
        if switches.is_empty() {
            return Ok(());
        }
        switches.iter().try_for_each(stop)?;
    }
    Err(std::io::ErrorKind::TimedOut.into())
}

/// What a network's switch is known by: it runs as the network's own user, and says where.
struct SwitchMarks {
    user: u32,
    place: [Vec<u8>; 2],
    /// The words of root's process that becomes it.
    before: [Vec<u8>; 4],
}

impl SwitchMarks {
    fn of(room: &Room) -> Option<Self> {
        let switch = record::switch(&room.switch()).ok().flatten()?;
        let words = ["wire", "switch", "--record"].map(|word| word.as_bytes().to_vec());
        let [wire, verb, option] = words;
        Some(Self {
            user: switch.pump,
            place: [b"--sock".to_vec(), switch.door.directory.as_str().into()],
            before: [wire, verb, option, room.switch().into_os_string().into_vec()],
        })
    }

    /// Anybody may call his own program so, but not as that user.
    fn are_of(&self, pid: u32) -> bool {
        let words = command_line(pid);
        let has = |marks: &[Vec<u8>]| words.windows(marks.len()).any(|words| words == marks);
        let user = std::fs::metadata(format!("/proc/{pid}")).map(|meta| meta.uid());
        user.is_ok_and(|user| user == self.user && has(&self.place) || user == 0 && has(&self.before))
    }
}

/// Stop the server and wait for its end, even if somebody took its number away.
pub fn stop_server(room: &Room) -> std::io::Result<()> {
    match server(room) {
        Some(server) => stop(&server),
        None if room.dnsmasq().exists() => stop_strays(room, None),
        None => Ok(()),
    }
}

/// Have the server read its names and reservations again.
pub fn reread_server(room: &Room) -> std::io::Result<()> {
    server(room).map_or(Ok(()), |process| process.signal(Signal::SIGHUP).or_else(ended))
}

/// Have a process end, and wait for it.
pub fn stop(process: &Process) -> std::io::Result<()> {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        process.signal(signal).or_else(ended)?;
        if process.wait(PATIENCE)? {
            return Ok(());
        }
    }
    Err(std::io::ErrorKind::TimedOut.into())
}

/// A process that has ended meanwhile needs no signal.
fn ended(error: std::io::Error) -> std::io::Result<()> {
    if error.raw_os_error() == Some(nix::errno::Errno::ESRCH as i32) { Ok(()) } else { Err(error) }
}

/// Claim this file and write our number into it; none if somebody has it.
pub fn claim(path: &Path) -> Result<Option<Claim>, Error> {
    let failed = |error: std::io::Error| Error::new("lock", path.display(), plain(&error));
    let Some(claim) = Claim::try_now(path).map_err(failed)? else { return Ok(None) };
    let mut file = claim.file();
    file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
    file.write_all(format!("{}\n", std::process::id()).as_bytes()).map_err(failed)?;
    Ok(Some(claim))
}

/// What is added to the keeper's file before it is told to leave: whoever tells it may be killed before it
/// does, and `up` must not take one for a keeper that is on its way out.
const LEAVES: &str = "leaves\n";

/// The network's keeper, if one holds its lock and will go on doing so.
pub fn keeper(room: &Room) -> Option<Process> {
    claimant(&room.keeper()).filter(|_| !keeper_leaves(room))
}

/// Has somebody told the network's keeper to leave? It may have left since.
pub fn keeper_leaves(room: &Room) -> bool {
    read_file(&room.keeper()).is_ok_and(|text| text.is_some_and(|text| text.ends_with(LEAVES.as_bytes())))
}

/// Tell the network's keeper to leave the network as it is; answers who that is. None where nobody keeps it.
pub fn tell_keeper_to_leave(room: &Room) -> Option<Process> {
    let path = room.keeper();
    claimant(&path)?;
    // Where it cannot be written it is only missing if we are killed now.
    let _ =
        OpenOptions::new().append(true).open(&path).and_then(|mut file| file.write_all(LEAVES.as_bytes()));
    // Looked at again: another one may have begun, and made the file anew.
    let keeper = claimant(&path)?;
    // It may have ended meanwhile.
    let _ = keeper.signal(Signal::SIGUSR2);
    Some(keeper)
}

/// Who has claimed the file at this path and will go on doing so. Its number is in the file.
pub fn claimant(claim: &Path) -> Option<Process> {
    if !Claim::is_held(claim).ok()? {
        return None;
    }
    let claimant = Process::watch(number(claim)?).ok()?;
    // On a busy host one that was killed holds it still.
    if is_dying(claimant.pid()) && Claim::wait_until_free(claim, PATIENCE).ok()? {
        return None;
    }
    Some(claimant)
}

fn number(path: &Path) -> Option<Pid> {
    let bytes = read_file(path).ok().flatten()?;
    let pid: i32 = std::str::from_utf8(&bytes).ok()?.lines().next()?.trim().parse().ok()?;
    (pid > 1).then_some(Pid::from_raw(pid))
}
