use super::text::can_name;
use super::*;
use crate::golden;
use crate::guest::known;
use crate::network::{HostAccess, Network};
use crate::settle::Circumstances;
use vmnet_access::name::{IfName, NetName};

fn rendered(wanted: &Wanted) -> String {
    let guests = known(&wanted.network.hosts, &[]);
    ruleset(wanted, &forwards::open(wanted, &guests), &guests)
}

#[test]
fn each_network_has_exactly_its_golden_rules() {
    for wanted in golden::networks() {
        golden::check(wanted.network.name.as_str(), "nft", Some(&rendered(&wanted)));
    }
}

#[test]
fn no_uplink_can_break_out_of_its_quotes() {
    for name in ["a\"b", "eth*", "a\\b", "caf\u{e9}"] {
        let uplink = IfName::new(name.as_bytes()).unwrap();
        assert!(!can_name(&uplink), "{name}");
        let mut network = Network::with_defaults(NetName::new("lab").unwrap());
        network.nat.uplink = Some(uplink);
        let text = rendered(&network.settle(&Circumstances {
            subnet: "10.0.1.0/24".parse().unwrap(),
            machine: b"machine",
            uplink_mtu: None,
            has_ipv6: true,
        }));
        assert!(!text.contains(name) && text.contains('?'), "{text}");
    }
    assert!(can_name(&IfName::new(b"enp0s31f6.12@x").unwrap()));
}

#[test]
fn only_a_network_open_to_its_host_has_no_say_over_input() {
    for wanted in golden::networks() {
        let open = wanted.network.host_access == HostAccess::All;
        assert_eq!(!rendered(&wanted).contains("hook input"), open, "{}", wanted.network.name);
    }
}

#[test]
fn a_network_without_ipv6_accepts_none_through_the_host() {
    for wanted in golden::networks().iter().filter(|wanted| wanted.subnet6.is_none()) {
        let passes = |line: &&str| line.contains("ip6 ") && line.contains("accept");
        let text = rendered(wanted);
        let past_the_host: Vec<&str> =
            text.lines().filter(passes).filter(|line| !line.contains("fe80::/10")).collect();
        assert!(past_the_host.is_empty(), "{past_the_host:?}");
    }
}

#[test]
fn a_listing_is_known_again_whatever_its_forwards_and_counters() {
    let listing = "table inet vmnet_lab {\n\tcounter tcp_80 {\n\t\tpackets 3 bytes 180\n\t}\n\n\tchain to_host {\n\t\taccept\n\t}\n\n\tchain forwards {\n\t\tdnat to x comment \"forward tcp 80 to web at 10.0.1.5\"\n\t}\n}\n";
    let bare = "table inet vmnet_lab {\n\tchain to_host {\n\t\taccept\n\t}\n}\n";
    assert_eq!(essence(listing), essence(bare));
    assert_ne!(essence(listing), essence(&bare.replace("accept", "drop")));
    assert_eq!(forwards_shown(listing), ["forward tcp 80 to web at 10.0.1.5"]);
}
