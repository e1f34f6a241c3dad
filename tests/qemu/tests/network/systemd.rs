//! Our units under a real systemd, which is process 1 of a guest: the network that it keeps, its rights,
//! what it does about those who die, and the broker that it starts.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rig::command::run;
use rig::guest::{Guest, Plan, available, prepare};
use rig::house::{House, bin_dir, ours_built};
use rig::skip::{have, skip};

/// What build-system.sh takes from this machine, and does it with.
const NEEDED: [&str; 19] = [
    "/lib/systemd/systemd",
    "/lib/systemd/system/dbus.service",
    "busybox",
    "cpio",
    "dbus-daemon",
    "depmod",
    "dnsmasq",
    "ip",
    "journalctl",
    "ldd",
    "make",
    "modinfo",
    "nft",
    "pgrep",
    "setpriv",
    "systemctl",
    "systemd-tmpfiles",
    "systemd-tty-ask-password-agent",
    "vde_switch",
];

/// What the host is asked, in this order: the names of check-system.
const CHECKS: [&str; 13] = [
    "the_unit_starts",
    "the_switch_is_confined",
    "the_keeper_has_the_rights_of_its_unit",
    "a_user_gets_ports_by_the_helper",
    "a_killed_switch_and_server_are_replaced",
    "a_killed_keeper_is_replaced",
    "a_user_gets_ports_by_the_broker",
    "the_unit_restarts",
    "the_unit_stops_and_nothing_is_left",
    "up_starts_the_unit_and_says_so",
    "down_stops_the_unit",
    "a_user_starts_the_unit_through_the_broker",
    "the_journal_tells_who_was_granted_a_port",
];

/// A host under systemd, with our programs installed and a network `lab` that is down.
#[track_caller]
fn boot(house: &House) -> Guest {
    prepare(house);
    // Built on this side, which has all files, but in the house, which goes when the test does.
    let mut build = Command::new("sh");
    build.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("guest/build-system.sh"));
    build.arg(house.outside_path("/tmp/house/system")).arg(bin_dir());
    run(build, "build-system.sh", None, Duration::from_secs(120)).success();
    // Its card goes nowhere.
    let plan = Plan::new("system", "alice", "hubport,hubid=0").with_address("none");
    plan.with_arguments(&["-m", "512", "-smp", "2", "-initrd", "/tmp/house/system/system"]).boot(house)
}

#[test]
fn the_units_keep_a_network_under_a_real_systemd() {
    let name = "the_units_keep_a_network_under_a_real_systemd";
    if !ours_built() {
        skip(name, "our programs are not built");
        return;
    }
    if !available(name) || !have(name, &NEEDED) {
        return;
    }
    let house = House::new();
    let mut system = boot(&house);
    for check in CHECKS {
        let status = system.sh(&format!("check-system {check}"));
        assert_eq!(status, 0, "{check}\n{}", system.said());
    }
    system.power_off();
}
