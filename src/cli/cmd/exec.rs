//! `vmnet exec NAME -- CMD…`: get a port, and become CMD. CMD has our process number, standard
//! input, signals and exit status, and when it ends the kernel removes its port.

mod qemu;

use crate::args::{ExecWords, Switch};
use crate::exit::{Exit, Leave};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::unistd::{AccessFlags, access, execvpe};
use std::ffi::{CString, NulError, OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use vmnet_access::mac::MacAddr;
use vmnet_access::request::{PortKind, PortRequest};
use vmnet_model::error::{Error, ErrorKind};
use vmnet_model::launch::{Handed, Kind, PlugForm, VARIABLES, guest_mac};
use vmnet_network::ports;
use vmnet_port::acquire::Plugged;
use vmnet_sys::trust::plain;
use vmnet_sys::{inherited, random};

/// Where execvp(3) looks if nobody says (`confstr(_CS_PATH)` of glibc).
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// Do it. There is an answer only if it fails.
pub fn run(words: &ExecWords) -> Result<Exit, Leave> {
    let mac = mac(words)?;
    let Some((program, rest)) = words.command.split_first() else {
        return Err(
            Exit::Usage.with(Error::new("run", "a program", "none is named").kind(ErrorKind::Invalid))
        );
    };
    // Nothing is made, and no network is started, for a program that is not there.
    look_for(program).map_err(|errno| cannot_run(program, errno))?;
    // A QEMU may be started to ask it, so before there is a port that would wait for that.
    let form = words.vde.then(|| qemu::form(&words.command));
    let (wish, count) = match form {
        Some(_) => (PortKind::Plug, 2),
        None => {
            (PortKind::Tap { vnet_header: words.vnet_hdr == Switch::On, queues: words.queues }, words.queues)
        }
    };
    let plugged = ports::acquire(&PortRequest { bridge: words.name.clone(), for_itself: true, wish }, None)?;
    if plugged.descriptors.len() != usize::from(count) {
        let cause = format!("{} descriptors came, not {count}", plugged.descriptors.len());
        return Err(Error::new("take over", format!("port '{}'", plugged.port), cause).into());
    }
    let handed = take_over(plugged, form, mac).map_err(|errno| cannot_run(program, errno))?;
    Err(cannot_run(program, become_program(program, rest, &handed)))
}

/// The port's descriptors above the standard ones, and inherited, which those that came are not.
fn take_over(plugged: Plugged, form: Option<PlugForm>, mac: MacAddr) -> Result<Handed, Errno> {
    let inherit = |descriptor: OwnedFd| fcntl(&descriptor, FcntlArg::F_DUPFD(3));
    let Plugged { port, mtu, descriptors } = plugged;
    let mut descriptors = descriptors.into_iter().map(inherit).collect::<Result<Vec<_>, _>>()?;
    let kind = match (form, form.and_then(|_| descriptors.pop())) {
        (Some(form), Some(hold)) => Kind::Plug { hold, form },
        _ => Kind::Tap,
    };
    Ok(Handed { descriptors, kind, mac, port, mtu })
}

fn mac(words: &ExecWords) -> Result<MacAddr, Leave> {
    match words.mac {
        Some(mac) if mac.is_assignable() => Ok(mac),
        Some(mac) => {
            let cause = "no interface can have it: it is a group's, or all zero";
            let failure = Error::new("use", format!("MAC address {mac}"), cause).kind(ErrorKind::Invalid);
            Err(Exit::Usage.with(failure))
        }
        None => random::bytes()
            .map(guest_mac)
            .map_err(|error| Error::new("choose", "a MAC address", plain(&error)).into()),
    }
}

/// Whether execvp(3) would find it, and if not, with which error it would say so.
fn look_for(program: &OsStr) -> Result<(), Errno> {
    if program.as_bytes().contains(&b'/') {
        return check(Path::new(program));
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    let mut found = Err(Errno::ENOENT);
    for directory in std::env::split_paths(&path).filter(|_| !program.is_empty()) {
        match check(&directory.join(program)) {
            Ok(()) => return Ok(()),
            Err(Errno::EACCES) => found = Err(Errno::EACCES),
            Err(_) => {}
        }
    }
    found
}

fn check(file: &Path) -> Result<(), Errno> {
    access(file, AccessFlags::X_OK)?;
    if file.is_dir() { Err(Errno::EACCES) } else { Ok(()) }
}

/// Become the program; the answer is why not.
fn become_program(program: &OsStr, rest: &[OsString], handed: &Handed) -> Errno {
    let begin = || -> Result<Errno, NulError> {
        let name = CString::new(program.as_bytes())?;
        let mut argv = vec![name.clone()];
        for word in rest {
            argv.push(CString::new(handed.fill(word.as_bytes()))?);
        }
        let environment = environment(handed)?;
        if let Err(error) = inherited::restore_signals() {
            return Ok(error.raw_os_error().map_or(Errno::EINVAL, Errno::from_raw));
        }
        let Err(errno) = execvpe(&name, &argv, &environment);
        Ok(errno)
    };
    begin().unwrap_or(Errno::EINVAL)
}

/// Ours as it is, and what the program is told besides.
fn environment(handed: &Handed) -> Result<Vec<CString>, NulError> {
    let told = handed.environment();
    let variable = |name: &[u8], value: &[u8]| CString::new([name, b"=", value].concat());
    std::env::vars_os()
        .filter(|(name, _)| !VARIABLES.iter().any(|ours| name == ours))
        .map(|(name, value)| variable(name.as_bytes(), value.as_bytes()))
        .chain(told.iter().map(|(name, value)| variable(name.as_bytes(), value)))
        .collect()
}

/// With the exit status that env(1) and shells give.
fn cannot_run(program: &OsStr, errno: Errno) -> Leave {
    let exit = if errno == Errno::ENOENT { Exit::NotFound } else { Exit::NotRunnable };
    let shown: String =
        program.to_string_lossy().chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    exit.with(Error::new("run", format!("'{shown}'"), plain(&errno.into())))
}
