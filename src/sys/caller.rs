//! Who calls, and the host's user database.

use nix::errno::Errno;
use nix::unistd::{Gid, Group, Uid, User, getgid, getgroups, getppid, getuid};
use std::ffi::CString;
use std::io;
use vmnet_model::rules::{Accounts, AccountsDown, Caller};

/// The real ids of this process and the groups that the kernel gave it. Never the effective ones,
/// and never what a database says about the user.
///
/// # Errors
/// The kernel would not tell the groups.
pub fn real() -> io::Result<Caller> {
    let groups = getgroups()?.into_iter().map(Gid::as_raw).collect();
    Ok(Caller { uid: getuid().as_raw(), gid: getgid().as_raw(), groups })
}

/// A user of the database with the groups it lists: who they would be if they called.
///
/// # Errors
/// The database did not answer.
pub fn named(user: &str) -> io::Result<Option<Caller>> {
    let found = match user.parse() {
        Ok(uid) => User::from_uid(Uid::from_raw(uid)),
        Err(_) => User::from_name(user),
    };
    let Some(user) = found.or_else(|errno| if absent(errno) { Ok(None) } else { Err(errno) })? else {
        return Ok(None);
    };
    let name = CString::new(user.name).map_err(io::Error::other)?;
    let groups = nix::unistd::getgrouplist(&name, user.gid)?.into_iter().map(Gid::as_raw).collect();
    Ok(Some(Caller { uid: user.uid.as_raw(), gid: user.gid.as_raw(), groups }))
}

/// A user's name, or the number where there is none.
#[must_use]
pub fn name_of(uid: u32) -> String {
    match User::from_uid(Uid::from_raw(uid)) {
        Ok(Some(user)) => user.name,
        _ => uid.to_string(),
    }
}

/// The process that called: for a helper, the VM.
#[must_use]
pub fn parent() -> u32 {
    getppid().as_raw().unsigned_abs()
}

/// getpwnam(3): these numbers, too, mean "not found".
fn absent(errno: Errno) -> bool {
    matches!(errno, Errno::ENOENT | Errno::ESRCH | Errno::EBADF | Errno::EPERM)
}

/// The host's user database through NSS, so that names from LDAP or sssd resolve.
pub struct Database;

impl Accounts for Database {
    fn user(&self, name: &str) -> Result<Option<u32>, AccountsDown> {
        match User::from_name(name) {
            Ok(user) => Ok(user.map(|user| user.uid.as_raw())),
            Err(errno) if absent(errno) => Ok(None),
            Err(_) => Err(AccountsDown { name: name.to_owned() }),
        }
    }

    fn group(&self, name: &str) -> Result<Option<u32>, AccountsDown> {
        match Group::from_name(name) {
            Ok(group) => Ok(group.map(|group| group.gid.as_raw())),
            Err(errno) if absent(errno) => Ok(None),
            Err(_) => Err(AccountsDown { name: name.to_owned() }),
        }
    }
}

/// The name of a user's primary group; none if there is no such user or group.
#[must_use]
pub fn primary_group(user: &str) -> Option<String> {
    let user = User::from_name(user).ok().flatten()?;
    Some(Group::from_gid(user.gid).ok().flatten()?.name)
}
