//! The two processes of a running network, known by what they hold: the server by its file, the
//! keeper by its lock.

use crate::places::{Room, read_file};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::path::Path;
use std::time::Duration;
use vmnet_sys::lock::Claim;
use vmnet_sys::process::{Process, command_line};

/// How long a server may take to end after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(2);

/// The network's server, if it runs. Its number is believed only if that process has our file on
/// its command line, looked at while we hold it.
pub fn server(room: &Room) -> Option<Process> {
    let process = Process::watch(number(&room.dnsmasq_pid())?).ok()?;
    let pid = process.pid().as_raw().unsigned_abs();
    let ours = format!("--conf-file={}", room.dnsmasq().display());
    command_line(pid).iter().any(|word| word == ours.as_bytes()).then_some(process)
}

/// Stop the server and wait for its end.
pub fn stop_server(room: &Room) -> std::io::Result<()> {
    let Some(process) = server(room) else { return Ok(()) };
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

/// The network's keeper, if one holds its lock.
pub fn keeper(room: &Room) -> Option<Process> {
    if !Claim::is_held(&room.keeper()).ok()? {
        return None;
    }
    Process::watch(number(&room.keeper())?).ok()
}

fn number(path: &Path) -> Option<Pid> {
    let bytes = read_file(path).ok().flatten()?;
    let pid: i32 = std::str::from_utf8(&bytes).ok()?.trim().parse().ok()?;
    (pid > 1).then_some(Pid::from_raw(pid))
}
