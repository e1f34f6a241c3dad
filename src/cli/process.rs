//! The processes of a running network, known by what they hold: the server by its file, the switch by its
//! directory, the keeper and pumps by their locks.

use crate::places::Room;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::fs::OpenOptions;
use std::io::Write;
use std::time::Duration;
use vmnet_host::files::read_file;
use vmnet_sys::claim::{claimant, ended, number, processes, stop};
use vmnet_sys::process::{Process, command_line, is_dying, program};

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
