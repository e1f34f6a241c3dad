//! Who calls, and the host's user database.

use nix::errno::Errno;
use nix::unistd::{Gid, Group, Uid, User, getgid, getppid, getuid};
use std::ffi::CString;
use std::io;
use vmnet_access::accounts;
use vmnet_access::rules::{Accounts, AccountsDown, Caller};

/// The real ids of this process and the groups that the kernel gave it. Never the effective ones,
/// and never what a database says about the user.
///
/// # Errors
/// The kernel would not tell the groups.
pub fn real() -> io::Result<Caller> {
    Ok(Caller { uid: getuid().as_raw(), gid: getgid().as_raw(), groups: groups()? })
}

/// getgroups(2), without nix's look at the kernel's largest number of groups in /proc.
fn groups() -> io::Result<Vec<u32>> {
    let mut groups = vec![0; 64];
    loop {
        let room = libc::c_int::try_from(groups.len()).map_err(io::Error::other)?;
        // SAFETY: the buffer holds `room` ids.
        let count = unsafe { libc::getgroups(room, groups.as_mut_ptr()) };
        if let Ok(count) = usize::try_from(count) {
            groups.truncate(count);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        // EINVAL: there are more. NGROUPS_MAX is 65,536 (include/uapi/linux/limits.h).
        if error.raw_os_error() != Some(libc::EINVAL) || groups.len() > 65_536 {
            return Err(error);
        }
        groups.resize(groups.len() * 4, 0);
    }
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

/// The accounts in /etc/passwd and /etc/group, and no others: all that a statically linked
/// program can see. One read of each file, when first asked.
#[derive(Debug, Default)]
pub struct LocalFiles {
    passwd: std::cell::OnceCell<Vec<u8>>,
    group: std::cell::OnceCell<Vec<u8>>,
}

/// Largest account file that is read.
const ACCOUNTS_MAX: u64 = 16 << 20;

impl LocalFiles {
    /// The number of a local user.
    #[must_use]
    pub fn user(&self, name: &str) -> Option<u32> {
        accounts::number_of(self.passwd.get_or_init(|| read("/etc/passwd")), name)
    }

    /// The number of a local group.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<u32> {
        accounts::number_of(self.group.get_or_init(|| read("/etc/group")), name)
    }

    /// A local user's name, or the number where there is none.
    #[must_use]
    pub fn name_of(&self, uid: u32) -> String {
        let passwd = self.passwd.get_or_init(|| read("/etc/passwd"));
        accounts::name_of(passwd, uid).unwrap_or_else(|| uid.to_string())
    }
}

/// A file that cannot be read has no accounts.
fn read(path: &str) -> Vec<u8> {
    use std::io::Read;
    let mut text = Vec::with_capacity(16 << 10);
    let file = std::fs::File::open(path).map(|file| file.take(ACCOUNTS_MAX));
    match file.and_then(|mut file| file.read_to_end(&mut text)) {
        Ok(_) => text,
        Err(_) => Vec::new(),
    }
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
