//! A plain user's libvirt (`qemu:///session`), which gets its guests' ports from our helper.

use std::time::Duration;

use rig::command::Outcome;
use rig::house::House;
use rig::libvirt::{Domain, available};

/// A house where alice's libvirt uses our helper, and alice may plug into brmgr0.
fn house(test: &str) -> Option<House> {
    if !available(test) {
        return None;
    }
    let house = House::with_companion(test)?;
    house.write_file("/etc/vmnet/bridge.conf", "allow brmgr0 user=alice\n");
    // A plain user's daemon calls them too; they have nothing to do there.
    house.install_hooks();
    house.prepare_session("alice");
    house.prepare_session("bob");
    Some(house)
}

/// The one port of brmgr0, as `vmnet ports` shows it.
#[track_caller]
fn port(house: &House) -> serde_json::Value {
    let (code, value) = house.json(&["ports", "brmgr0"]);
    assert_eq!((code, value["ports"].as_array().map(Vec::len)), (0, Some(1)), "{value}");
    value["ports"][0].clone()
}

/// The port's TAP as the kernel describes it.
#[track_caller]
fn tap(house: &House) -> String {
    let port = port(house);
    assert_eq!(port["user"], "alice", "{port}");
    house.sh(&format!("ip -d link show {}", port["port"].as_str().expect("its name")))
}

#[test]
fn a_plain_users_virtio_guest_is_on_brmgr0_which_comes_up_by_itself() {
    let Some(house) = house("a_plain_users_virtio_guest_is_on_brmgr0_which_comes_up_by_itself") else {
        return;
    };
    // The daemon stays for a while once virsh has started it.
    house.virsh_as("alice", &["list"]).success();
    let before = house.snapshot();
    let domain = Domain::new("alpha").on_bridge("brmgr0", "virtio");
    let file = house.write_xml("alpha", &domain.xml());
    let line = house.serial_line(&domain);
    house.virsh_as("alice", &["create", &file]).success();
    let mut guest = line.ready();
    assert!(guest.lease.get("address").starts_with("10.0.1."), "{}", guest.said());
    assert_eq!(guest.booted.get("mac"), domain.mac());
    assert!(guest.reaches("gateway"), "{}", guest.said());
    assert!(tap(&house).contains("vnet_hdr on"), "{}", tap(&house));
    let refused = house.vmnet(&["down", "brmgr0"]);
    assert!(refused.complaint(1).contains("vmtap"), "it must name who is attached: {refused}");
    guest.power_off();
    let gone = || house.json(&["ports", "brmgr0"]).1["ports"] == serde_json::json!([]);
    assert!(house.wait_until(Duration::from_secs(60), gone), "{}", house.vmnet(&["ports", "brmgr0"]));
    // libvirt takes its own files away only then.
    let listed = || house.virsh_as("alice", &["list", "--all", "--name"]).success().contains("alpha");
    assert!(house.wait_until(Duration::from_secs(60), || !listed()), "libvirt still lists it");
    house.down("brmgr0");
    house.assert_as_in(&before);
}

#[test]
fn an_e1000_guest_gets_a_port_without_virtio_headers_and_its_lease() {
    let Some(house) = house("an_e1000_guest_gets_a_port_without_virtio_headers_and_its_lease") else {
        return;
    };
    // The card's own program: Debian's cloud kernel has no driver for it.
    let domain = Domain::new("alpha").on_bridge("brmgr0", "e1000").booting_from_network();
    let _line = house.serial_line(&domain);
    house.virsh_as("alice", &["create", &house.write_xml("alpha", &domain.xml())]).success();
    assert!(tap(&house).contains("vnet_hdr off"), "{}", tap(&house));
    let leases = || house.vmnet(&["leases", "brmgr0"]);
    let leased = house.wait_until(rig::guest::BOOT, || leases().stdout.contains(&domain.mac()));
    assert!(leased, "{}", leases());
    house.virsh_as("alice", &["destroy", "alpha"]).success();
}

#[test]
fn a_network_of_libvirts_that_names_our_bridge_leads_there_too() {
    let Some(house) = house("a_network_of_libvirts_that_names_our_bridge_leads_there_too") else {
        return;
    };
    let network = "<network><name>ours</name><forward mode='bridge'/><bridge name='brmgr0'/></network>";
    house.virsh_as("alice", &["net-create", &house.write_xml("ours", network)]).success();
    let domain = Domain::new("alpha").on_network("ours");
    let line = house.serial_line(&domain);
    house.virsh_as("alice", &["create", &house.write_xml("alpha", &domain.xml())]).success();
    let guest = line.ready();
    assert!(guest.lease.get("address").starts_with("10.0.1."), "{}", guest.said());
    guest.power_off();
}

#[test]
fn virsh_says_why_our_rules_refuse() {
    let Some(house) = house("virsh_says_why_our_rules_refuse") else { return };
    let domain = Domain::new("alpha").on_bridge("brmgr0", "virtio");
    let file = house.write_xml("alpha", &domain.xml());
    // libvirt reads a helper's words in a thread of its own, and complains with those that it has when the
    // helper's socket ends: on a busy machine none.
    let says_why = |refused: &Outcome| refused.failure(1).contains("vmnet-bridge-helper: cannot");
    let refused = (0..10).map(|_| house.virsh_as("bob", &["create", &file])).find(says_why);
    let refused = refused.expect("its words, at least once");
    let said = refused.failure(1);
    assert!(said.contains("access denied by acl file"), "{refused}");
    assert!(said.contains("hint: an administrator lets you in"), "{refused}");
    assert!(!house.outside_path("/sys/class/net/brmgr0").exists(), "a refused caller started the network");
}
