//! Run one program as root in a clean child: nothing of the caller's environment, descriptors,
//! signals, limits, session or directory reaches it. Which program is for others to choose; it is
//! given by an absolute path that was fixed when this program was built.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Pid, Uid, setgroups, setresgid, setresuid, setsid};
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Most of the child's words that are kept.
const WORDS_MAX: usize = 4096;

/// How a child went.
#[derive(Debug)]
pub enum Outcome {
    /// It ended with status 0; what it said on standard output.
    Done(String),
    /// It failed; what it said on standard error.
    Failed(String),
    /// It was stopped after its time.
    TimedOut,
}

/// Run `program` with `arguments` as root and wait for its end, at most for `limit`.
///
/// # Errors
/// It could not be started or waited for.
pub fn run_as_root(program: &str, arguments: &[&str], limit: Duration) -> io::Result<Outcome> {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").current_dir("/");
    // Both into one pipe: a program that is done answers, one that failed complains.
    let (reader, writer) = std::io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    // SAFETY: `begin_clean` runs between fork and exec in the only thread there is, and makes
    // nothing but system calls.
    unsafe { command.pre_exec(begin_clean) };
    let mut child = command.spawn()?;
    // It holds the pipe's other end, which would never close.
    drop(command);
    wait(&mut child, OwnedFd::from(reader), limit)
}

/// Have a program end with the thread that starts it: a tool of a process that was killed must not
/// go on with half of a plan, unknown to whoever comes next. A daemon that it forks is not meant
/// (PR_SET_PDEATHSIG is cleared by fork(2)).
pub fn end_with_us(command: &mut Command) {
    let us = nix::unistd::getpid();
    let begin = move || {
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
        // We may have been killed before the call.
        if nix::unistd::getppid() == us { Ok(()) } else { Err(nix::errno::Errno::ESRCH.into()) }
    };
    // SAFETY: between fork and exec `begin` makes two system calls, allocates nothing and takes
    // no lock.
    unsafe { command.pre_exec(begin) };
}

fn begin_clean() -> io::Result<()> {
    setsid()?;
    default_signals();
    // A caller's blocked SIGTERM would make root's servers deaf, and would outlive it.
    SigSet::empty().thread_set_mask()?;
    setgroups(&[])?;
    let (root, wheel) = (Uid::from_raw(0), Gid::from_raw(0));
    setresgid(wheel, wheel, wheel)?;
    setresuid(root, root, root)?;
    umask(Mode::from_bits_truncate(0o022));
    calm_scheduling();
    for limit in [Resource::RLIMIT_FSIZE, Resource::RLIMIT_DATA, Resource::RLIMIT_AS, Resource::RLIMIT_CPU] {
        lift(limit, RLIM_INFINITY, RLIM_INFINITY);
    }
    lift(Resource::RLIMIT_NPROC, RLIM_INFINITY, RLIM_INFINITY);
    lift(Resource::RLIMIT_STACK, 8 << 20, RLIM_INFINITY);
    lift(Resource::RLIMIT_NOFILE, 1024, 524_288);
    Ok(())
}

/// A caller's small limits would make root's programs fail half-way. In a container without
/// CAP_SYS_RESOURCE no hard limit can be raised: there the soft one goes as far as it may.
fn lift(limit: Resource, soft: u64, hard: u64) {
    if setrlimit(limit, soft, hard).is_err()
        && let Ok((_, hard)) = getrlimit(limit)
    {
        let _ = setrlimit(limit, soft.min(hard), hard);
    }
}

/// Every signal's action back to the default, the two that glibc keeps for itself and will not
/// name (32 and 33) included.
fn default_signals() {
    // All zero is the default action, no flags, no mask, in every architecture's struct sigaction.
    let default = [0_usize; 8];
    for number in 1..=64 {
        // SAFETY: the kernel reads no more than its struct sigaction, which `default` is longer
        // than, and writes nothing. SIGKILL and SIGSTOP are refused, as they should be.
        let _ = unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                number,
                default.as_ptr(),
                std::ptr::null::<usize>(),
                8_usize,
            )
        };
    }
}

/// A caller's low priority would be root's too. Where it cannot be raised it stays.
pub(crate) fn calm_scheduling() {
    // SAFETY: numbers and a valid, zeroed parameter block; both calls act on this process alone.
    unsafe {
        let normal: libc::sched_param = std::mem::zeroed();
        let _ = libc::sched_setscheduler(0, libc::SCHED_OTHER, &raw const normal);
        let _ = libc::setpriority(libc::PRIO_PROCESS, 0, 0);
    }
}

fn wait(child: &mut Child, words: OwnedFd, limit: Duration) -> io::Result<Outcome> {
    let end = Instant::now() + limit;
    let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    let watched = crate::process::Process::watch(pid)?;
    let mut reader = Some(std::fs::File::from(words));
    let mut said = Vec::new();
    loop {
        let mut sources = vec![PollFd::new(watched.as_fd(), PollFlags::POLLIN)];
        if let Some(reader) = &reader {
            sources.push(PollFd::new(reader.as_fd(), PollFlags::POLLIN));
        }
        let left = end.saturating_duration_since(Instant::now());
        let ready = match poll(&mut sources, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Ok(ready) => ready,
            Err(nix::errno::Errno::EINTR) => continue,
            Err(errno) => return Err(errno.into()),
        };
        if ready == 0 {
            // It leads a group of its own, its tools among it.
            let _ = killpg(pid, Signal::SIGTERM);
            return Ok(Outcome::TimedOut);
        }
        let happened: Vec<bool> = sources.iter().map(|s| s.any().unwrap_or(false)).collect();
        // What it said first: when both are ready, its last words are still in the pipe.
        if happened.get(1) == Some(&true) && !read_some(reader.as_mut(), &mut said) {
            reader = None;
        } else if happened.first() == Some(&true) {
            break;
        }
    }
    let words = String::from_utf8_lossy(&said).trim_end().to_owned();
    Ok(if child.wait()?.success() { Outcome::Done(words) } else { Outcome::Failed(words) })
}

/// Read what is there; false at the end.
fn read_some(reader: Option<&mut std::fs::File>, said: &mut Vec<u8>) -> bool {
    let Some(reader) = reader else { return false };
    let mut buffer = [0; 1024];
    match reader.read(&mut buffer) {
        Ok(0) | Err(_) => false,
        Ok(count) => {
            let room = WORDS_MAX.saturating_sub(said.len());
            said.extend(buffer.iter().take(count.min(room)));
            true
        }
    }
}
