//! `up` makes a network and `down` leaves nothing of it: whatever the network is like, whatever the host
//! was like before, and whoever else is there.

use std::time::Duration;

use rig::companion::{DONE, FAILED, NOT_UP};
use rig::house::{HELPER, House, VMNET};

/// One network of each kind.
const KINDS: [(&str, &str); 7] = [
    ("nat", ""),
    ("routed", "mode = \"routed\"\nsubnet = \"10.55.0.0/24\"\n"),
    ("isolated", "mode = \"isolated\"\n"),
    ("closed", "host_access = \"none\"\n"),
    ("open", "host_access = \"all\"\nisolated = true\nmtu = 9000\n"),
    ("nodhcp", "[dhcp]\nenabled = false\n"),
    ("bare", "mode = \"isolated\"\nhost_access = \"none\"\n[dhcp]\nenabled = false\n"),
];

fn forwarding(house: &House) -> String {
    house.sh("cat /proc/sys/net/ipv4/ip_forward").trim().to_owned()
}

#[test]
fn nothing_is_left_of_any_kind_of_network_whether_the_host_forwarded_or_not() {
    let name = "nothing_is_left_of_any_kind_of_network_whether_the_host_forwarded_or_not";
    let Some(house) = House::with_companion(name) else { return };
    for (kind, toml) in KINDS {
        house.describe(kind, toml);
    }
    for before in ["0", "1"] {
        house.sh(&format!("echo {before} >/proc/sys/net/ipv4/ip_forward"));
        for (kind, toml) in KINDS {
            println!("{kind} with forwarding {before}");
            let snapshot = house.snapshot();
            house.up(kind);
            house.assert_up(kind);
            let forwards = !toml.contains("mode = \"isolated\"");
            assert_eq!(forwarding(&house), if forwards { "1" } else { before });
            house.down(kind);
            house.assert_as_in(&snapshot);
        }
    }
}

#[test]
fn a_hardened_host_is_as_hard_after_down_as_it_was_before_up() {
    let name = "a_hardened_host_is_as_hard_after_down_as_it_was_before_up";
    let Some(house) = House::with_companion(name) else { return };
    // What the kernel changes by itself whenever ip_forward is written (Documentation/networking/ip-sysctl).
    house.sh("ip link add eth7 type veth peer name peer7; ip link set eth7 up
         sysctl -qw net.ipv4.conf.all.accept_redirects=0 net.ipv4.conf.default.accept_redirects=0
         sysctl -qw net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.all.rp_filter=1
         sysctl -qw net.ipv4.conf.eth7.forwarding=1");
    let snapshot = house.snapshot();
    house.up("brmgr0");
    house.down("brmgr0");
    house.assert_as_in(&snapshot);
}

#[test]
fn a_second_up_changes_nothing_and_says_so() {
    let name = "a_second_up_changes_nothing_and_says_so";
    let Some(house) = House::with_companion(name) else { return };
    house.describe("lab", "mode = \"routed\"\n");
    for network in ["brmgr0", "lab"] {
        assert!(house.up(network).stdout.starts_with(&format!("{network} is up: ")));
        let (snapshot, server, keeper) = (house.snapshot(), house.server(network), house.keeper(network));
        let again = house.up(network);
        assert!(again.stdout.starts_with(&format!("{network} is up already: ")), "{again}");
        house.assert_as_in_but_for_processes(&snapshot);
        assert_eq!((house.server(network), house.keeper(network)), (server, keeper));
    }
}

#[test]
fn of_two_networks_the_last_to_go_puts_the_hosts_forwarding_back() {
    let name = "of_two_networks_the_last_to_go_puts_the_hosts_forwarding_back";
    let Some(house) = House::with_companion(name) else { return };
    house.describe("one", "");
    house.describe("two", "");
    house.describe("quiet", "mode = \"isolated\"\n");
    let snapshot = house.snapshot();
    for (first, last) in [("one", "two"), ("two", "one")] {
        for network in ["quiet", "one", "two"] {
            house.up(network);
        }
        house.down(first);
        assert_eq!(forwarding(&house), "1", "{last} still needs it");
        house.assert_up(last);
        // Back up and down again: what it was before must not be forgotten on the way.
        house.up(first);
        house.down(first);
        house.down(last);
        assert_eq!(forwarding(&house), "0", "an isolated network needs none");
        house.down("quiet");
        house.assert_as_in(&snapshot);
    }
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let name = "a_dry_run_says_what_would_be_done_and_does_nothing";
    let Some(house) = House::with_companion(name) else { return };
    house.describe("lab", "");
    let snapshot = house.snapshot();
    let plan = house.vmnet(&["up", "lab", "--dry-run"]);
    for step in ["create the bridge", "add address 10.0.1.1/24", "ip_forward", "firewall", "start dnsmasq"] {
        assert!(plan.success().contains(step), "no {step:?}: {plan}");
    }
    house.assert_as_in(&snapshot);
    assert!(!house.outside_path("/var/lib/vmnet").exists(), "it remembered something");
    assert!(!house.outside_path("/run/vmnet").exists(), "it left its lock");
    house.up("lab");
    assert_eq!(house.vmnet(&["up", "lab", "--dry-run"]).success(), "nothing to do\n");
}

#[test]
fn a_network_is_not_taken_from_under_a_guest_unless_forced() {
    let name = "a_network_is_not_taken_from_under_a_guest_unless_forced";
    let Some(house) = House::with_companion(name) else { return };
    house.write_file("/etc/vmnet/bridge.conf", "allow brmgr0 user=alice\n");
    let snapshot = house.snapshot();
    house.up("brmgr0");
    let holder = house.hold("alice", &[HELPER, "--br=brmgr0", "--fd={fd}"]);
    let port = holder.caught.tap().name.clone();
    let up = house.snapshot();
    let refusal = house.vmnet(&["down", "brmgr0"]);
    let words = refusal.complaint(FAILED);
    for word in [port.as_str(), "alice", "1 attached", "--force"] {
        assert!(words.contains(word), "no {word:?}: {refusal}");
    }
    house.assert_as_in_but_for_processes(&up);
    house.assert_up("brmgr0");

    house.vmnet(&["down", "brmgr0", "--force"]).success();
    drop(holder);
    house.sh("rm -rf /tmp/house/catch");
    house.assert_as_in(&snapshot);
}

#[test]
fn a_network_that_is_not_up_cannot_be_taken_down_and_that_is_exit_3() {
    let name = "a_network_that_is_not_up_cannot_be_taken_down_and_that_is_exit_3";
    let Some(house) = House::with_companion(name) else { return };
    house.describe("lab", "");
    let snapshot = house.snapshot();
    for arguments in [&["down", "lab"][..], &["down", "lab", "--force"], &["down", "nosuch"]] {
        let outcome = house.vmnet(arguments);
        assert!(outcome.complaint(NOT_UP).contains("it is not up"), "{outcome}");
    }
    for verb in ["ports", "leases"] {
        assert!(house.vmnet(&[verb, "lab"]).complaint(NOT_UP).contains("it is not up"));
    }
    assert_eq!(house.vmnet(&["status", "lab"]).code(), NOT_UP);
    assert_eq!(house.vmnet(&["status"]).code(), NOT_UP);
    house.assert_as_in(&snapshot);
}

#[test]
fn an_unknown_network_is_named_and_nothing_is_touched() {
    let name = "an_unknown_network_is_named_and_nothing_is_touched";
    let Some(house) = House::with_companion(name) else { return };
    let snapshot = house.snapshot();
    for verb in ["up", "run", "status"] {
        let outcome = house.vmnet(&[verb, "nosuch"]);
        let words = outcome.complaint(FAILED);
        assert!(words.contains("'nosuch'") && words.contains("no such network"), "{outcome}");
    }
    assert_eq!(house.vmnet(&["check", "nosuch"]).code(), FAILED);
    house.assert_as_in(&snapshot);
}

#[test]
fn a_network_whose_file_was_removed_while_it_was_up_can_be_taken_down() {
    let name = "a_network_whose_file_was_removed_while_it_was_up_can_be_taken_down";
    let Some(house) = House::with_companion(name) else { return };
    let snapshot = house.snapshot();
    house.describe("lab", "");
    house.up("lab");
    house.up("brmgr0");
    house.sh("rm -r /etc/vmnet");
    let list = house.json(&["list"]).1;
    assert!(list["networks"].as_array().is_some_and(|all| all.iter().any(|one| one["name"] == "lab")));
    let status = house.vmnet(&["status"]);
    status.assert_plain();
    assert!(status.stdout.contains("brmgr0: up"), "one file that is gone hides the others: {status}");
    house.down("lab");
    house.assert_up("brmgr0");
    house.down("brmgr0");
    house.assert_as_in(&snapshot);
}

#[test]
fn a_link_of_somebody_else_is_left_alone() {
    let name = "a_link_of_somebody_else_is_left_alone";
    let Some(house) = House::with_companion(name) else { return };
    for (make, cause) in [
        ("ip link add brmgr0 type bridge", "was not made by vmnet"),
        (
            "ip link add brmgr0 type bridge; ip link set brmgr0 alias 'vmnet network lab'",
            "was not made by vmnet",
        ),
        ("ip link add brmgr0 type veth peer name other", "is no bridge but a veth"),
        ("ip tuntap add brmgr0 mode tap", "is no bridge but a tun"),
    ] {
        house.sh(make);
        let snapshot = house.snapshot();
        for arguments in [&["up", "brmgr0"][..], &["up", "brmgr0", "--dry-run"], &["run", "brmgr0"]] {
            let outcome = house.vmnet(arguments);
            assert!(outcome.complaint(FAILED).contains(cause), "no {cause:?}: {outcome}");
        }
        house.vmnet(&["down", "brmgr0"]).complaint(NOT_UP);
        house.assert_as_in(&snapshot);
        house.sh("ip link del brmgr0");
    }
    house.up("brmgr0");
}

#[test]
fn down_leaves_a_strangers_bridge_that_took_the_place_of_ours() {
    let name = "down_leaves_a_strangers_bridge_that_took_the_place_of_ours";
    let Some(house) = House::with_companion(name) else { return };
    house.up("brmgr0");
    house.sh(&format!("kill -STOP {}", house.keeper("brmgr0")));
    house.sh("ip link del brmgr0; ip link add brmgr0 type bridge; ip link set brmgr0 alias mine");
    house.sh(&format!("kill -KILL {}", house.keeper("brmgr0")));
    house.vmnet(&["down", "brmgr0"]).success();
    assert_eq!(house.sh("cat /sys/class/net/brmgr0/ifalias").trim(), "mine");
    assert!(!house.outside_path("/run/vmnet").exists());
}

#[test]
fn only_root_brings_a_network_up_or_down() {
    let name = "only_root_brings_a_network_up_or_down";
    let Some(house) = House::with_companion(name) else { return };
    let snapshot = house.snapshot();
    for arguments in [["up", "brmgr0"], ["run", "brmgr0"]] {
        let outcome = house.run_as("alice", &[VMNET, arguments[0], arguments[1]]);
        assert!(outcome.complaint(FAILED).contains("only root can"), "{outcome}");
    }
    house.run_as("alice", &[VMNET, "init", "hers"]).complaint(FAILED);
    house.assert_as_in(&snapshot);
    house.up("brmgr0");
    let up = house.snapshot();
    let outcome = house.run_as("alice", &[VMNET, "down", "brmgr0", "--force"]);
    assert!(outcome.complaint(FAILED).contains("only root can"), "{outcome}");
    for verb in ["ports", "leases"] {
        house.run_as("alice", &[VMNET, verb, "brmgr0"]).success();
    }
    house.run_as("alice", &[VMNET, "list"]).success();
    let status = house.run_as("alice", &[VMNET, "status", "brmgr0"]);
    if status.code() != DONE {
        status.complaint(FAILED);
    }
    house.assert_as_in_but_for_processes(&up);
}

#[test]
fn a_hundred_ups_at_once_make_one_network() {
    let name = "a_hundred_ups_at_once_make_one_network";
    let Some(house) = House::with_companion(name) else { return };
    let snapshot = house.snapshot();
    let script = format!(
        "for i in $(seq 100); do {VMNET} up brmgr0 & pids+=($!); done; for p in ${{pids[@]}}; do wait $p; done"
    );
    let outcome =
        house.run_with(rig::house::As::Root, &["bash", "-euc", &script], None, Duration::from_secs(120));
    let words = outcome.success();
    assert_eq!(words.lines().filter(|line| line.starts_with("brmgr0 is up: ")).count(), 1, "{outcome}");
    assert_eq!(outcome.stderr, "", "{outcome}");
    house.assert_up("brmgr0");
    let is_ours = |line: &&str| line.contains("vmnet") && !line.starts_with("bash -c");
    let ours = house.sh("ps -eo args").lines().filter(is_ours).count();
    assert_eq!(ours, 2, "one keeper and one dnsmasq: {}", house.sh("ps -eo args"));
    house.down("brmgr0");
    house.assert_as_in(&snapshot);
}
