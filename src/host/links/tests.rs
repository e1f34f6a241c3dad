//! Against the real kernel: each test on its own thread, in its own network namespace, which
//! vanishes with the thread. iproute2 makes what is to be seen and says what was done.

use super::seen::{SeenAddress, SeenAddress6};
use super::*;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::Uid;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::time::{Duration, Instant};
use vmnet_access::mac::MacAddr;
use vmnet_access::name::IfName;

mod thread;
mod watch;

const MAC: MacAddr = MacAddr([0x02, 0xab, 0, 0, 0, 1]);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 1, 1);

/// Runs a test in a namespace of its own.
fn alone(test: impl FnOnce(Links) + Send) {
    if !Uid::effective().is_root() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "in CI nothing is skipped: run as root");
        eprintln!("SKIPPED: needs root for a network namespace");
        return;
    }
    let body = || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        test(Links::open().unwrap());
    };
    let outcome = std::thread::scope(|scope| scope.spawn(body).join());
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

/// Runs a program in this thread's namespace; its words, without line ends.
fn sh(script: &str) -> String {
    let output = Command::new("sh").args(["-ec", script]).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn name(text: &str) -> IfName {
    IfName::new(text.as_bytes()).unwrap()
}

fn find(links: &Links, text: &str) -> SeenLink {
    links.find(&name(text)).unwrap().unwrap_or_else(|| panic!("no link {text}"))
}

#[test]
fn a_new_bridge_is_as_it_was_ordered() {
    alone(|links| {
        let index = links.create_bridge(&name("br0"), MAC).unwrap();
        let seen = find(&links, "br0");
        assert_eq!((seen.index, seen.kind.as_deref(), seen.mac), (index, Some("bridge"), Some(MAC)));
        assert!(!seen.up && seen.master.is_none() && seen.alias.is_none());
        let details = sh("ip -d link show br0");
        assert!(details.contains(" forward_delay 0 ") && details.contains(" stp_state 0 "), "{details}");
        links.raise(index).unwrap();
        assert!(find(&links, "br0").up);
        sh("ip link set br0 down");
        assert!(!find(&links, "br0").up);
    });
}

#[test]
fn an_existing_link_is_not_taken_for_a_new_bridge() {
    alone(|links| {
        sh("ip link add br0 type veth peer name other");
        let error = links.create_bridge(&name("br0"), MAC).unwrap_err();
        assert!(error.cause.is_exists());
        assert_eq!(error.to_string(), "cannot create bridge br0: File exists");
        assert_eq!(find(&links, "br0").kind.as_deref(), Some("veth"));
    });
}

#[test]
fn a_bridges_mtu_and_address_outlast_its_ports() {
    alone(|links| {
        let index = links.create_bridge(&name("br0"), MAC).unwrap();
        links.set_bridge(index, 1450, MAC, "vmnet br0").unwrap();
        sh("ip link add p0 address 02:00:00:00:00:01 type veth peer name p1");
        find(&links, "p0");
        sh("ip link set p0 master br0");
        assert_eq!(find(&links, "p0").master, Some(index));
        let seen = find(&links, "br0");
        assert_eq!((seen.mtu, seen.mac, seen.alias.as_deref()), (1450, Some(MAC), Some("vmnet br0")));
        sh("ip link set p0 nomaster");
        assert_eq!(find(&links, "p0").master, None);
        let seen = find(&links, "br0");
        assert_eq!((seen.mtu, seen.mac), (1450, Some(MAC)));
    });
}

#[test]
fn an_address_is_added_once_and_removed_once() {
    alone(|links| {
        let index = links.create_bridge(&name("br0"), MAC).unwrap();
        let wanted = SeenAddress { index, address: GATEWAY, length: 24 };
        for _ in 0..2 {
            links.add_address(index, GATEWAY.into(), 24).unwrap();
            assert_eq!(links.snapshot().unwrap().addresses, [wanted]);
        }
        let details = sh("ip address show br0");
        assert!(details.contains("inet 10.0.1.1/24 brd 10.0.1.255 scope global br0"), "{details}");
        for _ in 0..2 {
            links.remove_address(index, GATEWAY.into(), 24).unwrap();
            assert_eq!(links.snapshot().unwrap().addresses, []);
        }
    });
}

#[test]
fn an_ipv6_address_counts_at_once() {
    alone(|links| {
        let index = links.create_bridge(&name("br0"), MAC).unwrap();
        links.raise(index).unwrap();
        let address = "fd00::1".parse().unwrap();
        for _ in 0..2 {
            links.add_address(index, IpAddr::V6(address), 64).unwrap();
            assert_eq!(links.snapshot().unwrap().addresses6, [SeenAddress6 { index, address, length: 64 }]);
        }
        // A server can listen on it, although the bridge has no carrier to ask others by.
        std::net::UdpSocket::bind((address, 0)).unwrap();
        for _ in 0..2 {
            links.remove_address(index, IpAddr::V6(address), 64).unwrap();
            assert_eq!(links.snapshot().unwrap().addresses6, []);
        }
    });
}

#[test]
fn a_port_has_its_group_and_flags_before_it_is_up() {
    alone(|links| {
        let bridge = links.create_bridge(&name("br0"), MAC).unwrap();
        sh("ip link add p0 type veth peer name p1");
        let index = find(&links, "p0").index;
        for flag in [true, false] {
            let port = Port { mtu: 1400, group: 77, isolated: flag, hairpin: flag };
            links.set_port(index, bridge, &port).unwrap();
            let seen = links.at(index).unwrap().unwrap();
            assert_eq!((seen.master, seen.mtu, seen.group, seen.up), (Some(bridge), 1400, 77, true));
            assert_eq!((seen.isolated, seen.hairpin), (flag, flag));
        }
        sh("ip link del p0");
        assert_eq!(links.at(index).unwrap(), None);
    });
}

#[test]
fn what_is_gone_is_deleted_already_but_cannot_be_changed() {
    alone(|links| {
        let index = links.create_bridge(&name("br0"), MAC).unwrap();
        links.delete(index).unwrap();
        links.delete(index).unwrap();
        links.remove_address(index, GATEWAY.into(), 24).unwrap();
        assert_eq!(links.find(&name("br0")).unwrap(), None);
        let error = links.raise(index).unwrap_err();
        assert!(error.cause.is_absent());
        assert_eq!(error.to_string(), format!("cannot raise link {index}: No such device"));
        assert!(links.add_address(index, GATEWAY.into(), 24).unwrap_err().cause.is_absent());
    });
}

#[test]
fn an_error_names_the_link_and_gives_the_kernels_reason() {
    alone(|links| {
        let index = links.create_bridge(&name("br0"), MAC).unwrap();
        let error = links.set_bridge(index, 1, MAC, "").unwrap_err();
        assert_eq!(error.to_string(), "cannot set up bridge br0: Invalid argument");
        let lo = find(&links, "lo").index;
        let error = links.delete(lo).unwrap_err();
        assert_eq!(error.to_string(), "cannot delete lo: Operation not supported");
    });
}

#[test]
fn routes_of_every_table_are_seen_without_the_kernels_own_noise() {
    alone(|links| {
        let index = links.create_bridge(&name("br0"), MAC).unwrap();
        links.raise(index).unwrap();
        links.add_address(index, GATEWAY.into(), 24).unwrap();
        let lo = find(&links, "lo").index;
        sh("ip link set lo up
            ip route add default via 10.0.1.9
            ip route add 10.7.0.0/16 via 10.0.1.9 table 1000
            ip route add 10.5.5.5/32 dev br0
            ip route add unreachable 192.168.0.0/16
            ip route add 10.8.0.0/16 nexthop via 10.0.1.8 nexthop via 10.0.1.9");
        let mut seen = links.snapshot().unwrap().routes;
        seen.sort();
        let route = |to: &str, table, interface| super::seen::SeenRoute {
            destination: to.parse().unwrap(),
            table,
            interface,
        };
        let mut wanted = [
            route("0.0.0.0/0", 254, Some(index)),
            route("10.0.1.0/24", 254, Some(index)),
            route("10.5.5.5/32", 254, Some(index)),
            route("10.7.0.0/16", 1000, Some(index)),
            route("10.8.0.0/16", 254, Some(index)),
            route("127.0.0.0/8", 255, Some(lo)),
            route("192.168.0.0/16", 254, None),
        ];
        wanted.sort();
        assert_eq!(seen, wanted);
    });
}

#[test]
fn a_link_is_found_by_its_other_name_and_answers_with_its_own() {
    alone(|links| {
        let index = links.create_bridge(&name("br0"), MAC).unwrap();
        sh("ip link property add dev br0 altname second");
        let seen = find(&links, "second");
        assert_eq!((seen.index, seen.name, seen.altnames), (index, name("br0"), vec!["second".to_owned()]));
    });
}

#[test]
fn every_kind_of_link_here_is_seen() {
    alone(|links| {
        sh("ip link add v0 type veth peer name v1
            ip tuntap add t0 mode tap
            ip link add b0 type bridge
            ip link set t0 master b0
            ip link add x0 type vxlan id 3 dstport 4789");
        let seen = links.links().unwrap();
        let count: usize = sh("ip -o link | wc -l").parse().unwrap();
        assert_eq!(seen.len(), count);
        let kind = |n: &str| seen.iter().find(|l| l.name == name(n)).and_then(|l| l.kind.as_deref());
        assert_eq!((kind("v0"), kind("t0"), kind("b0")), (Some("veth"), Some("tun"), Some("bridge")));
        assert_eq!((kind("x0"), kind("lo")), (Some("vxlan"), None));
    });
}

#[test]
fn a_name_that_is_not_text_is_an_error_at_once_and_hides_nothing_else() {
    alone(|links| {
        sh("ip link add \"$(printf 'br\\377')\" type bridge; ip link add br1 type bridge");
        let error = links.find(&IfName::new(b"br\xff").unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "cannot look up link br\\xff: the name is not UTF-8");
        assert!(links.links().unwrap().iter().any(|link| link.name == name("br1")));
    });
}

#[test]
fn only_addresses_learned_from_frames_are_told() {
    alone(|links| {
        let bridge = links.create_bridge(&name("br0"), MAC).unwrap();
        links.raise(bridge).unwrap();
        sh("ip link add p0 type veth peer name g0
            ip link add p1 type veth peer name g1
            ip link set p0 master br0; ip link set p1 master br0
            bridge fdb add 02:00:00:00:00:77 dev p0 master static
            for port in p0 p1; do ip link set $port up; done
            ip link set g0 address 02:00:00:00:00:0a up; ip link set g1 address 02:00:00:00:00:0b up");
        let port = find(&links, "p0").index;
        // Two frames from the guest's end, asking who has 10.0.1.9.
        sh("ip address add 10.0.1.2/24 dev g0
            ip neighbour flush dev g0; ping -c 1 -w 1 -I g0 10.0.1.9 >/dev/null 2>&1 || true");
        let learned = MacAddr([0x02, 0, 0, 0, 0, 0x0a]);
        let table = links.fdb(bridge).unwrap();
        assert!(table.contains(&(port, learned)), "{table:?}\n{}", sh("bridge fdb show br br0"));
        let foreign = table.iter().filter(|(_, mac)| !matches!(mac.0, [2, 0, 0, 0, 0, 0x0a | 0x0b]));
        assert_eq!(foreign.count(), 0, "{table:?}");
        assert_eq!(links.fdb(bridge + 1000).unwrap(), []);
    });
}

/// Makes 2 × `pairs` links quickly, v0 and w0 and so on.
fn crowd(pairs: usize) {
    let batch = sh("mktemp");
    let lines = (0..pairs).map(|n| format!("link add v{n} type veth peer name w{n}\n"));
    std::fs::write(&batch, lines.collect::<String>()).unwrap();
    sh(&format!("ip -batch {batch}; rm {batch}"));
}

#[test]
fn a_thousand_links_are_listed_quickly_and_completely() {
    alone(|links| {
        crowd(500);
        let begin = Instant::now();
        let seen = links.snapshot().unwrap();
        let took = begin.elapsed();
        let veths = seen.links.iter().filter(|link| link.kind.as_deref() == Some("veth"));
        assert_eq!(veths.count(), 1000);
        assert!(took < Duration::from_secs(2), "{took:?}");
    });
}

#[test]
fn links_that_come_and_go_meanwhile_hide_none_that_stay() {
    alone(|links| {
        crowd(150);
        let churn = "for n in $(seq 100); do ip link add c$n type bridge; ip link delete c$n; done";
        let mut churn = Command::new("sh").args(["-c", churn]).spawn().unwrap();
        let mut listings = 0;
        while churn.try_wait().unwrap().is_none() {
            let seen = links.links().unwrap();
            let veths = seen.iter().filter(|link| link.kind.as_deref() == Some("veth"));
            assert_eq!(veths.count(), 300, "listing {listings}");
            listings += 1;
        }
        assert!(listings > 0);
    });
}
