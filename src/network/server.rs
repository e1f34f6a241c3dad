//! The DHCP and DNS server of a running network, known by the file on its command line.

use crate::dirs::RunDir;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::time::Duration;
use vmnet_sys::claim::{ended, number, processes, stop as end};
use vmnet_sys::process::{Process, command_line, is_dying, program};

/// The server's program.
const SERVER: &str = "dnsmasq";
/// How long a server may take to end after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(2);

/// The network's server, if it runs. Its number is believed only if that process has our file on
/// its command line, looked at while we hold it.
pub fn find(run_dir: &RunDir) -> Option<Process> {
    let process = Process::watch(number(&run_dir.dnsmasq_pid())?).ok()?;
    if is_server(run_dir, process.pid().as_raw().unsigned_abs()) {
        return Some(process);
    }
    // One that was killed loses its command line before its sockets.
    if is_dying(process.pid()) {
        let _ = process.wait(PATIENCE);
    }
    None
}

fn is_server(run_dir: &RunDir, pid: u32) -> bool {
    command_line(pid).contains(&format!("--conf-file={}", run_dir.dnsmasq().display()).into_bytes())
}

/// How often strays are looked for: one that is just becoming a daemon forks twice.
const LOOKS: usize = 10;

/// Stop every server with our file on its command line but `known`: one whose starter was killed
/// has not yet said its number, or never will. Again and again until none is found, because one
/// that we stop may just have forked. None can come later: until its exec(2) it holds our lock.
pub fn stop_strays(run_dir: &RunDir, known: Option<Pid>) -> std::io::Result<()> {
    for _ in 0..LOOKS {
        let mut strays = strays(run_dir);
        strays.retain(|stray| Some(stray.pid()) != known);
        if strays.is_empty() {
            return Ok(());
        }
        strays.iter().try_for_each(end)?;
    }
    Err(std::io::ErrorKind::TimedOut.into())
}

/// Any server that is just ending may be ours: it has no command line any more.
fn strays(run_dir: &RunDir) -> Vec<Process> {
    let is_ending =
        |pid| program(pid).as_deref() == Some(SERVER) && is_dying(Pid::from_raw(pid.cast_signed()));
    let mut strays = processes(|pid| is_server(run_dir, pid) || is_ending(pid));
    // What is left of one until its parent hears of it holds nothing.
    strays.retain(|stray| !stray.has_ended());
    strays
}

/// Stop the server and wait for its end, even if somebody took its number away.
pub fn stop(run_dir: &RunDir) -> std::io::Result<()> {
    match find(run_dir) {
        Some(server) => end(&server),
        None if run_dir.dnsmasq().exists() => stop_strays(run_dir, None),
        None => Ok(()),
    }
}

/// Have the server read its names and reservations again.
pub fn reread(run_dir: &RunDir) -> std::io::Result<()> {
    find(run_dir).map_or(Ok(()), |process| process.signal(Signal::SIGHUP).or_else(ended))
}
