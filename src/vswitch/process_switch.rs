//! `vmnet wire switch`: becomes `vde_switch`, as a user who is nobody else, with nothing of whoever started
//! it, so that it needs nobody and nobody can take anything from it.

use crate::dir::SwitchDir;
use crate::group_of_user;
use crate::named;
use crate::recorded;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};
use std::convert::Infallible;
use std::fs::{self, OpenOptions};
use std::io::stderr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use vmnet_access::rules::Caller;
use vmnet_access::vde::CONTROL;
use vmnet_host::files::write_file;
use vmnet_model::error::{Error, ErrorKind};
use vmnet_model::vde_switch::{Switch, USER_MAX};
use vmnet_sys::fds::close_all_but;
use vmnet_sys::privilege::become_user;
use vmnet_sys::trust::plain;
use vmnet_sys::user_namespace::hide_users_above;
use vmnet_tools::find;

/// The program.
pub const PROGRAM: &str = "vde_switch";
/// Two descriptors a port, and those that it loses with each port that it refuses.
const DESCRIPTORS: u64 = 16_384;

/// Become it. There is no way back.
pub fn run(path: &Path) -> Result<Infallible, Error> {
    // Before anything is opened here.
    let closed = close_all_but([]);
    let switch = recorded(path)?;
    let failed = |cause: &dyn std::fmt::Display| Error::new("start", named(&switch.door.directory), cause);
    closed.map_err(|error| failed(&plain(&error)))?;
    let words =
        switch.arguments().ok_or_else(|| failed(&"it is somebody else's").kind(ErrorKind::Conflict))?;
    let program = find::program(PROGRAM).map_err(|error| failed(&error))?;
    // Still ours to write, and known before there is a switch.
    write_file(&SwitchDir::of_file(path).pid(), &format!("{}\n", std::process::id()), 0o644)?;
    let error = become_switch(&switch, &program, &words).map_or_else(|error| error, |never| match never {});
    Err(failed(&plain(&error)))
}

fn become_switch(
    switch: &Switch,
    program: &Path,
    words: &[String],
) -> std::io::Result<std::convert::Infallible> {
    let voice = stderr().as_fd().try_clone_to_owned()?;
    nix::unistd::setsid()?;
    nix::unistd::chdir("/")?;
    umask(Mode::from_bits_truncate(0o007));
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let descriptors = DESCRIPTORS.min(most);
    setrlimit(Resource::RLIMIT_NOFILE, descriptors, descriptors)?;
    // Debian's ends where its console is asked for the port of a user whose number is longer. Where this is
    // refused, it is not asked.
    let _ = hide_users_above(USER_MAX);
    let user = switch.door.owner;
    become_user(&Caller { uid: user, gid: group_of_user(user), groups: vec![switch.door.group] })?;
    remove_leftovers(switch);
    let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
    // It has a line for each frame that it cannot deliver.
    nix::unistd::dup2_stdout(&null)?;
    nix::unistd::dup2_stderr(&null)?;
    let error = endless_input()
        .map(|_held| {
            Command::new(program)
                .args(words)
                .env_clear()
                .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
                .current_dir("/")
                .exec()
        })
        .unwrap_or_else(|error| error);
    nix::unistd::dup2_stderr(&voice)?;
    Err(error)
}

/// A standard input that never ends, whoever dies: it ends the switch. The program that we become has the
/// other end open too.
fn endless_input() -> std::io::Result<OwnedFd> {
    let (reader, writer) = std::io::pipe()?;
    nix::unistd::dup2_stdin(&reader)?;
    fcntl(&writer, FcntlArg::F_SETFD(FdFlag::empty()))?;
    Ok(writer.into())
}

/// The sockets of a switch that was killed, with its user's rights alone: others may write to its
/// directory. What cannot be removed is the switch's to complain of.
fn remove_leftovers(switch: &Switch) {
    let entries = fs::read_dir(switch.door.directory.as_str());
    let left = entries.into_iter().flatten().flatten().map(|entry| entry.path());
    let sockets = left.filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_its_own));
    for path in sockets.chain(switch.console.as_ref().map(PathBuf::from)) {
        if fs::symlink_metadata(&path).is_ok_and(|meta| meta.file_type().is_socket()) {
            let _ = fs::remove_file(path);
        }
    }
}

/// `ctl`, or a port's `NNN.ID`.
fn is_its_own(name: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    name == CONTROL || name.split_once('.').is_some_and(|(port, id)| digits(port) && digits(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_switch_makes_is_removed() {
        for (name, its_own) in [
            ("ctl", true),
            ("001.17", true),
            ("1000.5", true),
            ("001", false),
            ("001.", false),
            (".7", false),
        ] {
            assert_eq!(is_its_own(name), its_own, "{name}");
        }
        assert!(!is_its_own("notes.17"));
    }
}
