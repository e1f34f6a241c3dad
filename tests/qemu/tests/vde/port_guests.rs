//! A real QEMU on a port of a network's VDE switch, which it inherits: in either form that QEMUs know, in
//! its sandbox, and until its end, whatever that is.

use std::time::Duration;

use rig::guest::{Guest, Plan, QEMU, available};
use rig::house::{House, Privilege, VMNET};
use rig::skip::have;

/// The MAC that QEMU is told by `{mac}`.
const MAC: &str = "52:54:00:07:07:08";
/// A QEMU that does not know `dgram`, as those before 7.2 do not; all else is the real one's.
const OLD_QEMU: &str = "/usr/local/sbin/qemu-old";
const SANDBOX: [&str; 2] =
    ["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"];

/// A house with a network that has a switch, to which alice does not belong.
fn house(test: &str) -> Option<House> {
    if !available(test) || !have(test, &["vde_switch"]) {
        return None;
    }
    let house = House::with_companion(test)?;
    house.describe("lab", "subnet = \"10.7.0.0/24\"\n[vde]\n");
    house.write_file("/etc/vmnet/bridge.conf", "allow lab user=alice\n");
    Some(house)
}

/// The ports on the switch, but for the pump's.
fn ports(house: &House) -> usize {
    house.sh("cd /run/vmnet/lab/vde; ls | grep -vc -e ctl -e ^001 || true").trim().parse().expect("a number")
}

#[track_caller]
fn assert_no_ports(house: &House) {
    assert!(house.wait_until(Duration::from_secs(10), || ports(house) == 0), "{}", ports(house));
}

#[track_caller]
fn assert_it_is_on_the_network(house: &House, guest: &mut Guest) {
    assert_eq!(guest.booted.get("mac"), MAC, "{}", guest.said());
    assert!(guest.lease.get("address").starts_with("10.7.0."), "{}", guest.said());
    assert!(guest.reaches("gateway"), "{}", guest.said());
    assert_eq!(ports(house), 1);
}

fn plan(before: &[&str]) -> Plan {
    let starter = [before, &[VMNET, "exec", "lab", "--vde", "--mac", MAC, "--"]].concat();
    Plan::new("alpha", "alice", "{netdev}").started_by(&starter).with_card("mac={mac}")
}

/// QEMU's own words for its port.
fn told(house: &House) -> String {
    house.sh("tr '\\0' '\\n' </proc/$(pgrep --newest --full 'netdev.*id=net0' --uid alice)/cmdline | grep id=net0$")
}

#[test]
fn either_form_that_qemus_know_carries_a_guest() {
    let Some(house) = house("either_form_that_qemus_know_carries_a_guest") else { return };
    let mut guest = plan(&[]).boot(&house);
    assert!(told(&house).starts_with("dgram,local.type=fd,local.str="), "{}", told(&house));
    assert_it_is_on_the_network(&house, &mut guest);
    guest.power_off();
    assert_no_ports(&house);

    let old = format!(
        "#!/bin/sh\n[ \"$1 $2\" != \"-netdev help\" ] || exec sh -c '{QEMU} -netdev help | grep -v dgram'\n\
         [ \"$1\" != {QEMU} ] || shift\nexec {QEMU} \"$@\"\n"
    );
    house.write_file_for(OLD_QEMU, 0o755, (0, 0), old);
    let starter = [VMNET, "exec", "lab", "--vde", "--mac", MAC, "--", OLD_QEMU];
    let plan = Plan::new("alpha", "alice", "{netdev}").started_by(&starter).with_card("mac={mac}");
    let mut guest = plan.boot(&house);
    assert!(told(&house).starts_with("socket,fd="), "{}", told(&house));
    assert_it_is_on_the_network(&house, &mut guest);
    guest.power_off();
    assert_no_ports(&house);
    house.down("lab");
}

#[test]
fn in_its_sandbox_and_without_rights_qemu_has_its_port_until_it_is_killed() {
    let name = "in_its_sandbox_and_without_rights_qemu_has_its_port_until_it_is_killed";
    let Some(house) = house(name) else { return };
    house.install_with(Privilege::None);
    let _broker = house.start_broker();
    let before = ["setpriv", "--no-new-privs", "--bounding-set=-all"];
    let mut guest = plan(&before).with_arguments(&SANDBOX).boot(&house);
    assert_it_is_on_the_network(&house, &mut guest);
    house.sh("pkill -KILL --uid alice qemu");
    assert_no_ports(&house);
    house.down("lab");
}

#[test]
fn a_qemu_that_made_itself_a_daemon_keeps_its_port_until_it_ends() {
    let name = "a_qemu_that_made_itself_a_daemon_keeps_its_port_until_it_ends";
    let Some(house) = house(name) else { return };
    let qemu = [QEMU, "-accel", "tcg", "-m", "16", "-nodefaults", "-display", "none", "-S", "-daemonize"];
    let card = ["-netdev", "{netdev},id=net0", "-device", "virtio-net-pci,netdev=net0,romfile="];
    let argv = [&[VMNET, "exec", "lab", "--vde", "--"][..], &qemu, &card].concat();
    house.run_as("alice", &argv).success();
    assert_eq!(house.sh("pgrep --count --uid alice qemu").trim(), "1");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(ports(&house), 1);
    house.sh("pkill -TERM --uid alice qemu");
    assert_no_ports(&house);
    house.down("lab");
}

#[test]
fn a_qemu_that_does_not_answer_is_not_waited_for_long() {
    let name = "a_qemu_that_does_not_answer_is_not_waited_for_long";
    let Some(house) = house(name) else { return };
    for (at, answer) in ["exec sleep 600", "exec yes", "exit 1", "kill -9 $$"].iter().enumerate() {
        let qemu = format!("/usr/local/sbin/qemu-mute{at}");
        let script = format!("#!/bin/sh\n[ \"$1 $2\" != '-netdev help' ] || {answer}\necho \"$@\"\n");
        house.write_file_for(&qemu, 0o755, (0, 0), script);
        let said = house.run_as("alice", &[VMNET, "exec", "lab", "--vde", "--", &qemu, "{netdev},id=n"]);
        assert_eq!(said.success(), "socket,fd=3,id=n\n");
        assert!(said.took < Duration::from_secs(30), "{said}");
    }
    assert_eq!(house.run(&["pgrep", "--uid", "alice"]).stdout, "");
    assert_no_ports(&house);
    house.down("lab");
}
