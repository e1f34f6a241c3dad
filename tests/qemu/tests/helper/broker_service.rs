//! The broker as a service: one at a time, with systemd's socket or its own, with no more rights than its unit
//! leaves it, and killed at any moment under load.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rig::broker::SOCKET;
use rig::catch::Holder;
use rig::house::{As, HELPER, House, VMNET};
use rig::process::Process;
use rig::skip::have;
use rig::unit::Unit;

const ASK: [&str; 3] = [HELPER, "--br=br0", "--fd={fd}"];
const PATIENCE: Duration = Duration::from_secs(20);

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[track_caller]
fn terminate(house: &House, mut broker: Process) {
    house.run(&["kill", "-TERM", &house.broker()]).success();
    let status = broker.wait(PATIENCE);
    assert!(status.success(), "{status}\n{}", broker.said());
    assert_eq!(broker.said(), "");
}

#[test]
fn there_is_one_broker_and_it_leaves_nothing_when_it_ends() {
    let name = "there_is_one_broker_and_it_leaves_nothing_when_it_ends";
    let Some((house, broker)) = House::with_broker(name, "allow br0\n") else { return };
    house.catch("alice", &ASK).tap();
    let mode = || std::fs::symlink_metadata(house.outside_path(SOCKET)).expect("a socket").mode() & 0o7777;
    assert_eq!(mode(), 0o666);
    let second = house.vmnet(&["broker"]);
    let words = second.complaint(1);
    assert!(words.contains("another broker answers there") && words.lines().count() == 1, "{words}");
    house.catch("alice", &ASK).tap();
    terminate(&house, broker);
    assert!(!house.outside_path("/run/vmnet").exists(), "{}", house.sh("ls -la /run/vmnet"));
    let before = house.snapshot();
    let broker = house.start_broker();
    house.catch("alice", &ASK).tap();
    terminate(&house, broker);
    house.assert_as_in(&before);
    // What is no socket is not taken away.
    house.write_file(SOCKET, "mine");
    assert!(house.vmnet(&["broker"]).complaint(1).contains("there is something that is no socket"));
    assert_eq!(house.read_file(SOCKET).as_deref(), Some("mine"));
    let outcome = house.run_as("alice", &[VMNET, "broker"]);
    assert!(outcome.complaint(1).contains("only root can"), "{outcome}");
}

#[test]
fn the_socket_may_be_systemds_and_then_it_stays_systemds() {
    let name = "the_socket_may_be_systemds_and_then_it_stays_systemds";
    if !have(name, &["systemd-socket-activate"]) {
        return;
    }
    let Some((house, broker)) = House::with_broker(name, "allow br0\n") else { return };
    terminate(&house, broker);
    house.sh("mkdir -p /run/vmnet");
    let listen = format!("--listen={SOCKET}");
    let argv = ["systemd-socket-activate", "--seqpacket", &listen, VMNET, "broker"];
    let mut activated = house.spawn(As::Root, &argv);
    let listens = || house.outside_path(SOCKET).exists();
    assert!(house.wait_until(PATIENCE, listens), "{}", activated.said());
    house.sh(&format!("chmod 666 {SOCKET}"));
    house.catch("alice", &ASK).tap();
    house.catch("alice", &ASK).tap();
    house.run(&["kill", "-TERM", &house.broker()]).success();
    activated.wait(PATIENCE);
    assert!(listens(), "the broker removed a socket that is not its own");
}

#[test]
fn when_it_ends_it_finishes_what_it_has_begun_and_refuses_the_rest() {
    let name = "when_it_ends_it_finishes_what_it_has_begun_and_refuses_the_rest";
    let Some((house, broker)) = House::with_broker(name, "allow brmgr0\nallow br0\n") else { return };
    let slow = format!("#!/bin/sh\nsleep 2\nexec {VMNET}.real \"$@\"\n");
    house.sh(&format!("mv {VMNET} {VMNET}.real"));
    house.write_file_for(VMNET, 0o755, (0, 0), slow);
    std::thread::scope(|scope| {
        let ask = || house.hold("alice", &[HELPER, "--br=brmgr0", "--fd={fd}"]);
        let asking = scope.spawn(ask);
        std::thread::sleep(Duration::from_millis(500));
        house.run(&["kill", "-TERM", &house.broker()]).success();
        asking.join().expect("a caller").caught.tap();
    });
    drop(broker);
    house.run(&[&format!("{VMNET}.real"), "down", "brmgr0", "--force"]).success();
}

#[test]
fn the_broker_needs_no_more_rights_than_the_unit_leaves_it() {
    let name = "the_broker_needs_no_more_rights_than_the_unit_leaves_it";
    if !have(name, &["setpriv", "unshare", "mountpoint"]) {
        return;
    }
    let rules = "allow br0\nallow brmgr0\ninclude /etc/vmnet/secret.conf\n";
    let Some((house, broker)) = House::with_broker(name, rules) else { return };
    terminate(&house, broker);
    house.write_file_for("/etc/vmnet/secret.conf", 0o600, (0, 0), "deny br0 user=bob\n");
    let before = Unit::read("vmnet-broker.service.in").confinement();
    let before: Vec<&str> = before.iter().map(String::as_str).collect();
    let mut broker = house.start_broker_below(&before);
    house.catch("alice", &ASK).tap();
    assert!(house.catch("bob", &ASK).refusal().contains("/etc/vmnet/secret.conf:1"));
    // The network that it starts has what it needs too.
    house.hold("alice", &[HELPER, "--br=brmgr0", "--fd={fd}"]).caught.tap();
    house.assert_up("brmgr0");
    let (_alpha, answer) = house.leased_station("alpha", "brmgr0");
    assert!(answer.get("ip").starts_with("10.0.1."), "{answer:?}");
    assert!(broker.is_running(), "{}", broker.said());
}

#[test]
fn the_broker_makes_no_system_call_that_the_unit_forbids() {
    let name = "the_broker_makes_no_system_call_that_the_unit_forbids";
    if !have(name, &["strace", "systemd-analyze"]) {
        return;
    }
    let Some((house, broker)) = House::with_broker(name, "allow br0\n") else { return };
    terminate(&house, broker);
    let log = "/tmp/house/calls";
    let mut broker = house.start_broker_below(&["strace", "-f", "-qq", "-o", log]);
    house.catch("alice", &ASK).tap();
    house.catch("alice", &[HELPER, "--br=absent0", "--fd={fd}"]).refusal();
    let crowd = house.crowd(3000, "descriptors", 2);
    house.catch("bob", &ASK).tap();
    drop(crowd);
    house.sh("pkill -TERM --oldest --full '^/usr/local/sbin/vmnet broker$'");
    assert!(broker.wait(PATIENCE).success(), "{}", broker.said());
    let forbidden = Unit::read("vmnet-broker.service.in").forbidden_calls(&house, log);
    assert!(forbidden.is_empty(), "{forbidden:?}");
}

#[test]
fn runits_script_runs_it() {
    let Some((house, broker)) = House::with_broker("runits_script_runs_it", "allow br0\n") else { return };
    terminate(&house, broker);
    let run = read("conf/vmnet-broker.runit-run.in").replace("@PREFIX@", "/usr/local");
    house.write_file_for("/etc/sv/vmnet-broker/run", 0o755, (0, 0), run);
    let broker = house.spawn(As::Root, &["sh", "-c", "cd /etc/sv/vmnet-broker && exec ./run"]);
    assert!(house.wait_until(PATIENCE, || house.outside_path(SOCKET).exists()), "{}", broker.said());
    house.catch("alice", &ASK).tap();
    terminate(&house, broker);
}

/// Some more or less random milliseconds (a linear congruential generator).
fn moments() -> impl Iterator<Item = Duration> {
    let next = |state: &u64| Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    std::iter::successors(Some(0x5eed), next).map(|state| Duration::from_micros((state >> 33) % 60_000))
}

#[test]
fn killed_fifty_times_under_load_it_leaves_nothing_and_ports_go_on() {
    let name = "killed_fifty_times_under_load_it_leaves_nothing_and_ports_go_on";
    let Some((house, mut broker)) = House::with_broker(name, "allow br0\n") else { return };
    house.sh("ip address add 10.7.0.1/24 dev br0");
    let kept: Vec<Holder> = (0..3).map(|_| house.hold_with(As::User("alice"), &["--frames"], &ASK)).collect();
    kept.iter().for_each(|holder| assert!(holder.caught.granted(), "{:#?}", holder.caught));
    let taps = || house.sh("ls /sys/class/net/br0/brif");
    let before_taps = taps();
    let before = house.snapshot();
    let crowds = [
        house.crowd(3000, "asking", 20),
        house.crowd(3001, "silent", 20),
        house.crowd(3002, "descriptors", 2),
    ];
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let served = scope.spawn(|| {
            let (mut served, end) = (0, Instant::now() + Duration::from_secs(60));
            while !stop.load(Ordering::Relaxed) && Instant::now() < end {
                let caught = house.catch("bob", &ASK);
                assert!(caught.granted() || caught.refused(), "{caught:#?}");
                served += u32::from(caught.granted());
            }
            served
        });
        for moment in moments().take(50) {
            std::thread::sleep(moment);
            house.run(&["kill", "-KILL", &house.broker()]).success();
            broker.wait(PATIENCE);
            broker = house.start_broker();
        }
        stop.store(true, Ordering::Relaxed);
        let served = served.join().expect("the callers");
        println!("{served} served between fifty kills");
        assert!(served > 0);
    });
    drop(crowds);
    // A frame for nobody the bridge knows goes to every port.
    house.sh("ip neighbour replace 10.7.0.9 lladdr 52:54:00:00:00:09 dev br0 nud permanent");
    house.run(&["ping", "-c", "1", "-W", "1", "-s", "1200", "10.7.0.9"]);
    assert!(kept.iter().all(|holder| holder.hears_frame(1200, PATIENCE)), "a port hears no more");
    house.catch("bob", &ASK).tap();
    assert!(house.wait_until(PATIENCE, || taps() == before_taps), "{} before {before_taps}", taps());
    let workers = || house.sh("pgrep --full '^/usr/local/sbin/vmnet broker$' | wc -l");
    assert!(house.wait_until(PATIENCE, || workers().trim() == "1"), "{}", house.sh("ps -ef"));
    house.assert_as_in(&before);
}
