//! Our own program in the background: started with nothing of its starter's, and ready when it says so.

use nix::unistd::{chdir, dup2_stderr, dup2_stdin, dup2_stdout, setsid};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Result, Write, stdout};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// What a daemon of ours says when it has taken over.
pub const READY: &[u8] = b"ready\n";

/// The program that we are, once another version was put in its place: what goes on for days, as a keeper does,
/// starts no other version's processes.
const REPLACED: &str = "/proc/self/exe";

/// The same program, with none of our environment, input or directory. Its words are still to be added, and
/// where its output goes.
///
/// # Errors
/// The kernel does not say which program we are.
pub fn command() -> Result<Command> {
    let place = std::env::current_exe()?;
    let mut command = Command::new(if place.exists() { place.as_os_str() } else { REPLACED.as_ref() });
    command.arg0(place);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").current_dir("/").stdin(Stdio::null());
    Ok(command)
}

/// From here on we are one: a session of our own, and nothing of the starter's, who reads our word and then
/// the end.
///
/// # Errors
/// The kernel refused, or the word could not be said.
pub fn detach() -> Result<()> {
    // Fails for a group leader, which a freshly started process never is.
    setsid()?;
    chdir("/")?;
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    match stdout().write_all(READY).and_then(|()| stdout().flush()) {
        // Nobody waits any more. If he gave up, he takes the network down, and we hear of it.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        written => written?,
    }
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    Ok(())
}
