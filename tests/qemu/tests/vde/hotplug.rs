//! docs/examples/vde-hotplug: a running QEMU is given a card on a port of a network's switch, and loses it
//! again.

use std::path::Path;
use std::time::Duration;

use rig::guest::{Plan, available};
use rig::house::{House, VMNET};
use rig::skip::have;

const SCRIPT: &str = "/usr/local/bin/vde-hotplug";
const QMP: &str = "/tmp/alice/qmp";
const EXEC: [&str; 5] = [VMNET, "exec", "lab", "--vde", "--"];

/// The ports on the switch, but for the pump's.
fn ports(house: &House) -> usize {
    house.sh("cd /run/vmnet/lab/vde; ls | grep -vc -e ctl -e ^001 || true").trim().parse().expect("a number")
}

#[track_caller]
fn assert_ports(house: &House, count: usize) {
    assert!(house.wait_until(Duration::from_secs(10), || ports(house) == count), "{}", ports(house));
}

#[test]
fn a_running_guest_gets_a_second_card_and_loses_it_with_its_port() {
    let name = "a_running_guest_gets_a_second_card_and_loses_it_with_its_port";
    if !available(name) || !have(name, &["vde_switch", "python3"]) {
        return;
    }
    let Some(house) = House::with_companion(name) else { return };
    house.describe("lab", "subnet = \"10.7.0.0/24\"\n[vde]\n");
    house.write_file("/etc/vmnet/bridge.conf", "allow lab user=alice\n");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples/vde-hotplug");
    house.copy_in(&script, SCRIPT, 0o755);
    house.up("lab");
    let qmp = format!("unix:{QMP},server=on,wait=off");
    let plan = Plan::new("alpha", "alice", "user,restrict=on").with_address("192.0.2.2/24");
    let mut guest = plan.with_arguments(&["-qmp", &qmp]).boot(&house);
    for _ in 0..2 {
        house.run_as("alice", &[&EXEC[..], &[SCRIPT, "plug", QMP, "card1"]].concat()).success();
        // The script has ended; QEMU alone keeps the port.
        assert_ports(&house, 1);
        let card = "i=0; until [ -e /sys/class/net/eth1 ]; do i=$((i+1)); [ $i -lt 100 ] || exit 1; usleep 100000; done";
        assert_eq!(guest.sh(card), 0, "{}", guest.said());
        assert_eq!(guest.sh("ip link set eth1 up; udhcpc -q -n -f -i eth1 -T 1 -t 20 -s /etc/udhcpc"), 0);
        assert_eq!(guest.sh("grep address=10.7.0. /tmp/lease"), 0, "{}", guest.said());
        assert!(guest.reaches("10.7.0.1"), "{}", guest.said());
        // One of that name is there: the first goes on.
        let twice = house.run_as("alice", &[&EXEC[..], &[SCRIPT, "plug", QMP, "card1"]].concat());
        assert!(twice.failure(1).contains("cannot plug card1: netdev_add: "), "{twice}");
        assert_ports(&house, 1);
        assert!(guest.reaches("10.7.0.1"), "{}", guest.said());
        house.run_as("alice", &[SCRIPT, "unplug", QMP, "card1"]).success();
        assert_ports(&house, 0);
    }
    let unset = house.run_as("alice", &[SCRIPT, "plug", QMP, "card1"]);
    assert!(unset.failure(1).contains("'VMNET_FD' is not set"), "{unset}");
    assert!(guest.is_running());
    guest.power_off();
    house.down("lab");
}
