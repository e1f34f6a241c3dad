use super::*;
use crate::forward::Protocol;
use crate::golden;
use crate::guest::{Reservation, known};
use crate::network::{GuestRule, LeaseTime, Limits, Network};
use crate::settle::Circumstances;
use vmnet_access::mac::MacAddr;
use vmnet_access::name::{IfName, NetName};

fn wanted(name: &str) -> NetworkSpec {
    golden::networks().into_iter().find(|wanted| wanted.network.name.as_str() == name).unwrap()
}

fn circumstances() -> Circumstances<'static> {
    let subnet = "10.0.1.0/24".parse().unwrap();
    Circumstances { subnet, machine: b"machine", uplink_mtu: None, has_ipv6: true }
}

fn ports(names: &[&str]) -> Vec<IfName> {
    names.iter().map(|name| IfName::new(name.as_bytes()).unwrap()).collect()
}

/// As nft 1.0.6 lists it: p1 and p2 are links, 5 was one.
const LISTING: &str = "table bridge vmnet_lab {\n\tset bound {\n\t\ttypeof @ll,48,48 . iif\n\t\tsize 4096\n\
    \t\tflags dynamic,timeout\n\t\ttimeout 1h\n\t\telements = { 0x20000000003 . \"p1\" expires 59m58s704ms,\n\
    \t\t\t     0x20000000004 . \"p2\" expires 59m58s704ms,\n\
    \t\t\t     0x20000000005 . 5 expires 59m57s932ms }\n\t}\n\n\
    \tset held4 {\n\t\ttype ipv4_addr . ether_addr\n\
    \t\telements = { 10.0.7.11 . 02:00:00:00:00:03 expires 29m58s704ms,\n\
    \t\t\t     10.0.7.13 . 02:00:00:00:00:05 expires 29m57s680ms }\n\t}\n\n\
    \tset held6 {\n\t\telements = { 0xfe80000000000000000000fffe000005 . 02:00:00:00:00:05 expires 29m }\n\t}\n\
    \tset owners4 {\n\t\ttype ipv4_addr . ether_addr\n\t}\n}\n";

#[test]
fn nothing_is_asked_for_so_there_is_no_table() {
    assert_eq!(table(&wanted("full"), &[]), None);
    assert_eq!(owners(&wanted("full"), &[]), None);
}

#[test]
fn what_guests_are_known_by_is_the_same_in_table_and_update() {
    for name in ["guarded", "linked"] {
        let wanted = wanted(name);
        let guests = known(&wanted.network.hosts, &[]);
        let (table, update) = (table(&wanted, &guests).unwrap(), owners(&wanted, &guests).unwrap());
        let lines: Vec<&str> = update.lines().filter(|line| line.starts_with('\t')).collect();
        assert!(lines.len() > 8 && lines.iter().all(|line| table.contains(line)), "{update}");
        assert_ne!(owners(&wanted, &[]), Some(update));
    }
}

#[test]
fn a_link_of_a_guest_that_is_unknown_opens_nothing() {
    let wanted = wanted("linked");
    let text = owners(&wanted, &known(&wanted.network.hosts, &[])).unwrap();
    assert!(text.contains("admin to web") && !text.contains("nobody"), "{text}");
    let text = owners(&wanted, &[]).unwrap();
    assert!(!text.contains("accept") && !text.contains("elements"), "{text}");
}

#[test]
fn each_limit_is_alone_in_its_direction() {
    let mut network = Network::with_defaults(NetName::new("lab").unwrap());
    network.limits = Limits { from_guest: Some(1000), to_guest: None };
    let text = table(&network.settle(&circumstances()), &[]).unwrap();
    assert!(
        text.contains("iif limit rate over 1000 bytes/second") && !text.contains("postrouting"),
        "{text}"
    );
}

#[test]
fn a_port_that_went_is_forgotten_with_its_addresses_and_no_other() {
    assert_eq!(
        forget("vmnet_lab", LISTING, &ports(&["p1", "p2"])).unwrap(),
        "add element bridge vmnet_lab bound { 0x020000000005 . 5 }\n\
         delete element bridge vmnet_lab bound { 0x020000000005 . 5 }\n\
         add element bridge vmnet_lab homes { 5 }\n\
         delete element bridge vmnet_lab homes { 5 }\n\
         add element bridge vmnet_lab spoken { 02:00:00:00:00:05 }\n\
         delete element bridge vmnet_lab spoken { 02:00:00:00:00:05 }\n\
         add element bridge vmnet_lab held4 { 10.0.7.13 . 02:00:00:00:00:05 }\n\
         delete element bridge vmnet_lab held4 { 10.0.7.13 . 02:00:00:00:00:05 }\n\
         add element bridge vmnet_lab used4 { 10.0.7.13 }\n\
         delete element bridge vmnet_lab used4 { 10.0.7.13 }\n\
         add element bridge vmnet_lab held6 { 0xfe80000000000000000000fffe000005 . 02:00:00:00:00:05 }\n\
         delete element bridge vmnet_lab held6 { 0xfe80000000000000000000fffe000005 . 02:00:00:00:00:05 }\n\
         add element bridge vmnet_lab used6 { 0xfe80000000000000000000fffe000005 }\n\
         delete element bridge vmnet_lab used6 { 0xfe80000000000000000000fffe000005 }\n"
    );
}

#[test]
fn a_link_that_is_no_port_any_more_is_forgotten_too() {
    let text = forget("vmnet_lab", LISTING, &ports(&["p2"])).unwrap();
    assert!(text.contains("0x020000000003 . \"p1\"") && !text.contains("p2"), "{text}");
}

#[test]
fn a_mac_that_a_port_still_has_stays_its_own() {
    let listing = LISTING.replace("0x20000000004", "0x20000000005");
    let text = forget("vmnet_lab", &listing, &ports(&["p1", "p2"])).unwrap();
    assert!(text.contains("bound { 0x020000000005 . 5 }"), "{text}");
    assert!(!text.contains("spoken") && !text.contains("held"), "{text}");
}

#[test]
fn where_all_ports_are_there_nothing_is_forgotten() {
    let listing = LISTING.replace(". 5 ", ". \"p5\" ");
    assert_eq!(forget("vmnet_lab", &listing, &ports(&["p1", "p2", "p5"])), None);
    assert_eq!(forget("vmnet_lab", "", &[]), None);
}

#[test]
fn no_port_can_break_out_of_its_quotes() {
    let listing = LISTING.replace("\"p1\"", "\"a\"b\"");
    let text = forget("vmnet_lab", &listing, &ports(&["p2"])).unwrap();
    assert!(!text.contains("a\"b"), "{text}");
}

#[test]
fn an_update_empties_each_set_and_chain_that_it_fills() {
    for name in ["guarded", "linked"] {
        let wanted = wanted(name);
        let update = owners(&wanted, &known(&wanted.network.hosts, &[])).unwrap();
        let words = |head: &str| -> Vec<&str> {
            let mut all: Vec<&str> = update.lines().filter_map(|line| line.strip_prefix(head)).collect();
            all.sort_unstable();
            all
        };
        let (sets, chains) = (words("\tset "), words("\tchain "));
        let table = wanted.name().table();
        let emptied = |kind: &str| words(&format!("flush {kind} bridge {table} ")).join(" ");
        assert_eq!(emptied("set"), sets.join(" ").replace(" {", ""), "{update}");
        assert_eq!(emptied("chain"), chains.join(" ").replace(" {", ""), "{update}");
    }
}

#[test]
fn a_mac_is_kept_as_long_as_a_guest_with_a_lease_may_be_silent() {
    for (lease_time, seconds) in [
        (LeaseTime::Seconds(120), 300),
        (LeaseTime::Seconds(301), 301),
        (LeaseTime::Seconds(86399), 86399),
        (LeaseTime::Seconds(86401), 86400),
        (LeaseTime::Infinite, 86400),
    ] {
        let mut network = Network::with_defaults(NetName::new("lab").unwrap());
        (network.guard, network.dhcp.lease_time) = (true, lease_time);
        let text = table(&network.settle(&circumstances()), &[]).unwrap();
        for set in ["bound", "spoken", "homes"] {
            let (_, rest) = text.split_once(&format!("\tset {set} {{\n")).unwrap();
            let (body, _) = rest.split_once("\t}\n").unwrap();
            assert!(body.contains(&format!("\t\ttimeout {seconds}s\n")), "{body}");
        }
    }
}

#[test]
fn a_link_by_address_notes_the_questions_of_its_family_alone() {
    let mut network = Network::with_defaults(NetName::new("lab").unwrap());
    let link = |from: &str, to: &str| GuestRule {
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
        ports: vec![(Protocol::Udp, "53".parse().unwrap())],
        alias: None,
    };
    let host = |last: u8| Reservation {
        name: format!("h{last}"),
        mac: MacAddr([2, 0, 0, 0, 0, last]),
        address: Some([10, 0, 1, last].into()),
        address6: Some(format!("fd00::{last}").parse().unwrap()),
        aliases: Vec::new(),
    };
    (network.isolated, network.hosts) = (true, vec![host(1), host(2)]);
    for (from, to, noted) in [
        ("h1", "h2", &["asked4", "asked6"][..]),
        ("10.0.1.1", "h2", &["asked4"]),
        ("h1", "10.0.1.2", &["asked4"]),
        ("fd00::1", "h2", &["asked6"]),
        ("h1", "fd00::2", &["asked6"]),
    ] {
        network.links = vec![link(from, to)];
        let wanted = network.settle(&circumstances());
        let text = owners(&wanted, &known(&wanted.network.hosts, &[])).unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("\t\tether saddr")).collect();
        let notes: Vec<&str> = lines.iter().filter_map(|line| Some(line.split_once("update @")?.1)).collect();
        let sets: Vec<&str> = notes.iter().filter_map(|note| note.split(' ').next()).collect();
        assert_eq!(sets, noted, "{text}");
        assert_eq!(lines.len(), noted.len() + 1, "no way back but for answers: {text}");
        assert!(lines.iter().all(|line| line.contains("ether daddr 02:00:00:00:00:02")), "{text}");
    }
}

#[test]
fn nothing_is_given_back_to_nft_that_it_did_not_list_as_an_address_or_a_port() {
    let gone = |from: &str, to: &str| forget("vmnet_lab", &LISTING.replace(from, to), &ports(&["p1", "p2"]));
    let held = |text: Option<String>| text.is_some_and(|text| text.contains("held4"));
    assert!(held(gone("10.0.7.13", "10.0.7.13")));
    assert!(!held(gone("10.0.7.13", "10.0.7.13;x")));
    assert!(!held(gone(" 10.0.7.13", "")));
    for port in ["x5", "5;", "\"5", "5\"", "\"p*\""] {
        assert_eq!(gone(". 5 expires", &format!(". {port} expires")), None, "{port}");
    }
    for mac in ["20000000005", "0x10020000000005", "0xg"] {
        assert_eq!(gone("0x20000000005", mac), None, "{mac}");
    }
}
