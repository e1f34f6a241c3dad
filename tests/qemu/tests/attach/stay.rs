//! What becomes of an attached namespace in time: attached again, its lease renewed, detached, gone; and
//! many at once.

use std::time::{Duration, Instant};

use rig::attach::{address, lab_with};
use rig::companion::FAILED;
use rig::house::{As, House, VMNET};
use serde_json::Value;

const RESOLVER: &str = "/etc/netns/web/resolv.conf";

#[test]
fn attached_again_it_is_the_same_and_lacks_nothing() {
    let Some(house) = lab_with("attached_again_it_is_the_same", &["web"]) else { return };
    house.up("lab");
    let first = house.attach(&["lab", "--netns", "web"]);
    house.sh(&format!(
        "ip -n web address del {}/24 dev eth0; ip -n web link set lo down; rm {RESOLVER}",
        address(&first)
    ));
    let again = house.attach(&["lab", "--netns", "web"]);
    assert_eq!(again["already"], true, "{again}");
    for key in ["port", "mac", "bridge"] {
        assert_eq!(again[key], first[key], "{key}");
    }
    assert_eq!(address(&again), address(&first));
    house.assert_reaches("web", "127.0.0.1");
    house.assert_reaches("web", "10.5.0.1");
    assert!(house.read_file(RESOLVER).is_some());
    assert_eq!((house.veth_ports().len(), house.lease_keepers()), (1, 1));
    let said = house.vmnet(&["attach", "lab", "--netns", "/run/netns/web"]).success().to_owned();
    assert!(said.contains("is attached already"), "{said}");

    house.describe("other", "subnet = \"10.6.0.0/24\"\n");
    let other = house.vmnet(&["attach", "other", "--netns", "web"]);
    assert!(other.complaint(FAILED).contains("its eth0 is on 'lab' already"), "{other}");
    let wrong = house.vmnet(&["detach", "other", "--netns", "web"]);
    assert!(wrong.complaint(FAILED).contains("eth0 there is on 'lab'"), "{wrong}");
    // By another name it has both.
    house.attach(&["other", "--netns", "web", "--ifname", "eth1"]);
    house.assert_reaches("web", "10.6.0.1");
    house.assert_reaches("web", "10.5.0.1");
}

#[test]
fn detached_nothing_of_it_is_left_and_the_lease_is_free() {
    let Some(house) = lab_with("detached_nothing_of_it_is_left", &["web"]) else { return };
    house.up("lab");
    house.warm_up("lab", "10.5.0.9/24");
    let before = house.snapshot();
    house.attach(&["lab", "--netns", "web"]);
    let (_, leases) = house.json(&["leases", "lab"]);
    assert_eq!(leases["leases"][0]["name"], "web", "{leases}");
    assert_eq!(house.lease_keepers(), 1);
    let said = house.vmnet(&["detach", "lab", "--netns", "web"]).success().to_owned();
    assert!(said.contains("eth0 of namespace 'web' is detached from lab"), "{said}");
    let leases = || house.json(&["leases", "lab"]).1["leases"].clone();
    house.assert_soon("the lease is given back", || leases() == Value::Array(Vec::new()));
    // The lease file has been written anew, and is empty as before.
    house.assert_as_in(&before);
    for words in [["--netns", "web"], ["--netns", "none"], ["--pid", "999999"]] {
        let outcome = house.vmnet(&[&["detach", "lab"], &words[..]].concat());
        assert!(outcome.success().starts_with("nothing to detach: "), "{outcome}");
    }
    house.assert_as_in(&before);
}

#[test]
fn it_goes_with_its_namespace() {
    let Some(house) = lab_with("it_goes_with_its_namespace", &["web"]) else { return };
    house.up("lab");
    house.attach(&["lab", "--netns", "web"]);
    assert!(house.read_file(RESOLVER).is_some());
    house.sh("ip netns del web");
    house.assert_soon("the port is gone", || house.veth_ports().is_empty());
    house.assert_soon("nobody renews the lease", || house.lease_keepers() == 0);
    assert!(house.read_file(RESOLVER).is_none(), "its resolver's file is still there");
    house.down("lab");
}

#[test]
fn without_a_lease_nothing_is_left() {
    let Some(house) = lab_with("without_a_lease_nothing_is_left", &["web"]) else { return };
    house.sh("ip link add br9 address 02:00:00:00:00:09 type bridge; ip link set br9 up");
    house.warm_up("br9", "10.9.0.9/24");
    let before = house.snapshot();
    let started = Instant::now();
    let outcome = house.vmnet(&["attach", "br9", "--netns", "web"]);
    assert!(outcome.complaint(FAILED).contains("no DHCP server grants an address"), "{outcome}");
    assert!(started.elapsed() < Duration::from_secs(20), "{outcome}");
    house.assert_as_in(&before);
    // Neither when somebody loses patience.
    let words =
        ["timeout", "--preserve-status", "--signal=INT", "2", VMNET, "attach", "br9", "--netns", "web"];
    let impatient = house.run(&words);
    assert!(impatient.complaint(FAILED).contains("interrupted"), "{impatient}");
    house.assert_as_in(&before);
}

#[test]
fn fifty_at_once_all_have_an_address_of_their_own() {
    let spaces: Vec<String> = (0..50).map(|number| format!("n{number}")).collect();
    let names: Vec<&str> = spaces.iter().map(String::as_str).collect();
    let Some(house) = lab_with("fifty_at_once", &names) else { return };
    // Nor is the network up.
    let script = "for n in $(seq 0 49); do
        { /usr/local/sbin/vmnet attach lab --netns n$n --json >/tmp/house/out.$n 2>/tmp/house/err.$n; echo $? >/tmp/house/rc.$n; } &
    done; wait";
    house.run_with(As::Root, &["bash", "-c", script], None, Duration::from_secs(120)).success();
    let mut addresses = std::collections::BTreeSet::new();
    for number in 0..50 {
        let read = |file: &str| house.read_file(&format!("/tmp/house/{file}.{number}")).unwrap_or_default();
        assert_eq!(read("rc").trim(), "0", "n{number}: {}", read("err"));
        let attached: Value = serde_json::from_str(&read("out")).expect("JSON");
        addresses.insert(address(&attached));
    }
    assert_eq!(addresses.len(), 50, "{addresses:?}");
    for space in ["n0", "n49"] {
        house.assert_reaches(space, "10.5.0.1");
    }
    let detach = "for n in $(seq 0 49); do /usr/local/sbin/vmnet detach lab --netns n$n & done; wait";
    house.run_with(As::Root, &["bash", "-c", detach], None, Duration::from_secs(120)).success();
    assert_eq!(house.veth_ports(), Vec::<String>::new());
    house.assert_soon("nobody renews", || house.lease_keepers() == 0);
    house.down("lab");
}

#[test]
fn when_the_network_was_down_meanwhile_it_is_attached_anew() {
    let Some(house) = lab_with("when_the_network_was_down_meanwhile", &["web"]) else { return };
    let first = house.attach(&["lab", "--netns", "web"]);
    let refused = house.vmnet(&["down", "lab"]);
    refused.complaint(FAILED);
    house.vmnet(&["down", "lab", "--force"]).success();
    let again = house.attach(&["lab", "--netns", "web"]);
    assert_eq!((&again["already"], &again["mac"]), (&Value::from(false), &first["mac"]));
    house.assert_reaches("web", "10.5.0.1");
    assert_eq!(house.veth_ports().len(), 1);
    house.assert_soon("only one renews", || house.lease_keepers() == 1);
}

/// A DHCP server of another make on `br9`: leases of six seconds, and no rapid commit.
fn short_leases(house: &House, first: &str) -> rig::process::Process {
    house.write_file(
        "/tmp/house/udhcpd.conf",
        format!(
            "interface br9\nstart {first}\nend {first}\nmin_lease 2\noption lease 6\noption subnet 255.255.255.0\n\
             option router 10.9.0.1\nlease_file /tmp/house/udhcpd.leases\npidfile /tmp/house/udhcpd.pid\n"
        ),
    );
    house.write_file("/tmp/house/udhcpd.leases", "");
    house.spawn(As::Root, &["busybox", "udhcpd", "-f", "/tmp/house/udhcpd.conf"])
}

#[test]
fn a_lease_is_renewed_and_another_taken_when_the_server_forgot_it() {
    let Some(house) = lab_with("a_lease_is_renewed", &["web"]) else { return };
    house.sh("ip link add br9 type bridge; ip address add 10.9.0.1/24 dev br9; ip link set br9 up");
    let server = short_leases(&house, "10.9.0.50");
    let attached = house.attach(&["br9", "--netns", "web"]);
    assert_eq!(address(&attached), "10.9.0.50");
    let seen = || -> Value {
        serde_json::from_str(&house.sh("ip -n web -j -4 address show dev eth0")).expect("JSON")
    };
    let left = || seen()[0]["addr_info"][0]["valid_life_time"].as_u64().unwrap_or(0);
    for _ in 0..3 {
        house.assert_soon("some of it has passed", || left() <= 4);
        house.assert_soon("it is renewed", || left() >= 5);
    }
    assert_eq!(house.lease_keepers(), 1);
    house.assert_reaches("web", "10.9.0.1");
    drop(server);
    let _server = short_leases(&house, "10.9.0.60");
    let other = || seen()[0]["addr_info"][0]["local"] == "10.9.0.60";
    assert!(house.wait_until(Duration::from_secs(30), other), "{}", seen());
    assert_eq!(seen()[0]["addr_info"].as_array().map(Vec::len), Some(1), "the old one is gone");
    house.assert_reaches("web", "10.9.0.1");
}

#[test]
fn a_network_that_comes_up_again_takes_it_back() {
    let Some(house) = lab_with("a_network_that_comes_up_again", &["web"]) else { return };
    let first = house.attach(&["lab", "--netns", "web"]);
    house.vmnet(&["down", "lab", "--force"]).success();
    house.up("lab");
    house.assert_reaches("web", "10.5.0.1");
    let again = house.attach(&["lab", "--netns", "web"]);
    assert_eq!((&again["already"], &again["port"]), (&Value::from(true), &first["port"]));
    assert_eq!(house.json(&["leases", "lab"]).1["leases"].as_array().map(Vec::len), Some(1));
    assert_eq!(house.lease_keepers(), 1);
}
