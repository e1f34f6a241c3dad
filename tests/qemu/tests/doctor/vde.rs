//! What `doctor` finds about VDE switches, and that its cures cure.

use std::time::Duration;

use rig::house::{As, House};
use rig::skip::have;

const SOON: Duration = Duration::from_secs(15);
const DIRECTORY: &str = "/run/vmnet/lab/vde";

/// A house of which `doctor` has nothing to say, with a network `lab` that is up and has a switch.
fn house(test: &str) -> Option<House> {
    if !have(test, &["vde_switch", "vde_plug"]) {
        return None;
    }
    let house = House::healthy(test)?;
    house.describe("lab", "mode = \"vde\"\n[vde]\ngroup = \"vmusers\"\nports = 2\n");
    house.up("lab");
    house.assert_healthy();
    Some(house)
}

#[test]
fn a_switch_whose_group_there_is_not_is_a_fault() {
    let Some(house) = House::healthy("a_switch_whose_group_there_is_not_is_a_fault") else { return };
    house.describe("lab", "[vde]\ngroup = \"others\"\n");
    let finding = house.assert_cured("switch-group");
    assert_eq!((finding.what.as_str(), finding.severity.as_str()), ("there is no group 'others'", "fault"));
}

#[test]
fn a_switch_whose_directory_is_anybodys_to_write_is_a_fault() {
    let Some(house) = house("a_switch_whose_directory_is_anybodys_to_write_is_a_fault") else { return };
    house.sh(&format!("chmod o+w {DIRECTORY}"));
    let found = house.findings(&[]);
    let finding = found.iter().find(|finding| finding.id == "switch-directory").expect("not found");
    assert_eq!(finding.what, format!("everybody may write in {DIRECTORY}"));
    house.do_cure(finding);
    house.assert_healthy();
    house.down("lab");
}

#[test]
fn a_switch_without_a_free_port_is_a_fault() {
    let Some(house) = house("a_switch_without_a_free_port_is_a_fault") else { return };
    let script = format!("sleep 1000 | vde_plug {DIRECTORY}");
    let plug = || house.spawn(As::User("alice"), &["sh", "-c", &script]);
    let _first = plug();
    assert!(house.wait_until(SOON, || house.vmnet(&["ports", "lab"]).stdout.contains("vde_plug")));
    house.assert_healthy();
    let _second = plug();
    let is_full = || house.vmnet(&["doctor", "lab"]).stdout.contains("[switch-full]");
    assert!(house.wait_until(SOON, is_full), "{}", house.vmnet(&["doctor"]));
    let finding = house.finding("switch-full");
    assert_eq!(finding.what, "all ports of the VDE switch of network 'lab' are taken");
    house.do_cure(&finding);
    assert!(house.read_file("/etc/vmnet/networks/lab.toml").unwrap().contains("ports = 4\n"));
    house.assert_healthy();
}

#[test]
fn a_switch_that_hangs_is_a_fault() {
    let Some(house) = house("a_switch_that_hangs_is_a_fault") else { return };
    house.sh("kill -STOP $(cat /run/vmnet/lab/switch.pid)");
    let found = house.findings(&[]);
    let finding = found.iter().find(|finding| finding.id == "switch-console").expect("not found");
    assert!(finding.what.ends_with("/console/mgmt: it does not answer"), "{finding:?}");
    house.do_cure(finding);
    assert!(house.wait_until(SOON, || house.vmnet(&["doctor", "lab"]).code() == 0));
    house.assert_healthy();
    house.down("lab");
}
