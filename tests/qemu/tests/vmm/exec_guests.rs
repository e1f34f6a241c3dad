//! `vmnet exec` with a real QEMU, which takes its port as an inherited descriptor: several queues, no
//! helper of its own, no rights.

use std::time::Duration;

use rig::broker::SOCKET;
use rig::guest::{Guest, Plan, available};
use rig::house::{House, Privilege, VMNET};

/// The MAC that QEMU is told by `{mac}`.
const MAC: &str = "52:54:00:07:07:07";

fn house(test: &str) -> Option<House> {
    if !available(test) {
        return None;
    }
    let house = House::with_companion(test)?;
    house.write_file("/etc/vmnet/bridge.conf", "allow brmgr0 user=alice\n");
    Some(house)
}

/// Starts alice's guest by these words and options of `vmnet exec`, QEMU's words filled in by it.
#[track_caller]
fn boot(house: &House, options: &[&str], netdev: &str, card: &str, more: &[&str]) -> Guest {
    let before = ["setpriv", "--no-new-privs", VMNET, "exec", "brmgr0", "--mac", MAC];
    // The setuid helper would be one that gains rights.
    let before = if house.outside_path(SOCKET).exists() { &before[..] } else { &before[2..] };
    let starter = [before, options, &["--"]].concat();
    let plan = Plan::new("alpha", "alice", netdev).started_by(&starter).with_card(card).with_arguments(more);
    plan.boot(house)
}

/// The only port of the network.
#[track_caller]
fn port(house: &House) -> serde_json::Value {
    let ports = house.json(&["ports", "brmgr0"]).1["ports"].clone();
    assert_eq!(ports.as_array().map(Vec::len), Some(1), "{ports}");
    ports[0].clone()
}

fn queues(house: &House, tap: &str) -> usize {
    house
        .sh(&format!("ls /sys/class/net/{tap}/queues"))
        .lines()
        .filter(|line| line.starts_with("rx-"))
        .count()
}

#[track_caller]
fn assert_it_is_on_the_network(house: &House, guest: &mut Guest) {
    assert_eq!(guest.booted.get("mac"), MAC, "{}", guest.said());
    assert!(guest.lease.get("address").starts_with("10.0.1."), "{}", guest.said());
    assert!(guest.reaches("gateway"), "{}", guest.said());
    let port = port(house);
    assert_eq!(port["user"], "alice", "{port}");
    assert!(port["program"].as_str().is_some_and(|name| name.starts_with("qemu")), "{port}");
    assert_eq!(port["macs"][0], MAC, "{port}");
}

/// With so many queues a guest is on the network, and when its QEMU is killed its port is gone.
#[track_caller]
fn serves(house: &House, count: usize) {
    let number = count.to_string();
    let card = format!("mq=on,vectors={},mac={{mac}}", 2 * count + 2);
    let options = ["--queues", &number];
    // A Linux guest uses as many queues as it has processors.
    let mut guest = boot(house, &options, "tap,fds={fds}", &card, &["-smp", &number]);
    assert_it_is_on_the_network(house, &mut guest);
    let tap = port(house)["port"].as_str().expect("a name").to_owned();
    assert!(
        house.wait_until(Duration::from_secs(30), || queues(house, &tap) == count),
        "{}",
        queues(house, &tap)
    );
    guest.sh("ls /sys/class/net/eth0/queues | grep -c rx-");
    assert!(guest.said().lines().any(|line| line.trim() == number), "{}", guest.said());
    assert!(house.sh(&format!("cat /sys/class/net/{tap}/tun_flags")).starts_with("0x5102"));
    let pid = port(house)["pid"].as_u64().expect("a number");
    house.sh(&format!("kill -9 {pid}"));
    let gone = || !house.outside_path(&format!("/sys/class/net/{tap}")).exists();
    assert!(house.wait_until(Duration::from_secs(30), gone), "{tap} stays");
    house.down("brmgr0");
}

#[test]
fn a_guest_with_two_queues_is_on_the_network() {
    let Some(house) = house("a_guest_with_two_queues_is_on_the_network") else { return };
    serves(&house, 2);
}

#[test]
fn a_guest_with_four_queues_is_on_the_network() {
    let Some(house) = house("a_guest_with_four_queues_is_on_the_network") else { return };
    serves(&house, 4);
}

#[test]
fn where_no_program_gains_rights_the_broker_gives_a_guest_its_queues() {
    let name = "where_no_program_gains_rights_the_broker_gives_a_guest_its_queues";
    let Some(house) = house(name) else { return };
    house.install_with(Privilege::None);
    let _broker = house.start_broker();
    serves(&house, 2);
}

#[test]
fn a_sandboxed_guest_with_one_queue_is_on_the_network_with_headers_and_without() {
    let name = "a_sandboxed_guest_with_one_queue_is_on_the_network_with_headers_and_without";
    let Some(house) = house(name) else { return };
    // The sandbox under which a helper has no rights; here none is started.
    let sandbox = ["-sandbox", "on,spawn=deny,elevateprivileges=deny,obsolete=deny,resourcecontrol=deny"];
    for (headers, flags) in [("on", "0x5002"), ("off", "0x1002")] {
        let mut guest = boot(&house, &["--vnet-hdr", headers], "tap,fd={fd}", "mac={mac}", &sandbox);
        assert_it_is_on_the_network(&house, &mut guest);
        let tap = port(&house)["port"].as_str().expect("a name").to_owned();
        assert_eq!(house.sh(&format!("cat /sys/class/net/{tap}/tun_flags")).trim(), flags);
        guest.power_off();
        let gone = || house.json(&["ports", "brmgr0"]).1["ports"].as_array().is_some_and(Vec::is_empty);
        assert!(house.wait_until(Duration::from_secs(30), gone));
    }
    house.down("brmgr0");
}
