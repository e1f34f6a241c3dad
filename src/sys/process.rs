//! Watching and signalling a process by a descriptor (pidfd, Linux 5.3), so that its number can
//! never come to mean another process in between.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// A process held by a descriptor, which becomes readable when it ends.
#[derive(Debug)]
pub struct Process {
    pidfd: OwnedFd,
    pid: Pid,
}

impl Process {
    /// Hold the process of this number.
    ///
    /// # Errors
    /// There is none.
    pub fn watch(pid: Pid) -> io::Result<Self> {
        // SAFETY: two numbers.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
        // SAFETY: the kernel just gave us this descriptor, close-on-exec.
        Ok(Self { pidfd: unsafe { OwnedFd::from_raw_fd(fd) }, pid })
    }

    /// Its number.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Send it a signal.
    ///
    /// # Errors
    /// It has ended, or we may not.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let fd = self.pidfd.as_raw_fd();
        let none = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: an open descriptor, numbers, and a null siginfo, which the call allows.
        let result =
            unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal as libc::c_int, none, 0) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// A descriptor of ours for the open file that it knows by this number, close-on-exec
    /// (pidfd_getfd, Linux 5.6).
    ///
    /// # Errors
    /// It has no such descriptor, or we may not trace it (ptrace(2), `PTRACE_MODE_ATTACH_REALCREDS`).
    pub fn descriptor(&self, number: RawFd) -> io::Result<OwnedFd> {
        // SAFETY: an open descriptor and two numbers.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_getfd, self.pidfd.as_raw_fd(), number, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
        // SAFETY: the kernel just gave us this descriptor.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    /// Wait for its end, at most for `limit`; false when it still lives.
    ///
    /// # Errors
    /// poll(2) failed.
    pub fn wait(&self, limit: Duration) -> io::Result<bool> {
        let end = Instant::now() + limit;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let mut source = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
            match poll(&mut source, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
                Ok(ready) => return Ok(ready > 0),
                Err(nix::errno::Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Has it ended?
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.wait(Duration::ZERO).unwrap_or(true)
    }
}

impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl AsRawFd for Process {
    fn as_raw_fd(&self) -> RawFd {
        self.pidfd.as_raw_fd()
    }
}

/// A process's command line, its arguments split; empty for a kernel thread or none.
#[must_use]
pub fn command_line(pid: u32) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    bytes.split(|b| *b == 0).filter(|word| !word.is_empty()).map(<[u8]>::to_vec).collect()
}

/// A process's short name; none if there is no such process.
#[must_use]
pub fn program(pid: u32) -> Option<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(bytes.trim_ascii_end().escape_ascii().to_string())
}

/// Take orphaned grandchildren, so that a daemon we started is ours to reap.
///
/// # Errors
/// The kernel refused.
pub fn adopt_orphans() -> io::Result<()> {
    Ok(nix::sys::prctl::set_child_subreaper(true)?)
}

/// Put SIGCHLD back to its default: where it is inherited as ignored, children reap themselves
/// and nobody learns how they ended (wait(2)).
pub fn heed_children() {
    use nix::sys::signal::{SigHandler, signal};
    // SAFETY: sets a default action, installs no handler.
    let _ = unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) };
}

/// Reap every child that has ended, adopted ones included. Not while one of them is still to be
/// waited for by whoever started it.
pub fn reap_all() {
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
    while let Ok(status) = waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)) {
        if status == WaitStatus::StillAlive {
            break;
        }
    }
}
