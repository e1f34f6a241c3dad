//! Watching and signalling a process by a descriptor (pidfd, Linux 5.3), so that its number can
//! never come to mean another process in between.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
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

    /// The process's number.
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

/// PF_EXITING in include/linux/sched.h.
const EXITING: u32 = 4;

/// Is a process on its way out: killed, though the kernel has not got round to it, or ending? It may
/// hold its locks for a while yet, but will do nothing any more. False where there is none.
#[must_use]
pub fn is_dying(pid: Pid) -> bool {
    let flags = stat_word::<u32>(pid.as_raw().unsigned_abs(), FLAGS);
    // Pending for the thread or for all of them; signal 9 is bit 8 (proc_pid_status(5)).
    let status = std::fs::read(format!("/proc/{pid}/status")).unwrap_or_default();
    let status = String::from_utf8_lossy(&status);
    let killed = status.lines().filter_map(|line| line.split_once(':')).any(|(key, set)| {
        let kill = u64::from_str_radix(set.trim(), 16).is_ok_and(|set| set & 0x100 != 0);
        kill && (key == "SigPnd" || key == "ShdPnd")
    });
    killed || flags.is_some_and(|flags| flags & EXITING != 0)
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

/// The numbers of all processes that we can see. One may mean another process, or none, by the time it is used.
pub fn all() -> impl Iterator<Item = u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// A process's descriptors: the number of each and what it leads to, such as `socket:[812]` or a path
/// (proc_pid_fd(5)). None of a process that is gone, or whose descriptors we may not see.
pub fn descriptors(pid: u32) -> impl Iterator<Item = (RawFd, PathBuf)> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        Some((entry.file_name().to_str()?.parse().ok()?, std::fs::read_link(entry.path()).ok()?))
    })
}

/// The moment when a process began, in the kernel's ticks since it booted: with its number it means one
/// process and no other. None where there is none.
#[must_use]
pub fn began(pid: u32) -> Option<u64> {
    stat_word(pid, BEGAN)
}

/// The process that started one, or whoever took it over; none where it is gone.
#[must_use]
pub fn parent_of(pid: u32) -> Option<u32> {
    stat_word(pid, PARENT)
}

// Places in /proc/PID/stat, counted from the word behind the name (proc_pid_stat(5)).
const PARENT: usize = 1;
const FLAGS: usize = 6;
const BEGAN: usize = 19;

/// A word of /proc/PID/stat behind the process's name, which stands in parentheses and may hold anything.
fn stat_word<T: std::str::FromStr>(pid: u32, place: usize) -> Option<T> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let name_end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(name_end + 1..)?).ok()?;
    rest.split_whitespace().nth(place)?.parse().ok()
}

/// The signals by which people and service managers end a program, held back: a descriptor that is
/// readable when one came. They stay held for the rest of this process.
#[derive(Debug)]
pub struct Interrupts(SignalFd);

impl Interrupts {
    /// Hold them back from now on.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn hold() -> io::Result<Self> {
        let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
        signals.thread_block()?;
        Ok(Self(SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?))
    }
}

impl AsFd for Interrupts {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// From here on SIGINT, SIGTERM and SIGHUP do not end this process, so that it can finish what it began:
/// they are lost. A call that waits goes on waiting (`SA_RESTART` in signal(7)), and a program that is
/// started gets the default action (execve(2)). One that is handled or ignored already stays so.
pub fn hold_signals() {
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, sigaction};
    let restart = SigAction::new(SigHandler::Handler(go_on), SaFlags::SA_RESTART, SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        if is_default(signal) {
            // SAFETY: the handler does nothing, which is safe at any moment.
            let _ = unsafe { sigaction(signal, &restart) };
        }
    }
}

/// A handler, even one that does nothing, replaces the default action.
extern "C" fn go_on(_: libc::c_int) {}

/// Would the default action be taken?
fn is_default(signal: Signal) -> bool {
    // SAFETY: a struct of numbers, for which zeroes are a value.
    let mut now: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: nothing is changed; `now` is ours to be written.
    let asked = unsafe { libc::sigaction(signal as libc::c_int, std::ptr::null(), &raw mut now) };
    asked == 0 && now.sa_sigaction == libc::SIG_DFL
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_among_all_and_has_the_descriptors_that_it_opened() {
        let us = std::process::id();
        assert!(all().any(|pid| pid == us));
        let null = std::fs::File::open("/dev/null").unwrap();
        assert!(descriptors(us).any(|held| held == (null.as_raw_fd(), "/dev/null".into())));
        assert_eq!(descriptors(u32::MAX).count(), 0);
    }

    #[test]
    fn a_process_has_its_parent_and_none_has_none() {
        assert_eq!(parent_of(std::process::id()), Some(nix::unistd::getppid().as_raw().unsigned_abs()));
        assert_eq!(parent_of(u32::MAX), None);
    }

    #[test]
    fn a_process_that_was_killed_is_on_its_way_out_until_it_is_waited_for() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        assert!(!is_dying(pid));
        child.kill().unwrap();
        assert!(is_dying(pid), "at once, however busy the machine is");
        child.wait().unwrap();
        assert!(!is_dying(pid), "there is none");
    }

    #[test]
    fn interrupts_are_outlasted_but_what_was_ignored_stays_ignored() {
        use nix::sys::signal::{SigHandler, raise, signal};
        // Whoever started the tests may have them ignored.
        let hangup = (Signal::SIGHUP, SigHandler::SigIgn);
        for (kind, how) in
            [(Signal::SIGINT, SigHandler::SigDfl), (Signal::SIGTERM, SigHandler::SigDfl), hangup]
        {
            // SAFETY: sets a disposition, installs no handler.
            unsafe { signal(kind, how) }.unwrap();
        }
        hold_signals();
        for signal in [Signal::SIGINT, Signal::SIGTERM] {
            assert!(!is_default(signal));
            // It would end this test.
            raise(signal).unwrap();
        }
        for kind in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM] {
            // SAFETY: sets the default action, installs no handler.
            let was = unsafe { signal(kind, SigHandler::SigDfl) }.unwrap();
            assert_eq!(matches!(was, SigHandler::SigIgn), kind == Signal::SIGHUP);
        }
    }
}
