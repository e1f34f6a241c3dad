//! The port: made, attached, counted. Root goes before it is made, the last capability before it
//! is handed over. There is nothing to clean up: a TAP vanishes with its descriptor, unless it was
//! to stay, which is the last thing that is done to it.

use crate::bridge::PinnedBridge;
use crate::refusal::Refusal;
use crate::refusal_special::Unfit;
use crate::vde::{self, OnSwitch, Prepared};
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use vmnet_access::mac::MacAddr;
use vmnet_access::name::IfName;
use vmnet_access::paths;
use vmnet_access::port_record::{PortTag, TAP_TEMPLATE, VETH_TEMPLATE, port_name};
use vmnet_access::request::KeptTap;
use vmnet_access::rules::{Caller, Place};
use vmnet_sys::link::{self, Link, PortWish};
use vmnet_sys::netlink::Netlink;
use vmnet_sys::privilege::{self, Privilege, Shed};
use vmnet_sys::tun::{self, Tap, TapName, TapWish, TunDevice};
use vmnet_sys::{lock, random};

/// A port that is granted.
#[derive(Debug)]
pub struct Grant<'a> {
    /// To this user.
    pub uid: u32,
    /// For which process.
    pub pid: u32,
    /// On which bridge.
    pub bridge: &'a PinnedBridge,
    /// At most so many at one time, as this line says.
    pub quota: Option<(u32, Place)>,
    /// Where our rights come from.
    pub privilege: Privilege,
}

impl Grant<'_> {
    /// A TAP for whoever holds its descriptors. Afterwards this process has no privilege at all.
    ///
    /// # Errors
    /// Whatever stood in the way; nothing is left behind.
    pub fn tap(self, netlink: &mut Netlink, vnet_header: bool, queues: u8) -> Result<Tap, Refusal> {
        // Before root goes: the node may be 0600.
        let device = tun::open().map_err(Refusal::Tun)?;
        let more: Vec<TunDevice> =
            (1..queues).map(|_| tun::open()).collect::<io::Result<_>>().map_err(Refusal::Tun)?;
        let turn = self.turn()?;
        let shed = privilege::shed().map_err(Refusal::Shed)?;
        let free = port_name(TAP_TEMPLATE, std::process::id());
        let name = TapName::Free(&free, TAP_TEMPLATE);
        let wish = TapWish { name, vnet_header, many_queues: queues > 1 };
        let mut tap = device.create(&shed, &wish).map_err(Refusal::Tap)?;
        more.into_iter().try_for_each(|device| tap.add_queue(device)).map_err(Refusal::Tap)?;
        if queues > 1 {
            close_to_others(netlink, &tap)?;
        }
        self.attach(netlink, tap.name(), false)?;
        if queues > 1 {
            tap.give_to(self.uid).map_err(Refusal::Tap)?;
        }
        drop(turn);
        shed.drop_all().map_err(Refusal::Shed)?;
        Ok(tap)
    }

    /// A TAP that stays, for its owner to open by name. Its name is answered.
    ///
    /// # Errors
    /// As [`Grant::tap`].
    pub fn kept_tap(self, netlink: &mut Netlink, wanted: &KeptTap) -> Result<IfName, Refusal> {
        let device = tun::open().map_err(Refusal::Tun)?;
        let turn = self.turn()?;
        let shed = privilege::shed().map_err(Refusal::Shed)?;
        let free = port_name(TAP_TEMPLATE, std::process::id());
        let name = wanted.name.as_ref().map_or(TapName::Free(&free, TAP_TEMPLATE), TapName::Exactly);
        let wish = TapWish { name, vnet_header: true, many_queues: wanted.many_queues };
        let tap = match device.create(&shed, &wish) {
            Ok(tap) => tap,
            Err(error) => return self.kept_before(netlink, wanted, error, shed),
        };
        if wanted.many_queues {
            close_to_others(netlink, &tap)?;
        }
        self.attach(netlink, tap.name(), true)?;
        // Last: until here it goes with its descriptor, however we end.
        tap.give_to(self.uid).and_then(|()| tap.keep()).map_err(Refusal::Tap)?;
        drop(turn);
        shed.drop_all().map_err(Refusal::Shed)?;
        Ok(tap.name().clone())
    }

    /// The name is taken: by the very TAP that is asked for, or by another link.
    fn kept_before(
        &self,
        netlink: &mut Netlink,
        wanted: &KeptTap,
        error: io::Error,
        shed: Shed,
    ) -> Result<IfName, Refusal> {
        let Some(name) = wanted.name.as_ref().filter(|_| is_taken(&error)) else {
            return Err(Refusal::Tap(error));
        };
        let bridge = self.bridge.name()?;
        let is_it = |link: &Link| {
            let tag = link.alias.as_deref().and_then(PortTag::parse);
            link.name == name.as_bytes()
                && link.master == Some(self.bridge.link.index)
                && tag.is_some_and(|tag| tag.kept && tag.uid == self.uid && tag.bridge == bridge)
                && link.tap.is_some_and(|tap| tap.persistent && tap.many_queues == wanted.many_queues)
        };
        let found = link::find(netlink, name).map_err(Refusal::Links)?;
        shed.drop_all().map_err(Refusal::Shed)?;
        if found.as_ref().is_some_and(is_it) {
            Ok(name.clone())
        } else {
            Err(Unfit::Taken(name.clone()).into())
        }
    }

    /// A veth pair whose other end is in this network namespace. The name of ours is answered.
    ///
    /// # Errors
    /// As [`Grant::tap`].
    pub fn veth(
        self,
        netlink: &mut Netlink,
        other: &IfName,
        mac: MacAddr,
        space: BorrowedFd<'_>,
    ) -> Result<IfName, Refusal> {
        let turn = self.turn()?;
        let shed = privilege::shed().map_err(Refusal::Shed)?;
        let name = free_veth(netlink)?;
        let mtu = self.bridge.link.mtu;
        link::create_veth(netlink, &name, other, mac, mtu, space).map_err(|error| {
            if is_taken(&error) { Unfit::Taken(other.clone()) } else { Unfit::Veth(other.clone(), error) }
        })?;
        if let Err(refusal) = self.attach(netlink, &name, false) {
            if let Some(link) = link::find(netlink, &name).map_err(Refusal::Links)? {
                remove(netlink, &name, link.index, &shed)?;
            }
            return Err(refusal);
        }
        drop(turn);
        shed.drop_all().map_err(Refusal::Shed)?;
        Ok(name)
    }

    /// A port on the bridge's switch, asked for as this caller would ask, or as the switch's own user for
    /// root. Afterwards this process has no privilege at all.
    ///
    /// # Errors
    /// As [`Grant::tap`]; the sockets' names are left to the keeper where it is the switch that refused.
    pub fn plug(self, netlink: &mut Netlink, caller: &Caller) -> Result<OnSwitch, Refusal> {
        let bridge = self.bridge.name()?;
        let door = self.bridge.record.as_ref().and_then(|record| record.switch.as_ref());
        let door = door.ok_or_else(|| Unfit::NoSwitch(bridge.clone()))?;
        if self.privilege != Privilege::Root {
            return Err(Unfit::SwitchTakesRoot.into());
        }
        let asker = vde::asker(caller, door);
        if asker.uid == 0 {
            return Err(Unfit::RootsSwitch(door.directory.clone()).into());
        }
        let turn = self.turn()?;
        let prepared = Prepared::bind(&bridge, door, self.uid, self.pid)?;
        self.count(netlink, &bridge)?;
        drop(turn);
        let plain = privilege::become_plain(&asker).map_err(Refusal::Shed)?;
        prepared.join(&plain)
    }

    /// Users with a limit take turns, so that none is refused needlessly. Only root can reach that file.
    fn turn(&self) -> Result<Option<std::fs::File>, Refusal> {
        match (&self.quota, self.privilege) {
            (Some(_), Privilege::Root) => {
                lock::turn_of(self.uid, Path::new(paths::RUN_DIR)).map(Some).map_err(Refusal::Turn)
            }
            _ => Ok(None),
        }
    }

    /// Make the link a port, and count.
    fn attach(&self, netlink: &mut Netlink, port: &IfName, kept: bool) -> Result<(), Refusal> {
        let PinnedBridge { link: bridge, record, .. } = self.bridge;
        let name = self.bridge.name()?;
        let tag = PortTag { bridge: name.clone(), uid: self.uid, pid: self.pid, kept };
        let wish = PortWish {
            port,
            bridge: bridge.index,
            mtu: bridge.mtu,
            mac: tag.mac(port),
            alias: &tag.render(),
            group: record.as_ref().map_or(0, |record| record.group),
            isolated: record.as_ref().is_some_and(|record| record.isolated),
            hairpin: record.as_ref().is_some_and(|record| record.hairpin),
        };
        link::attach(netlink, &wish).map_err(|error| match error.raw_os_error() {
            Some(FULL) => Refusal::Full(name.clone()),
            Some(NO_DEVICE) => Refusal::NoBridge(name.clone()),
            _ => Refusal::Attach(name.clone(), error),
        })?;
        self.count(netlink, &name)
    }

    /// Count the user's ports, on the bridge and on its switch. This comes after one is there: whoever comes
    /// last sees all others, so that the limit holds even between callers that could not wait for each other.
    fn count(&self, netlink: &mut Netlink, name: &IfName) -> Result<(), Refusal> {
        let Some((ports, place)) = &self.quota else { return Ok(()) };
        let mut held = held_ports(netlink, self.bridge.link.index, name, self.uid)?;
        if self.bridge.record.as_ref().is_some_and(|record| record.switch.is_some()) {
            held += vde::held(name, self.uid)?;
        }
        if u32::try_from(held).is_ok_and(|held| held <= *ports) {
            Ok(())
        } else {
            Err(Refusal::Quota(name.clone(), *ports, place.clone()))
        }
    }
}

/// A TAP that may have many queues has room for strangers' from its first moment, until it has an
/// owner: root's for now, so that nobody comes in before it is a port and counted. Whoever came before
/// that would hold it open when we give it up.
fn close_to_others(netlink: &mut Netlink, tap: &Tap) -> Result<(), Refusal> {
    tap.give_to(0).map_err(Refusal::Tap)?;
    let found = link::find(netlink, tap.name()).map_err(Refusal::Links)?;
    let queues = found.and_then(|link| link.tap).map(|tap| tap.queues);
    if queues == u32::try_from(tap.descriptors().len()).ok() {
        Ok(())
    } else {
        Err(Unfit::NotAlone(tap.name().clone()).into())
    }
}

/// Delete the link of this number.
///
/// # Errors
/// The kernel's answer.
pub fn remove(netlink: &mut Netlink, name: &IfName, index: u32, _root_is_gone: &Shed) -> Result<(), Refusal> {
    link::delete(netlink, index).map_err(|error| Unfit::Remove(name.clone(), error).into())
}

/// EXFULL, which the kernel answers for a bridge without a free port number (net/bridge/br_if.c).
const FULL: i32 = 54;
/// ENODEV, when the bridge went away meanwhile.
const NO_DEVICE: i32 = 19;
/// EBUSY and EEXIST, for a name that another link has.
const TAKEN: [i32; 2] = [16, 17];

fn is_taken(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|number| TAKEN.contains(&number))
}

/// So many names are tried.
const NAMES: usize = 8;

/// A free name for our end: a veth's name must be known before it is made. The number of this
/// process is most likely free; a long-lived pair may still have it from an earlier one.
fn free_veth(netlink: &mut Netlink) -> Result<IfName, Refusal> {
    let mut name = port_name(VETH_TEMPLATE, std::process::id());
    for _ in 0..NAMES {
        let free =
            IfName::new(name.as_bytes()).map_err(|_| Refusal::Links(io::ErrorKind::InvalidInput.into()))?;
        if link::find(netlink, &free).map_err(Refusal::Links)?.is_none() {
            return Ok(free);
        }
        let number = u32::from_ne_bytes(random::bytes().map_err(Refusal::Links)?);
        name = VETH_TEMPLATE.replace("%d", &format!("x{number:08x}"));
    }
    Err(Refusal::Links(io::ErrorKind::AddrInUse.into()))
}

/// How many ports of this bridge are held by this user.
fn held_ports(netlink: &mut Netlink, index: u32, bridge: &IfName, uid: u32) -> Result<usize, Refusal> {
    let ports = link::ports(netlink, index).map_err(Refusal::Links)?;
    let tags = ports.iter().filter_map(|port| PortTag::parse(port.alias.as_deref()?));
    Ok(tags.filter(|tag| tag.uid == uid && tag.bridge == *bridge).count())
}
