//! The networks whose texts are kept beside this file, and the comparison with them.
//! `VMNET_BLESS=1 cargo test -p vmnet-model` writes them anew.

use crate::forward::{Forward, Protocol};
use crate::guest::Reservation;
use crate::network::{GuestRule, HostAccess, LeaseTime, Limits, Mode, MtuChoice, Network, Prefix6Choice};
use crate::settle::{Circumstances, NetworkSpec};
use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use vmnet_access::mac::MacAddr;
use vmnet_access::name::{IfName, NetName};

fn network(name: &str, subnet: &str, change: impl FnOnce(&mut Network)) -> NetworkSpec {
    let mut network = Network::with_defaults(NetName::new(name).unwrap());
    change(&mut network);
    network.settle(&Circumstances {
        subnet: subnet.parse().unwrap(),
        machine: b"machine",
        uplink_mtu: None,
        has_ipv6: true,
    })
}

/// One of each kind.
pub fn networks() -> Vec<NetworkSpec> {
    vec![
        network("brmgr0", "10.0.1.0/24", |_| {}),
        network("closed", "10.0.2.0/24", |n| n.mode = Mode::Isolated),
        network("routed-lab", "172.16.4.0/22", |n| {
            n.mode = Mode::Routed;
            n.mtu = MtuChoice::Fixed(1400);
            n.subnet6 = Prefix6Choice::Fixed("2001:db8:4::/64".parse().unwrap());
            n.address = Some(Ipv4Addr::new(172, 16, 7, 254));
            n.dhcp.lease_time = LeaseTime::Infinite;
            n.dhcp.options = vec!["option:ntp-server,172.16.7.254".to_owned(), "252,\"\\n\"".to_owned()];
            n.dns.domain = Some("lab.example.org".to_owned());
            n.dns.upstream = vec!["192.0.2.53".parse().unwrap(), "2001:db8::53".parse().unwrap()];
        }),
        network("office", "192.168.7.128/25", |n| {
            n.nat.source = Some(Ipv4Addr::new(192, 0, 2, 7));
            n.nat.uplink = Some(IfName::new(b"eth0").unwrap());
            n.subnet6 = Prefix6Choice::None;
        }),
        network("mute", "10.0.3.0/24", |n| n.host_access = HostAccess::None),
        network("open", "10.0.4.0/24", |n| {
            n.host_access = HostAccess::All;
            n.dhcp.enabled = false;
        }),
        network("silent", "10.0.5.0/24", |n| {
            n.host_access = HostAccess::None;
            n.dhcp.enabled = false;
            n.subnet6 = Prefix6Choice::None;
        }),
        network("full", "10.0.6.0/24", |n| {
            n.isolated = true;
            n.allow_from = vec![NetName::new("office").unwrap(), NetName::new("brmgr0").unwrap()];
            n.more_subnets = vec!["10.9.0.0/16".parse().unwrap()];
            n.hosts = vec![
                Reservation {
                    name: "web".to_owned(),
                    mac: MacAddr([2, 0, 0, 0, 0, 1]),
                    address: Some(Ipv4Addr::new(10, 0, 6, 9)),
                    address6: None,
                    aliases: vec!["www".to_owned()],
                },
                Reservation {
                    name: "db".to_owned(),
                    mac: MacAddr([2, 0, 0, 0, 0, 2]),
                    address: None,
                    address6: Some(n_address6()),
                    aliases: Vec::new(),
                },
            ];
            let forward = |listen: &str, to: &str, protocol: &str| {
                Forward::new(listen.parse().unwrap(), to.parse().unwrap(), protocol.parse().unwrap()).unwrap()
            };
            n.forwards = vec![
                forward("8080", "web:80", "tcp"),
                forward("192.0.2.7:53", "10.0.6.53", "tcp+udp"),
                forward("8000-8002", "web:9000-9002", "tcp"),
                forward("[2001:db8::1]:2222", "db:22", "tcp"),
                forward("7000-7009", "nobody", "udp"),
            ];
        }),
        network("bare-wire", "10.0.9.0/24", |n| *n = Network::bare_wire(n.name.clone())),
        network("guarded", "10.0.7.0/24", |n| {
            n.guard = true;
            n.more_subnets = vec!["10.9.0.0/16".parse().unwrap()];
            n.limits = Limits { from_guest: Some(12_500_000), to_guest: Some(1_000_000) };
            n.hosts = vec![host("web", 1, Some(Ipv4Addr::new(10, 0, 7, 9))), host("db", 2, None)];
        }),
        network("gated", "10.0.10.0/24", |n| {
            n.mode = Mode::Isolated;
            n.allow_from = vec![NetName::new("brmgr0").unwrap()];
            n.limits = Limits { from_guest: None, to_guest: Some(1_000_000) };
        }),
        network("masked", "10.0.11.0/24", |n| {
            n.nat.source = Some(Ipv4Addr::new(192, 0, 2, 7));
            n.dhcp.enabled = false;
            n.host_access = HostAccess::None;
        }),
        network("linked", "10.0.8.0/24", |n| {
            n.isolated = true;
            n.hosts = vec![
                host("web", 1, Some(Ipv4Addr::new(10, 0, 8, 9))),
                host("db", 2, Some(Ipv4Addr::new(10, 0, 8, 10))),
                host("admin", 3, None),
            ];
            let link = |from: &str, to: &str, ports: &[(Protocol, &str)]| GuestRule {
                from: from.parse().unwrap(),
                to: to.parse().unwrap(),
                ports: ports.iter().map(|(protocol, ports)| (*protocol, ports.parse().unwrap())).collect(),
                alias: None,
            };
            n.links = vec![
                link("web", "10.0.8.10", &[(Protocol::Tcp, "5432"), (Protocol::Both, "9000-9010")]),
                link("admin", "web", &[]),
                link("admin", "nobody", &[]),
            ];
        }),
    ]
}

fn host(name: &str, last: u8, address: Option<Ipv4Addr>) -> Reservation {
    Reservation {
        name: name.to_owned(),
        mac: MacAddr([2, 0, 0, 0, 0, last]),
        address,
        address6: None,
        aliases: Vec::new(),
    }
}

fn n_address6() -> std::net::Ipv6Addr {
    Network::with_defaults(NetName::new("full").unwrap())
        .settle(&Circumstances {
            subnet: "10.0.6.0/24".parse().unwrap(),
            machine: b"machine",
            uplink_mtu: None,
            has_ipv6: true,
        })
        .subnet6
        .unwrap()
        .address(0x22)
}

/// Is the text, or its absence, as kept?
pub fn check(name: &str, ending: &str, text: Option<&str>) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(format!("{name}.{ending}"));
    if std::env::var_os("VMNET_BLESS").is_some() {
        match text {
            Some(text) => fs::write(&path, text).unwrap(),
            None => drop(fs::remove_file(&path)),
        }
    }
    let kept = fs::read_to_string(&path).ok();
    assert_eq!(text, kept.as_deref(), "{} is not as kept", path.display());
}
