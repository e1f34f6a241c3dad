//! A network once every choice that its file leaves open is settled: what `up` makes true.

use crate::guest::Reservation;
use crate::network::{DhcpRange, Mode, MtuChoice, Network, Prefix6Choice};
use crate::prefix6::Prefix6;
use crate::subnet::Subnet;
use std::net::{Ipv4Addr, Ipv6Addr};
use vmnet_access::mac::MacAddr;
use vmnet_access::name::{IfName, NetName};
use vmnet_access::port_record;

/// What a Linux link has if nobody says otherwise (ETH_DATA_LEN in include/uapi/linux/if_ether.h).
const MTU: u32 = 1500;

/// What a network's file cannot say: the subnet that was found, and what the host is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circumstances<'a> {
    /// The subnet chosen or given.
    pub subnet: Subnet,
    /// The machine's identity.
    pub machine: &'a [u8],
    /// The MTU of the link that the host's default route goes by.
    pub uplink_mtu: Option<u32>,
    /// The host's kernel has IPv6.
    pub has_ipv6: bool,
}

/// A network with nothing left open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkSpec {
    /// The file's side, with what was added live.
    pub network: Network,
    /// The bridge.
    pub bridge: IfName,
    /// The group number of its ports.
    pub group: u32,
    /// The subnet chosen or given.
    pub subnet: Subnet,
    /// The bridge's address in it.
    pub address: Ipv4Addr,
    /// The IPv6 prefix; none: no IPv6.
    pub subnet6: Option<Prefix6>,
    /// The bridge's MAC.
    pub mac: MacAddr,
    /// Bytes.
    pub mtu: u32,
    /// What DHCP hands out.
    pub range: DhcpRange,
}

impl Network {
    /// Settle what was left open.
    #[must_use]
    pub fn settle(&self, circumstances: &Circumstances<'_>) -> NetworkSpec {
        let Circumstances { subnet, machine, uplink_mtu, has_ipv6 } = *circumstances;
        let address = self.address.unwrap_or_else(|| subnet.first_host());
        let subnet6 = match self.subnet6 {
            Prefix6Choice::Auto => Some(Prefix6::local(machine, self.name.as_str())),
            Prefix6Choice::Fixed(prefix) => Some(prefix),
            Prefix6Choice::None => None,
        };
        let bridge = self.name.bridge();
        NetworkSpec {
            group: port_record::group_of(&bridge),
            bridge,
            subnet,
            address,
            subnet6: subnet6.filter(|_| has_ipv6),
            mac: self.mac.unwrap_or_else(|| MacAddr::of_bridge(machine, self.name.as_str())),
            mtu: self.mtu(uplink_mtu, has_ipv6),
            range: self.dhcp.range.unwrap_or_else(|| whole_range(subnet, address)),
            network: self.possible(),
        }
    }

    /// Without what was added live while the network was of another mode.
    fn possible(&self) -> Self {
        match self.mode {
            Mode::Vde => Self { hosts: Vec::new(), forwards: Vec::new(), ..self.clone() },
            Mode::Nat | Mode::Routed | Mode::Isolated => self.clone(),
        }
    }

    /// A VDE switch cuts frames off that are longer than those of an Ethernet.
    fn mtu(&self, uplink: Option<u32>, has_ipv6: bool) -> u32 {
        let least = if has_ipv6 { 1280 } else { 576 };
        match self.mtu {
            MtuChoice::Fixed(mtu) => mtu,
            MtuChoice::Auto if self.vde.is_some() => uplink.unwrap_or(MTU).clamp(least, MTU),
            MtuChoice::Auto => uplink.unwrap_or(MTU).max(least),
        }
    }
}

impl NetworkSpec {
    /// The network's name.
    #[must_use]
    pub fn name(&self) -> &NetName {
        &self.network.name
    }

    /// The bridge's IPv6 address.
    #[must_use]
    pub fn address6(&self) -> Option<Ipv6Addr> {
        self.subnet6.map(Prefix6::gateway)
    }

    /// The bridge's addresses with their lengths: the first is the guests' gateway. None on a bare wire.
    #[must_use]
    pub fn addresses(&self) -> Vec<(Ipv4Addr, u8)> {
        if self.network.mode == Mode::Vde {
            return Vec::new();
        }
        let more = self.network.more_subnets.iter().map(|subnet| (subnet.first_host(), subnet.length()));
        [(self.address, self.subnet.length())].into_iter().chain(more).collect()
    }

    /// Every IPv4 subnet of its guests.
    #[must_use]
    pub fn subnets(&self) -> Vec<Subnet> {
        if self.network.mode == Mode::Vde {
            return Vec::new();
        }
        [self.subnet].into_iter().chain(self.network.more_subnets.iter().copied()).collect()
    }

    /// The address reserved for a host. One that was added live has none any more where the network
    /// had to move to another subnet.
    #[must_use]
    pub fn address_of(&self, host: &Reservation) -> Option<Ipv4Addr> {
        host.address.filter(|address| self.subnets().iter().any(|subnet| subnet.contains(*address)))
    }

    /// Does the host have to forward packets for it? A network without a way out may still have
    /// others that are let in.
    #[must_use]
    pub fn forwards(&self) -> bool {
        match self.network.mode {
            Mode::Nat | Mode::Routed => true,
            Mode::Isolated => !self.network.allow_from.is_empty(),
            Mode::Vde => false,
        }
    }

    /// Are its ports kept from each other by the kernel? Links need them to be kept apart by rules,
    /// because the kernel knows no exceptions.
    #[must_use]
    pub fn isolates_ports(&self) -> bool {
        self.network.isolated && self.network.links.is_empty()
    }
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
    use crate::network::Vde;

    fn settled(subnet: &str, change: impl FnOnce(&mut Network)) -> NetworkSpec {
        let mut network = Network::with_defaults(NetName::new("lab").unwrap());
        change(&mut network);
        network.settle(&Circumstances {
            subnet: subnet.parse().unwrap(),
            machine: b"machine",
            uplink_mtu: Some(1420),
            has_ipv6: true,
        })
    }

    #[test]
    fn defaults_settle_as_the_seed_had_them() {
        let wanted = settled("10.0.1.0/24", |_| {});
        assert_eq!(wanted.address, Ipv4Addr::new(10, 0, 1, 1));
        assert_eq!(wanted.range.first, Ipv4Addr::new(10, 0, 1, 2));
        assert_eq!(wanted.range.last, Ipv4Addr::new(10, 0, 1, 254));
        assert_eq!(wanted.range.size(), 253);
        assert_eq!(wanted.mtu, 1500);
    }

    #[test]
    fn the_range_never_holds_the_bridges_own_address() {
        let wanted = settled("10.0.1.0/24", |n| n.address = Some(Ipv4Addr::new(10, 0, 1, 254)));
        assert_eq!(
            (wanted.range.first, wanted.range.last),
            (Ipv4Addr::new(10, 0, 1, 1), Ipv4Addr::new(10, 0, 1, 253))
        );
    }

    #[test]
    fn the_mtu_follows_the_uplink_if_asked_to() {
        assert_eq!(settled("10.0.1.0/24", |n| n.mtu = MtuChoice::Auto).mtu, 1420);
    }

    #[test]
    fn no_frame_is_longer_than_a_switch_takes() {
        let mut network = Network::with_defaults(NetName::new("lab").unwrap());
        network.mtu = MtuChoice::Auto;
        let mtu = |network: &Network, uplink_mtu, has_ipv6| {
            let subnet = "10.0.1.0/24".parse().unwrap();
            network.settle(&Circumstances { subnet, machine: b"machine", uplink_mtu, has_ipv6 }).mtu
        };
        assert_eq!(mtu(&network, Some(9000), true), 9000);
        network.vde = Some(Vde::DEFAULT);
        assert_eq!(mtu(&network, Some(9000), true), 1500);
        assert_eq!(mtu(&network, Some(1420), true), 1420);
        assert_eq!(mtu(&network, Some(500), false), 576);
        assert_eq!(mtu(&network, None, true), 1500);
    }

    #[test]
    fn on_a_bare_wire_the_host_has_nothing() {
        let network = Network::bare_wire(NetName::new("lab").unwrap());
        let subnet = "10.0.1.0/24".parse().unwrap();
        let circumstances = Circumstances { subnet, machine: b"machine", uplink_mtu: None, has_ipv6: true };
        let wanted = network.settle(&circumstances);
        assert_eq!((wanted.addresses(), wanted.subnets(), wanted.address6()), (vec![], vec![], None));
        assert!(!wanted.forwards());
    }

    #[test]
    fn further_subnets_have_the_bridge_as_their_first_host() {
        let wanted = settled("10.0.1.0/24", |n| n.more_subnets = vec!["10.9.0.0/16".parse().unwrap()]);
        assert_eq!(wanted.addresses(), [(Ipv4Addr::new(10, 0, 1, 1), 24), (Ipv4Addr::new(10, 9, 0, 1), 16)]);
    }

    #[test]
    fn what_the_file_fixes_is_taken_and_the_rest_is_the_machines_own() {
        let free = settled("10.0.1.0/24", |_| {});
        assert_eq!(free.mac, MacAddr::of_bridge(b"machine", "lab"));
        assert_eq!(free.subnet6, Some(Prefix6::local(b"machine", "lab")));
        assert_eq!(free.address6(), Some(Prefix6::local(b"machine", "lab").address(1)));
        assert_eq!(free.group, port_record::group_of(&free.bridge));
        assert_eq!((free.name().as_str(), free.bridge.to_string()), ("lab", "lab".to_owned()));
        let mac = MacAddr([2, 0, 0, 0, 0, 9]);
        let prefix: Prefix6 = "2001:db8::/64".parse().unwrap();
        let range = DhcpRange { first: Ipv4Addr::new(10, 0, 1, 9), last: Ipv4Addr::new(10, 0, 1, 9) };
        let fixed = settled("10.0.1.0/24", |n| {
            (n.mac, n.dhcp.range, n.subnet6) = (Some(mac), Some(range), Prefix6Choice::Fixed(prefix));
        });
        assert_eq!((fixed.mac, fixed.range, fixed.subnet6), (mac, range, Some(prefix)));
        assert_eq!(settled("10.0.1.0/24", |n| n.subnet6 = Prefix6Choice::None).address6(), None);
    }

    #[test]
    fn an_mtu_is_never_less_than_each_family_needs() {
        let mut network = Network::with_defaults(NetName::new("lab").unwrap());
        let mtu = |network: &Network, uplink_mtu, has_ipv6| {
            let subnet = "10.0.1.0/24".parse().unwrap();
            let wanted = network.settle(&Circumstances { subnet, machine: b"m", uplink_mtu, has_ipv6 });
            assert_eq!(wanted.subnet6.is_some(), has_ipv6, "a host without IPv6 gives none");
            wanted.mtu
        };
        // 1280: RFC 8200, 5; 576: RFC 791.
        for (choice, uplink, with_ipv6, without) in [
            (MtuChoice::Auto, None, 1500, 1500),
            (MtuChoice::Auto, Some(1281), 1281, 1281),
            (MtuChoice::Auto, Some(1279), 1280, 1279),
            (MtuChoice::Auto, Some(575), 1280, 576),
            (MtuChoice::Fixed(576), Some(9000), 576, 576),
        ] {
            network.mtu = choice;
            assert_eq!((mtu(&network, uplink, true), mtu(&network, uplink, false)), (with_ipv6, without));
        }
    }

    #[test]
    fn a_bare_wire_keeps_nothing_of_what_was_added_while_it_was_another() {
        let host = Reservation {
            name: "web".to_owned(),
            mac: MacAddr([2, 0, 0, 0, 0, 9]),
            address: Some(Ipv4Addr::new(10, 0, 1, 9)),
            address6: None,
            aliases: Vec::new(),
        };
        let forward = crate::forward::Forward::new(
            "80".parse().unwrap(),
            "web".parse().unwrap(),
            crate::forward::Protocol::Tcp,
        );
        for mode in [Mode::Nat, Mode::Routed, Mode::Isolated, Mode::Vde] {
            let wanted = settled("10.0.1.0/24", |n| {
                (n.mode, n.hosts, n.forwards) = (mode, vec![host.clone()], vec![forward.clone().unwrap()]);
            });
            let left = usize::from(mode != Mode::Vde);
            assert_eq!((wanted.network.hosts.len(), wanted.network.forwards.len()), (left, left));
            assert_eq!(wanted.address_of(&host), host.address.filter(|_| mode != Mode::Vde));
        }
        let elsewhere = settled("10.0.2.0/24", |n| n.more_subnets = vec!["10.9.0.0/16".parse().unwrap()]);
        assert_eq!(elsewhere.address_of(&host), None);
        let second = Reservation { address: Some(Ipv4Addr::new(10, 9, 3, 3)), ..host };
        assert_eq!(elsewhere.address_of(&second), second.address);
    }

    #[test]
    fn the_host_forwards_only_where_somebody_is_to_pass() {
        let lab = || vec![NetName::new("other").unwrap()];
        for (mode, alone, with_others) in [
            (Mode::Nat, true, true),
            (Mode::Routed, true, true),
            (Mode::Isolated, false, true),
            (Mode::Vde, false, false),
        ] {
            assert_eq!(settled("10.0.1.0/24", |n| n.mode = mode).forwards(), alone);
            let named = settled("10.0.1.0/24", |n| (n.mode, n.allow_from) = (mode, lab()));
            assert_eq!(named.forwards(), with_others);
        }
    }

    #[test]
    fn the_kernel_keeps_ports_apart_only_where_no_link_makes_exceptions() {
        let link = crate::network::GuestRule {
            from: "a".parse().unwrap(),
            to: "b".parse().unwrap(),
            ports: Vec::new(),
            alias: None,
        };
        for (isolated, links, expected) in [
            (false, vec![], false),
            (true, vec![], true),
            (true, vec![link.clone()], false),
            (false, vec![link], false),
        ] {
            let wanted = settled("10.0.1.0/24", |n| (n.isolated, n.links) = (isolated, links));
            assert_eq!(wanted.isolates_ports(), expected);
        }
    }

    #[test]
    fn the_range_is_the_longer_run_of_host_addresses_beside_the_bridges_own() {
        for length in [24, 29, 30] {
            let subnet = Subnet::around(Ipv4Addr::new(10, 0, 1, 0), length);
            let hosts = u32::from(subnet.first_host())..=u32::from(subnet.last_host());
            for own in hosts.clone() {
                let below: Vec<u32> = hosts.clone().filter(|at| *at < own).collect();
                let above: Vec<u32> = hosts.clone().filter(|at| *at > own).collect();
                let run = if above.len() >= below.len() { above } else { below };
                let expected = DhcpRange { first: run[0].into(), last: run[run.len() - 1].into() };
                assert_eq!(whole_range(subnet, own.into()), expected, "{subnet}");
            }
        }
    }
}
