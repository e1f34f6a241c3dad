//! A port on the VDE switch that is one wire with a bridge. Its sockets are bound as root, in root's
//! directory; the switch is asked by a process that has no right but to ask. A switch answers with a path
//! of its choice, so no other process may.

use crate::bridge::run_dir;
use crate::refusal::Refusal;
use crate::refusal_special::Unfit;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use vmnet_access::name::IfName;
use vmnet_access::port_record::SwitchAccess;
use vmnet_access::rules::Caller;
use vmnet_access::vde_port_tag::{PLUGS_DIR, VdePortTag};
use vmnet_sys::privilege::Plain;
use vmnet_sys::random;
use vmnet_vde::held_port::{self, ControlSocket, VdePort};
use vmnet_vde::port::Absence;

/// The sockets, bound, and on no switch yet.
#[derive(Debug)]
pub struct Prepared<'a> {
    plug: VdePort,
    line: ControlSocket,
    tag: VdePortTag,
    door: &'a SwitchAccess,
}

/// A port on a switch.
#[derive(Debug)]
pub struct OnSwitch {
    /// `vde` and its number there; `vde` alone where the switch tells none.
    pub port: IfName,
    /// The socket for frames, and the one that keeps the port.
    pub descriptors: [OwnedFd; 2],
}

impl<'a> Prepared<'a> {
    /// Bind them in the bridge's directory for them, for a process of this user. It takes root.
    ///
    /// # Errors
    /// The kernel refused; nothing is left behind.
    pub fn bind(bridge: &IfName, door: &'a SwitchAccess, uid: u32, pid: u32) -> Result<Self, Refusal> {
        let token = random::bytes().map(u32::from_ne_bytes).map_err(Unfit::Plug)?;
        let tag = VdePortTag { uid, pid, token };
        let (plug, line) = VdePort::prepare(&directory(bridge), tag, door.group).map_err(Unfit::Plug)?;
        Ok(Self { plug, line, tag, door })
    }

    /// Join the switch, which is there or about to be: the bridge's record says so. Whoever is plain by now
    /// cannot remove the sockets' names any more: where there is no port they wait for the keeper to tidy up.
    ///
    /// # Errors
    /// The switch gave no port.
    pub fn join(self, _who_asks: &Plain) -> Result<OnSwitch, Refusal> {
        let Self { plug, line, tag, door } = self;
        let control = plug
            .join(line, &door.directory, &tag.description(), Absence::Passing)
            .map_err(|error| Unfit::Join(door.directory.clone(), error))?;
        // Its copy lies in the queue of the socket that keeps the port.
        drop(control);
        let number = plug.number().map(|number| number.to_string()).unwrap_or_default();
        let port = IfName::new(format!("vde{number}").as_bytes());
        let port = port.map_err(|_| Refusal::Links(std::io::ErrorKind::InvalidData.into()))?;
        Ok(OnSwitch { port, descriptors: plug.into_descriptors() })
    }
}

/// As whom a caller's port is asked for: themselves with the switch's group, or, for root, the switch's own
/// user. Root's group is given to nobody: then a caller has their own.
#[must_use]
pub fn asker(caller: &Caller, door: &SwitchAccess) -> Caller {
    if caller.uid == 0 {
        return Caller { uid: door.owner, gid: door.group, groups: Vec::new() };
    }
    let groups = if door.group == 0 { caller.groups.clone() } else { vec![door.group] };
    Caller { groups, ..caller.clone() }
}

/// How many ports on the bridge's switch this user holds.
///
/// # Errors
/// The kernel's list of sockets cannot be read.
pub fn held(bridge: &IfName, uid: u32) -> Result<usize, Refusal> {
    let tags = held_port::tags(&directory(bridge)).map_err(Unfit::Plug)?;
    Ok(tags.iter().filter(|tag| tag.uid == uid).count())
}

fn directory(bridge: &IfName) -> PathBuf {
    run_dir(bridge).join(PLUGS_DIR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use vmnet_access::vde::Directory;

    #[test]
    fn nobody_but_root_is_anybody_else_and_nobody_gets_roots_group() {
        let door = |group| SwitchAccess { directory: Directory::new("/d").unwrap(), owner: 7, group };
        let alice = Caller { uid: 1000, gid: 100, groups: vec![100, 27, 4] };
        let root = Caller { uid: 0, gid: 0, groups: vec![0, 27] };
        assert_eq!(asker(&alice, &door(8)), Caller { uid: 1000, gid: 100, groups: vec![8] });
        assert_eq!(asker(&alice, &door(0)), alice);
        assert_eq!(asker(&root, &door(8)), Caller { uid: 7, gid: 8, groups: vec![] });
    }
}
