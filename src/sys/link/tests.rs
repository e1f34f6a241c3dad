//! The encoder against netlink-packet-route, an implementation by other people, and against the
//! kernel itself in a namespace of the test's own.

use super::*;
use netlink_packet_core::{NetlinkDeserializable, NetlinkHeader};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkFlags};
use nix::sched::{CloneFlags, unshare};
use proptest::prelude::*;

fn decoded(request: Request) -> netlink_packet_route::link::LinkMessage {
    let bytes = request.finish(1);
    let mut header = NetlinkHeader::default();
    header.message_type = RTM_NEWLINK;
    match RouteNetlinkMessage::deserialize(&header, &bytes[16..]).unwrap() {
        RouteNetlinkMessage::NewLink(message) => message,
        other => panic!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn a_change_of_a_link_means_the_same_to_another_decoder(
        name in "[a-z][a-z0-9-]{0,14}", mtu: u32, master: u32, alias in "[ -~]{0,60}", up: bool,
    ) {
        let mut request = change(&IfName::new(name.as_bytes()).unwrap(), up);
        request.attribute(IFLA_MTU, &mtu.to_ne_bytes());
        request.attribute(IFLA_ADDRESS, &[0xfe, 1, 2, 3, 4, 5]);
        request.attribute(IFLA_IFALIAS, alias.as_bytes());
        request.attribute(IFLA_MASTER, &master.to_ne_bytes());
        let message = decoded(request);
        prop_assert_eq!(message.header.flags.contains(LinkFlags::Up), up);
        prop_assert_eq!(message.header.change_mask.contains(LinkFlags::Up), up);
        prop_assert!(message.attributes.contains(&LinkAttribute::IfName(name)));
        prop_assert!(message.attributes.contains(&LinkAttribute::Mtu(mtu)));
        prop_assert!(message.attributes.contains(&LinkAttribute::Controller(master)));
        prop_assert!(message.attributes.contains(&LinkAttribute::IfAlias(alias)));
        prop_assert!(message.attributes.contains(&LinkAttribute::Address(vec![0xfe, 1, 2, 3, 4, 5])));
    }
}

/// Run in a network namespace of the test's own thread; skipped without root.
fn alone(test: impl FnOnce() + Send + 'static) {
    if !nix::unistd::Uid::effective().is_root() {
        assert!(std::env::var_os("CI").is_none(), "this test needs root");
        eprintln!("SKIPPED: needs root for a network namespace");
        return;
    }
    let thread = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        test();
    });
    thread.join().unwrap();
}

fn ip(arguments: &str) {
    let status = std::process::Command::new("ip").args(arguments.split(' ')).status().unwrap();
    assert!(status.success(), "ip {arguments}");
}

fn name(text: &str) -> IfName {
    IfName::new(text.as_bytes()).unwrap()
}

#[test]
fn a_link_is_found_by_its_own_and_its_alternative_name() {
    alone(|| {
        ip("link add br0 type bridge");
        ip("link set br0 mtu 1400 alias hello");
        ip("link property add dev br0 altname other");
        let mut netlink = Netlink::open().unwrap();
        let link = find(&mut netlink, &name("br0")).unwrap().unwrap();
        assert_eq!((link.mtu, link.is_bridge(), link.alias.as_deref()), (1400, true, Some(&b"hello"[..])));
        assert_eq!(find(&mut netlink, &name("other")).unwrap().unwrap().name, b"br0");
        assert_eq!(find(&mut netlink, &name("absent")).unwrap(), None);
        assert!(!find(&mut netlink, &name("lo")).unwrap().unwrap().is_bridge());
    });
}

#[test]
fn a_port_gets_everything_in_one_go() {
    alone(|| {
        ip("link add br0 type bridge");
        ip("link add br1 type bridge");
        ip("link add p0 type veth peer name p1");
        let mut netlink = Netlink::open().unwrap();
        let bridge = find(&mut netlink, &name("br0")).unwrap().unwrap().index;
        for (tap, flagged) in [("p0", false), ("p1", true)] {
            let tap = name(tap);
            let wish = PortWish {
                port: &tap,
                bridge,
                mtu: 1450,
                mac: MacAddr([0xfe, 0, 0, 0, 0, 9]),
                alias: b"vmnet br0 uid=7 pid=8",
                group: 77,
                isolated: flagged,
                hairpin: flagged,
            };
            attach(&mut netlink, &wish).unwrap();
        }
        let mut ports = ports(&mut netlink, bridge).unwrap();
        ports.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(ports.iter().map(|p| p.name.as_slice()).collect::<Vec<_>>(), [b"p0", b"p1"]);
        assert!(ports.iter().all(|p| p.mtu == 1450 && p.alias.as_deref() == Some(b"vmnet br0 uid=7 pid=8")));
        let group =
            std::process::Command::new("ip").args(["-o", "link", "show", "group", "77"]).output().unwrap();
        assert_eq!(String::from_utf8(group.stdout).unwrap().lines().count(), 2);
        for (port, flag) in
            [("p0", "isolated off"), ("p0", "hairpin off"), ("p1", "isolated on"), ("p1", "hairpin on")]
        {
            let out = std::process::Command::new("bridge")
                .args(["-d", "link", "show", "dev", port])
                .output()
                .unwrap();
            let out = String::from_utf8(out.stdout).unwrap();
            assert!(out.contains(flag), "{out}");
        }
    });
}

#[test]
fn a_refused_change_tells_the_kernels_reason() {
    alone(|| {
        ip("link add p0 type veth peer name p1");
        let mut netlink = Netlink::open().unwrap();
        let tap = name("p0");
        let wish = PortWish {
            port: &tap,
            bridge: 999,
            mtu: 1500,
            mac: MacAddr([0xfe; 6]),
            alias: b"",
            group: 0,
            isolated: false,
            hairpin: false,
        };
        assert!(attach(&mut netlink, &wish).unwrap_err().raw_os_error().is_some());
    });
}

#[test]
fn a_veths_other_end_is_known_across_namespaces_and_its_end_is_heard() {
    use crate::address::{self, Address};
    use crate::namespace::Space;
    use std::os::fd::AsFd;
    use std::time::Duration;
    alone(|| {
        let host = Space::own().unwrap();
        let mut here = Netlink::open().unwrap();
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let other = Space::own().unwrap();
        nix::sched::setns(host.as_fd(), CloneFlags::CLONE_NEWNET).unwrap();
        let mut there = other.inside().unwrap().netlink;
        assert_eq!(Space::own().unwrap().identity().unwrap(), host.identity().unwrap(), "back again");
        assert_eq!(number_of(&mut here, other.as_fd()).unwrap(), None);
        assert_ne!(host.identity().unwrap(), other.identity().unwrap());

        let mac = MacAddr([2, 0, 0, 0, 0, 7]);
        create_veth(&mut here, &name("vmveth1"), &name("eth0"), mac, 1400, other.as_fd()).unwrap();
        let outer = find(&mut here, &name("vmveth1")).unwrap().unwrap();
        let inner = find(&mut there, &name("eth0")).unwrap().unwrap();
        assert_eq!((inner.mac, inner.mtu, outer.mtu), (Some(mac), 1400, 1400));
        assert_eq!((outer.peer, inner.peer), (Some(inner.index), Some(outer.index)));
        assert!(outer.peer_space.is_some());
        assert_eq!(number_of(&mut here, other.as_fd()).unwrap(), outer.peer_space);
        assert_eq!(at(&mut here, outer.index).unwrap(), Some(outer.clone()));
        assert_eq!(find(&mut here, &name("eth0")).unwrap(), None, "never seen on the host");

        raise(&mut there, inner.index, Some(1300), Some(b"vmnet lab")).unwrap();
        let own = |text: &str, left| Address { address: text.parse().unwrap(), length: 24, left };
        for left in [None, Some(600), Some(1200)] {
            address::put(&mut there, inner.index, &own("10.5.0.9", left)).unwrap();
            assert_eq!(address::list(&mut there, inner.index).unwrap(), [own("10.5.0.9", left)]);
        }
        for _ in 0..2 {
            address::route_by(&mut there, inner.index, "10.5.0.1".parse().unwrap()).unwrap();
        }
        address::put(&mut there, inner.index, &own("fd00::9", None)).unwrap();
        assert!(address::list(&mut there, inner.index).unwrap().contains(&own("fd00::9", None)));
        for _ in 0..2 {
            address::remove(&mut there, inner.index, &own("10.5.0.9", None)).unwrap();
        }
        let seen = find(&mut there, &name("eth0")).unwrap().unwrap();
        assert_eq!((seen.mtu, seen.alias.as_deref()), (1300, Some(&b"vmnet lab"[..])));

        let watched = gone::Watched::new(outer.index).unwrap().unwrap();
        assert!(!watched.wait(Duration::ZERO).unwrap());
        ip("link add br0 type bridge");
        ip("link set vmveth1 master br0");
        ip("link set vmveth1 nomaster");
        assert!(!watched.wait(Duration::from_millis(50)).unwrap());
        delete(&mut there, inner.index).unwrap();
        assert!(watched.wait(Duration::from_secs(5)).unwrap());
        assert!(gone::Watched::new(outer.index).unwrap().is_none());
    });
}

#[test]
fn a_tap_tells_who_may_open_it_and_whether_it_stays() {
    alone(|| {
        ip("tuntap add dev t0 mode tap user 1000 group 7 multi_queue");
        ip("tuntap add dev t1 mode tap");
        let mut netlink = Netlink::open().unwrap();
        let mut state = |tap: &str| find(&mut netlink, &name(tap)).unwrap().unwrap().tap;
        let shared =
            TapState { persistent: true, owner: Some(1000), group: Some(7), many_queues: true, queues: 0 };
        assert_eq!(state("t0"), Some(shared));
        assert_eq!(state("t1"), Some(TapState { persistent: true, ..TapState::default() }));
        assert_eq!(state("lo"), None);
    });
}
