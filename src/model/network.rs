//! One network as its file describes it, and as it is once every choice left open is settled.

use crate::mac::MacAddr;
use crate::name::{IfName, NetName};
use crate::subnet::Subnet;
use std::net::{IpAddr, Ipv4Addr};

/// What a guest can reach beyond its bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The world, behind the host's address.
    Nat,
    /// The world, under its own address; others must have a route to it.
    Routed,
    /// Only its bridge.
    Isolated,
}

impl Mode {
    /// The word in the network file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nat => "nat",
            Self::Routed => "routed",
            Self::Isolated => "isolated",
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
}

/// `[nat]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nat {
    /// `source`: the address guests appear under; none: that of the outgoing interface.
    pub source: Option<Ipv4Addr>,
    /// `uplink`: the only interface guests may leave by.
    pub uplink: Option<IfName>,
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
    /// `mac` of the bridge; none: derived from machine and network.
    pub mac: Option<MacAddr>,
    /// `mtu`, 576 to 65535 (68 is the kernel's least, 576 what IPv4 hosts must take, RFC 791).
    pub mtu: u32,
    /// `on_demand`: the helper may start it.
    pub on_demand: bool,
    /// `isolated`: guests cannot reach each other.
    pub isolated: bool,
    /// `host_access`
    pub host_access: HostAccess,
    /// `[dhcp]`
    pub dhcp: Dhcp,
    /// `[dns]`
    pub dns: Dns,
    /// `[nat]`
    pub nat: Nat,
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
            mac: None,
            mtu: 1500,
            on_demand: true,
            isolated: false,
            host_access: HostAccess::Services,
            dhcp: Dhcp {
                enabled: true,
                range: None,
                lease_time: LeaseTime::Seconds(3600),
                options: Vec::new(),
            },
            dns: Dns { domain: None, upstream: Vec::new() },
            nat: Nat::default(),
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

    /// Settle what was left open: the subnet that was chosen or given, and the machine's identity.
    #[must_use]
    pub fn settle(&self, subnet: Subnet, machine: &[u8]) -> Wanted {
        let address = self.address.unwrap_or_else(|| subnet.first_host());
        Wanted {
            bridge: self.name.bridge(),
            subnet,
            address,
            mac: self.mac.unwrap_or_else(|| MacAddr::of_bridge(machine, self.name.as_str())),
            range: self.dhcp.range.unwrap_or_else(|| whole_range(subnet, address)),
            network: self.clone(),
        }
    }
}

/// A network with nothing left open: what `up` makes true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The file's side.
    pub network: Network,
    /// The bridge.
    pub bridge: IfName,
    /// The subnet chosen or given.
    pub subnet: Subnet,
    /// The bridge's address in it.
    pub address: Ipv4Addr,
    /// The bridge's MAC.
    pub mac: MacAddr,
    /// What DHCP hands out.
    pub range: DhcpRange,
}

/// The larger side of the subnet as the bridge's own address divides it.
fn whole_range(subnet: Subnet, address: Ipv4Addr) -> DhcpRange {
    let (first, last, own) =
        (u32::from(subnet.first_host()), u32::from(subnet.last_host()), u32::from(address));
    let (below, above) = (own.saturating_sub(first), last.saturating_sub(own));
    let (first, last) =
        if above >= below { (own.saturating_add(1).min(last), last) } else { (first, own - 1) };
    DhcpRange { first: first.into(), last: last.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(subnet: &str, address: Option<Ipv4Addr>) -> Wanted {
        let mut network = Network::with_defaults(NetName::new("lab").unwrap());
        network.address = address;
        network.settle(subnet.parse().unwrap(), b"machine")
    }

    #[test]
    fn defaults_settle_as_the_seed_had_them() {
        let wanted = settled("10.0.1.0/24", None);
        assert_eq!(wanted.address, Ipv4Addr::new(10, 0, 1, 1));
        assert_eq!(wanted.range.first, Ipv4Addr::new(10, 0, 1, 2));
        assert_eq!(wanted.range.last, Ipv4Addr::new(10, 0, 1, 254));
        assert_eq!(wanted.range.size(), 253);
    }

    #[test]
    fn the_range_never_holds_the_bridges_own_address() {
        let wanted = settled("10.0.1.0/24", Some(Ipv4Addr::new(10, 0, 1, 254)));
        assert_eq!(
            (wanted.range.first, wanted.range.last),
            (Ipv4Addr::new(10, 0, 1, 1), Ipv4Addr::new(10, 0, 1, 253))
        );
    }

    #[test]
    fn a_domain_is_always_a_legal_one() {
        assert_eq!(Network::with_defaults(NetName::new("My_lab.2").unwrap()).domain(), "my-lab-2.internal");
    }
}
