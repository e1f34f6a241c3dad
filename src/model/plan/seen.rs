//! The host as it is, as far as one network is concerned.

use super::{SeenCable, SeenSwitch};
use crate::other_firewalls::Opening;
use crate::tap_policy::{Enforcement, GrantViolation};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use vmnet_access::mac::MacAddr;
use vmnet_access::name::IfName;

/// The bridge as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenBridge {
    /// The link's kind.
    pub kind: Option<String>,
    /// Its MAC.
    pub mac: Option<MacAddr>,
    /// Its MTU.
    pub mtu: u32,
    /// Its group.
    pub group: u32,
    /// Set up by an administrator.
    pub up: bool,
    /// Its alias.
    pub alias: Option<String>,
    /// The host's IPv6 on it.
    pub ipv6: Ipv6Role,
    /// 127.0.0.1 may be translated to addresses behind it (route_localnet).
    pub loopback: bool,
    /// Its addresses with their prefix lengths.
    pub addresses: Vec<(Ipv4Addr, u8)>,
    /// Its IPv6 addresses but for link-local ones.
    pub addresses6: Vec<(Ipv6Addr, u8)>,
}

/// What a link's IPv6 switches make of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ipv6Role {
    /// IPv6 is off on the link; also where the kernel has none.
    Off,
    /// The host takes addresses and routes from whoever offers them there.
    Host,
    /// It takes none, and its own addresses count at once.
    Router,
}

impl Ipv6Role {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Host => "on, as a host's",
            Self::Router => "on, as a router's",
        }
    }
}

/// A port of the bridge as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenPort {
    /// The link's number.
    pub index: u32,
    /// Its name.
    pub name: IfName,
    /// Made by us; of another's port the MTU is his affair.
    pub ours: bool,
    /// It leads to another wire, and no frame may go back to that.
    pub is_wire: bool,
    /// Its MTU.
    pub mtu: u32,
    /// Its group.
    pub group: u32,
    /// The kernel's `isolated` flag.
    pub isolated: bool,
    /// The kernel's `hairpin` flag.
    pub hairpin: bool,
}

/// A TAP that is not as it was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoosePort {
    /// The link's number.
    pub index: u32,
    /// Its name.
    pub name: IfName,
    /// In what the holder went further than the grant.
    pub breaches: Vec<GrantViolation>,
    /// What is to be done about the holder.
    pub act: Enforcement,
}

/// A table, file or server as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not there.
    Absent,
    /// There, as wanted.
    Right,
    /// There, but not as wanted.
    Other,
    /// Only root may look.
    Hidden,
}

impl State {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Right => "as wanted",
            Self::Other => "different",
            Self::Hidden => "hidden",
        }
    }
}

/// The host as it is, as far as this network is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedState {
    /// The link of the bridge's name.
    pub bridge: Option<SeenBridge>,
    /// The addresses that an earlier `up` gave the bridge.
    pub earlier: Vec<(IpAddr, u8)>,
    /// net.ipv4.ip_forward
    pub forwarding: bool,
    /// net.ipv6.conf.all.forwarding
    pub forwarding6: bool,
    /// The nftables tables, but for the forwards.
    pub ruleset: State,
    /// What they know of guests, for frames between ports.
    pub known: State,
    /// The forwards in them, as [`crate::firewall::forwards_shown`] tells; none: only root may look.
    pub forwards: Option<Vec<String>>,
    /// The server's file.
    pub dnsmasq_file: State,
    /// The server's process.
    pub dnsmasq: Option<u32>,
    /// The server's files of names.
    pub names: State,
    /// The server's file of reservations.
    pub reservations: State,
    /// The VDE switch; none: only root may look.
    pub switch: Option<SeenSwitch>,
    /// What joins it to other wires by a cable.
    pub cables: Vec<SeenCable>,
    /// The helper's record.
    pub port: State,
    /// The bridge's ports.
    pub ports: Vec<SeenPort>,
    /// Chains of other firewalls that are closed to guests, or have accepts of ours; none: only root
    /// may look.
    pub foreign: Option<Vec<Opening>>,
    /// TAPs that the helper made for this bridge and that are no port of any.
    pub strays: Vec<(u32, IfName)>,
    /// TAPs whose holders went further than their grants, where something can be done about it.
    pub loose: Vec<LoosePort>,
}
