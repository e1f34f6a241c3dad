//! A child for one piece of privileged work: it may shed its rights or be killed, and whoever started
//! it goes on as before. It ends with its starter until its ids change: then the kernel forgets that
//! wish (`commit_creds` in kernel/cred.c).

use nix::errno::Errno;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Gid, Pid, Uid, fork, setgroups, setresgid, setresuid};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use vmnet_access::rules::Caller;

/// A child at work.
#[derive(Debug)]
pub struct Worker(Pid);

/// Do `work` in a child. Its answer is the child's exit status.
///
/// # Errors
/// There is more than one thread, of which the child would have only this one; or the kernel
/// refused.
pub fn start(work: impl FnOnce() -> u8) -> io::Result<Worker> {
    alone()?;
    let us = nix::unistd::getpid();
    // SAFETY: there is no other thread that could hold a lock, so the child may do anything.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(Worker(child)),
        ForkResult::Child => {
            let code = if begin(us).is_ok() { work() } else { 1 };
            crate::harden::end(code)
        }
    }
}

/// Do `work` in a child at normal priority that has no descriptor but the standard ones and `kept`. When
/// this comes back the others are closed in it: whatever its starter closes from now on is closed, and
/// closed by the starter. Nothing can hold up the child until then but the want of a processor.
///
/// # Errors
/// As [`start`].
pub fn start_with_only(kept: BorrowedFd<'_>, work: impl FnOnce() -> u8) -> io::Result<Worker> {
    let (reader, writer) = io::pipe()?;
    let (kept, ours) = (kept.as_raw_fd(), writer.as_raw_fd());
    let worker = start(|| {
        // Their owners live on in the child's memory; it ends without dropping them.
        let closed = crate::fds::close_all_but([kept, ours]);
        // SAFETY: the child's copy, which nothing else in it will touch.
        drop(unsafe { OwnedFd::from_raw_fd(ours) });
        go_as_others();
        if closed.is_ok() { work() } else { 1 }
    })?;
    drop(writer);
    // Nothing is written: this is the end of the child's copy, by its hand or by its death.
    let _ = (&reader).read(&mut [0]);
    Ok(worker)
}

/// Be quicker than those who call us, so that no number of them keeps us from the next. Children have to
/// give it back. Where we may not, nothing changes.
pub fn go_first() {
    // SAFETY: three numbers.
    let _ = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, FIRST) };
}

/// Be as quick as others again, in a child.
pub fn go_as_others() {
    crate::child::calm_scheduling();
}

/// The service's niceness, as its unit says too.
const FIRST: libc::c_int = -10;

/// Do `work` in a child that outlives us: in a session of its own, at `/`, with nothing of ours open but
/// `keep`. Whatever else `work` was given and that holds a descriptor is not to be touched by it. Its
/// number is answered; process 1 waits for it.
///
/// # Errors
/// As [`start`].
pub fn leave(keep: Option<BorrowedFd<'_>>, work: impl FnOnce()) -> io::Result<Pid> {
    alone()?;
    // SAFETY: there is no other thread that could hold a lock, so the child may do anything.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            if apart(keep).is_ok() {
                work();
            }
            crate::harden::end(0)
        }
    }
}

fn apart(keep: Option<BorrowedFd<'_>>) -> io::Result<()> {
    nix::unistd::setsid()?;
    nix::unistd::chdir("/")?;
    as_fresh()?;
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    nix::unistd::dup2_stdin(&null)?;
    nix::unistd::dup2_stdout(&null)?;
    nix::unistd::dup2_stderr(&null)?;
    drop(null);
    crate::fds::close_all_but(keep.map(|fd| fd.as_raw_fd()))
}

/// There is one thread.
fn alone() -> io::Result<()> {
    // One link for the directory, one for its own dot, one for each thread in it.
    if std::fs::metadata("/proc/self/task").is_ok_and(|task| task.nlink() > 3) {
        return Err(io::Error::other("another thread is at work"));
    }
    Ok(())
}

/// Signals as they are for a fresh program, and the end when the starter ends.
fn begin(starter: Pid) -> io::Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    as_fresh()?;
    // It may have ended before the first call.
    if nix::unistd::getppid() == starter { Ok(()) } else { Err(Errno::ESRCH.into()) }
}

fn as_fresh() -> io::Result<()> {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGCHLD, Signal::SIGUSR2] {
        // SAFETY: the default action runs no code of ours.
        unsafe { nix::sys::signal::signal(signal, SigHandler::SigDfl) }?;
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
    Ok(())
}

impl Worker {
    /// The worker's process number.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.0
    }

    /// Wait for its end: its exit status, none if a signal ended it.
    ///
    /// # Errors
    /// It is no child of ours any more.
    pub fn wait(&self) -> io::Result<Option<u8>> {
        loop {
            match waitpid(self.0, None) {
                Err(Errno::EINTR) => {}
                status => return Ok(exit_status(status?)),
            }
        }
    }

    /// Has it ended? Then, as [`Worker::wait`] says, how.
    ///
    /// # Errors
    /// It is no child of ours any more.
    pub fn ended(&self) -> io::Result<Option<Option<u8>>> {
        match waitpid(self.0, Some(WaitPidFlag::WNOHANG))? {
            WaitStatus::StillAlive => Ok(None),
            status => Ok(Some(exit_status(status))),
        }
    }

    /// End it now. Afterwards it is still to be waited for.
    pub fn kill(&self) {
        // It is our child until it is waited for, so the number is still its own.
        let _ = nix::sys::signal::kill(self.0, Signal::SIGKILL);
    }
}

fn exit_status(status: WaitStatus) -> Option<u8> {
    match status {
        WaitStatus::Exited(_, code) => u8::try_from(code).ok(),
        _ => None,
    }
}

/// Stand where a setuid program stands that this caller started: their real ids and groups, root's
/// effective and saved user id.
///
/// # Errors
/// The kernel refused a step, or it did not hold.
pub fn stand_in_for(caller: &Caller) -> io::Result<()> {
    let groups: Vec<Gid> = caller.groups.iter().copied().map(Gid::from_raw).collect();
    let (uid, gid, root) = (Uid::from_raw(caller.uid), Gid::from_raw(caller.gid), Uid::from_raw(0));
    setgroups(&groups)?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, root, root)?;
    let mut held = crate::caller::real()?;
    let mut wanted = caller.clone();
    held.groups.sort_unstable();
    wanted.groups.sort_unstable();
    if held == wanted { Ok(()) } else { Err(io::Error::other("the caller's ids did not hold")) }
}
