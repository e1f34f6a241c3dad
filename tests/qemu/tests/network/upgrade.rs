//! An upgrade under running networks: what the programs of an earlier version have up, the new ones take over
//! without a lost frame, with all that was added to it, and take down. Files that no program holds any more are in
//! upgrade_files.rs.

use std::time::Duration;

use nix::sys::signal::Signal;
use rig::companion::{DONE, FAILED};
use rig::golden::old_programs;
use rig::house::{As, HELPER, House, Privilege, VMNET};
use rig::process::Process;
use rig::skip::have;
use rig::station::Station;
use serde_json::Value;

const SOON: Duration = Duration::from_secs(15);
const ALICE: As<'_> = As::User("alice");
/// A network with all that fits one without a switch.
const LAB: &str = "guard = true\n[limits]\nfrom_guest = \"1gbit\"\n[[host]]\nname = \"web\"\n\
    mac = \"52:54:00:00:00:01\"\n[[forward]]\nlisten = 8000\nto = \"web:80\"\n";
/// One that hands out no addresses.
const OTHER: &str = "subnet = \"10.93.0.0/24\"\ndhcp.enabled = false\n";
/// One with a switch.
const WIRED: &str = "subnet = \"10.92.0.0/24\"\n[vde]\ngroup = \"vmusers\"\n";
/// Somebody's switch, to which it has a cable.
const FAR: &str = "/tmp/bob/far";

/// Whom somebody pings from the first answer on, 50 times a second.
struct Ping(Process);

impl Ping {
    #[track_caller]
    fn start(station: &Station<'_>, address: &str) -> Self {
        let ping = Self(station.spawn(&["ping", "-n", "-i", "0.02", address]));
        ping.answer();
        ping
    }

    /// The number of the next answer.
    #[track_caller]
    fn answer(&self) -> usize {
        let line = self.0.line(SOON, |line| line.contains("icmp_seq=")).unwrap_or_else(|e| panic!("{e}"));
        number_of(&line).unwrap_or_else(|| panic!("{line}"))
    }

    /// Fails unless each ping so far was answered, and those still under way are.
    #[track_caller]
    fn assert_none_lost(&self, event: &str) {
        let said = self.0.said();
        let last = said.lines().filter_map(number_of).next_back().unwrap_or_default();
        // Others than those that were on their way when that was said.
        while self.answer() < last + 5 {}
        let said = self.0.said();
        let answered: Vec<usize> = said.lines().filter_map(number_of).collect();
        let lost: Vec<usize> = (1..=last).filter(|number| !answered.contains(number)).collect();
        assert!(lost.is_empty(), "{event}: of {last} pings these are lost: {lost:?}");
    }
}

fn number_of(line: &str) -> Option<usize> {
    line.split_once("icmp_seq=")?.1.split(' ').next()?.parse().ok()
}

/// A house with the old programs, these networks and rules.
fn old_house(test: &str, networks: &[(&str, &str)]) -> Option<House> {
    if !have(test, &["vde_switch", "vde_plug2tap", "ping"]) {
        return None;
    }
    let house = House::with_old_programs(test)?;
    house.write_file("/etc/vmnet/bridge.conf", "allow all ports=3\n");
    networks.iter().for_each(|(name, text)| house.describe(name, text));
    Some(house)
}

/// Whether a process runs a program that was replaced since.
fn is_old(house: &House, pid: u32) -> bool {
    house.sh(&format!("readlink /proc/{pid}/exe")).contains("(deleted)")
}

/// All that is shown of a network: its ports, leases, reservations and forwards, but for what is counted or heard meanwhile.
#[track_caller]
fn shown(house: &House, name: &str) -> Value {
    let verbs = [&["ports"][..], &["leases"], &["host", "list"], &["forward", "list"]];
    let mut all: Vec<Value> = verbs.iter().map(|verb| house.json(&[verb, &[name][..]].concat()).1).collect();
    for list in all.iter_mut().filter_map(Value::as_object_mut).flat_map(|object| object.values_mut()) {
        for row in list.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            for key in ["in", "out", "macs", "addresses6", "left", "age", "hits"] {
                row.remove(key);
            }
            for lease in row.get_mut("leases").and_then(Value::as_array_mut).into_iter().flatten() {
                lease.as_object_mut().map(|lease| lease.remove("left"));
            }
        }
    }
    Value::Array(all)
}

/// The rules without their counters and what they learned.
fn rules(house: &House) -> String {
    house.sh("nft -s -t list ruleset")
}

/// Has a keeper end as a service manager does, and waits for that.
#[track_caller]
fn end_keeper(house: &House, name: &str) {
    let keeper = house.keeper(name);
    house.sh(&format!("kill {keeper}"));
    house.assert_soon("the keeper ends", || !house.outside_path(&format!("/proc/{keeper}")).exists());
}

/// Somebody who has a port, whichever way.
#[track_caller]
fn holder(house: &House, network: &str, kind: &[&str]) -> Process {
    let argv = [&[VMNET, "exec", network], kind, &["--", "sh", "-c", "echo held; read -r word"]].concat();
    let holder = house.spawn(ALICE, &argv);
    holder.line(SOON, |line| line == "held").unwrap_or_else(|e| panic!("{e}"));
    holder
}

/// Ends the guests of a network, takes it down and waits until all is as before.
#[track_caller]
fn take_down(house: &House, name: &str, guests: &[&str]) {
    guests.iter().for_each(|guest| drop(house.sh(&format!("ip netns del {guest}"))));
    house.assert_soon("its guests are gone", || house.vmnet(&["down", name]).code() == DONE);
}

#[test]
fn a_network_that_old_programs_have_up_is_taken_over_without_a_lost_ping() {
    let name = "a_network_that_old_programs_have_up_is_taken_over_without_a_lost_ping";
    let Some(house) = old_house(name, &[("lab", LAB)]) else { return };
    let before = house.snapshot();
    house.up("lab");
    let alpha = house.member_station("alpha", "lab");
    let beta = house.member_station("beta", "lab");
    let lease = [&alpha, &beta].map(|station| station.lease().expect("a lease"));
    house.sh("ip netns add box; ip netns add shelf");
    house.vmnet(&["attach", "lab", "--netns", "box"]).success();
    house.vmnet(&["attach", "lab", "--netns", "shelf", "--address", "10.0.1.250/24"]).success();
    house.vmnet(&["host", "add", "lab", "mail", "52:54:00:00:00:02", "--alias", "smtp"]).success();
    house.vmnet(&["forward", "add", "lab", "8080", "alpha:80"]).success();
    house.vmnet(&["forward", "add", "lab", "2525", "mail:25"]).success();
    let tap = house.vmnet(&["tap", "add", "lab", "--owner", "alice"]).success().trim().to_owned();
    let held = holder(&house, "lab", &[]);
    let pings = [Ping::start(&alpha, lease[0].get("serverid")), Ping::start(&alpha, lease[1].get("ip"))];
    let assert_none_lost = |event: &str| pings.iter().for_each(|ping| ping.assert_none_lost(event));
    house.assert_up("lab");
    let was = (shown(&house, "lab"), rules(&house), house.server("lab"), house.index("lab"));
    let assert_as_it_was = || {
        assert_eq!(shown(&house, "lab"), was.0);
        assert_eq!(rules(&house), was.1);
        assert_eq!((house.server("lab"), house.index("lab")), (was.2, was.3));
    };

    house.install();
    house.assert_up("lab");
    assert_as_it_was();
    // It is as it should be, and whoever keeps it goes on.
    let old = house.keeper("lab");
    house.up("lab");
    assert_eq!((house.keeper("lab"), is_old(&house, old)), (old, true));
    assert_none_lost("up beside the old keeper");
    // Restarted as by its unit: guests are attached, so it leaves the network as it is.
    end_keeper(&house, "lab");
    assert_none_lost("without a keeper");
    house.up("lab");
    house.assert_up("lab");
    assert_none_lost("up with a new keeper");
    assert!(!is_old(&house, house.keeper("lab")));
    assert_as_it_was();

    // What was added can be taken away.
    house.vmnet(&["forward", "rm", "lab", "2525"]).success();
    house.vmnet(&["host", "rm", "lab", "mail"]).success();
    house.vmnet(&["detach", "lab", "--netns", "box"]).success();
    house.vmnet(&["detach", "lab", "--netns", "shelf"]).success();
    let refused = house.vmnet(&["down", "lab"]);
    assert!(refused.complaint(FAILED).contains("attached: "), "{refused}");
    assert_none_lost("changes by the new programs");
    drop((held, pings));
    // Its client takes its address away for a moment.
    assert_eq!(beta.lease().map(|lease| lease.get("ip").to_owned()).as_deref(), Some(lease[1].get("ip")));
    house.sh("ip netns del box; ip netns del shelf");
    house.vmnet(&["tap", "rm", &tap]).success();
    take_down(&house, "lab", &["alpha", "beta"]);
    house.assert_as_in(&before);
}

/// Where the old keeper runs in the foreground, as it does in a unit, and the files that it and others hold.
#[test]
fn a_switch_of_old_programs_goes_on_and_each_file_about_it_is_read() {
    let name = "a_switch_of_old_programs_goes_on_and_each_file_about_it_is_read";
    let Some(house) = old_house(name, &[("wired", WIRED), ("lab", OTHER)]) else {
        return;
    };
    house.sh("install -d -o bob -g bob -m 755 /tmp/bob");
    let far = house.spawn(As::User("bob"), &["vde_switch", "-s", FAR, "-f", "/dev/null"]);
    house.assert_soon("bob's switch", || house.outside_path(&format!("{FAR}/ctl")).exists());
    let before = house.snapshot();
    let mut keeper = house.start_keeper("wired");
    house.assert_up("wired");
    house.up("lab");
    house.vmnet(&["cable", "wired", &format!("vde://{FAR}")]).success();
    house.vmnet(&["cable", "wired", "lab"]).success();
    let held = [&["--vde"][..], &["--vde"], &[]].map(|kind| holder(&house, "wired", kind));
    let (east, plug) = house.station_by_plug2tap("east", "/run/vmnet/wired/vde");
    let (west, far_plug) = house.station_by_plug2tap("west", FAR);
    let lease = [&east, &west].map(|station| station.lease().expect("a lease"));
    let pings = [Ping::start(&east, "10.92.0.1"), Ping::start(&west, lease[0].get("ip"))];
    let assert_none_lost = |event: &str| pings.iter().for_each(|ping| ping.assert_none_lost(event));
    house.assert_up("wired");
    let pids = || house.sh("cd /run/vmnet/wired; cat switch.pid pump cables/*/pump dnsmasq.pid plugged");
    let was = (shown(&house, "wired"), rules(&house), pids());
    let assert_as_it_was = || {
        assert_eq!(shown(&house, "wired"), was.0);
        assert_eq!(rules(&house), was.1);
        assert_eq!(pids(), was.2);
    };

    house.install();
    assert_as_it_was();
    assert_each_file_is_read(&house);
    // The one who brought it into the house stopped with it.
    keeper.signal(Signal::SIGCONT);
    house.sh(&format!("kill {}", house.keeper("wired")));
    assert_eq!(keeper.wait(SOON).code(), Some(DONE), "{}", keeper.said());
    let mut keeper = house.start_keeper("wired");
    let kept = || house.vmnet(&["status", "wired"]).code() == DONE;
    assert!(house.wait_until(SOON, kept), "{}\n{}", house.vmnet(&["status", "wired"]), keeper.said());
    assert_none_lost("a new keeper");
    assert_as_it_was();
    let refused = house.run_as("alice", &[VMNET, "exec", "wired", "--vde", "--", "true"]);
    assert!(refused.complaint(FAILED).contains("all 3 ports"), "{refused}");

    // The pumps are old, and so are those who hold ports: after a death of the switch they are plugged in again.
    drop(pings);
    house.sh("kill -9 $(cat /run/vmnet/wired/switch.pid)");
    let is_back = || house.sh("cat /run/vmnet/wired/plugged") != was.2 && kept();
    house.assert_soon("the switch is back", is_back);
    let (_, ports) = house.json(&["ports", "wired"]);
    let granted = ports["ports"].as_array().expect("a list").iter().filter(|port| port["granted"] == true);
    assert_eq!(granted.count(), 2, "{ports}");
    drop((held, plug, far_plug));
    house.sh("ip netns del east; ip netns del west");
    take_down(&house, "wired", &[]);
    assert_eq!(keeper.wait(SOON).code(), Some(DONE), "{}", keeper.said());
    take_down(&house, "lab", &[]);
    house.assert_as_in(&before);
    drop(far);
}

/// What is shown of `wired` differs while one of its files is away. Its keeper is held from then on.
#[track_caller]
fn assert_each_file_is_read(house: &House) {
    let keeper = house.keeper("wired");
    house.sh(&format!("kill -STOP {keeper}"));
    let files = ["dnsmasq.conf", "dnsmasq.pid", "switch", "switch.pid", "plugged", "pump", "keeper"];
    let cables = ["cables/*/switch", "cables/*/plugged", "cables/*/pump"];
    // Not the switch's own socket: moved, it is another life of it.
    let sockets = ["console/mgmt", "plugs"];
    for file in files.iter().chain(&cables).chain(&sockets) {
        let look = || {
            let said = ["status", "ports"].map(|verb| house.vmnet(&[verb, "wired"]));
            said.map(|said| format!("{} {}", said.code(), said.stdout.replace(char::is_numeric, "")))
        };
        let with = look();
        house.sh(&format!("cd /run/vmnet/wired; for at in {file}; do mv $at $at.away; done"));
        let without = look();
        house.sh(&format!("cd /run/vmnet/wired; for at in {file}.away; do mv $at ${{at%.away}}; done"));
        assert_ne!(with, without, "{file} is not read");
    }
}

#[test]
fn old_and_new_programs_wait_for_each_other() {
    let name = "old_and_new_programs_wait_for_each_other";
    if !have(name, &["python3"]) {
        return;
    }
    let Some(house) = old_house(name, &[]) else { return };
    house.up("brmgr0");
    drop(holder(&house, "brmgr0", &[]));
    house.install();
    let ask = [HELPER, "--br=brmgr0", "--fd={fd}"];
    // As the old ones lock: the whole file, the byte of a user's number, the byte of the keeper's door.
    for (file, lock, who, argv) in [
        ("lock", "fcntl.flock(file, fcntl.LOCK_EX)", As::Root, vec![VMNET, "up", "brmgr0"]),
        ("turns", "span(1000)", ALICE, ask.to_vec()),
        ("brmgr0/keeper", "span(1)", ALICE, ask.to_vec()),
    ] {
        let script = format!(
            "import fcntl, struct, sys\nfile = open('/run/vmnet/{file}', 'r+')\n\
             def span(byte): fcntl.fcntl(file, 37, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, byte, 1, 0))\n\
             {lock}\nprint('locked', flush=True)\nsys.stdin.read()\n"
        );
        let mut locked = house.spawn(As::Root, &["python3", "-c", &script]);
        locked.line(SOON, |line| line == "locked").unwrap_or_else(|e| panic!("{e}"));
        let mut asker = match who {
            As::Root => house.spawn(who, &argv),
            _ => house.spawn(who, &[VMNET, "exec", "brmgr0", "--", "echo", "done"]),
        };
        let inode = house.sh(&format!("stat -c %i /run/vmnet/{file}"));
        let waits = || {
            let locks = house.sh("cat /proc/locks");
            locks.lines().any(|line| line.contains("->") && line.contains(&format!(":{} ", inode.trim())))
        };
        assert!(house.wait_until(SOON, waits), "nobody waits for {file}: {}", asker.said());
        assert!(asker.is_running(), "{file}: {}", asker.said());
        locked.close_input();
        assert_eq!(asker.wait(SOON).code(), Some(DONE), "{file}: {}", asker.said());
    }
}

#[test]
fn a_keeper_of_the_old_programs_that_was_told_to_leave_is_replaced() {
    let name = "a_keeper_of_the_old_programs_that_was_told_to_leave_is_replaced";
    let Some(house) = old_house(name, &[]) else { return };
    let before = house.snapshot();
    house.up("brmgr0");
    let old = house.keeper("brmgr0");
    house.sh(&format!("kill -STOP {old}"));
    let down = house.spawn(As::Root, &[VMNET, "down", "brmgr0"]);
    let told = || house.read_file("/run/vmnet/brmgr0/keeper").is_some_and(|text| text.ends_with("leaves\n"));
    house.assert_soon("the keeper is told to leave", told);
    drop(down);
    house.install();
    house.sh(&format!("kill -CONT {old}"));
    house.up("brmgr0");
    house.assert_up("brmgr0");
    assert_ne!(house.keeper("brmgr0"), old);
    // And one that nobody has told goes when it is told by the new programs.
    house.down("brmgr0");
    house.assert_as_in(&before);
    let folder = old_programs(name).expect("the old programs");
    house.copy_in(&folder.join("vmnet"), VMNET, 0o755);
    house.up("brmgr0");
    house.install();
    house.down("brmgr0");
    house.assert_as_in(&before);
}

#[test]
fn a_broker_of_the_old_programs_answers_the_new_helper() {
    let name = "a_broker_of_the_old_programs_answers_the_new_helper";
    let Some(house) = old_house(name, &[("wired", WIRED)]) else { return };
    house.up("wired");
    let _broker = house.start_broker();
    house.install_with(Privilege::None);
    let port = house.hold("alice", &[HELPER, "--br=wired", "--fd={fd}"]);
    assert_eq!(port.caught.tap().master.as_deref(), Some("wired"));
    holder(&house, "wired", &["--vde"]);
    house.sh("mv /run/vmnet/broker.sock /run/vmnet/away");
    let refused = house.run_as("alice", &[VMNET, "exec", "wired", "--", "true"]);
    assert_eq!(refused.code(), FAILED, "{refused}");
}

#[test]
fn a_keeper_whose_program_was_replaced_still_mends_what_is_lost() {
    let name = "a_keeper_whose_program_was_replaced_still_mends_what_is_lost";
    if !have(name, &["vde_switch"]) {
        return;
    }
    let Some(house) = House::with_companion(name) else { return };
    house.describe("wired", WIRED);
    house.up("wired");
    house.install();
    assert!(is_old(&house, house.keeper("wired")));
    for file in ["dnsmasq.pid", "pump", "switch.pid"] {
        let lost = house.sh(&format!("cat /run/vmnet/wired/{file}"));
        house.sh(&format!("kill -9 {lost}"));
        let is_back = || house.read_file(&format!("/run/vmnet/wired/{file}")).is_some_and(|now| now != lost);
        house.assert_soon(file, is_back);
        house.assert_up("wired");
    }
}
