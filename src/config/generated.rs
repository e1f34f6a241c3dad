//! Generated networks, for every test that is about all of them.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use vmnet_access::mac::MacAddr;
use vmnet_access::name::{IfName, NetName};
use vmnet_access::vde::Directory;
use vmnet_model::forward::{Forward, Listen, Ports, Protocol, Target};
use vmnet_model::guest::{Reservation, Who};
use vmnet_model::network::{
    Dhcp, DhcpRange, Dns, GuestRule, HostAccess, Idle, LeaseTime, Limits, Mode, MtuChoice, Nat, Network,
    Prefix6Choice, SubnetChoice, Vde,
};
use vmnet_model::prefix6::Prefix6;
use vmnet_model::subnet::Subnet;

pub(crate) fn lab() -> NetName {
    NetName::new("lab").unwrap()
}

/// A subnet, and three addresses of it in order that differ.
fn addresses() -> impl Strategy<Value = (Subnet, [Ipv4Addr; 3])> {
    let bases = prop::sample::select(vec![[10, 0], [172, 16], [192, 168], [100, 64], [198, 51]]);
    (bases, any::<u16>(), 8_u8..=29, 0_u32..2, 1_u32..3, 1_u32..3).prop_map(
        |([a, b], low, length, skip, second, third)| {
            let [c, d] = low.to_be_bytes();
            let subnet = Subnet::around(Ipv4Addr::new(a, b, c, d), length);
            let one = u32::from(subnet.first_host()) + skip;
            (subnet, [one, one + second, one + second + third].map(Ipv4Addr::from))
        },
    )
}

/// Subnet, address, range: with a fixed subnet or none of the three.
fn placed() -> impl Strategy<Value = (SubnetChoice, Option<Ipv4Addr>, Option<DhcpRange>)> {
    let fixed =
        (addresses(), any::<bool>(), any::<bool>()).prop_map(|((subnet, [a, b, c]), below, ranged)| {
            let (own, first, last) = if below { (a, b, c) } else { (c, a, b) };
            (SubnetChoice::Fixed(subnet), Some(own), ranged.then_some(DhcpRange { first, last }))
        });
    prop_oneof![Just((SubnetChoice::Auto, None, None)), fixed]
}

/// Further subnets that overlap neither with each other nor with those of [`addresses`].
fn more_subnets() -> impl Strategy<Value = Vec<Subnet>> {
    let subnet = |(third, length)| Subnet::around(Ipv4Addr::new(203, 0, third, 0), length);
    vec(24_u8..=29, 0..4).prop_map(move |lengths| (0..).zip(lengths).map(subnet).collect())
}

fn dhcp() -> impl Strategy<Value = Dhcp> {
    let lease_time =
        prop_oneof![Just(LeaseTime::Infinite), (120_u32..=315_360_000).prop_map(LeaseTime::Seconds)];
    let option = prop_oneof!["option:[a-z0-9-]{1,20}(,[ -~]{0,80})?", "[1-9][0-9]?(,[ -~]{0,80})?"];
    (any::<bool>(), lease_time, vec(option, 0..4)).prop_map(|(enabled, lease_time, options)| Dhcp {
        enabled,
        range: None,
        lease_time,
        options,
    })
}

fn dns() -> impl Strategy<Value = Dns> {
    let server = prop_oneof![
        (1_u32..0xdfff_ffff).prop_map(|n| IpAddr::V4(n.into())),
        any::<[u16; 7]>().prop_map(|[a, b, c, d, e, f, g]| IpAddr::V6([0x2001, a, b, c, d, e, f, g].into())),
    ];
    let domain = "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\\.[a-z0-9]{1,9}){0,2}\\.internal";
    (of(domain), vec(server, 0..4), any::<bool>()).prop_map(|(domain, upstream, register)| Dns {
        domain,
        upstream,
        register,
    })
}

fn nat() -> impl Strategy<Value = Nat> {
    let source = (0x0b00_0000_u32..0x7eff_ffff).prop_map(Ipv4Addr::from);
    let uplink = "[a-z0-9][a-z0-9.@_-]{0,13}[0-9]".prop_map(|name| IfName::new(name.as_bytes()).unwrap());
    (of(source), of(uplink)).prop_map(|(source, uplink)| Nat { source, uplink })
}

/// Prefix and MTU: without IPv6 the second may be smaller.
fn sizes() -> impl Strategy<Value = (Prefix6Choice, MtuChoice)> {
    let prefix =
        any::<[u16; 3]>().prop_map(|[a, b, c]| Prefix6::around(Ipv6Addr::new(0xfd00, a, b, c, 0, 0, 0, 0)));
    let subnet6 = prop_oneof![Just(Prefix6Choice::Auto), prefix.prop_map(Prefix6Choice::Fixed)];
    let mtu = |least: u32| prop_oneof![Just(MtuChoice::Auto), (least..=65535).prop_map(MtuChoice::Fixed)];
    prop_oneof![(subnet6, mtu(1280)), (Just(Prefix6Choice::None), mtu(576))]
}

fn idle() -> impl Strategy<Value = Idle> {
    prop_oneof![Just(Idle::Keep), Just(Idle::DOWN), (1_u32..=30 * 86400).prop_map(Idle::After)]
}

fn limits() -> impl Strategy<Value = Limits> {
    let rate = (8_u64..=1_000_000_000).prop_map(|kbit| kbit * 125);
    (of(rate.clone()), of(rate)).prop_map(|(from_guest, to_guest)| Limits { from_guest, to_guest })
}

/// Hosts that differ in all they have; their addresses are for [`networks`] to give.
fn hosts() -> impl Strategy<Value = Vec<Reservation>> {
    let host = ("[a-z0-9]{0,20}", any::<[u8; 4]>(), vec("[a-z]([a-z0-9-]{0,9}[a-z0-9])?", 0..3));
    let number = |(index, (tail, [b, c, d, e], aliases)): (u8, (String, [u8; 4], Vec<String>))| Reservation {
        name: format!("h{index}-0{tail}"),
        mac: MacAddr([2, b, c, d, e, index]),
        address: None,
        address6: None,
        aliases: (0..).zip(aliases).map(|(n, alias): (u8, _)| format!("a{index}-{n}-{alias}")).collect(),
    };
    vec(host, 0..4).prop_map(move |hosts| (0..).zip(hosts).map(number).collect())
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![
        "[b-f]([a-z0-9-]{0,20}[a-z0-9])?".prop_map(Who::Name),
        any::<[u8; 5]>().prop_map(|[a, b, c, d, e]| Who::Mac(MacAddr([0x56, a, b, c, d, e]))),
    ]
}

fn protocol() -> impl Strategy<Value = Protocol> {
    prop::sample::select(Protocol::ALL.to_vec())
}

/// Forwards of ports that differ.
fn forwards() -> impl Strategy<Value = Vec<Forward>> {
    let address = of(any::<u16>().prop_map(|low| IpAddr::V4(Ipv4Addr::from(0xc000_0000 | u32::from(low)))));
    let forward = (address, who(), of(1_u16..60000), 0_u16..100, protocol());
    let number = |(index, (address, who, to, more, protocol)): (u16, (_, _, Option<u16>, _, _))| {
        let ports = |first| Ports { first, last: first + more };
        let listen = Listen { address, ports: ports(1 + index * 200) };
        Forward::new(listen, Target { who, ports: to.map(ports) }, protocol).unwrap()
    };
    vec(forward, 0..4).prop_map(move |forwards| (0..).zip(forwards).map(number).collect())
}

fn links() -> impl Strategy<Value = Vec<GuestRule>> {
    let ports = (1_u16..=65000, 0_u16..500).prop_map(|(first, more)| Ports { first, last: first + more });
    let link = (who(), who(), vec((protocol(), ports), 0..3), of("[a-z0-9]{1,9}"));
    let number = |(index, (from, to, ports, alias)): (u8, (Who, Who, _, Option<String>))| {
        let to = if from == to { Who::Name("another".to_owned()) } else { to };
        let alias = alias.filter(|_| matches!(to, Who::Name(_)));
        GuestRule { from, to, ports, alias: alias.map(|alias| format!("l{index}-{alias}")) }
    };
    vec(link, 0..4).prop_map(move |links| (0..).zip(links).map(number).collect())
}

/// Give hosts addresses that the network has.
fn promise(network: &mut Network) {
    let more = network.more_subnets.first().copied();
    let range = network.dhcp.range;
    for (index, host) in (0_u32..).zip(&mut network.hosts) {
        host.address = match (more, range) {
            (None, Some(range)) if index == 0 => Some(range.first),
            (subnet, _) => subnet.map(|subnet| (u32::from(subnet.first_host()) + 1 + index).into()),
        };
        host.address6 = match network.subnet6 {
            Prefix6Choice::Auto => Some(Ipv6Addr::from(0xfd00 << 112 | u128::from(index))),
            Prefix6Choice::Fixed(prefix) => Some(prefix.address(0x20 + u64::from(index))),
            Prefix6Choice::None => None,
        };
    }
}

/// A switch of the network's own, or one that is joined.
fn vde() -> impl Strategy<Value = Vde> {
    let socket = of("/[ -~]{0,80}[a-z]".prop_map(|path| Directory::new(&path).unwrap()));
    let group = of("[a-z_.][A-Za-z0-9_.-]{0,31}");
    let mode = prop::sample::select(vec![0o660, 0o666, 0o620]);
    // Never in the switch's own directory.
    let mgmt_socket = of("/[ -~]{0,99}[A-Z]/[a-z]");
    let own = (socket, group, mode, 1_u32..=1000, any::<[bool; 2]>(), mgmt_socket.clone());
    let own = own.prop_map(|(socket, group, mode, ports, [hub, fast_spanning_tree], mgmt_socket)| Vde {
        socket,
        create: true,
        group,
        mode,
        ports,
        hub,
        mgmt_socket,
        fast_spanning_tree,
    });
    let joined = ("/[ -~]{0,80}[a-z]", mgmt_socket).prop_map(|(path, mgmt_socket)| Vde {
        socket: Directory::new(&path).ok(),
        create: false,
        mgmt_socket,
        ..Vde::DEFAULT
    });
    prop_oneof![own, joined]
}

/// A network on which the host is, with a switch if there is one.
fn switched(network: Network, vde: Option<Vde>) -> Network {
    if vde.is_none() {
        return network;
    }
    let mtu = match network.mtu {
        MtuChoice::Fixed(mtu) => MtuChoice::Fixed(mtu.min(1500)),
        MtuChoice::Auto => MtuChoice::Auto,
    };
    Network {
        vde,
        mtu,
        isolated: false,
        guard: false,
        limits: Limits::default(),
        links: Vec::new(),
        ..network
    }
}

/// A network that is only a wire.
fn bare((network, vde): (Network, Vde)) -> Network {
    let Network { mac, mtu, on_demand, idle, .. } = network;
    switched(Network { mac, mtu, on_demand, idle, ..Network::bare_wire(lab()) }, Some(vde))
}

pub(crate) fn networks() -> impl Strategy<Value = Network> {
    prop_oneof![
        3 => with_the_host(),
        2 => (with_the_host(), vde()).prop_map(|(network, vde)| switched(network, Some(vde))),
        1 => (with_the_host(), vde()).prop_map(bare),
    ]
}

fn with_the_host() -> impl Strategy<Value = Network> {
    let modes = prop::sample::select(vec![Mode::Nat, Mode::Routed, Mode::Isolated]);
    let host_access = prop::sample::select(vec![HostAccess::None, HostAccess::Services, HostAccess::All]);
    let mac = of(any::<[u8; 5]>().prop_map(|[a, b, c, d, e]| MacAddr([0x52, a, b, c, d, e])));
    let others = vec("[a-z0-9]{1,9}", 0..3);
    let plain = (modes, mac, any::<[bool; 3]>(), host_access, idle(), others);
    let lists = (hosts(), forwards(), links());
    (plain, (placed(), more_subnets(), sizes()), (dhcp(), dns(), nat(), limits()), lists).prop_map(
        |(
            (mode, mac, [on_demand, isolated, guard], host_access, idle, others),
            ((subnet, address, range), more_subnets, (subnet6, mtu)),
            (dhcp, mut dns, nat, limits),
            (hosts, forwards, links),
        )| {
            dns.upstream.retain(|server| address.is_none_or(|own| *server != IpAddr::V4(own)));
            let number = |(index, name): (u8, String)| NetName::new(&format!("n{index}.{name}")).unwrap();
            let mut network = Network {
                name: lab(),
                mode,
                subnet,
                address,
                more_subnets,
                subnet6,
                mac,
                mtu,
                on_demand,
                idle,
                isolated,
                guard,
                allow_from: (0..).zip(others).map(number).collect(),
                host_access,
                dhcp: Dhcp { range, ..dhcp },
                dns,
                nat: if mode == Mode::Nat { nat } else { Nat::default() },
                limits,
                vde: None,
                hosts,
                forwards: if mode == Mode::Isolated { Vec::new() } else { forwards },
                links: if isolated { links } else { Vec::new() },
            };
            promise(&mut network);
            network
        },
    )
}
