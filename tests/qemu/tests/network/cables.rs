//! Cables: two networks are one wire by a pair of links, a network and somebody's VDE switch by a pump,
//! and no wire is ever a circle.

use rig::house::{House, VMNET};
use rig::skip::have;
use rig::station::Station;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);
/// Where alice's switch is.
const SWITCH: &str = "/run/alice/switch";

/// Networks of these names, the first of which alone hands out addresses.
fn house(test: &str, names: &[&str]) -> Option<House> {
    let house = House::with_companion(test)?;
    for (place, name) in names.iter().enumerate() {
        let dhcp = if place == 0 { "" } else { "dhcp.enabled = false\n" };
        house.describe(name, &format!("subnet = \"10.{}.0.0/24\"\n{dhcp}", place + 1));
    }
    Some(house)
}

/// A guest with an address that no network gave it.
fn guest<'a>(house: &'a House, name: &str, network: &str, address: &str) -> Station<'a> {
    let station = house.station(name, network);
    house.sh(&format!("ip -n {name} address add {address}/24 dev eth0"));
    station
}

/// The names of the links of all pairs.
fn pairs(house: &House) -> Vec<String> {
    let shown = house.sh("ip -o link show type veth");
    let names = shown.lines().filter_map(|line| line.split(": ").nth(1)?.split('@').next());
    names.filter(|name| name.starts_with("vmwire")).map(str::to_owned).collect()
}

/// What `status` says of a network's cable to another wire: as wanted and as it is.
fn row(house: &House, name: &str, to: &str) -> (String, String) {
    let (_, value) = house.json(&["status", name]);
    let aspects = value["networks"][0]["aspects"].as_array().cloned().unwrap_or_default();
    let found = aspects.iter().find(|aspect| aspect["what"] == format!("cable to {to}"));
    let word = |key| found.and_then(|aspect| aspect[key].as_str()).unwrap_or("no row").to_owned();
    (word("wanted"), word("actual"))
}

/// Whether one reaches the other, at some time soon.
fn comes_to_reach(house: &House, from: &Station<'_>, address: &str) -> bool {
    house.wait_until(SOON, || from.run(&["ping", "-n", "-c", "1", "-W", "1", address]).code() == 0)
}

fn plugged() -> (String, String) {
    ("plugged".to_owned(), "plugged".to_owned())
}

#[test]
fn guests_of_two_networks_are_on_one_wire_whichever_comes_up_second() {
    let test = "guests_of_two_networks_are_on_one_wire_whichever_comes_up_second";
    let Some(house) = house(test, &["a", "b"]) else { return };
    let before = house.snapshot();
    house.vmnet(&["cable", "a", "b"]).success();
    house.up("a");
    let waits = ("waits for b".to_owned(), "waits for b".to_owned());
    assert_eq!(row(&house, "a", "b"), waits);
    house.assert_up("a");
    house.up("b");
    house.assert_up("b");
    assert_eq!([row(&house, "a", "b"), row(&house, "b", "a")], [plugged(), plugged()]);

    let alpha = guest(&house, "alpha", "a", "10.9.0.1");
    let beta = guest(&house, "beta", "b", "10.9.0.2");
    assert!(comes_to_reach(&house, &alpha, "10.9.0.2"));
    assert!(beta.lease().is_some_and(|lease| lease.get("ip").starts_with("10.1.0.")));
    house.sh("ip -n beta address add 10.9.0.2/24 dev eth0");

    house.vmnet(&["down", "b", "--force"]).success();
    assert_eq!((row(&house, "a", "b"), pairs(&house)), (waits, Vec::new()));
    house.assert_up("a");
    house.up("b");
    house.sh("ip link set port-beta master b");
    assert!(comes_to_reach(&house, &alpha, "10.9.0.2"));
    house.vmnet(&["down", "a", "--force"]).success();
    house.up("a");
    house.sh("ip link set port-alpha master a");
    assert!(comes_to_reach(&house, &alpha, "10.9.0.2"));

    house.sh("ip netns del alpha; ip netns del beta");
    // A cable's end is no guest.
    let down = |name| house.wait_until(SOON, || house.vmnet(&["down", name]).code() == 0);
    assert!(down("a") && down("b"));
    house.assert_as_in(&before);
}

#[test]
fn what_is_lost_of_a_cable_is_plugged_in_again() {
    let Some(house) = house("what_is_lost_of_a_cable_is_plugged_in_again", &["a", "b"]) else { return };
    let before = house.snapshot();
    house.up("a");
    house.up("b");
    let said = house.vmnet(&["cable", "a", "b"]);
    assert_eq!(said.success(), "a - b: plugged\n");
    let alpha = guest(&house, "alpha", "a", "10.9.0.1");
    let _beta = guest(&house, "beta", "b", "10.9.0.2");
    assert!(comes_to_reach(&house, &alpha, "10.9.0.2"));
    for trouble in ["link delete", "link set down", "link set nomaster"] {
        let [one, _] = &pairs(&house)[..] else { panic!("{:?}", pairs(&house)) };
        let words: Vec<&str> = trouble.split(' ').collect();
        house.sh(&match words[..] {
            ["link", "delete"] => format!("ip link delete {one}"),
            _ => format!("ip link set {one} {}", words[2]),
        });
        assert!(comes_to_reach(&house, &alpha, "10.9.0.2"), "after {trouble}");
        house.assert_up("a");
        house.assert_up("b");
    }
    // Whoever is asked for the narrower of two.
    house.describe("b", "subnet = \"10.2.0.0/24\"\ndhcp.enabled = false\nmtu = 1400\n");
    house.up("b");
    house.assert_up("a");
    let [one, other] = &pairs(&house)[..] else { panic!("{:?}", pairs(&house)) };
    assert_eq!(house.sh(&format!("cat /sys/class/net/{one}/mtu /sys/class/net/{other}/mtu")), "1400\n1400\n");

    let said = house.vmnet(&["cable", "b", "a", "--remove"]);
    assert_eq!(said.success(), "b and a are parted\n");
    assert_eq!(pairs(&house), Vec::<String>::new());
    assert_eq!(alpha.run(&["ping", "-n", "-c", "1", "-W", "1", "10.9.0.2"]).code(), 1);
    house.assert_up("a");
    house.assert_up("b");
    house.sh("ip netns del alpha; ip netns del beta");
    house.vmnet(&["down", "a", "--force"]).success();
    house.vmnet(&["down", "b", "--force"]).success();
    house.describe("b", "subnet = \"10.2.0.0/24\"\ndhcp.enabled = false\n");
    house.assert_as_in(&before);
}

#[test]
fn a_cable_that_a_file_turned_into_a_circle_is_left_out() {
    let test = "a_cable_that_a_file_turned_into_a_circle_is_left_out";
    if !have(test, &["vde_switch", "setpriv"]) {
        return;
    }
    let Some(house) = house(test, &["a", "b"]) else { return };
    house.sh("mkdir /run/alice");
    start_switch(&house);
    let at_switch = |name: &str| house.describe(name, &format!("[vde]\nsocket = \"{SWITCH}\"\n"));
    at_switch("a");
    house.up("a");
    house.up("b");
    let said = house.vmnet(&["cable", "a", "b"]);
    assert_eq!(said.success(), "a - b: plugged\n");
    at_switch("b");
    house.up("b");
    assert_eq!(pairs(&house), Vec::<String>::new());
    let way = |ends: &str| format!("left out: it would close a circle: {ends}");
    assert_eq!(row(&house, "b", "a").1, way(&format!("a - vde://{SWITCH} - b")));
    assert_eq!(house.drift("b"), (rig::companion::DRIFTED, vec!["cable to a".to_owned()]));
    assert_eq!(house.drift("a"), (rig::companion::DRIFTED, vec!["cable to b".to_owned()]));

    house.describe("b", "guard = true\n");
    house.up("b");
    assert!(row(&house, "b", "a").1.ends_with("(guard = true)"));
    assert!(row(&house, "a", "b").1.ends_with("(guard = true)"));
    assert_eq!(pairs(&house), Vec::<String>::new());

    house.describe("b", "");
    house.up("b");
    house.assert_up("a");
    house.assert_up("b");
    assert_eq!(pairs(&house).len(), 2);
}

#[test]
fn whoever_is_killed_while_he_joins_networks_leaves_them_whole() {
    let test = "whoever_is_killed_while_he_joins_networks_leaves_them_whole";
    let Some(house) = house(test, &["a", "b"]) else { return };
    let before = house.snapshot();
    house.up("a");
    house.up("b");
    for moment in 1..25 {
        house.run(&["timeout", "-s", "KILL", &format!("0.{moment:03}"), VMNET, "cable", "a", "b"]);
        // The next one puts right what was left; where nothing was, it joins them.
        let again = house.vmnet(&["cable", "a", "b"]);
        assert!(again.code() == 0 || again.stderr.contains("joined already"), "{again}");
        house.assert_up("a");
        house.assert_up("b");
        let whole = || pairs(&house).len() == 2 && row(&house, "b", "a") == plugged();
        assert!(house.wait_until(SOON, whole), "{moment}: {:?}", pairs(&house));
        house.run(&[
            "timeout",
            "-s",
            "KILL",
            &format!("0.{moment:03}"),
            VMNET,
            "cable",
            "a",
            "b",
            "--remove",
        ]);
        house.vmnet(&["cable", "a", "b", "--remove"]);
        assert!(house.wait_until(SOON, || pairs(&house).is_empty()), "{moment}: {:?}", pairs(&house));
    }
    house.down("a");
    house.down("b");
    house.assert_as_in(&before);
}

#[test]
fn a_cable_keeps_no_network_up() {
    let Some(house) = house("a_cable_keeps_no_network_up", &["a", "b"]) else { return };
    house.describe("b", "idle = \"1s\"\n");
    house.vmnet(&["cable", "a", "b"]).success();
    house.up("a");
    house.up("b");
    let (_, value) = house.json(&["list"]);
    let ports = value["networks"].as_array().into_iter().flatten().map(|network| network["ports"].clone());
    assert!(ports.into_iter().all(|ports| ports == 0), "{value}");
    let end = &pairs(&house)[0];
    let refusal = house.vmnet(&["ports", "a", "--revoke", end]);
    assert!(refusal.complaint(1).contains("it is the end of the cable to b"), "{refusal}");
    let _guest = house.station("guest", "b");
    house.assert_up("b");
    house.sh("ip netns del guest");
    assert!(house.wait_until(SOON, || house.vmnet(&["status", "b"]).code() == rig::companion::NOT_UP));
    house.assert_up("a");
    house.down("a");
}

#[test]
fn no_cable_closes_a_circle() {
    let Some(house) = house("no_cable_closes_a_circle", &["a", "b", "c", "apart"]) else { return };
    house.describe("apart", "isolated = true\n");
    house.describe("own", "[vde]\n");
    let refused = |words: &[&str], cause: &str| {
        let outcome = house.vmnet(&[&["cable"], words].concat());
        let said = outcome.complaint(1).lines().next().unwrap_or_default().to_owned();
        assert!(said.ends_with(cause), "{said}");
    };
    for words in [["a", "b"], ["b", "c"], ["a", "vde:///run/x"]] {
        house.vmnet(&["cable", words[0], words[1]]).success();
    }
    refused(&["a", "b"], "they are joined already: a - b");
    refused(&["b", "a"], "they are joined already: b - a");
    refused(&["c", "a"], "they are joined already: c - b - a");
    refused(&["c", "vde:///run/x/"], "they are joined already: c - b - a - vde:///run/x");
    refused(&["a", "a"], "both ends are one");
    refused(&["own", "vde:///run/vmnet/own/vde"], "they are joined already: own - vde:///run/vmnet/own/vde");
    refused(&["a", "apart"], "its guests are kept apart from each other (isolated = true)");
    refused(&["a", "nobody"], "no such network");
    refused(&["a", "c", "--remove"], "there is no cable between them");
    refused(&["a", "vde:///run/y", "--remove"], "there is no cable between them");
    house.vmnet(&["cable", "b", "c", "--remove"]).success();
    house.vmnet(&["cable", "c", "a"]).success();
    let alice = house.run_as("alice", &[VMNET, "cable", "own", "a"]);
    alice.complaint(1);
    let said = house.vmnet(&["cable", "own", "a"]);
    let note = "note: both serve DHCP, and a guest may get its address from either; set dhcp.enabled = false in own or a";
    let expected = format!("own - a: remembered; network 'own' is not up\n{note}\n");
    assert_eq!((said.success(), said.stderr.as_str()), (expected.as_str(), ""));
}

/// Alice's switch, whose number is in a file.
fn start_switch(house: &House) {
    house.sh(&format!(
        "mkdir -p {SWITCH}; chown -R alice: /run/alice
         rm -f /run/alice/pid
         setpriv --reuid=alice --regid=alice --clear-groups \
             vde_switch --daemon --sock {SWITCH} --pidfile /run/alice/pid"
    ));
}

fn kill_switch(house: &House, signal: &str) {
    house.sh(&format!("kill -{signal} $(cat /run/alice/pid)"));
}

#[test]
fn a_network_joined_with_somebodys_switch_follows_it() {
    let test = "a_network_joined_with_somebodys_switch_follows_it";
    if !have(test, &["vde_switch", "setpriv"]) {
        return;
    }
    let Some(house) = house(test, &["a", "b"]) else { return };
    house.sh("mkdir /run/alice");
    let before = house.snapshot();
    house.up("a");
    house.up("b");
    let to = format!("vde://{SWITCH}");
    let said = house.vmnet(&["cable", "a", &to]);
    assert_eq!(said.success(), format!("a - {to}: waits for {to}\n"));
    house.assert_up("a");
    start_switch(&house);
    let said = house.vmnet(&["cable", "b", &to]);
    assert_eq!(said.success(), format!("b - {to}: plugged\n"));
    let alpha = guest(&house, "alpha", "a", "10.9.0.1");
    let _beta = guest(&house, "beta", "b", "10.9.0.2");
    assert!(comes_to_reach(&house, &alpha, "10.9.0.2"));
    house.assert_up("a");

    for signal in ["KILL", "TERM"] {
        kill_switch(&house, signal);
        let gone = || house.run(&["pgrep", "-x", "vde_switch"]).code() == 1;
        assert!(house.wait_until(SOON, gone));
        assert_eq!(alpha.run(&["ping", "-n", "-c", "1", "-W", "1", "10.9.0.2"]).code(), 1);
        start_switch(&house);
        assert!(comes_to_reach(&house, &alpha, "10.9.0.2"), "after {signal}");
        house.assert_up("a");
    }
    // A pump that was killed.
    let pump = || house.sh("cat /run/vmnet/a/cables/*/pump");
    let first = pump();
    house.sh(&format!("kill -KILL {first}"));
    assert!(house.wait_until(SOON, || pump() != first && row(&house, "a", &to) == plugged()));
    assert!(comes_to_reach(&house, &alpha, "10.9.0.2"));
    // Up again without a word.
    house.vmnet(&["down", "b", "--force"]).success();
    house.up("b");
    house.sh("ip link set port-beta master b");
    assert!(comes_to_reach(&house, &alpha, "10.9.0.2"));

    house.vmnet(&["cable", "b", &to, "--remove"]).success();
    assert_eq!(alpha.run(&["ping", "-n", "-c", "1", "-W", "1", "10.9.0.2"]).code(), 1);
    house.sh("ip netns del alpha; ip netns del beta");
    house.vmnet(&["down", "a", "--force"]).success();
    house.vmnet(&["down", "b", "--force"]).success();
    kill_switch(&house, "TERM");
    let gone = || house.run(&["pgrep", "-x", "vde_switch"]).code() == 1;
    assert!(house.wait_until(SOON, gone));
    house.sh("rm -rf /run/alice/*");
    house.sh("chown root: /run/alice");
    house.assert_as_in(&before);
}
