//! The TAP: made, attached, counted. Root goes before it is made, the last capability before it
//! is handed over. There is nothing to clean up: a TAP vanishes with its descriptor.

use crate::bridge::Held;
use crate::refusal::Refusal;
use std::path::Path;
use vmnet_model::mac::MacAddr;
use vmnet_model::name::IfName;
use vmnet_model::paths;
use vmnet_model::port::{PortTag, TAP_TEMPLATE, tap_name};
use vmnet_model::rules::{Caller, Place};
use vmnet_sys::link::{self, PortWish};
use vmnet_sys::netlink::Netlink;
use vmnet_sys::privilege::{self, Privilege};
use vmnet_sys::tun::{self, Tap};
use vmnet_sys::{lock, random};

/// A port that the rules grant.
#[derive(Debug)]
pub struct Grant<'a> {
    /// To whom.
    pub caller: &'a Caller,
    /// For which process.
    pub pid: u32,
    /// On which bridge.
    pub bridge: &'a Held,
    /// With virtio-net headers.
    pub vnet_header: bool,
    /// At most so many at one time, as this line says.
    pub quota: Option<(u32, Place)>,
}

impl Grant<'_> {
    /// Make it so. Afterwards this process has no privilege at all.
    ///
    /// # Errors
    /// Whatever stood in the way; nothing is left behind.
    pub fn carry_out(self, netlink: &mut Netlink, privilege: Privilege) -> Result<Tap, Refusal> {
        let Held { link: bridge, record, .. } = self.bridge;
        let name =
            IfName::new(&bridge.name).map_err(|_| Refusal::Links(std::io::ErrorKind::InvalidData.into()))?;
        // Both before root goes: the node may be 0600, and only root reaches the turns.
        let device = tun::open().map_err(Refusal::Tun)?;
        let _turn = match (&self.quota, privilege) {
            (Some(_), Privilege::Root) => {
                Some(lock::turn_of(self.caller.uid, Path::new(paths::RUN_DIR)).map_err(Refusal::Turn)?)
            }
            _ => None,
        };
        let shed = privilege::shed().map_err(Refusal::Shed)?;
        let tap = device
            .create(&shed, &tap_name(std::process::id()), TAP_TEMPLATE, self.vnet_header)
            .map_err(Refusal::Tap)?;
        let tag = PortTag { bridge: name.clone(), uid: self.caller.uid, pid: self.pid };
        let [a, b, c, d, e] = random::bytes().map_err(Refusal::Tap)?;
        let wish = PortWish {
            tap: tap.name(),
            bridge: bridge.index,
            mtu: bridge.mtu,
            mac: MacAddr([0xfe, a, b, c, d, e]),
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
        if let Some((ports, place)) = self.quota {
            // Counted after it joined: whoever joins last sees all others, so that the limit holds
            // even between callers that could not wait for each other.
            if held_ports(netlink, bridge.index, &tag)? > ports {
                return Err(Refusal::Quota(name, ports, place));
            }
        }
        shed.drop_all().map_err(Refusal::Shed)?;
        Ok(tap)
    }
}

/// EXFULL, which the kernel answers for a bridge without a free port number (net/bridge/br_if.c).
const FULL: i32 = 54;
/// ENODEV, when the bridge went away meanwhile.
const NO_DEVICE: i32 = 19;

/// How many ports of this bridge are held by the tag's user.
fn held_ports(netlink: &mut Netlink, bridge: u32, tag: &PortTag) -> Result<u32, Refusal> {
    let ports = link::ports(netlink, bridge).map_err(Refusal::Links)?;
    let held = ports
        .iter()
        .filter_map(|port| PortTag::parse(port.alias.as_deref()?))
        .filter(|other| other.uid == tag.uid && other.bridge == tag.bridge)
        .count();
    Ok(u32::try_from(held).unwrap_or(u32::MAX))
}
