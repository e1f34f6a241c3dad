//! The files that an earlier version's programs left below `/run/vmnet` and `/var/lib/vmnet` are read by this
//! one: nothing that was remembered is lost, and what a run left behind is made whole or taken away. What needs
//! the earlier programs themselves, still at work, is in upgrade.rs.

use std::collections::BTreeSet;
use std::time::Duration;

use rig::companion::{DRIFTED, NOT_UP};
use rig::golden::{Entry, GOLDEN, Golden};
use rig::guest::mac;
use rig::house::{As, House, VMNET};
use rig::libvirt::Domain;
use rig::skip::have;
use serde_json::Value;

const SOON: Duration = Duration::from_secs(10);

/// Every name there is, as find(1) shows its kind.
const NAMES: [&str; 36] = [
    "d run/BRIDGE",
    "d run/BRIDGE/cables",
    "d run/BRIDGE/cables/HASH",
    "d run/BRIDGE/cables/HASH/plugs",
    "d run/BRIDGE/console",
    "d run/BRIDGE/names",
    "d run/BRIDGE/plugs",
    "d run/BRIDGE/reservations",
    "d run/BRIDGE/vde",
    "d state/libvirt",
    "f run/BRIDGE/cables/HASH/plugged",
    "f run/BRIDGE/cables/HASH/pump",
    "f run/BRIDGE/cables/HASH/switch",
    "f run/BRIDGE/dnsmasq.conf",
    "f run/BRIDGE/dnsmasq.pid",
    "f run/BRIDGE/firewalld",
    "f run/BRIDGE/keeper",
    "f run/BRIDGE/leases",
    "f run/BRIDGE/names/.vmnet-RANDOM",
    "f run/BRIDGE/names/reserved",
    "f run/BRIDGE/plugged",
    "f run/BRIDGE/port",
    "f run/BRIDGE/pump",
    "f run/BRIDGE/record.json",
    "f run/BRIDGE/reservations/reserved",
    "f run/BRIDGE/switch",
    "f run/BRIDGE/switch.pid",
    "f run/lock",
    "f run/turns",
    "f state/NETWORK.json",
    "f state/libvirt/UUID.json",
    "s run/BRIDGE/cables/HASH/plugs/SOCKET",
    "s run/BRIDGE/console/mgmt",
    "s run/BRIDGE/plugs/SOCKET",
    "s run/BRIDGE/vde/SOCKET",
    "s run/broker.sock",
];

/// The name with words for what differs from one network, holder or port to the next.
fn name(entry: &Entry) -> String {
    let mut words: Vec<&str> = entry.path.split('/').collect();
    let file = words.len() - 1;
    match words[..] {
        ["run", _, ..] if entry.kind == 'd' || file > 1 => words[1] = "BRIDGE",
        ["state", _] if entry.kind == 'f' => words[1] = "NETWORK.json",
        ["state", "libvirt", _] => words[2] = "UUID.json",
        _ => {}
    }
    if let Some(at) = words.iter().position(|word| *word == "cables").filter(|at| *at < file) {
        words[at + 1] = "HASH";
    }
    match words[file] {
        word if word.starts_with(".vmnet-") => words[file] = ".vmnet-RANDOM",
        _ if ["plugs", "vde"].contains(&words[file - 1]) => words[file] = "SOCKET",
        _ => {}
    }
    format!("{} {}", entry.kind, words.join("/"))
}

/// A house with the networks' files, and those of the golden files that fit.
fn house(test: &str, golden: Golden, fits: impl Fn(&Entry) -> bool) -> Option<House> {
    let house = House::with_companion(test)?;
    house.lay_networks(golden);
    // Of the files' uplink; the router's words are heeded there.
    house.sh("ip link add uplink0 type veth peer name world; ip link set uplink0 up; ip link set world up
         sysctl -qw net.ipv6.conf.uplink0.accept_ra=1");
    house.lay(golden, fits);
    Some(house)
}

fn is_remembered(entry: &Entry) -> bool {
    entry.path.starts_with("state/")
}

/// Nobody listens there any more, and it keeps the directory.
fn is_left(entry: &Entry) -> bool {
    entry.path != "run/broker.sock"
}

/// The networks of the golden run directory: each one's name and its bridge's.
fn networks(golden: Golden) -> Vec<(String, String)> {
    let records = golden.entries().into_iter().filter(|entry| entry.path.ends_with("/record.json"));
    let pair = |entry: Entry| {
        let network = golden.json(&entry.path)["network"].as_str().expect("a name").to_owned();
        (network, entry.path.split('/').nth(1).expect("a bridge").to_owned())
    };
    records.map(pair).collect()
}

#[test]
fn the_golden_files_are_of_every_name_and_of_no_other() {
    for golden in GOLDEN {
        let found: BTreeSet<String> = golden.entries().iter().map(name).collect();
        assert_eq!(found, NAMES.map(str::to_owned).into(), "tests/qemu/golden/README.md says how to add one");
        for entry in golden.entries().iter().filter(|entry| entry.kind == 'f') {
            assert!(golden.folder().join(&entry.path).is_file(), "{}", entry.path);
        }
        assert_eq!(networks(golden).len(), 11);
    }
}

/// What a command that changes nothing says.
fn look(house: &House, words: &[&str]) -> String {
    let outcome = house.vmnet(words);
    outcome.assert_plain();
    format!("{} {}", outcome.code(), outcome.stdout)
}

#[test]
fn each_file_is_read_what_is_shown_differs_without_it() {
    for golden in GOLDEN {
        let Some(house) = house("each_file_is_read_what_is_shown_differs_without_it", golden, is_left) else {
            return;
        };
        for (path, words) in [
            ("run/full/record.json", &["list"][..]),
            ("run/full/record.json", &["status", "full"]),
            ("run/halfway/record.json", &["list"]),
            ("run/a-networ-a93627/record.json", &["status", "a-network-with-a-long-name"]),
            ("run/full/port", &["status", "full"]),
            ("run/full/dnsmasq.conf", &["up", "full", "--dry-run"]),
            ("run/full/names/reserved", &["status", "full"]),
            ("run/full/reservations/reserved", &["status", "full"]),
            ("run/full/leases", &["leases", "full"]),
            ("run/full/leases", &["forward", "list", "full"]),
            ("run/wired/switch", &["status", "wired"]),
            ("state/wired.json", &["status", "wired"]),
            ("state/full.json", &["host", "list", "full"]),
            ("state/routed.json", &["forward", "list", "routed"]),
            ("state/closed.json", &["host", "list", "closed"]),
            ("state/brmgr0.json", &["list"]),
        ] {
            let place = path.replacen("run/", "/run/vmnet/", 1).replacen("state/", "/var/lib/vmnet/", 1);
            // Where the record tells of a subnet, what is remembered need not.
            let aside =
                if path == "state/brmgr0.json" { "/run/vmnet/brmgr0/record.json" } else { "/tmp/none" };
            house.sh(&format!("[ ! -e {aside} ] || mv {aside} /tmp/aside"));
            let with = look(&house, words);
            house.sh(&format!("mv {place} /tmp/away"));
            let without = look(&house, words);
            house.sh(&format!("mv /tmp/away {place}; [ ! -e /tmp/aside ] || mv /tmp/aside {aside}"));
            assert_ne!(with, without, "{path} is not read by {words:?}");
            assert_eq!(look(&house, &["list"]).lines().count(), 12, "a network is missing");
        }
    }
}

/// The text of one key of each of a list's objects.
fn words(list: &Value, key: &str) -> Vec<String> {
    let word = |object: &Value| object[key].as_str().unwrap_or("-").to_owned();
    list.as_array().unwrap_or_else(|| panic!("{list}")).iter().map(word).collect()
}

#[test]
fn what_was_remembered_comes_back_and_stays() {
    for golden in GOLDEN {
        let Some(house) = house("what_was_remembered_comes_back_and_stays", golden, is_remembered) else {
            return;
        };
        let before = house.snapshot();
        let (_, hosts) = house.json(&["host", "list", "full"]);
        let mail = hosts["hosts"].as_array().and_then(|all| all.iter().find(|host| host["name"] == "mail"));
        let mail = mail.unwrap_or_else(|| panic!("{hosts}")).clone();
        assert_eq!((&mail["mac"], &mail["from"]), (&Value::from(mac("mail")), &"live".into()));
        assert_eq!(
            (&mail["address"], &mail["aliases"][0]),
            (&golden.json("state/full.json")["hosts"][0]["address"], &"smtp".into())
        );
        let (_, forwards) = house.json(&["forward", "list", "full"]);
        assert_eq!(words(&forwards["forwards"], "to"), ["web:80", "mail:25", "alpha:53"], "{forwards}");

        for network in ["brmgr0", "a-network-with-a-long-name", "full", "routed", "closed", "wired"] {
            let path = format!("state/{network}.json");
            let remembered = golden.json(&path);
            house.up(network);
            house.assert_up(network);
            let (_, list) = house.json(&["list"]);
            let row =
                list["networks"].as_array().and_then(|all| all.iter().find(|row| row["name"] == network));
            let subnet = row.unwrap_or_else(|| panic!("{list}"))["subnet"].clone();
            assert!(
                remembered["subnet"].is_null() || remembered["subnet"] == subnet,
                "{network} has {subnet}"
            );
            house.down(network);
            let text =
                house.read_file(&format!("/var/lib/vmnet/{network}.json")).expect("what is remembered");
            assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), remembered, "{network}");
        }
        house.assert_as_in(&before);
    }
}

#[test]
fn what_was_done_for_a_domain_of_libvirts_is_undone_by_its_note() {
    for golden in GOLDEN {
        let name = "what_was_done_for_a_domain_of_libvirts_is_undone_by_its_note";
        let Some(house) = house(name, golden, is_remembered) else { return };
        let xml = Domain::new("alpha").xml();
        let release = || {
            let argv = [VMNET, "hook", "libvirt", "qemu", "alpha", "release", "end", "-"];
            house.run_with(As::Root, &argv, Some(&xml), SOON).success();
            let (_, closed) = house.json(&["host", "list", "closed"]);
            let (_, routed) = house.json(&["forward", "list", "routed"]);
            (words(&closed["hosts"], "name"), words(&routed["forwards"], "to"))
        };
        house.sh("mv /var/lib/vmnet/libvirt /tmp/away");
        assert_eq!(release(), (vec!["alpha".to_owned()], vec!["beta:80".to_owned()]), "without the note");
        house.sh("mv /tmp/away /var/lib/vmnet/libvirt");
        assert_eq!(release(), (vec![], vec![]));
        assert_eq!(house.sh("ls /var/lib/vmnet | grep libvirt || true"), "");
    }
}

#[test]
fn down_takes_away_what_a_run_left_that_ended_with_its_host() {
    for golden in GOLDEN {
        let name = "down_takes_away_what_a_run_left_that_ended_with_its_host";
        let Some(house) = house(name, golden, |_| false) else { return };
        let before = house.snapshot();
        house.lay(golden, is_left);
        // As the programs had it, which wrote down how it was before.
        house.sh(
        "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.uplink0.accept_ra=2",
    );
        let mut names: Vec<String> = networks(golden).into_iter().map(|(network, _)| network).collect();
        // First the one that knows how it was: it hands that on.
        names.sort_by_key(|network| network != "full");
        for network in &names {
            assert_eq!(house.drift(network).0, DRIFTED, "{network}");
            house.down(network);
            assert_eq!(house.vmnet(&["status", network]).code(), NOT_UP, "{network}");
        }
        house.assert_as_in(&before);
    }
}

#[test]
fn up_makes_whole_what_a_run_left_that_ended_with_its_host() {
    for golden in GOLDEN {
        let name = "up_makes_whole_what_a_run_left_that_ended_with_its_host";
        if !have(name, &["vde_switch"]) {
            return;
        }
        let Some(house) = house(name, golden, |_| false) else { return };
        house.sh("install -d -o bob -g bob -m 755 /tmp/bob");
        let switches = ["wire", "far"].map(|switch| {
            let at = format!("/tmp/bob/{switch}");
            let process = house.spawn(As::User("bob"), &["vde_switch", "-s", &at, "-f", "/dev/null"]);
            house.assert_soon(&at, || house.outside_path(&format!("{at}/ctl")).exists());
            process
        });
        let before = house.snapshot();
        house.lay(golden, is_left);
        house.sh(
        "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.uplink0.accept_ra=2",
    );
        for (network, bridge) in &networks(golden) {
            let record = golden.json(&format!("run/{bridge}/record.json"));
            house.up(network);
            house.assert_up(network);
            let text = house.read_file(&format!("/run/vmnet/{bridge}/record.json")).expect("a record");
            let now: Value = serde_json::from_str(&text).expect("JSON");
            for key in
                ["network", "subnet", "addresses", "mac", "forwarding_was", "forwarding6_was", "counters"]
            {
                assert_eq!(now[key], record[key], "{key} of {network}");
            }
            assert_eq!(now["phase"], "up", "{network}");
        }
        let (_, leases) = house.json(&["leases", "full"]);
        assert_eq!(words(&leases["leases"], "name").len(), 2, "{leases}");
        // The server gives what it had given.
        let alpha = house.member_station("alpha", "full");
        let given =
            leases["leases"].as_array().and_then(|all| all.iter().find(|lease| lease["name"] == "alpha"));
        let given = given.unwrap_or_else(|| panic!("{leases}"))["address"].clone();
        assert_eq!(alpha.lease().map(|lease| Value::from(lease.get("ip"))), Some(given));
        house.sh("ip netns del alpha");
        house.assert_soon("no port", || !house.outside_path("/sys/class/net/port-alpha").exists());
        networks(golden).iter().for_each(|(network, _)| house.down(network));
        house.assert_as_in(&before);
        drop(switches);
    }
}

#[test]
fn a_bridge_is_taken_out_of_firewallds_zone_where_the_mark_says_that_it_was_put_there() {
    for golden in GOLDEN {
        let name = "a_bridge_is_taken_out_of_firewallds_zone_where_the_mark_says_that_it_was_put_there";
        if !have(name, &["firewalld", "firewall-cmd", "dbus-daemon"]) {
            return;
        }
        let Some(house) = house(name, golden, |_| false) else { return };
        let _bus = house.start_dbus();
        let _firewalld = house.start_firewalld();
        for marked in [false, true] {
            house.lay(golden, |entry| format!("{}/", entry.path).starts_with("run/walled/"));
            house.sh("firewall-cmd --quiet --zone=trusted --change-interface=walled");
            if !marked {
                house.sh("rm /run/vmnet/walled/firewalld");
            }
            house.down("walled");
            let zone = house.run(&["firewall-cmd", "--get-zone-of-interface=walled"]).stdout;
            assert_eq!(zone.trim() == "trusted", !marked, "marked: {marked}, zone: {zone}");
        }
    }
}
