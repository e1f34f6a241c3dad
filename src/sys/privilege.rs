//! What this process may do, and how it gives that up: the caller's ids, one capability, and
//! afterwards none. Every step is read back, because a drop that silently failed is the worst hole.

use crate::rights;
use caps::{CapSet, Capability, CapsHashSet};
use nix::unistd::{Gid, Uid, getgid, getresgid, getresuid, getuid, setgroups, setresgid, setresuid};
use std::fmt;
use std::io;
use std::path::Path;
use vmnet_access::rules::Caller;

/// Where this process's rights come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// Effective user root: installed setuid, or called by root.
    Root,
    /// A file capability: CAP_NET_ADMIN and nothing else.
    NetAdmin,
    /// None.
    Missing(WhyNot),
}

/// Why there is no privilege, as far as can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyNot {
    /// no_new_privs is set: a sandbox, a container, systemd's NoNewPrivileges=.
    NoNewPrivileges,
    /// The program is installed with rights, but its file system is mounted nosuid.
    NoSuid,
    /// The program is installed without rights.
    NotInstalled,
    /// The program has rights on disk that did not take effect: a foreign user namespace.
    NotHonoured,
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoNewPrivileges => {
                "no_new_privs is set, so its setuid bit or file capability has no effect"
            }
            Self::NoSuid => "its file system is mounted nosuid",
            Self::NotInstalled => "it is neither setuid root nor has it cap_net_admin",
            Self::NotHonoured => "its setuid bit was not honoured (a user namespace of another owner?)",
        })
    }
}

/// Look where our rights come from. Reads the program's own file only to explain their absence.
#[must_use]
pub fn look() -> Privilege {
    if Uid::effective().is_root() {
        return Privilege::Root;
    }
    if caps::has_cap(None, CapSet::Permitted, Capability::CAP_NET_ADMIN).unwrap_or(false) {
        return Privilege::NetAdmin;
    }
    Privilege::Missing(why_not())
}

/// May our rights be good for nothing outside a container? They are those of whoever started us, not of
/// our program's setuid bit, and this is not the machine's first user namespace.
#[must_use]
pub fn may_be_a_containers() -> bool {
    getuid() == Uid::effective() && !crate::namespace::is_first_of_users()
}

fn why_not() -> WhyNot {
    if nix::sys::prctl::get_no_new_privs().unwrap_or(false) {
        return WhyNot::NoNewPrivileges;
    }
    let Ok(rights) = rights::of(Path::new("/proc/self/exe")) else { return WhyNot::NotInstalled };
    let setuid_root = rights.owner == 0 && rights.mode & 0o4000 != 0;
    match (setuid_root || rights.capability, rights.nosuid) {
        (false, _) => WhyNot::NotInstalled,
        (true, true) => WhyNot::NoSuid,
        (true, false) => WhyNot::NotHonoured,
    }
}

/// Proof that root is gone and only CAP_NET_ADMIN is left. Making a TAP asks for it.
#[derive(Debug)]
pub struct Shed(());

/// Become the caller with CAP_NET_ADMIN alone: ids set for good, no new privileges, all of it read
/// back. Groups stay: they are the caller's already. The bounding set stays too: it limits what
/// execve(2) may give, and with no_new_privs that gives nothing.
///
/// # Errors
/// A step failed or did not hold. Nothing privileged may follow.
pub fn shed() -> io::Result<Shed> {
    if Uid::effective().is_root() {
        // Without this the ids' change would clear the permitted set (capabilities(7)).
        nix::sys::prctl::set_keepcaps(true)?;
        let (uid, gid) = (getuid(), getgid());
        // The group first: afterwards we may not any more.
        setresgid(gid, gid, gid)?;
        setresuid(uid, uid, uid)?;
        nix::sys::prctl::set_keepcaps(false)?;
    }
    hold_only(&CapsHashSet::from([Capability::CAP_NET_ADMIN]))?;
    nix::sys::prctl::set_no_new_privs()?;
    if !nix::sys::prctl::get_no_new_privs()? {
        return Err(io::Error::other("no_new_privs did not hold"));
    }
    // A change of ids sets dumpability from fs.suid_dumpable; keep the caller's debugger out.
    nix::sys::prctl::set_dumpable(false)?;
    check_ids()?;
    Ok(Shed(()))
}

impl Shed {
    /// Give up the last capability.
    ///
    /// # Errors
    /// It did not hold.
    pub fn drop_all(self) -> io::Result<()> {
        hold_only(&CapsHashSet::new())
    }
}

/// Proof that this process is nobody special: not root, without a capability, and with no way to either. What
/// is said to a stranger's socket asks for it.
#[derive(Debug)]
pub struct Plain(());

/// Become this user for good, with these groups and no others, without any right: all of it read back. It
/// takes root.
///
/// # Errors
/// It is root who is named, or a step failed or did not hold. Nothing may follow then.
pub fn become_plain(user: &Caller) -> io::Result<Plain> {
    if user.uid == 0 {
        return Err(io::Error::other("root is never without rights"));
    }
    become_user(user)?;
    Ok(Plain(()))
}

/// The same for whoever owns something, be it root: who is without a capability then, but still owns root's
/// files.
///
/// # Errors
/// A step failed or did not hold. Nothing may follow then.
pub fn become_user(user: &Caller) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    let groups: Vec<Gid> = user.groups.iter().copied().map(Gid::from_raw).collect();
    // The groups first: afterwards we may not any more.
    setgroups(&groups)?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    hold_only(&CapsHashSet::new())?;
    nix::sys::prctl::set_no_new_privs()?;
    if !nix::sys::prctl::get_no_new_privs()? {
        return Err(io::Error::other("no_new_privs did not hold"));
    }
    // The user's debugger must not come by the groups.
    nix::sys::prctl::set_dumpable(false)?;
    check_ids()?;
    let (mut held, mut wanted) = (crate::caller::real()?, user.clone());
    held.groups.sort_unstable();
    wanted.groups.sort_unstable();
    if held == wanted { Ok(()) } else { Err(io::Error::other("the ids or groups did not change")) }
}

/// Effective before permitted, or capset(2) refuses. The ambient set needs no look of its own: it
/// never holds what the inheritable set does not (capabilities(7)), and that is read back empty.
fn hold_only(wanted: &CapsHashSet) -> io::Result<()> {
    let held = |set| caps::read(None, set).map_err(io::Error::other);
    if !held(CapSet::Inheritable)?.is_empty() {
        caps::clear(None, CapSet::Inheritable).map_err(io::Error::other)?;
        check(CapSet::Inheritable, held(CapSet::Inheritable)?.is_empty())?;
    }
    for set in [CapSet::Effective, CapSet::Permitted] {
        caps::set(None, set, wanted).map_err(io::Error::other)?;
    }
    for set in [CapSet::Effective, CapSet::Permitted] {
        check(set, held(set)? == *wanted)?;
    }
    Ok(())
}

fn check(set: CapSet, changed: bool) -> io::Result<()> {
    if changed { Ok(()) } else { Err(io::Error::other(format!("the {set:?} capability set did not change"))) }
}

fn check_ids() -> io::Result<()> {
    let (uid, gid) = (getresuid()?, getresgid()?);
    let held = |real, effective, saved| effective == real && saved == real;
    if held(uid.real.as_raw(), uid.effective.as_raw(), uid.saved.as_raw())
        && held(gid.real.as_raw(), gid.effective.as_raw(), gid.saved.as_raw())
    {
        Ok(())
    } else {
        Err(io::Error::other("the user or group id did not change"))
    }
}
