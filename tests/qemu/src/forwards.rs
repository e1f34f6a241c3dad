//! Forwards from the side of their users: guests that serve, callers on every side of the host, and as
//! whom the guest sees them. `src/bin/caller-id.rs` is both the server and the caller.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::house::{As, House};
use crate::process::Process;
use crate::station::Station;

/// The house's IPv6 address on the uplink (documentation prefix, RFC 3849).
pub const HOST6: &str = "2001:db8:2::2";
/// The router's.
pub const ROUTER6: &str = "2001:db8:2::1";
/// A client of the outside that has this address alone, in the namespace `client`.
pub const CLIENT: &str = "198.51.100.7";
/// And of IPv6.
pub const CLIENT6: &str = "2001:db8:7::7";

/// The program's place in a house.
const PLACE: &str = "/tmp/house/caller-id";

/// Gives the house IPv6 outside, and a client behind the router: what comes from it has crossed a router
/// and is nobody's neighbour.
#[track_caller]
pub fn equip(house: &House) {
    let test = std::env::current_exe().expect("the test's own path");
    let folder = test.parent().and_then(|deps| deps.parent()).map(PathBuf::from).expect("cargo's folder");
    house.copy_in(&folder.join("caller-id"), PLACE, 0o755);
    house.sh(&format!(
        "ip address add {HOST6}/64 dev uplink0 nodad
         ip -n outside address add {ROUTER6}/64 dev wan nodad
         ip -6 route add default via {ROUTER6}
         ip netns exec outside sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
         ip netns add client
         ip -n outside link add lan type veth peer name eth0 netns client
         ip -n outside link set lan up
         ip -n outside address add 198.51.100.1/24 dev lan
         ip -n outside address add 2001:db8:7::1/64 dev lan nodad
         ip -n client link set lo up
         ip -n client link set eth0 up
         ip -n client address add {CLIENT}/24 dev eth0
         ip -n client address add {CLIENT6}/64 dev eth0 nodad
         ip -n client route add default via 198.51.100.1
         ip -n client -6 route add default via 2001:db8:7::1"
    ));
}

/// `ADDRESS:PORT`, with brackets where there must be some.
pub fn at(address: &str, port: u16) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

/// What each of these places answers to a caller in the namespace `from`; in the house itself if that is
/// empty. None: no answer.
#[track_caller]
pub fn ask(house: &House, from: &str, protocol: &str, places: &[&str]) -> Vec<Option<String>> {
    let mut argv = if from.is_empty() { Vec::new() } else { vec!["ip", "netns", "exec", from] };
    argv.extend([PLACE, "ask", protocol]);
    argv.extend(places);
    let said = house.run(&argv);
    said.success().lines().map(|line| Some(line).filter(|line| *line != "-").map(str::to_owned)).collect()
}

/// What one place answers.
#[track_caller]
pub fn ask_one(house: &House, from: &str, protocol: &str, place: &str) -> Option<String> {
    ask(house, from, protocol, &[place]).remove(0)
}

/// Starts a server in a namespace, or in the house itself.
#[track_caller]
pub fn serve_in(house: &House, namespace: &str, address: &str, ports: &[&str]) -> Process {
    let mut argv = if namespace.is_empty() { Vec::new() } else { vec!["ip", "netns", "exec", namespace] };
    argv.extend([PLACE, "serve", address]);
    argv.extend(ports);
    let server = house.spawn(As::Root, &argv);
    let ready = house.wait_until(Duration::from_secs(10), || server.said().contains("ready"));
    assert!(ready, "the server did not start: {}", server.said());
    server
}

/// The address that a station makes of the prefix it hears of, once the house reaches it there: for the
/// first seconds the house may remember that nobody answered yet.
#[track_caller]
pub fn address6(house: &House, station: &Station<'_>) -> String {
    let show = || {
        station
            .run(&["ip", "-6", "-o", "address", "show", "dev", "eth0", "scope", "global", "-tentative"])
            .stdout
    };
    let there = house.wait_until(Duration::from_secs(20), || show().contains("inet6 fd"));
    assert!(there, "no IPv6 address from the router: {}", show());
    let text = show();
    let (_, rest) = text.split_once("inet6 ").expect("an address");
    let address = rest.split('/').next().expect("an address").to_owned();
    let answers = || house.run(&["ping", "-n", "-c", "1", "-W", "1", &address]).code() == 0;
    assert!(house.wait_until(Duration::from_secs(10), answers), "{address} does not answer");
    address
}

/// The forwards of a network as `forward list` shows them.
#[track_caller]
pub fn list(house: &House, name: &str) -> Vec<Value> {
    let (code, value) = house.json(&["forward", "list", name]);
    assert_eq!(code, 0);
    value["forwards"].as_array().cloned().expect("a list")
}

/// Asked again and again: a lease takes a moment to be followed. Answers what came at last.
#[track_caller]
pub fn ask_until(house: &House, from: &str, place: &str, wanted: Option<&str>) -> Option<String> {
    let mut answer = None;
    for _ in 0..10 {
        answer = ask_one(house, from, "tcp", place);
        if answer.as_deref() == wanted {
            break;
        }
    }
    answer
}
