//! How large a number of a user a process can ever see: in a user namespace of its own, all others than
//! those of the namespace look like one (user_namespaces(7)).

use crate::process::Process;
use crate::worker::{self, Worker};
use nix::errno::Errno;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// As whom the others are seen, where the machine's root has not set another (`DEFAULT_OVERFLOWUID` in
/// include/linux/highuid.h). The kernel takes none above 65535.
const OTHERS_MAX: u32 = 65_535;

/// From now on this process, which is root and has one thread, sees the users up to `last` as before, and
/// all others as one; without `CAP_SETFCAP`, root too is one of the others. It sees all groups. In that
/// namespace it has all rights, to become one of its users.
///
/// # Errors
/// The kernel refused, and all is as before: user namespaces may be switched off.
pub fn hide_users_above(last: u32) -> io::Result<()> {
    let (mut told, tell) = io::pipe()?;
    let (heed, end) = io::pipe()?;
    let ours = end.as_raw_fd();
    let child = worker::start(|| {
        // SAFETY: the child's copy, which nothing else in it touches; it ends without dropping the owner.
        drop(unsafe { OwnedFd::from_raw_fd(ours) });
        // SAFETY: a number.
        let made = unsafe { libc::unshare(libc::CLONE_NEWUSER) } == 0;
        let said = (&tell).write_all(&[u8::from(made)]);
        // Until it is ended, or whoever started it is gone.
        let _ = (&heed).read(&mut [0]);
        u8::from(said.is_err())
    })?;
    drop(tell);
    let mut made = [0];
    let entered = told.read_exact(&mut made).and_then(|()| match made {
        [1] => enter_mapped(&child, last),
        _ => Err(ErrorKind::PermissionDenied.into()),
    });
    drop(end);
    child.wait()?;
    entered
}

/// Give the child's namespace its users and groups, and go there.
fn enter_mapped(child: &Worker, last: u32) -> io::Result<()> {
    let place = |name: &str| format!("/proc/{}/{name}", child.pid());
    fs::write(place("gid_map"), format!("0 0 {}\n", u32::MAX))?;
    // Giving a namespace this host's root takes that right (`verify_root_map` in kernel/user_namespace.c).
    fs::write(place("uid_map"), format!("0 0 {}\n", last.saturating_add(1)))
        .or_else(|_| fs::write(place("uid_map"), format!("1 1 {last}\n")))?;
    let space = File::open(place("ns/user"))?;
    // SAFETY: a descriptor and a number.
    Errno::result(unsafe { libc::setns(space.as_raw_fd(), libc::CLONE_NEWUSER) })?;
    Ok(())
}

/// The largest number of a user that a process can see.
///
/// # Errors
/// There is no such process, or the kernel's table is none.
pub fn largest_user_seen_by(process: &Process) -> io::Result<u32> {
    let table = fs::read_to_string(format!("/proc/{}/uid_map", process.pid()))?;
    // The process may have ended, and its number be another's.
    if process.has_ended() {
        return Err(Errno::ESRCH.into());
    }
    largest(&table).ok_or_else(|| ErrorKind::InvalidData.into())
}

/// By lines of `inside outside count`.
fn largest(table: &str) -> Option<u32> {
    let last = |line: &str| {
        let mut words = line.split_whitespace();
        let first: u32 = words.next()?.parse().ok()?;
        let count: u32 = words.nth(1)?.parse().ok()?;
        first.checked_add(count.checked_sub(1)?)
    };
    let all: Option<Vec<u32>> = table.lines().map(last).collect();
    Some(all?.into_iter().max()?.max(OTHERS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_user_is_in_the_kernels_table() {
        assert_eq!(largest("         0          0 4294967295\n"), Some(u32::MAX - 1));
        assert_eq!(largest("1 1 99999\n"), Some(99_999));
        assert_eq!(largest("0 1000 1\n1 100000 200000\n"), Some(200_000));
        assert_eq!(largest("0 1000 1\n"), Some(OTHERS_MAX), "the others are seen as one");
        assert_eq!((largest(""), largest("0 0\n"), largest("x")), (None, None, None));
    }
}
