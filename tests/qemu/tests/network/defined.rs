//! Networks that another program defined: kept below the state directory, in the words of a network's file,
//! with a first line that says whose they are. They are listed, checked, brought up and taken down as those
//! with a file; and a file of the same name counts before them.

use std::fs::File;
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use rig::companion::{DONE, FAILED, NOT_UP};
use rig::house::{As, HELPER, House, VMNET};
use serde_json::Value;

use crate::idle::is_waited_for;

const ID: &str = "3f2a91c04b7e3f2a91c04b7e3f2a91c04b7e3f2a91c04b7e3f2a91c04b7e3f2a";

const SOON: Duration = Duration::from_secs(20);
const LONG: &str = "a-network-with-a-long-name";

fn place(name: &str) -> String {
    format!("/var/lib/vmnet/networks/{name}.toml")
}

/// What Docker's plugin would have defined.
#[track_caller]
fn define(house: &House, name: &str, toml: &str) {
    house.write_file(&place(name), format!("# owner: docker {ID}\n{toml}"));
}

/// A network's row of `vmnet list --json`.
#[track_caller]
fn row(house: &House, name: &str) -> Value {
    let (code, list) = house.json(&["list"]);
    assert_eq!(code, DONE, "{list}");
    let row = list["networks"].as_array().and_then(|all| all.iter().find(|row| row["name"] == name));
    row.unwrap_or_else(|| panic!("'{name}' is not in {list}")).clone()
}

/// A network's line of `vmnet list`, in words.
#[track_caller]
fn line(house: &House, name: &str) -> Vec<String> {
    let table = house.vmnet(&["list"]).success().to_owned();
    let line = table.lines().find(|line| line.split_whitespace().next() == Some(name));
    let line = line.unwrap_or_else(|| panic!("'{name}' is not in {table}"));
    line.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn a_defined_network_is_listed_with_its_owner_and_lives_as_any_other() {
    let name = "a_defined_network_is_listed_with_its_owner_and_lives_as_any_other";
    let Some(house) = House::with_companion(name) else { return };
    define(&house, "web", "subnet = \"10.5.0.0/24\"\nsubnet6 = \"none\"\n");
    house.describe("lab", "subnet = \"10.6.0.0/24\"\n");
    let before = house.snapshot();
    for (network, owner) in
        [("web", format!("docker {ID}").as_str()), ("lab", "file"), ("brmgr0", "built-in")]
    {
        let row = row(&house, network);
        assert_eq!((&row["owner"], &row["passed_over"]), (&owner.into(), &Value::Null), "{row}");
    }
    assert_eq!(line(&house, "web"), ["web", "web", "nat", "10.5.0.0/24", "down", "0", "docker", &ID[..12]]);
    assert_eq!(line(&house, "lab").last().map(String::as_str), Some("file"));
    house.vmnet(&["check", "web"]).success();
    assert_eq!(house.vmnet(&["status", "web"]).code(), NOT_UP);

    assert!(house.up("web").stdout.contains("10.5.0.1/24"));
    house.assert_up("web");
    assert_eq!(row(&house, "web")["state"], "up");
    assert!(house.leased_station("alpha", "web").1.get("ip").starts_with("10.5.0."));
    house.sh("ip netns del alpha");
    // As its owner changes it.
    define(&house, "web", "subnet = \"10.5.0.0/24\"\nsubnet6 = \"none\"\nisolated = true\n");
    assert!(!house.drift("web").1.is_empty());
    house.up("web");
    house.assert_up("web");
    house.down("web");
    define(&house, "web", "subnet = \"10.5.0.0/24\"\nsubnet6 = \"none\"\n");
    house.assert_as_in(&before);
}

#[test]
fn a_defined_network_comes_up_when_its_first_guest_asks_and_only_if_a_rule_allows() {
    let name = "a_defined_network_comes_up_when_its_first_guest_asks_and_only_if_a_rule_allows";
    let Some(house) = House::with_companion(name) else { return };
    // The second has a bridge of another name.
    for network in ["web", LONG] {
        define(&house, network, "");
    }
    house.write_file("/etc/vmnet/bridge.conf", "allow brmgr0 user=alice\n");
    for network in ["web", LONG] {
        let bridge = row(&house, network)["bridge"].as_str().expect("a bridge").to_owned();
        let ask = [HELPER, &format!("--br={bridge}"), "--fd={fd}"];
        house.write_file("/etc/vmnet/bridge.conf", "allow brmgr0 user=alice\n");
        let caught = house.catch("alice", &ask);
        assert!(caught.refused(), "{caught:#?}");
        assert_eq!(row(&house, network)["state"], "down");
        house.write_file("/etc/vmnet/bridge.conf", format!("allow {bridge} user=alice\n"));
        let caught = house.catch("alice", &ask);
        assert!(caught.granted(), "{caught:#?}");
        assert_eq!(row(&house, network)["state"], "up");
        house.vmnet(&["down", network, "--force"]).success();
    }
}

#[test]
fn a_network_that_is_taken_back_while_up_waits_for_its_turn_does_not_come_up() {
    let name = "a_network_that_is_taken_back_while_up_waits_for_its_turn_does_not_come_up";
    let Some(house) = House::with_companion(name) else { return };
    house.up("brmgr0");
    define(&house, "web", "");
    let before = house.snapshot();
    let lock = File::open(house.outside_path("/run/vmnet/lock")).expect("the lock");
    let lock = Flock::lock(lock, FlockArg::LockExclusive).expect("the lock");
    let mut up = house.spawn(As::Root, &[VMNET, "up", "web"]);
    assert!(house.wait_until(SOON, || is_waited_for(&lock)), "it does not wait: {}", up.said());
    house.sh(&format!("mv {} /tmp/away", place("web")));
    drop(lock);
    assert_eq!(up.wait(SOON).code(), Some(FAILED), "{}", up.said());
    assert!(up.said().contains("cannot start network 'web': no such network"), "{}", up.said());
    house.sh(&format!("mv /tmp/away {}", place("web")));
    house.assert_as_in(&before);
    house.down("brmgr0");
}

#[test]
fn no_subnet_is_chosen_that_a_defined_network_has() {
    let name = "no_subnet_is_chosen_that_a_defined_network_has";
    let Some(house) = House::with_companion(name) else { return };
    house.sh("rm -rf /etc/default/lxc-net /etc/default/lxc /etc/libvirt /etc/docker");
    define(&house, "web", "subnet = \"10.0.1.0/24\"\nmore_subnets = [\"10.0.2.0/24\"]\n");
    house.describe("lab", "");
    assert!(house.up("lab").stdout.contains("10.0.3.1/24"));
    house.down("lab");
    // Nor the other way about, by one who chose.
    house.describe("late", "subnet = \"10.0.1.0/24\"\n");
    let outcome = house.vmnet(&["up", "late"]);
    assert!(outcome.complaint(FAILED).contains("network 'web'"), "{outcome}");
}

#[test]
fn a_file_of_the_same_name_counts_and_the_definition_is_kept_for_later() {
    let name = "a_file_of_the_same_name_counts_and_the_definition_is_kept_for_later";
    let Some(house) = House::with_companion(name) else { return };
    define(&house, "web", "subnet = \"10.5.0.0/24\"\n");
    house.describe("web", "subnet = \"10.6.0.0/24\"\n");
    let both = row(&house, "web");
    assert_eq!((&both["owner"], &both["subnet"]), (&"file".into(), &"10.6.0.0/24".into()), "{both}");
    assert_eq!(both["passed_over"], place("web").as_str(), "{both}");
    assert_eq!(
        line(&house, "web").get(6..),
        Some(["file,", "not", "docker", &ID[..12]].map(String::from).as_slice())
    );
    let (code, check) = house.json(&["check", "web"]);
    assert_eq!((code, &check["findings"][0]["severity"]), (DONE, &"warning".into()), "{check}");
    let text = check["findings"][0]["text"].as_str().expect("a text").to_owned();
    for part in [place("web").as_str(), ID, "/etc/vmnet/networks/web.toml counts"] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    assert!(house.up("web").stdout.contains("10.6.0.1/24"));
    house.down("web");
    house.sh("rm /etc/vmnet/networks/web.toml");
    let defined = row(&house, "web");
    assert_eq!((&defined["passed_over"], &defined["subnet"]), (&Value::Null, &"10.5.0.0/24".into()));
    assert!(house.up("web").stdout.contains("10.5.0.1/24"));
    house.down("web");

    // The built-in network has its name before anybody who defines.
    define(&house, "brmgr0", "mode = \"isolated\"\n");
    let built_in = row(&house, "brmgr0");
    assert_eq!((&built_in["owner"], &built_in["mode"]), (&"built-in".into(), &"nat".into()));
    assert_eq!(built_in["passed_over"], place("brmgr0").as_str());
}

#[test]
fn a_bad_definition_is_named_with_its_place_and_stops_no_other_network() {
    let name = "a_bad_definition_is_named_with_its_place_and_stops_no_other_network";
    let Some(house) = House::with_companion(name) else { return };
    house.describe("lab", "subnet = \"10.6.0.0/24\"\n");
    define(&house, "good", "subnet = \"10.7.0.0/24\"\n");
    let owned = format!("# owner: docker {ID}\n");
    let writable = "writable by others than root";
    for (text, mode, told, is_known) in [
        (format!("{owned}mod = \"nat\"\n"), 0o644, ":2:1: ", true),
        ("mode = \"nat\"\n".to_owned(), 0o644, ":1:1: an owner is", false),
        ("# owner: docker \u{1b}[2J\n".to_owned(), 0o644, ":1:1: an owner's identity", false),
        ("# owner: file\n".to_owned(), 0o644, ":1:1: an owner is", false),
        (String::new(), 0o644, ":1:1: an owner is", false),
        (format!("{owned}#{}", "x".repeat(65536)), 0o644, ": larger than 65536 bytes", false),
        (owned.clone(), 0o666, &format!(": {writable}"), false),
    ] {
        house.write_file_for(&place("bad"), mode, (0, 0), &text);
        let outcome = house.vmnet(&["check", "bad"]);
        assert_eq!(outcome.code(), FAILED, "{outcome}");
        assert!(outcome.assert_plain().stdout.contains(&format!("{}{told}", place("bad"))), "{outcome}");
        let outcome = house.vmnet(&["up", "bad"]);
        assert!(outcome.complaint(FAILED).contains(&place("bad")), "{outcome}");
        let bad = row(&house, "bad");
        assert_eq!((&bad["mode"], bad["owner"].is_null()), (&"bad file".into(), !is_known), "{bad}");
        assert_eq!(row(&house, "good")["owner"], format!("docker {ID}"));
    }
    for network in ["good", "lab"] {
        house.up(network);
        house.assert_up(network);
    }
    let finding = house.json(&["doctor", "bad"]).1["findings"]
        .as_array()
        .and_then(|all| all.iter().find(|finding| finding["id"] == "network-file").cloned())
        .expect("the doctor names it");
    assert_eq!(finding["object"], place("bad").as_str(), "{finding}");
    for network in ["good", "lab"] {
        house.down(network);
    }
}
