//! A network of mode `vde` is a wire and nothing else: the host has no address on it, serves nothing and
//! routes nothing, and neither guests nor the host's own files notice afterwards that it was there.

use rig::companion::{DONE, FAILED, NOT_UP};
use rig::house::House;
use rig::skip::have;

/// What of IPv4 and IPv6 a link has.
fn addresses_of(house: &House, link: &str) -> String {
    house.sh(&format!("ip -br address show dev {link} | awk '{{$1 = $2 = \"\"; print}}'")).trim().to_owned()
}

#[test]
fn a_bare_wire_has_nothing_of_the_hosts_and_leaves_nothing() {
    let name = "a_bare_wire_has_nothing_of_the_hosts_and_leaves_nothing";
    let Some(house) = House::with_companion(name) else { return };
    if !have(name, &["vde_switch"]) {
        return;
    }
    house.describe("wire", "mode = \"vde\"\n");
    let before = house.snapshot();
    let up = house.up("wire");
    assert_eq!(up.stdout, "wire is up: vde\n");
    house.assert_up("wire");
    assert_eq!(addresses_of(&house, "wire"), "");
    assert_eq!(house.sh("cat /proc/sys/net/ipv6/conf/wire/disable_ipv6"), "1\n");
    assert_eq!(house.sh("cat /proc/sys/net/ipv4/ip_forward"), "0\n");
    assert_eq!(house.read_file("/run/vmnet/wire/dnsmasq.conf"), None, "there is a server");
    assert_eq!(house.read_file("/run/vmnet/wire/dnsmasq.pid"), None, "there is a server");
    assert!(!house.outside_path("/var/lib/vmnet/wire.json").exists(), "a subnet is kept for it");
    let (code, list) = house.json(&["list"]);
    let row = list["networks"].as_array().and_then(|rows| rows.iter().find(|row| row["name"] == "wire"));
    let row = row.expect("the network is listed");
    assert_eq!((code, row["subnet"].as_str(), row["mode"].as_str()), (DONE, Some("none"), Some("vde")));
    assert_eq!(house.vmnet(&["up", "wire", "--dry-run"]).success(), "nothing to do\n");
    house.down("wire");
    assert_eq!(house.vmnet(&["status", "wire"]).code(), NOT_UP);
    house.assert_as_in(&before);
}

#[test]
fn guests_on_a_bare_wire_reach_each_other_and_not_the_host() {
    let name = "guests_on_a_bare_wire_reach_each_other_and_not_the_host";
    let Some(house) = House::with_companion(name) else { return };
    if !have(name, &["vde_switch"]) {
        return;
    }
    house.describe("wire", "mode = \"vde\"\n");
    house.up("wire");
    house.sh("ip link add eth7 type veth peer name peer7; ip address add 192.0.2.7/24 dev eth7
         ip link set eth7 up; ip link set peer7 up");
    let (one, two) = (house.station("one", "wire"), house.station("two", "wire"));
    for (station, address) in [(&one, "192.0.2.1/24"), (&two, "192.0.2.2/24")] {
        station.run(&["ip", "address", "add", address, "dev", "eth0"]).success();
    }
    assert!(one.reaches("192.0.2.2"), "the wire is broken");
    assert!(!one.reaches("192.0.2.7"), "the host answers on a wire that it is not on");
}

#[test]
fn a_network_that_becomes_a_bare_wire_and_back_is_changed_in_place() {
    let name = "a_network_that_becomes_a_bare_wire_and_back_is_changed_in_place";
    let Some(house) = House::with_companion(name) else { return };
    if !have(name, &["vde_switch"]) {
        return;
    }
    let before = house.snapshot();
    house.describe("lab", "");
    house.up("lab");
    let index = house.index("lab");
    house.vmnet(&["forward", "add", "lab", "8080", "web:80"]).success();
    house.describe("lab", "mode = \"vde\"\n");
    house.up("lab");
    house.assert_up("lab");
    assert_eq!((addresses_of(&house, "lab").as_str(), house.index("lab")), ("", index));
    let refusal = house.vmnet(&["forward", "add", "lab", "8081", "web:80"]);
    assert!(refusal.complaint(FAILED).contains("without the host"), "{refusal}");
    let refusal = house.vmnet(&["host", "add", "lab", "web", "02:00:00:00:00:07"]);
    assert!(refusal.complaint(FAILED).contains("without the host"), "{refusal}");
    house.describe("lab", "");
    house.up("lab");
    house.assert_up("lab");
    assert!(addresses_of(&house, "lab").starts_with("10.0.1.1/24"), "{}", addresses_of(&house, "lab"));
    house.vmnet(&["forward", "rm", "lab", "8080"]).success();
    house.down("lab");
    house.sh("rm -r /etc/vmnet");
    house.assert_as_in(&before);
}
