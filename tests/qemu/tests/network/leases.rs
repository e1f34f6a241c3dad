//! What guests are told and how they are known: addresses, names and the MTU by DHCP and DNS, and the
//! administrator's view of them in `vmnet leases` and `vmnet ports`.

use std::time::{Duration, Instant};

use rig::catch::Caught;
use rig::guest::{Plan, available, mac};
use rig::house::{As, HELPER, House, VMNET, ours_built};
use rig::outside::{Outside, SERVER, SERVER_NAME};
use rig::skip::{have, skip};
use serde_json::Value;

const LAB: &str = "subnet = \"10.5.0.0/24\"\n";
const FILE: &str = "/etc/vmnet/networks/lab.toml";

/// A house with an outside and the network `lab`, up.
fn house_with(test: &str, text: &str) -> Option<(House, Outside)> {
    if !ours_built() {
        skip(test, "our programs are not built");
        return None;
    }
    if !have(test, &["busybox", "ping", "tcpdump"]) {
        return None;
    }
    let house = House::new();
    house.install();
    let outside = house.with_outside();
    house.write_file(FILE, text);
    house.write_file("/etc/vmnet/bridge.conf", "allow lab\n");
    house.run(&[VMNET, "up", "lab"]).success();
    Some((house, outside))
}

/// The list that a verb shows of the network.
#[track_caller]
fn listed(house: &House, verb: &str) -> Vec<Value> {
    let text = house.run(&[VMNET, verb, "lab", "--json"]).success().to_owned();
    let value: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    value[verb].as_array().unwrap_or_else(|| panic!("no {verb}: {text}")).clone()
}

#[test]
fn a_lease_is_listed_with_name_mac_and_time_left() {
    let name = "a_lease_is_listed_with_name_mac_and_time_left";
    let Some((house, _outside)) = house_with(name, LAB) else { return };
    assert_eq!(listed(&house, "leases"), Vec::<Value>::new());
    let (alpha, answer) = house.leased_station("alpha", "lab");
    assert_eq!((answer.get("mask"), answer.get("lease")), ("24", "3600"), "{answer:?}");
    assert_eq!((answer.get("dns"), answer.get("domain")), ("10.5.0.1", "lab.internal"), "{answer:?}");
    let leases = listed(&house, "leases");
    assert_eq!(leases.len(), 1, "{leases:?}");
    assert_eq!(leases[0]["name"], "alpha");
    assert_eq!(leases[0]["mac"], alpha.mac.as_str());
    assert_eq!(leases[0]["address"], answer.get("ip"));
    let left = leases[0]["left"].as_u64().expect("a number");
    assert!((3500..=3600).contains(&left), "{left}");
    let table = house.run(&[VMNET, "leases", "lab"]).success().to_owned();
    for word in ["alpha", alpha.mac.as_str(), answer.get("ip")] {
        assert!(table.contains(word), "no {word}: {table}");
    }
}

#[test]
fn guests_that_ask_at_once_get_an_address_each_and_soon() {
    let name = "guests_that_ask_at_once_get_an_address_each_and_soon";
    let Some((house, _outside)) = house_with(name, LAB) else { return };
    let names: Vec<String> = (0..8).map(|i| format!("guest{i}")).collect();
    let stations: Vec<_> = names.iter().map(|name| house.station(name, "lab")).collect();
    let started = Instant::now();
    let mut addresses: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = stations.iter().map(|station| scope.spawn(|| station.lease())).collect();
        let answers = threads.into_iter().map(|thread| thread.join().expect("a client"));
        answers.map(|answer| answer.expect("a lease").get("ip").to_owned()).collect()
    });
    println!("8 at once: {:?}", started.elapsed());
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 8, "{addresses:?}");
    assert_eq!(listed(&house, "leases").len(), 8);
}

#[test]
fn a_lease_outlives_the_server_that_gave_it() {
    let name = "a_lease_outlives_the_server_that_gave_it";
    let Some((house, _outside)) = house_with(name, LAB) else { return };
    let (alpha, before) = house.leased_station("alpha", "lab");
    let (beta, _) = house.leased_station("beta", "lab");
    let pid = || house.read_file("/run/vmnet/lab/dnsmasq.pid").unwrap_or_default();
    let old = pid();
    house.run(&["kill", "-KILL", old.trim()]).success();
    let again = || beta.resolve("alpha.lab.internal", "10.5.0.1").as_deref() == Some(before.get("ip"));
    assert!(house.wait_until(Duration::from_secs(20), again), "the names of the old leases are lost");
    assert_ne!(pid(), old);
    assert_eq!(listed(&house, "leases").len(), 2);
    assert_eq!(alpha.lease().expect("a lease again").get("ip"), before.get("ip"));
}

#[test]
fn guests_know_each_other_by_name_and_the_outside_by_its_names() {
    let name = "guests_know_each_other_by_name_and_the_outside_by_its_names";
    let Some((house, _outside)) = house_with(name, LAB) else { return };
    let (alpha, _) = house.leased_station("alpha", "lab");
    let (_beta, beta) = house.leased_station("beta", "lab");
    let ask = |name: &str| alpha.resolve(name, "10.5.0.1");
    assert_eq!(ask(SERVER_NAME).as_deref(), Some(SERVER));
    assert_eq!(ask("beta").as_deref(), Some(beta.get("ip")));
    assert_eq!(ask("beta.lab.internal").as_deref(), Some(beta.get("ip")));
    assert_eq!(ask("gateway.lab.internal").as_deref(), Some("10.5.0.1"));
    assert_eq!(ask("wpad.lab.internal"), None);
}

#[test]
fn what_only_the_network_can_know_is_asked_of_nobody_else() {
    let name = "what_only_the_network_can_know_is_asked_of_nobody_else";
    let Some((house, _outside)) = house_with(name, LAB) else { return };
    let wire = ["ip", "netns", "exec", "outside", "tcpdump", "-l", "-n", "-i", "wan", "udp port 53"];
    let wire = house.spawn(As::Root, &wire);
    assert!(house.wait_until(Duration::from_secs(20), || wire.said().contains("listening on")));
    let (alpha, _) = house.leased_station("alpha", "lab");
    for inner in ["canary.lab.internal", "deep.canary.lab.internal", "canary"] {
        assert_eq!(alpha.resolve(inner, "10.5.0.1"), None, "{inner}");
    }
    alpha.run(&["timeout", "5", "busybox", "nslookup", "10.5.0.222", "10.5.0.1"]);
    alpha.run(&["timeout", "5", "busybox", "nslookup", "192.168.3.4", "10.5.0.1"]);
    assert_eq!(alpha.resolve(SERVER_NAME, "10.5.0.1").as_deref(), Some(SERVER));
    assert!(
        house.wait_until(Duration::from_secs(10), || wire.said().contains(SERVER_NAME)),
        "{}",
        wire.said()
    );
    for leaked in ["canary", "222.0.5.10", "4.3.168.192"] {
        assert!(!wire.said().contains(leaked), "{leaked} was asked outside:\n{}", wire.said());
    }
}

/// vmnet.toml(5) shows this as the way for guests that do not trust the host: it must leave them names.
#[test]
fn guests_that_may_not_ask_the_host_are_told_the_upstream_servers() {
    let name = "guests_that_may_not_ask_the_host_are_told_the_upstream_servers";
    let text = format!("{LAB}host_access = \"none\"\n[dns]\nupstream = [\"192.0.2.1\"]\n");
    let Some((house, _outside)) = house_with(name, &text) else { return };
    let (alpha, answer) = house.leased_station("alpha", "lab");
    assert_eq!(answer.get("dns"), "192.0.2.1", "{answer:?}");
    assert_eq!(alpha.resolve(SERVER_NAME, answer.get("dns")).as_deref(), Some(SERVER));
}

#[test]
fn a_guest_called_wpad_is_not_every_guests_proxy() {
    let name = "a_guest_called_wpad_is_not_every_guests_proxy";
    let Some((house, _outside)) = house_with(name, LAB) else { return };
    house.leased_station("wpad", "lab");
    let (alpha, _) = house.leased_station("alpha", "lab");
    for name in ["wpad", "wpad.lab.internal"] {
        assert_eq!(alpha.resolve(name, "10.5.0.1"), None, "{name}");
    }
}

#[test]
fn the_mtu_is_that_of_bridge_port_and_guest() {
    let name = "the_mtu_is_that_of_bridge_port_and_guest";
    let text = "subnet = \"10.5.0.0/24\"\nmtu = 1400\n";
    let Some((house, _outside)) = house_with(name, text) else { return };
    assert_eq!(house.sh("cat /sys/class/net/lab/mtu").trim(), "1400");
    let caught: Caught = house.catch("alice", &[HELPER, "--br=lab", "--fd={fd}"]);
    assert_eq!(caught.tap().mtu, 1400);
    let (alpha, answer) = house.leased_station("alpha", "lab");
    assert_eq!(answer.get("mtu"), "1400");
    alpha.run(&["ping", "-c1", "-W5", "-M", "do", "-s", "1372", SERVER]).success();
}

#[test]
fn range_lease_time_domain_and_options_are_what_the_file_says() {
    let name = "range_lease_time_domain_and_options_are_what_the_file_says";
    let text = "subnet = \"10.5.0.0/24\"\naddress = \"10.5.0.254\"\n[dhcp]\nrange = \"10.5.0.7-10.5.0.7\"\n\
                lease_time = \"5m\"\noptions = [\"option:ntp-server,10.5.0.9\"]\n[dns]\ndomain = \"my.test\"\n";
    let Some((house, _outside)) = house_with(name, text) else { return };
    let (alpha, answer) = house.leased_station("alpha", "lab");
    let got = ["ip", "router", "dns", "domain", "lease", "ntpsrv"].map(|key| answer.get(key));
    assert_eq!(got, ["10.5.0.7", "10.5.0.254", "10.5.0.254", "my.test", "300", "10.5.0.9"], "{answer:?}");
    assert_eq!(alpha.resolve("alpha.my.test", "10.5.0.254").as_deref(), Some("10.5.0.7"));
    let beta = house.station("beta", "lab");
    assert_eq!(beta.lease(), None, "the range has one address");
}

/// Whether the kernel keeps a port's frames from other such ports.
#[track_caller]
fn is_isolated(house: &House, port: &str) -> bool {
    let text = house.run(&["bridge", "-d", "-j", "link", "show", "dev", port]).success().to_owned();
    let value: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    value[0]["isolated"].as_bool().unwrap_or_else(|| panic!("no flag: {text}"))
}

#[test]
fn the_ports_of_an_isolated_network_and_no_others_have_the_kernels_flag() {
    let name = "the_ports_of_an_isolated_network_and_no_others_have_the_kernels_flag";
    let Some((house, _outside)) = house_with(name, LAB) else { return };
    let ask = [HELPER, "--br=lab", "--fd={fd}"];
    let open = house.hold("alice", &ask);
    assert!(!is_isolated(&house, &open.caught.tap().name));
    house.write_file(FILE, format!("{LAB}isolated = true\n"));
    house.run(&[VMNET, "up", "lab"]).success();
    let closed = house.hold("alice", &ask);
    assert!(is_isolated(&house, &closed.caught.tap().name));
}

#[test]
fn guests_isolated_from_each_other_reach_the_world_and_are_listed_by_port() {
    let name = "guests_isolated_from_each_other_reach_the_world_and_are_listed_by_port";
    if !available(name) {
        return;
    }
    let text = format!("{LAB}isolated = true\n");
    let Some((house, _outside)) = house_with(name, &text) else { return };
    let netdev = format!("bridge,br=lab,helper={HELPER}");
    let (alpha, beta) = (Plan::new("alpha", "alice", &netdev), Plan::new("beta", "bob", &netdev));
    let (alpha, beta) = (alpha.start(&house), beta.start(&house));
    let (mut alpha, mut beta) = (alpha.ready(), beta.ready());
    assert!(alpha.reaches("gateway") && beta.reaches("gateway"), "{}", alpha.said());
    assert_eq!(alpha.connect(SERVER, 80).get("open"), "yes", "{}", alpha.said());
    assert!(!alpha.reaches(beta.address()), "{}", alpha.said());
    assert!(!beta.reaches(alpha.address()), "{}", beta.said());

    let ports = listed(&house, "ports");
    assert_eq!(ports.len(), 2, "{ports:?}");
    for (guest, user, address) in [("alpha", "alice", alpha.address()), ("beta", "bob", beta.address())] {
        let port = ports.iter().find(|port| port["user"] == user).unwrap_or_else(|| panic!("{ports:?}"));
        assert!(port["port"].as_str().is_some_and(|name| name.starts_with("vmtap")), "{port}");
        assert!(port["program"].as_str().is_some_and(|name| name.starts_with("qemu-system")), "{port}");
        let pid = port["pid"].as_u64().expect("a number");
        let holder = house.sh(&format!("tr '\\0' ' ' </proc/{pid}/cmdline"));
        assert!(holder.contains(&format!("vmnet.host={guest}")), "{port}: {holder}");
        assert_eq!(port["macs"][0], mac(guest).as_str(), "{port}");
        assert_eq!(port["leases"][0]["address"], address, "{port}");
        assert_eq!(port["leases"][0]["name"], guest, "{port}");
    }
    let table = house.run(&[VMNET, "ports", "lab"]).success().to_owned();
    for word in ["alice", "bob", "qemu-system", alpha.address(), "alpha", &mac("beta")] {
        assert!(table.contains(word), "no {word}: {table}");
    }
}
