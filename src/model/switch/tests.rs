use super::*;
use crate::golden;
use crate::guest::known;
use crate::network::{Limits, Network};
use crate::settle::Circumstances;
use vmnet_access::name::{IfName, NetName};

fn wanted(name: &str) -> Wanted {
    golden::networks().into_iter().find(|wanted| wanted.network.name.as_str() == name).unwrap()
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
    let circumstances = Circumstances {
        subnet: "10.0.1.0/24".parse().unwrap(),
        machine: b"machine",
        uplink_mtu: None,
        has_ipv6: true,
    };
    let text = table(&network.settle(&circumstances), &[]).unwrap();
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
