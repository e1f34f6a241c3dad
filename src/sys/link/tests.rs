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
                tap: &tap,
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
            tap: &tap,
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
