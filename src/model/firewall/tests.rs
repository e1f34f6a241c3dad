use super::text::can_name;
use super::*;
use crate::golden;
use crate::guest::known;
use crate::network::{HostAccess, Network};
use crate::settle::Circumstances;
use vmnet_access::name::{IfName, NetName};

fn rendered(wanted: &NetworkSpec) -> String {
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

/// As nft 1.0.6 lists a table without what frames fill its sets with.
const LISTED: &str = "table bridge vmnet_lab {
\tset bound {
\t\ttypeof @ll,48,48 . iif
\t\telements = { 0x20000000003 . 5 }
\t}

\tcounter tcp_80 {
\t\tpackets 3 bytes 180
\t}

\tchain linked {
\t\tether saddr 02:00:00:00:00:01 accept
\t}

\tchain at_entry {
\t\ttype nat hook prerouting priority dstnat; policy accept;
\t\tgoto forwards
\t}

\tchain to_host {
\t\tip saddr { 10.0.0.1,
\t\t\t   10.0.0.2 } accept
\t}

\tchain at_own_exit {
\t\tgoto forwards
\t}

\tchain forwards {
\t\tdnat to x comment \"forward tcp 80 to web at 10.0.1.5\"
\t}

\tchain linked_more {
\t\tdrop
\t}
}
";

#[test]
fn the_part_that_must_stay_is_every_chain_but_those_that_come_and_go() {
    let essential = "table bridge vmnet_lab {
\tset bound {
\t\ttypeof @ll,48,48 . iif
\t}
\tchain to_host {
\t\tip saddr { 10.0.0.1,
\t\t\t   10.0.0.2 } accept
\t}
\tchain linked_more {
\t\tdrop
\t}
}
";
    assert_eq!(essence(LISTED), essential);
    assert_eq!(essence(essential), essential);
}

#[test]
fn hits_are_read_from_counters_that_say_how_many() {
    let listing = "table inet vmnet_lab {
\tcounter tcp_80 {
\t\tpackets 3 bytes 180
\t}

\tcounter strange {
\t\tpackets many bytes 0
\t}

\tcounter udp_53_0000000a {
\t\tpackets 18446744073709551615 bytes 180
\t}

\tchain forwards {
\t\tcounter name \"tcp_80\" dnat ip to 10.0.1.5 comment \"forward udp 53 to b at 10.0.1.6\"
\t\tcounter name \"tcp_80\" dnat ip to 10.0.1.5 comment \"forward tcp 80 to a at 10.0.1.5\"
\t\taccept comment \"forwarding is for others\"
\t}
}
";
    assert_eq!(hits(listing), [("tcp_80".to_owned(), 3), ("udp_53_0000000a".to_owned(), u64::MAX)]);
    assert_eq!(
        forwards_shown(listing),
        ["forward tcp 80 to a at 10.0.1.5", "forward udp 53 to b at 10.0.1.6"]
    );
}

#[test]
fn tables_are_made_where_there_are_none_and_removed_there_or_not() {
    assert_eq!(creation("vmnet_lab"), "create table inet vmnet_lab\n");
    let inet = "table inet vmnet_lab\ndelete table inet vmnet_lab\n";
    assert_eq!(removal("vmnet_lab", false), inet);
    let both = format!("{inet}table bridge vmnet_lab\ndelete table bridge vmnet_lab\n");
    assert_eq!(removal("vmnet_lab", true), both);
}

#[test]
fn only_a_network_with_a_way_out_leads_forwards_in_and_looks_different_outside() {
    for mode in [Mode::Nat, Mode::Routed, Mode::Isolated, Mode::Vde] {
        let mut network = Network::with_defaults(NetName::new("lab").unwrap());
        network.mode = mode;
        let text = rendered(&network.settle(&Circumstances {
            subnet: "10.0.1.0/24".parse().unwrap(),
            machine: b"machine",
            uplink_mtu: None,
            has_ipv6: true,
        }));
        let out = matches!(mode, Mode::Nat | Mode::Routed);
        assert_eq!(text.contains("chain forwards"), out, "{mode:?}");
        assert_eq!(text.contains("hook postrouting"), out, "{mode:?}");
        assert_eq!(text.contains("masquerade to"), mode == Mode::Nat, "{mode:?}");
        assert_eq!(text.contains("maxseg"), out, "{mode:?}");
    }
}
