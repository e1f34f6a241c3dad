//! Which subnet a network gets on a real host: none that anybody else has, the one it had before, and a
//! word where that cannot be.

use rig::companion::{DONE, FAILED};
use rig::house::{House, VMNET};

/// The subnet that `up` gives, in a house prepared by a script; the network is taken down again.
#[track_caller]
fn chosen(house: &House) -> String {
    let said = house.up("brmgr0").stdout;
    house.down("brmgr0");
    house.sh("rm -r /var/lib/vmnet");
    let address = said.split(": ").nth(1).and_then(|rest| rest.split(',').next()).expect("an address");
    address.to_owned()
}

/// A house that knows of no other manager, whatever is installed here.
fn host(test: &str) -> Option<House> {
    let house = House::with_companion(test)?;
    house.sh("rm -rf /etc/default/lxc-net /etc/default/lxc /etc/libvirt /etc/docker");
    Some(house)
}

const CLAIM: &str = "ip link add eth7 type veth peer name peer7; ip link set eth7 up; ip link set peer7 up";

#[test]
fn no_subnet_is_chosen_that_the_host_has_an_address_or_a_route_in() {
    let name = "no_subnet_is_chosen_that_the_host_has_an_address_or_a_route_in";
    let Some(house) = host(name) else { return };
    house.sh(CLAIM);
    let first = "10.0.1.1/24";
    assert_eq!(chosen(&house), first);
    for (claim, undo, expected) in [
        ("ip address add 10.0.1.77/24 dev eth7", "ip address flush dev eth7", "10.0.2.1/24"),
        ("ip address add 10.0.1.77/32 dev eth7", "ip address flush dev eth7", "10.0.2.1/24"),
        ("ip address add 10.0.1.77/30 dev peer7", "ip address flush dev peer7", "10.0.2.1/24"),
        ("ip address add 10.0.0.1/22 dev eth7", "ip address flush dev eth7", "10.0.4.1/24"),
        ("ip route add 10.0.1.128/25 dev eth7", "ip route del 10.0.1.128/25", "10.0.2.1/24"),
        // A VPN by policy routing (WireGuard's own table), and one for all of 10.0.0.0/8.
        ("ip route add 10.0.0.0/16 dev eth7 table 51820", "ip route flush table 51820", "10.1.0.1/24"),
        ("ip route add 10.0.0.0/8 dev eth7", "ip route del 10.0.0.0/8", "172.16.0.1/24"),
        ("ip route add blackhole 10.0.1.0/24", "ip route del blackhole 10.0.1.0/24", "10.0.2.1/24"),
        // The default route, whole and split, says only where strangers are.
        ("ip route add default dev eth7", "ip route del default", first),
        (
            "ip route add 0.0.0.0/1 dev eth7; ip route add 128.0.0.0/1 dev eth7",
            "ip route del 0.0.0.0/1; ip route del 128.0.0.0/1",
            first,
        ),
    ] {
        house.sh(claim);
        assert_eq!(chosen(&house), expected, "with `{claim}`");
        house.sh(undo);
    }
    assert_eq!(chosen(&house), first);
}

#[test]
fn no_subnet_is_chosen_that_another_manager_lays_claim_to() {
    let name = "no_subnet_is_chosen_that_another_manager_lays_claim_to";
    let Some(house) = host(name) else { return };
    let libvirt = "<network><name>n</name><ip address='10.0.1.1' netmask='255.255.255.0'/></network>\n";
    for (path, text) in [
        ("/etc/libvirt/qemu/networks/n.xml", libvirt),
        (
            "/etc/default/lxc-net",
            "USE_LXC_BRIDGE=\"true\"\nLXC_ADDR=\"10.0.1.1\"\nLXC_NETMASK=\"255.255.255.0\"\nLXC_NETWORK=\"10.0.1.0/24\"\n",
        ),
        ("/etc/docker/daemon.json", "{ \"bip\": \"10.0.1.1/24\" }\n"),
        (
            "/etc/docker/daemon.json",
            "{ \"default-address-pools\": [ { \"base\": \"10.0.1.0/24\", \"size\": 24 } ] }\n",
        ),
    ] {
        let saved = house.read_file(path);
        house.write_file(path, text);
        assert_eq!(chosen(&house), "10.0.2.1/24", "with {path}: {text}");
        match saved {
            Some(old) => house.write_file(path, old),
            None => drop(house.sh(&format!("rm {path}"))),
        }
    }
    for nonsense in ["", "{", "\u{0}\u{1}", "{ \"bip\": 7 }"] {
        house.write_file("/etc/docker/daemon.json", nonsense);
        assert_eq!(chosen(&house), "10.0.1.1/24", "with {nonsense:?}");
    }
}

#[test]
fn a_network_keeps_its_subnet_over_down_and_over_a_reboot() {
    let name = "a_network_keeps_its_subnet_over_down_and_over_a_reboot";
    let Some(house) = host(name) else { return };
    house.describe("lab", "");
    house.describe("late", "");
    house.sh(CLAIM);
    house.sh("ip address add 10.0.1.77/24 dev eth7");
    assert!(house.up("lab").stdout.contains("10.0.2.1/24"));
    house.down("lab");
    house.sh("ip address flush dev eth7");
    // Free again, but lab has its own now; and another network leaves that alone though it is down.
    assert!(house.up("lab").stdout.contains("10.0.2.1/24"));
    house.down("lab");
    assert!(house.up("brmgr0").stdout.contains("10.0.1.1/24"));
    let late = house.up("late");
    assert!(late.stdout.contains("10.0.3.1/24"), "{late}");

    // The power fails: everything in memory is gone.
    house
        .sh("pkill -9 -x vmnet; pkill -9 -x dnsmasq; nft flush ruleset; ip link del brmgr0; ip link del late
        rm -rf /run/vmnet; echo 0 >/proc/sys/net/ipv4/ip_forward");
    for (network, address) in [("late", "10.0.3.1/24"), ("lab", "10.0.2.1/24"), ("brmgr0", "10.0.1.1/24")] {
        assert!(house.up(network).stdout.contains(address), "{network}");
        house.assert_up(network);
    }
}

#[test]
fn a_network_whose_subnet_was_taken_meanwhile_moves_and_says_so() {
    let name = "a_network_whose_subnet_was_taken_meanwhile_moves_and_says_so";
    let Some(house) = host(name) else { return };
    house.sh(CLAIM);
    house.up("brmgr0");
    house.down("brmgr0");
    house.sh("ip address add 10.0.1.77/24 dev eth7");
    let outcome = house.vmnet(&["up", "brmgr0"]);
    assert_eq!(outcome.code(), DONE, "{outcome}");
    assert!(outcome.stdout.contains("10.0.2.1/24"), "{outcome}");
    for word in ["network 'brmgr0' moves", "10.0.1.0/24", "eth7"] {
        assert!(outcome.stderr.contains(word), "no {word:?}: {outcome}");
    }
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome}");
    house.down("brmgr0");
    assert_eq!(house.up("brmgr0").stderr, "", "it is told once");
}

#[test]
fn a_running_network_never_moves_under_its_guests() {
    let name = "a_running_network_never_moves_under_its_guests";
    let Some(house) = host(name) else { return };
    house.sh(CLAIM);
    house.up("brmgr0");
    house.sh("ip address add 10.0.1.77/24 dev eth7");
    assert!(house.up("brmgr0").stdout.contains("10.0.1.1/24"));
    house.sh("rm -r /var/lib/vmnet");
    assert!(house.up("brmgr0").stdout.contains("10.0.1.1/24"));
}

#[test]
fn a_subnet_that_the_file_fixes_and_somebody_has_is_an_error_that_names_the_holder() {
    let name = "a_subnet_that_the_file_fixes_and_somebody_has_is_an_error_that_names_the_holder";
    let Some(house) = host(name) else { return };
    house.sh(CLAIM);
    house.describe("lab", "subnet = \"10.66.0.0/24\"\n");
    house.describe("twin", "subnet = \"10.66.0.0/25\"\n");
    let complaint = |network: &str, words: &[&str]| {
        let before = house.snapshot();
        let outcome = house.vmnet(&["up", network]);
        for word in words {
            assert!(outcome.complaint(FAILED).contains(word), "no {word:?}: {outcome}");
        }
        house.assert_as_in(&before);
    };
    complaint("lab", &["10.66.0.0/24", "network 'twin'"]);
    house.sh("rm /etc/vmnet/networks/twin.toml; ip address add 10.66.0.9/24 dev eth7");
    complaint("lab", &["10.66.0.0/24", "interface eth7"]);
    house.sh("ip address flush dev eth7; ip route add 10.66.0.128/25 dev eth7");
    complaint("lab", &["10.66.0.128/25", "eth7"]);
    // A wider route, such as a VPN's, is no obstacle to one who chose.
    house.sh("ip route del 10.66.0.128/25; ip route add 10.0.0.0/8 dev eth7");
    house.up("lab");
    house.assert_up("lab");
}

#[test]
fn networks_that_come_up_at_once_get_subnets_of_their_own() {
    let name = "networks_that_come_up_at_once_get_subnets_of_their_own";
    let Some(house) = host(name) else { return };
    let before = house.snapshot();
    for number in 0..10 {
        house.describe(&format!("n{number}"), "");
    }
    house.sh(&format!("for i in 0 1 2 3 4 5 6 7 8 9; do {VMNET} up n$i & p+=($!); done; for x in ${{p[@]}}; do wait $x; done"));
    let subnets: Vec<String> = house.json(&["list"]).1["networks"]
        .as_array()
        .expect("networks")
        .iter()
        .filter_map(|network| network["subnet"].as_str().map(str::to_owned))
        .collect();
    let distinct: std::collections::BTreeSet<&String> = subnets.iter().collect();
    assert!(subnets.len() == 10 && distinct.len() == 10, "{subnets:?}");
    house.vmnet(&["status"]).success();
    house.sh(&format!("for i in 0 1 2 3 4 5 6 7 8 9; do {VMNET} down n$i & p+=($!); done; for x in ${{p[@]}}; do wait $x; done"));
    house.sh("rm -r /etc/vmnet");
    house.assert_as_in(&before);
}

#[test]
fn a_host_without_a_free_subnet_is_told_so() {
    let name = "a_host_without_a_free_subnet_is_told_so";
    let Some(house) = host(name) else { return };
    house.sh(CLAIM);
    house.sh("for s in 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16; do ip route add $s dev eth7; done");
    let before = house.snapshot();
    let outcome = house.vmnet(&["up", "brmgr0"]);
    assert!(outcome.complaint(FAILED).contains("is taken"), "{outcome}");
    house.assert_as_in(&before);
}
