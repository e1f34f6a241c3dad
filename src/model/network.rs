//! One network as its file describes it. What it leaves open is settled in [`crate::settle`].

use crate::forward::{Forward, Ports, Protocol};
use crate::guest::{Reservation, Who};
use crate::prefix6::Prefix6;
use crate::subnet::Subnet;
use std::net::{IpAddr, Ipv4Addr};
use vmnet_access::mac::MacAddr;
use vmnet_access::name::{IfName, NetName};
use vmnet_access::vde::Directory;

/// What a guest can reach beyond its bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The world, behind the host's address.
    Nat,
    /// The world, under its own address; others must have a route to it.
    Routed,
    /// Only its bridge.
    Isolated,
    /// Only its wire, a bridge and a VDE switch: the host has no address on it.
    Vde,
}

impl Mode {
    /// The word in the network file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nat => "nat",
            Self::Routed => "routed",
            Self::Isolated => "isolated",
            Self::Vde => "vde",
        }
    }
}

/// What of the host a guest can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostAccess {
    /// Nothing but DHCP, without which it has no address.
    None,
    /// DHCP, DNS and ping.
    Services,
    /// Everything the host's own firewall lets in.
    All,
}

/// Where the subnet comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubnetChoice {
    /// The first free one; remembered.
    Auto,
    /// This one.
    Fixed(Subnet),
}

/// Where the IPv6 prefix comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix6Choice {
    /// A stable one of this machine and network's own.
    Auto,
    /// The network has no IPv6.
    None,
    /// This one.
    Fixed(Prefix6),
}

/// Where the MTU comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MtuChoice {
    /// The link that the host's default route goes by.
    Auto,
    /// This many bytes, 576 to 65535 (68 is the kernel's least, 576 what IPv4 hosts must take, RFC 791).
    Fixed(u32),
}

/// When a network that was started on demand goes down by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// Never.
    Keep,
    /// So many seconds after its last port went.
    After(u32),
}

impl Idle {
    /// What `idle = "down"` means: long enough for a guest that is started anew.
    pub const DOWN: Self = Self::After(60);
}

/// `[limits]`: bytes per second for each port; none: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// `from_guest`: what a guest may send.
    pub from_guest: Option<u64>,
    /// `to_guest`: what is sent to it.
    pub to_guest: Option<u64>,
}

/// `[[link]]`: one guest of an isolated network may reach another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestRule {
    /// `from`: who may begin.
    pub from: Who,
    /// `to`: whom it reaches.
    pub to: Who,
    /// `ports`: on which ports; empty: all it has, ping too.
    pub ports: Vec<(Protocol, Ports)>,
    /// `alias`: a further name of the one that is reached.
    pub alias: Option<String>,
}

/// How long a lease lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseTime {
    /// Seconds; dnsmasq's least is 120.
    Seconds(u32),
    /// For ever.
    Infinite,
}

/// First and last address that DHCP hands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DhcpRange {
    /// First address.
    pub first: Ipv4Addr,
    /// Last address, not before the first.
    pub last: Ipv4Addr,
}

impl DhcpRange {
    /// How many addresses it has.
    #[must_use]
    pub fn size(self) -> u32 {
        u32::from(self.last).saturating_sub(u32::from(self.first)).saturating_add(1)
    }
}

/// `[dhcp]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dhcp {
    /// `enabled`: serve addresses at all.
    pub enabled: bool,
    /// `range`, or every host address but the bridge's own.
    pub range: Option<DhcpRange>,
    /// `lease_time`
    pub lease_time: LeaseTime,
    /// `options`: further options in dnsmasq's words, such as `option:ntp-server,10.0.1.1`.
    /// Checked to be one line of printable ASCII each.
    pub options: Vec<String>,
}

/// `[dns]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// `domain` of the guests: lower case, labels of letters, digits and hyphens. None: derived, see [`Network::domain`].
    pub domain: Option<String>,
    /// `upstream` servers; empty: those of the host.
    pub upstream: Vec<IpAddr>,
    /// `register`: the host's own resolver learns of the domain where it can (systemd-resolved).
    pub register: bool,
}

/// `[nat]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nat {
    /// `source`: the address guests appear under; none: that of the outgoing interface.
    pub source: Option<Ipv4Addr>,
    /// `uplink`: the only interface guests may leave by.
    pub uplink: Option<IfName>,
}

/// `[vde]`: a VDE switch that is one wire with the bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vde {
    /// `socket`: the switch's directory; none: one of our own.
    pub socket: Option<Directory>,
    /// `create`: the switch is ours to run. Otherwise one that is there is joined.
    pub create: bool,
    /// `group`: its members join with any VDE program; none: nobody does but by us.
    pub group: Option<String>,
    /// `mode` of the switch's sockets: read and write bits only.
    pub mode: u32,
    /// `ports`: so many can be plugged in at one time, the bridge not counted.
    pub ports: u32,
    /// `hub`: every frame goes to every port.
    pub hub: bool,
    /// `mgmt_socket`: the path of the switch's console; none: one of our own, or, of a switch that is
    /// joined, none.
    pub mgmt_socket: Option<String>,
    /// `fast_spanning_tree`: the switch looks for loops.
    pub fast_spanning_tree: bool,
}

impl Vde {
    /// What an empty `[vde]` means.
    pub const DEFAULT: Self = Self {
        socket: None,
        create: true,
        group: None,
        mode: 0o660,
        ports: 128,
        hub: false,
        mgmt_socket: None,
        fast_spanning_tree: false,
    };
}

/// One network, checked: what its file says, with the defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its name, the stem of its file.
    pub name: NetName,
    /// `mode`
    pub mode: Mode,
    /// `subnet`
    pub subnet: SubnetChoice,
    /// `address` of the bridge; none: the subnet's first.
    pub address: Option<Ipv4Addr>,
    /// `more_subnets`: further ones on the same wire, for guests with reserved or static addresses.
    pub more_subnets: Vec<Subnet>,
    /// `subnet6`
    pub subnet6: Prefix6Choice,
    /// `mac` of the bridge; none: derived from machine and network.
    pub mac: Option<MacAddr>,
    /// `mtu`
    pub mtu: MtuChoice,
    /// `on_demand`: the helper may start it.
    pub on_demand: bool,
    /// `idle`
    pub idle: Idle,
    /// `isolated`: guests cannot reach each other.
    pub isolated: bool,
    /// `guard`: no guest can take another's MAC or address, or play DHCP server or router.
    pub guard: bool,
    /// `allow_from`: the networks whose guests may reach this one's.
    pub allow_from: Vec<NetName>,
    /// `host_access`
    pub host_access: HostAccess,
    /// `[dhcp]`
    pub dhcp: Dhcp,
    /// `[dns]`
    pub dns: Dns,
    /// `[nat]`
    pub nat: Nat,
    /// `[limits]`
    pub limits: Limits,
    /// `[vde]`
    pub vde: Option<Vde>,
    /// Every `[[host]]`.
    pub hosts: Vec<Reservation>,
    /// Every `[[forward]]`.
    pub forwards: Vec<Forward>,
    /// Every `[[link]]`.
    pub links: Vec<GuestRule>,
}

impl Network {
    /// A network with every key at its default, as an empty file or the built-in one means it.
    #[must_use]
    pub fn with_defaults(name: NetName) -> Self {
        Self {
            name,
            mode: Mode::Nat,
            subnet: SubnetChoice::Auto,
            address: None,
            more_subnets: Vec::new(),
            subnet6: Prefix6Choice::Auto,
            mac: None,
            mtu: MtuChoice::Fixed(1500),
            on_demand: true,
            idle: Idle::Keep,
            isolated: false,
            guard: false,
            allow_from: Vec::new(),
            host_access: HostAccess::Services,
            dhcp: Dhcp {
                enabled: true,
                range: None,
                lease_time: LeaseTime::Seconds(3600),
                options: Vec::new(),
            },
            dns: Dns { domain: None, upstream: Vec::new(), register: true },
            nat: Nat::default(),
            limits: Limits::default(),
            vde: None,
            hosts: Vec::new(),
            forwards: Vec::new(),
            links: Vec::new(),
        }
    }

    /// The same of mode `vde`: a wire with a switch, and nothing of the host's on it.
    #[must_use]
    pub fn bare_wire(name: NetName) -> Self {
        let network = Self::with_defaults(name);
        Self {
            mode: Mode::Vde,
            subnet6: Prefix6Choice::None,
            host_access: HostAccess::None,
            dhcp: Dhcp { enabled: false, ..network.dhcp },
            dns: Dns { register: false, ..network.dns },
            vde: Some(Vde::DEFAULT),
            ..network
        }
    }

    /// The guests' domain: the one given, or the network's name under `internal`, the top-level
    /// domain set aside for private use (ICANN resolution 2024.07.29.06).
    #[must_use]
    pub fn domain(&self) -> String {
        self.dns.domain.clone().unwrap_or_else(|| {
            let label: String =
                self.name.as_str().chars().map(|c| if c == '_' || c == '.' { '-' } else { c }).collect();
            format!("{}.internal", label.trim_matches('-').to_ascii_lowercase())
        })
    }

    /// Are frames between its ports judged, for guard, links or limits?
    #[must_use]
    pub fn is_filtered(&self) -> bool {
        self.guard || !self.links.is_empty() || self.limits != Limits::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_always_a_legal_one() {
        assert_eq!(Network::with_defaults(NetName::new("My_lab.2").unwrap()).domain(), "my-lab-2.internal");
    }
}
