//! Who has claimed a file, and ending that process: a file that one process at a time holds locked, with its
//! number in it.

use crate::lock::Claim;
use crate::process::{self, Process, is_dying};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

/// How long a process may take to end after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(2);
/// No number is longer, in bytes.
const NUMBER_MAX: u64 = 64;

/// Claim this file and write our number into it; none if somebody has it.
///
/// # Errors
/// The file cannot be made or written.
pub fn claim(path: &Path) -> io::Result<Option<Claim>> {
    let Some(claim) = Claim::try_now(path)? else { return Ok(None) };
    let mut file = claim.file();
    file.set_len(0).and_then(|()| file.rewind())?;
    file.write_all(format!("{}\n", std::process::id()).as_bytes())?;
    Ok(Some(claim))
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

/// The process number in a file; none where there is no such file, or something else in it.
pub fn number(path: &Path) -> Option<Pid> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(NUMBER_MAX).read_to_end(&mut bytes).ok()?;
    let pid: i32 = std::str::from_utf8(&bytes).ok()?.lines().next()?.trim().parse().ok()?;
    (pid > 1).then_some(Pid::from_raw(pid))
}

/// Have a process end, and wait for it: SIGTERM, then SIGKILL.
///
/// # Errors
/// It does not end, or may not be told to.
pub fn stop(process: &Process) -> io::Result<()> {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        process.signal(signal).or_else(ended)?;
        if process.wait(PATIENCE)? {
            return Ok(());
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

/// A process that has ended meanwhile needs no signal.
///
/// # Errors
/// Any other than that.
pub fn ended(error: io::Error) -> io::Result<()> {
    if error.raw_os_error() == Some(nix::errno::Errno::ESRCH as i32) { Ok(()) } else { Err(error) }
}

/// Every process of which `is_ours` holds, also while we watch it. One is looked at a second time, because its
/// number may be another's by then.
pub fn processes(is_ours: impl Fn(u32) -> bool) -> Vec<Process> {
    let mut found = Vec::new();
    for pid in process::all().filter(|pid| is_ours(*pid)) {
        let process = i32::try_from(pid).ok().and_then(|pid| Process::watch(Pid::from_raw(pid)).ok());
        // Looked at again while we hold it.
        found.extend(process.filter(|_| is_ours(pid)));
    }
    found
}
