//! Traffic both ways over bridge, pump, switch and port, while the switch is killed every 20 seconds.
//! For 45 seconds, or as many as `VMNET_ENDURANCE` says: `make endurance` runs ten minutes.

use rig::house::{House, VMNET};
use rig::skip::have;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often the switch is killed.
const EVERY: Duration = Duration::from_secs(20);
/// How long nothing may come through, in seconds.
const GAP: f64 = 2.0;
/// iperf3 counts so often, in seconds.
const STEP: &str = "0.1";
/// What a process may have more of than before, in KiB.
const GROWTH: u64 = 1024;
/// The guest's address.
const WEST: &str = "10.0.1.250";
const COPIER: &str = "/tmp/house/frame-copier";
const RESULT: &str = "/tmp/house/iperf.json";

fn seconds() -> u64 {
    std::env::var("VMNET_ENDURANCE").ok().and_then(|text| text.parse().ok()).unwrap_or(45)
}

/// The processes of the network by what they are, with their numbers of descriptors and KiB of memory.
fn processes(house: &House) -> BTreeMap<String, (usize, u64)> {
    let mut found = BTreeMap::new();
    for (what, file) in [("keeper", "keeper"), ("pump", "pump"), ("switch", "switch.pid")] {
        let pid = house.read_file(&format!("/run/vmnet/lab/{file}")).unwrap_or_default();
        let pid = pid.trim();
        let descriptors = house.sh(&format!("ls /proc/{pid}/fd")).lines().count();
        let memory = house.sh(&format!("awk '$1 == \"VmRSS:\" {{ print $2 }}' /proc/{pid}/status"));
        found.insert(
            what.to_owned(),
            (descriptors, memory.trim().parse().unwrap_or_else(|_| panic!("{what} is not process '{pid}'"))),
        );
    }
    found
}

/// How long nothing came through in one direction, at most, in seconds; and how much did in all.
fn longest_gap(intervals: &[Value], direction: &str) -> (f64, f64) {
    let (mut gap, mut longest, mut bytes) = (0.0, 0.0_f64, 0.0);
    for interval in intervals {
        let sum = &interval[direction];
        let came = sum["bytes"].as_f64().expect("bytes");
        gap = if came > 0.0 { 0.0 } else { gap + sum["seconds"].as_f64().expect("seconds") };
        longest = longest.max(gap);
        bytes += came;
    }
    (longest, bytes)
}

fn names(house: &House, directory: &str) -> Vec<String> {
    house.sh(&format!("ls {directory}")).lines().map(str::to_owned).collect()
}

#[test]
fn traffic_goes_on_within_two_seconds_however_often_the_switch_is_killed() {
    let test = "traffic_goes_on_within_two_seconds_however_often_the_switch_is_killed";
    if !have(test, &["iperf3"]) {
        return;
    }
    let Some(house) = House::with_companion(test) else { return };
    house.describe("lab", "subnet = \"10.0.1.0/24\"\n[vde]\n");
    let before = house.snapshot();
    house.up("lab").success();
    let (east, _) = house.leased_station("east", "lab");
    house.copy_in(Path::new(env!("CARGO_BIN_EXE_frame-copier")), COPIER, 0o755);
    house.sh("ip netns add west; ip -n west link set lo up");
    let words = ["exec", "lab", "--vde", "--", "ip", "netns", "exec", "west", COPIER, "eth0"];
    let guest = house.spawn(rig::house::As::Root, &[&[VMNET][..], &words].concat());
    guest.line(Duration::from_secs(20), |line| line == "ready").expect("the guest's wire");
    house.sh(&format!("ip -n west address add {WEST}/24 dev eth0; ip -n west link set eth0 up"));
    assert!(east.reaches(WEST), "{}", guest.said());

    let server = house
        .spawn(rig::house::As::Root, &["ip", "netns", "exec", "west", "iperf3", "-s", "-1", "--forceflush"]);
    server.line(Duration::from_secs(10), |line| line.contains("listening")).expect("iperf3");
    let length = seconds();
    let command = format!("exec iperf3 -c {WEST} --bidir -t {length} -i {STEP} -J >{RESULT}");
    let mut client = east.spawn(&["sh", "-c", &command]);
    let (start, mut kills) = (Instant::now(), 0);
    let mut first = None;
    while start.elapsed() + EVERY < Duration::from_secs(length) {
        std::thread::sleep((EVERY * (kills + 1)).saturating_sub(start.elapsed()));
        let pid = house.read_file("/run/vmnet/lab/switch.pid").expect("a switch");
        house.sh(&format!("kill -9 {}", pid.trim()));
        kills += 1;
        let again = || {
            house.read_file("/run/vmnet/lab/switch.pid").is_some_and(|now| now != pid)
                && house.read_file("/run/vmnet/lab/plugged").is_some()
        };
        assert!(house.wait_until(Duration::from_secs(5), again), "no switch after {kills} kills");
        // From the first life after a kill on all must stay as it is.
        if first.is_none() {
            house.assert_up("lab");
            first = Some(processes(&house));
        }
    }
    assert!(client.wait(EVERY + Duration::from_secs(30)).success(), "{}", client.said());
    let text = house.read_file(RESULT).expect("a result");
    let result: Value = serde_json::from_str(&text).expect("JSON");
    let intervals = result["intervals"].as_array().expect("intervals");
    for direction in ["sum", "sum_bidir_reverse"] {
        let (gap, bytes) = longest_gap(intervals, direction);
        println!("{direction}: {kills} kills, longest gap {gap:.1} s, {:.0} MB", bytes / 1e6);
        assert!(gap <= GAP, "{direction}: nothing for {gap:.1} s");
        assert!(bytes > 0.0, "{direction}: nothing at all");
    }

    let (first, last) = (first.expect("at least one kill"), processes(&house));
    println!("descriptors and KiB: {first:?} then {last:?}");
    for (what, (descriptors, memory)) in &last {
        assert_eq!(*descriptors, first[what].0, "descriptors of the {what}");
        assert!(*memory <= first[what].1 + GROWTH, "{what}: {memory} KiB after {}", first[what].1);
    }
    // The pump's three and the guest's three.
    assert_eq!(names(&house, "/run/vmnet/lab/plugs").len(), 6);
    drop((guest, server));
    house.sh("ip link del port-east; ip netns del west; ip netns del east");
    house.assert_up("lab");
    let free = || house.vmnet(&["down", "lab"]).code() == 0;
    assert!(house.wait_until(Duration::from_secs(20), free), "{}", house.vmnet(&["down", "lab"]));
    house.assert_as_in(&before);
}
