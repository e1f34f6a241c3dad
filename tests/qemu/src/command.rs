//! One program run to its end in a house. Output goes to unnamed files, so that a daemon which keeps
//! them open cannot hold the test up; every run has a time limit, and every failure is told with the
//! command, its status and its words.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// Where programs are looked for, on this side and in a house.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How long a program may run unless the test says otherwise. Generous: many tests share two cores.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How a program ended and what it said.
#[derive(Debug)]
pub struct Outcome {
    /// The words of the command, without what brought it into the house.
    pub command: String,
    /// Exit status or signal.
    pub status: ExitStatus,
    /// Standard output, bad UTF-8 replaced.
    pub stdout: String,
    /// Standard error, bad UTF-8 replaced.
    pub stderr: String,
    /// From start to end.
    pub took: Duration,
}

impl Outcome {
    /// The exit status; -N for signal N.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| -self.status.signal().unwrap_or(0))
    }

    /// Standard output of a program that must have succeeded.
    ///
    /// # Panics
    /// If it did not, with all that is known.
    #[track_caller]
    pub fn success(&self) -> &str {
        assert!(self.status.success(), "{self}");
        &self.stdout
    }

    /// Standard error of a program that must have exited with `code`.
    ///
    /// # Panics
    /// If it ended otherwise, with all that is known.
    #[track_caller]
    pub fn failure(&self, code: i32) -> &str {
        assert_eq!(self.code(), code, "{self}");
        &self.stderr
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { command, status, took, .. } = self;
        let (stdout, stderr) = (end_of(&self.stdout), end_of(&self.stderr));
        write!(f, "`{command}`: {status} after {took:?}\n--- stdout\n{stdout}--- stderr\n{stderr}---")
    }
}

/// Runs `command` (called `words` in messages) to its end.
///
/// # Panics
/// If it cannot be started, or is still running after `patience`; it is killed then.
#[track_caller]
pub fn run(mut command: Command, words: &str, input: Option<&str>, patience: Duration) -> Outcome {
    let mut stdout = tempfile::tempfile().expect("a file for stdout");
    let mut stderr = tempfile::tempfile().expect("a file for stderr");
    command.stdin(input.map_or_else(Stdio::null, |text| file_with(text).into()));
    command.stdout(stdout.try_clone().expect("stdout again"));
    command.stderr(stderr.try_clone().expect("stderr again"));
    let started = Instant::now();
    let mut child =
        command.process_group(0).spawn().unwrap_or_else(|e| panic!("cannot start `{words}`: {e}"));
    drop(command);
    let status = wait(&mut child, patience);
    let took = started.elapsed();
    let outcome = Outcome {
        command: words.to_owned(),
        status: status.unwrap_or(ExitStatus::from_raw(libc::SIGKILL)),
        stdout: text_of(&mut stdout),
        stderr: text_of(&mut stderr),
        took,
    };
    assert!(status.is_some(), "still running after {patience:?}, so killed: {outcome}");
    outcome
}

/// Waits for `child`, at most `patience`; kills its process group (it must lead one) and answers `None`
/// if that was not enough.
pub fn wait(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    // SAFETY: no pointers; the answer is a new descriptor or -1.
    let number = unsafe { libc::syscall(libc::SYS_pidfd_open, child.id(), 0) };
    let number = i32::try_from(number).expect("a descriptor number");
    assert!(number >= 0, "pidfd_open: {}", std::io::Error::last_os_error());
    // SAFETY: just made by pidfd_open, and ours alone.
    let pidfd = unsafe { OwnedFd::from_raw_fd(number) };
    if readable(&pidfd, patience) {
        return Some(child.wait().expect("waiting for a child that ended"));
    }
    let group = Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
    let _ = killpg(group, Signal::SIGKILL);
    let _ = child.wait();
    None
}

/// Whether `fd` becomes readable (or hangs up) within `patience`.
pub fn readable(fd: &impl AsFd, patience: Duration) -> bool {
    let end = Instant::now() + patience;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let mut wanted = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut wanted, timeout) {
            Ok(0) if Instant::now() >= end => return false,
            Ok(0) | Err(nix::errno::Errno::EINTR) => {}
            Ok(_) => return true,
            Err(e) => panic!("poll: {e}"),
        }
    }
}

/// A program's words as a person would type them.
pub fn words(argv: &[&str]) -> String {
    let quote = |word: &&str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./:,@%".contains(c);
        if !word.is_empty() && word.chars().all(plain) { (*word).to_owned() } else { format!("{word:?}") }
    };
    argv.iter().map(quote).collect::<Vec<_>>().join(" ")
}

/// The last lines of a long text: what a message has room for.
fn end_of(text: &str) -> &str {
    let lines = text.trim_end().rmatch_indices('\n');
    lines.map(|(at, _)| &text[at + 1..]).nth(60).unwrap_or(text)
}

fn file_with(text: &str) -> File {
    let mut file = tempfile::tempfile().expect("a file for stdin");
    std::io::Write::write_all(&mut file, text.as_bytes()).expect("writing stdin");
    file.rewind().expect("rewinding stdin");
    file
}

fn text_of(file: &mut File) -> String {
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).expect("reading output");
    String::from_utf8_lossy(&bytes).into_owned()
}
