//! Names in a network's domain: guests find each other, their gateway and themselves, by name and by
//! address, in both families; nobody else is asked about them, and nobody can take a name that is
//! another's.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use rig::house::{As, House};
use rig::outside::{Outside, SERVER, SERVER_NAME};
use rig::process::Process;
use rig::skip::have;
use rig::station::Station;
use serde_json::{Value, json};

const LAB: &str = "subnet = \"10.5.0.0/24\"\nsubnet6 = \"fd00:5::/64\"\n";
const V4: &str = "10.5.0.1";
const V6: &str = "fd00:5::1";
/// An address that a guest made itself counts once it is no duplicate, and dnsmasq knows it once it
/// answers a ping.
const PATIENCE: Duration = Duration::from_secs(30);

fn house_with(test: &str, text: &str) -> Option<(House, Outside)> {
    if !have(test, &["busybox", "tcpdump"]) {
        return None;
    }
    let house = House::with_companion(test)?;
    let outside = house.with_outside();
    house.describe("lab", text);
    house.up("lab");
    Some((house, outside))
}

/// The name under which an address is looked up (RFC 1035, 3.5; RFC 3596, 2.5).
fn reverse(address: &str) -> String {
    let backwards = |parts: Vec<String>| parts.into_iter().rev().collect::<Vec<_>>().join(".");
    match address.parse().expect("an address") {
        IpAddr::V4(v4) => format!("{}.in-addr.arpa", backwards(v4.octets().map(|b| b.to_string()).to_vec())),
        IpAddr::V6(v6) => {
            let digits = format!("{:032x}", v6.to_bits());
            format!("{}.ip6.arpa", backwards(digits.chars().map(|digit| digit.to_string()).collect()))
        }
    }
}

/// What a server answers: addresses, or for `ptr` names. Empty if it knows none.
#[track_caller]
fn ask(station: &Station<'_>, server: &str, kind: &str, name: &str) -> Vec<String> {
    let name = &if kind == "ptr" { reverse(name) } else { name.to_owned() };
    let said = station.run(&["timeout", "5", "busybox", "nslookup", &format!("-type={kind}"), name, server]);
    let about = said.stdout.lines().skip_while(|line| !line.trim().is_empty());
    let value = |line: &str| {
        let (_, value) = line.split_once("name = ").or_else(|| line.split_once("Address: "))?;
        Some(value.trim().to_owned())
    };
    about.filter_map(value).collect()
}

/// The address that a guest made itself.
#[track_caller]
fn own_address6(house: &House, station: &Station<'_>) -> String {
    let argv = ["ip", "-6", "-o", "address", "show", "dev", "eth0", "scope", "global", "-tentative"];
    let find = || {
        let said = station.run(&argv).stdout;
        let address =
            said.split_whitespace().skip_while(|word| *word != "inet6").nth(1)?.split('/').next()?;
        Some(address.to_owned())
    };
    assert!(house.wait_until(PATIENCE, || find().is_some()), "no IPv6 address: {}", station.run(&argv));
    find().unwrap_or_default()
}

/// A program of this test's own, in the house.
fn bring(house: &House, program: &str) -> String {
    let tests = std::env::current_exe().expect("the test's own path");
    let folder = tests.parent().and_then(|deps| deps.parent()).map(PathBuf::from).expect("cargo's folder");
    let place = format!("/tmp/house/{program}");
    house.copy_in(&folder.join(program), &place, 0o755);
    place
}

#[test]
fn guests_find_each_other_the_gateway_and_themselves_both_ways_in_both_families() {
    let name = "guests_find_each_other_the_gateway_and_themselves_both_ways_in_both_families";
    let Some((house, _outside)) = house_with(name, LAB) else { return };
    let (alpha, to_alpha) = house.leased_station("alpha", "lab");
    let (beta, to_beta) = house.leased_station("beta", "lab");
    let known = [
        ("gateway", V4.to_owned(), V6.to_owned()),
        ("alpha", to_alpha.get("ip").to_owned(), own_address6(&house, &alpha)),
        ("beta", to_beta.get("ip").to_owned(), own_address6(&house, &beta)),
    ];
    for (station, server) in [(&alpha, V4), (&alpha, V6), (&beta, V4)] {
        for (host, v4, v6) in &known {
            let whole = format!("{host}.lab.internal");
            for name in [&whole, *host] {
                assert_eq!(ask(station, server, "a", name), [v4.as_str()], "{name}");
                let has = || ask(station, server, "aaaa", name) == [v6.as_str()];
                assert!(house.wait_until(PATIENCE, has), "{name}: {:?}", ask(station, server, "aaaa", name));
            }
            for address in [v4, v6] {
                assert_eq!(ask(station, server, "ptr", address), [whole.as_str()], "{address}");
            }
        }
    }
    // As a guest's programs do it, with the search list that it was told.
    assert_eq!((to_alpha.get("domain"), to_alpha.get("search")), ("lab.internal", "lab.internal"));
}

#[test]
fn a_guest_of_a_further_subnet_finds_the_gateway_there() {
    let name = "a_guest_of_a_further_subnet_finds_the_gateway_there";
    let text = format!("more_subnets = [\"10.6.0.0/24\"]\n{LAB}");
    let Some((house, _outside)) = house_with(name, &text) else { return };
    let alpha = house.station("alpha", "lab");
    house.sh("ip -n alpha address add 10.6.0.9/24 dev eth0; ip -n alpha address add 10.5.0.9/24 dev eth0");
    assert_eq!(ask(&alpha, "10.6.0.1", "a", "gateway.lab.internal"), ["10.6.0.1"]);
    assert_eq!(ask(&alpha, V4, "a", "gateway.lab.internal"), [V4]);
    assert_eq!(ask(&alpha, V4, "ptr", "10.6.0.1"), ["gateway.lab.internal"]);
}

#[test]
fn a_reserved_guest_has_its_names_before_it_comes_and_keeps_them_when_it_calls_itself_otherwise() {
    let name = "a_reserved_guest_has_its_names_before_it_comes_and_keeps_them_when_it_calls_itself_otherwise";
    let (web, db, same) = (rig::guest::mac("one"), rig::guest::mac("two"), rig::guest::mac("same"));
    let text = format!(
        "{LAB}[[host]]\nname = \"web\"\nmac = \"{web}\"\naddress = \"10.5.0.77\"\naddress6 = \"fd00:5::77\"\n\
         aliases = [\"www\"]\n[[host]]\nname = \"db\"\nmac = \"{db}\"\naddress6 = \"fd00:5::88\"\n\
         [[host]]\nname = \"same\"\nmac = \"{same}\"\n[[host]]\nname = \"ignore\"\nmac = \"02:00:00:00:00:03\"\naddress = \"10.5.0.79\"\n"
    );
    let Some((house, _outside)) = house_with(name, &text) else { return };
    let alpha = house.leased_station("alpha", "lab").0;
    for name in ["web.lab.internal", "www.lab.internal", "web", "www"] {
        assert_eq!(ask(&alpha, V4, "a", name), ["10.5.0.77"], "{name}");
        assert_eq!(ask(&alpha, V4, "aaaa", name), ["fd00:5::77"], "{name}");
    }
    for address in ["10.5.0.77", "fd00:5::77"] {
        assert_eq!(ask(&alpha, V4, "ptr", address), ["web.lab.internal"], "{address}");
    }
    assert_eq!(ask(&alpha, V4, "aaaa", "db.lab.internal"), ["fd00:5::88"]);
    assert_eq!(ask(&alpha, V4, "ptr", "fd00:5::88"), ["db.lab.internal"]);
    // A word of dnsmasq's own as a name.
    assert_eq!(ask(&alpha, V4, "a", "ignore.lab.internal"), ["10.5.0.79"]);

    let (_one, answer) = house.leased_station("one", "lab");
    assert_eq!(answer.get("ip"), "10.5.0.77", "{answer:?}");
    let (_two, answer) = house.leased_station("two", "lab");
    assert_eq!(ask(&alpha, V4, "a", "db.lab.internal"), [answer.get("ip")]);
    assert_eq!(ask(&alpha, V4, "ptr", answer.get("ip")), ["db.lab.internal"]);
    let (_same, answer) = house.leased_station("same", "lab");
    assert_eq!(ask(&alpha, V4, "a", "same.lab.internal"), [answer.get("ip")]);
    for own in ["one.lab.internal", "two.lab.internal"] {
        assert_eq!(ask(&alpha, V4, "a", own), Vec::<String>::new(), "{own}");
    }
}

#[test]
fn no_guest_takes_a_name_that_is_the_hosts_or_another_guests() {
    let name = "no_guest_takes_a_name_that_is_the_hosts_or_another_guests";
    let text = format!(
        "{LAB}[[host]]\nname = \"web\"\nmac = \"02:00:00:00:00:01\"\naddress = \"10.5.0.77\"\naliases = [\"www\"]\n\
         [[host]]\nname = \"db\"\nmac = \"02:00:00:00:00:02\"\naliases = [\"sql\"]\n"
    );
    let Some((house, _outside)) = house_with(name, &text) else { return };
    let nobody = Vec::<String>::new();
    for name in ["gateway", "wpad", "localhost", "web", "www", "db", "sql"] {
        let (station, answer) = house.leased_station(name, "lab");
        let right: Vec<String> = match name {
            "gateway" => vec![V4.to_owned()],
            "web" | "www" => vec!["10.5.0.77".to_owned()],
            _ => nobody.clone(),
        };
        for asked in [name.to_owned(), format!("{name}.lab.internal")] {
            assert_eq!(ask(&station, V4, "a", &asked), right, "{asked}");
        }
        assert_eq!(ask(&station, V4, "ptr", answer.get("ip")), nobody, "{name}");
    }
    // The administrator is not told otherwise.
    let (_, value) = house.json(&["leases", "lab"]);
    let leases = value["leases"].as_array().cloned().unwrap_or_default();
    assert!(leases.len() == 7 && leases.iter().all(|lease| lease["name"].is_null()), "{leases:?}");
}

/// What goes out of the house to the upstream server.
fn upstream(house: &House) -> Process {
    let wire = ["ip", "netns", "exec", "outside", "tcpdump", "-l", "-n", "-i", "wan", "udp port 53"];
    let wire = house.spawn(As::Root, &wire);
    assert!(house.wait_until(PATIENCE, || wire.said().contains("listening on")), "{}", wire.said());
    wire
}

#[test]
fn what_only_the_network_can_know_is_asked_of_nobody_else_and_the_hosts_file_is_not_told() {
    let name = "what_only_the_network_can_know_is_asked_of_nobody_else_and_the_hosts_file_is_not_told";
    let text = format!("more_subnets = [\"10.6.0.0/24\"]\n{LAB}");
    let Some((house, _outside)) = house_with(name, &text) else { return };
    house.sh("echo '127.0.1.1 secret.example secret' >>/etc/hosts; echo '10.5.0.66 hidden' >>/etc/hosts
              kill -HUP $(cat /run/vmnet/lab/dnsmasq.pid)");
    let wire = upstream(&house);
    let (alpha, _) = house.leased_station("alpha", "lab");
    let nobody = Vec::<String>::new();
    for name in ["canary.lab.internal", "deep.canary.lab.internal", "canary", "hidden", "secret"] {
        for kind in ["a", "aaaa"] {
            assert_eq!(ask(&alpha, V4, kind, name), nobody, "{kind} {name}");
        }
    }
    for kind in ["txt", "mx", "srv", "soa", "ns", "any"] {
        ask(&alpha, V4, kind, "canary.lab.internal");
    }
    for address in ["10.5.0.222", "10.6.0.222", "fd00:5::222", "10.5.0.66", "127.0.1.1"] {
        assert_eq!(ask(&alpha, V4, "ptr", address), nobody, "{address}");
    }
    assert_eq!(ask(&alpha, V4, "a", "secret.example"), nobody);
    assert_eq!(ask(&alpha, V4, "a", SERVER_NAME), [SERVER]);
    let heard = || wire.said().contains(SERVER_NAME);
    assert!(house.wait_until(PATIENCE, heard), "{}", wire.said());
    for leaked in ["canary", "222.0.5.10", "222.0.6.10", "2.2.2.0.0.0", "hidden", "66.0.5.10", "1.1.0.127"] {
        assert!(!wire.said().contains(leaked), "{leaked} was asked outside:\n{}", wire.said());
    }
}

#[test]
fn the_names_of_two_networks_do_not_mix() {
    let name = "the_names_of_two_networks_do_not_mix";
    let Some((house, _outside)) = house_with(name, LAB) else { return };
    house.describe("annex", "subnet = \"10.7.0.0/24\"\nsubnet6 = \"fd00:7::/64\"\n");
    house.up("annex");
    let (alpha, to_alpha) = house.leased_station("alpha", "lab");
    let (beta, to_beta) = house.leased_station("beta", "annex");
    assert_eq!((to_alpha.get("domain"), to_beta.get("domain")), ("lab.internal", "annex.internal"));
    assert_eq!(ask(&alpha, V4, "a", "alpha.lab.internal"), [to_alpha.get("ip")]);
    assert_eq!(ask(&beta, "10.7.0.1", "a", "beta.annex.internal"), [to_beta.get("ip")]);
    let nobody = Vec::<String>::new();
    for name in ["beta", "beta.annex.internal", "beta.lab.internal"] {
        assert_eq!(ask(&alpha, V4, "a", name), nobody, "{name}");
    }
    for name in ["alpha", "alpha.lab.internal", "alpha.annex.internal"] {
        assert_eq!(ask(&beta, "10.7.0.1", "a", name), nobody, "{name}");
    }
    // Nor does one network's server answer the other's guests.
    assert_eq!(ask(&beta, V4, "a", "alpha.lab.internal"), nobody);
}

#[test]
fn guests_are_told_domain_and_server_by_dhcp_by_router_advertisement_and_by_dhcpv6() {
    let name = "guests_are_told_domain_and_server_by_dhcp_by_router_advertisement_and_by_dhcpv6";
    let text = format!("{LAB}[dns]\ndomain = \"vm.example\"\n");
    let Some((house, _outside)) = house_with(name, &text) else { return };
    let (alpha, answer) = house.leased_station("alpha", "lab");
    let told = ["domain", "search", "dns", "router"].map(|key| answer.get(key));
    assert_eq!(told, ["vm.example", "vm.example", V4, V4], "{answer:?}");
    own_address6(&house, &alpha);

    let program = bring(&house, "dhcp6-inform");
    let said = alpha.run(&[&program, "eth0"]).success().to_owned();
    let value: Value = serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"));
    assert_eq!(value, json!({"dns": [V6], "search": ["vm.example"]}));

    let filter = "icmp6 and ip6[40] == 134";
    let mut wire = alpha.spawn(&["tcpdump", "-l", "-n", "-v", "-c", "1", "-i", "eth0", filter]);
    assert!(house.wait_until(PATIENCE, || wire.said().contains("listening on")), "{}", wire.said());
    // A link that comes up asks for one.
    house.sh("ip -n alpha link set eth0 down; ip -n alpha link set eth0 up");
    assert!(wire.wait(PATIENCE).success(), "{}", wire.said());
    let said = wire.said();
    let line = |option: &str| said.lines().find(|line| line.contains(option)).unwrap_or_default().to_owned();
    assert!(line("rdnss option").contains(V6), "{said}");
    assert!(line("dnssl option").contains("vm.example"), "{said}");
    assert!(line("prefix info option").contains("fd00:5::/64"), "{said}");
}
