//! Who is on a switch, by the kernel's word, and is taken off it: whoever was given a port, and whoever
//! plugged himself in with a program of his own; and what is seen of a switch that is somebody else's.

use std::time::Duration;

use rig::command::PATIENCE;
use rig::companion::FAILED;
use rig::house::{As, House, VMNET};
use rig::process::Process;
use rig::skip::have;
use serde_json::Value;

const SOON: Duration = Duration::from_secs(15);
const ALICE: As<'_> = As::User("alice");

/// A house with a network `lab` that is up and has a switch.
fn house(test: &str) -> Option<House> {
    if !have(test, &["vde_switch", "vde_plug"]) {
        return None;
    }
    let house = House::with_companion(test)?;
    house.describe("lab", "[vde]\ngroup = \"vmusers\"\n");
    house.write_file("/etc/vmnet/bridge.conf", "allow lab\n");
    house.start_syslog();
    house.up("lab");
    Some(house)
}

/// Those on the switch, as `ports` has them.
#[track_caller]
fn plugged(house: &House) -> Vec<Value> {
    let (_, value) = house.json(&["ports", "lab"]);
    assert_eq!(&value["trouble"], &Value::Null, "{value}");
    value["ports"].as_array().unwrap().iter().filter(|port| port["kind"] == "vde").cloned().collect()
}

/// A stranger with his own program, when it is plugged in.
#[track_caller]
fn stranger(house: &House, who: As<'_>, directory: &str) -> Process {
    let before = plugged(house).len();
    // It unlinks its socket as soon as it is connected, and ends with its input.
    let script = format!("sleep 1000 | vde_plug {directory}");
    let process = house.spawn(who, &["sh", "-c", &script]);
    assert!(house.wait_until(SOON, || plugged(house).len() > before), "{}", process.said());
    process
}

#[track_caller]
fn assert_logged(house: &House, line: &str) {
    assert!(house.wait_until(SOON, || house.log().contains(line)), "{line}\n{}", house.log());
}

fn switch(house: &House) -> String {
    house.read_file("/run/vmnet/lab/switch.pid").unwrap_or_default()
}

#[test]
fn a_stranger_is_known_by_the_kernels_word_and_taken_off() {
    let Some(house) = house("a_stranger_is_known_by_the_kernels_word_and_taken_off") else { return };
    let directory = "/run/vmnet/lab/vde";
    let _plugs = (stranger(&house, ALICE, directory), stranger(&house, ALICE, directory));
    let shown = plugged(&house);
    for one in &shown {
        assert_eq!((&one["user"], &one["program"]), (&"alice".into(), &"vde_plug".into()), "{one}");
        assert_eq!((&one["vlan"], &one["socket_user"]), (&0.into(), &"alice".into()), "{one}");
        assert!(one["in"]["frames"].is_u64() && one["out"]["bytes"].is_u64(), "{one}");
        assert!(house.sh(&format!("readlink /proc/{}/exe", one["pid"])).ends_with("/vde_plug\n"), "{one}");
    }
    let table = house.vmnet(&["ports", "lab"]);
    let (head, rows) = table.success().split_once('\n').unwrap();
    assert!(head.ends_with("IN  OUT  VLAN") && rows.contains("  alice  "), "{table}");

    let port = shown[0]["port"].as_str().unwrap();
    let done = house.vmnet(&["ports", "lab", "--revoke", port]);
    let phrase = format!("{port} (user alice, pid {}) is gone\n", shown[0]["pid"]);
    assert_eq!(done.success(), phrase);
    assert_logged(&house, &format!("revoked: user=alice bridge=lab vde={port}: by uid 0"));
    // The switch hung up on it.
    let ended = || house.run(&["test", "-e", &format!("/proc/{}", shown[0]["pid"])]).code() == 1;
    assert!(house.wait_until(SOON, ended));
    let left = plugged(&house);
    assert_eq!((left.len(), &left[0]["pid"]), (1, &shown[1]["pid"]), "{left:?}");
    house.vmnet(&["down", "lab", "--force"]).success();
}

#[test]
fn a_holder_who_was_taken_off_is_not_plugged_in_again() {
    let Some(house) = house("a_holder_who_was_taken_off_is_not_plugged_in_again") else { return };
    let hold = || {
        let script = "echo held $VMNET_PORT; read -r word; exit 0";
        let holder = house.spawn(ALICE, &[VMNET, "exec", "lab", "--vde", "--", "sh", "-c", script]);
        let line = holder.line(PATIENCE, |line| line.starts_with("held ")).unwrap_or_else(|e| panic!("{e}"));
        (holder, line["held ".len()..].to_owned())
    };
    let ((mut gone, port), (mut stays, other)) = (hold(), hold());
    let shown = plugged(&house);
    let one = shown.iter().find(|one| one["port"] == port.as_str()).unwrap();
    assert_eq!(
        (&one["user"], &one["granted"], &one["socket_user"]),
        (&"alice".into(), &true.into(), &"root".into())
    );

    let done = house.vmnet(&["ports", "lab", "--revoke", &port]);
    assert!(done.success().starts_with(&format!("{port} (user alice, pid ")), "{done}");
    assert_logged(&house, &format!("revoked: user=alice bridge=lab vde={port}: by uid 0"));
    let left = || plugged(&house).into_iter().map(|one| one["port"].clone()).collect::<Vec<_>>();
    assert_eq!(left(), [Value::from(other)]);

    let before = switch(&house);
    house.sh("kill -9 $(cat /run/vmnet/lab/switch.pid)");
    assert!(house.wait_until(SOON, || switch(&house) != before && house.drift("lab").0 == 0));
    assert_eq!(left().len(), 1, "{:?}", plugged(&house));
    assert!(gone.is_running() && stays.is_running());
    drop((gone, stays));
    assert!(house.wait_until(SOON, || plugged(&house).is_empty()), "{:?}", plugged(&house));
    house.down("lab");
}

#[test]
fn on_somebody_elses_switch_is_seen_what_it_can_be_asked() {
    let test = "on_somebody_elses_switch_is_seen_what_it_can_be_asked";
    if !have(test, &["vde_switch", "vde_plug"]) {
        return;
    }
    let Some(house) = House::with_companion(test) else { return };
    house.sh("install -d -o bob -g bob -m 755 /tmp/bob");
    let words = ["vde_switch", "-s", "/tmp/bob/wire", "-M", "/tmp/bob/mgmt", "-f", "/dev/null"];
    let bobs = house.spawn(As::User("bob"), &words);
    let there = || house.outside_path("/tmp/bob/mgmt").exists();
    assert!(house.wait_until(SOON, there), "{}", bobs.said());
    house.describe("lab", "[vde]\nsocket = \"/tmp/bob/wire\"\nmgmt_socket = \"/tmp/bob/mgmt\"\n");
    house.up("lab").success();
    let _bob = stranger(&house, As::User("bob"), "/tmp/bob/wire");
    let script = "echo held $VMNET_PORT; read -r word; exit 0";
    let holder = house.spawn(As::Root, &[VMNET, "exec", "lab", "--vde", "--", "sh", "-c", script]);
    holder.line(PATIENCE, |line| line.starts_with("held ")).unwrap_or_else(|e| panic!("{e}"));
    let shown = plugged(&house);
    let of = |granted: bool| shown.iter().find(|one| one["granted"] == granted).unwrap();
    assert!(of(true)["user"] == "root" && of(true)["in"]["frames"].is_u64(), "{shown:?}");
    // It could be ended by the question.
    assert!(of(false)["in"].is_null() && of(false)["user"].is_null(), "{shown:?}");
    let refused = house.vmnet(&["ports", "lab", "--revoke", of(false)["port"].as_str().unwrap()]);
    assert!(refused.complaint(FAILED).ends_with(": the switch is somebody else's\n"), "{refused}");
    drop(holder);
    // Whoever is there besides is no guest of the network.
    assert!(house.wait_until(SOON, || plugged(&house).len() == 1), "{:?}", plugged(&house));
    house.down("lab");
}
