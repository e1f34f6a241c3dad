//! The administrator's view of leases: how old each is and whether it is reserved, and `vmnet leases
//! --watch`, which tells of each change while it happens.

use std::time::Duration;

use nix::sys::signal::Signal;
use rig::companion::NOT_UP;
use rig::guest::mac;
use rig::house::{As, House, VMNET};
use rig::process::Process;
use serde_json::Value;

const LAB: &str = "subnet = \"10.5.0.0/24\"\n[dhcp]\nlease_time = \"10m\"\n";
const PATIENCE: Duration = Duration::from_secs(20);

fn house_with_lab(test: &str) -> Option<House> {
    let house = House::with_companion(test)?;
    house.describe("lab", LAB);
    house.up("lab");
    Some(house)
}

/// Starts `leases --watch` and waits until it listens.
#[track_caller]
fn watch(house: &House, more: &[&str]) -> Process {
    let watch = house.spawn(As::Root, &[&[VMNET, "leases", "lab", "--watch"], more].concat());
    let listens = || house.sh("cat /proc/[0-9]*/fdinfo/* 2>/dev/null | grep -c '^inotify' || true");
    // The keeper has one, dnsmasq one, and the watch one: the last to come.
    let count = |text: String| text.trim().parse::<u32>().unwrap_or(0);
    assert!(house.wait_until(PATIENCE, || count(listens()) >= 3), "{}", watch.said());
    watch
}

/// A guest that has a lease, with its address, and gives it back when it is told to.
fn come(house: &House, guest: &str) -> (Process, String) {
    let station = house.station(guest, "lab");
    let script = "#!/bin/sh\n[ \"$1\" != bound ] || { ip address add $ip/$mask dev eth0; echo got $ip; }\n";
    house.write_file_for("/tmp/house/print", 0o755, (0, 0), script);
    let hostname = format!("hostname:{guest}");
    let mut argv = vec!["busybox", "udhcpc", "-f", "-i", "eth0", "-T", "1"];
    argv.extend(["-x", &hostname, "-s", "/tmp/house/print"]);
    let client = station.spawn(&argv);
    let got = client.line(PATIENCE, |line| line.starts_with("got ")).expect("a lease");
    (client, got.trim_start_matches("got ").to_owned())
}

#[test]
fn each_lease_that_is_got_renewed_or_lost_is_a_line() {
    let name = "each_lease_that_is_got_renewed_or_lost_is_a_line";
    let Some(house) = house_with_lab(name) else { return };
    let mut watch = watch(&house, &[]);
    let next = || watch.line(PATIENCE, |_| true).expect("a line");
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let (alpha, answer) = house.leased_station("alpha", "lab");
    let line = words(&next());
    assert_eq!(line[1..], ["got", answer.get("ip"), &alpha.mac, "alpha"], "{line:?}");
    let now = house.sh("date -u +%Y-%m-%dT");
    assert!(line[0].starts_with(now.trim()) && line[0].ends_with('Z'), "{line:?} {now}");

    // The end of a lease is told in seconds: until the next one, renewing it changes nothing.
    house.sh("sleep 1.1");
    alpha.lease().expect("the same again");
    assert_eq!(words(&next())[1..], ["renewed", answer.get("ip"), &alpha.mac, "alpha"]);

    let (_client, address) = come(&house, "beta");
    let beta = mac("beta");
    assert_eq!(words(&next())[1..], ["got", &address, &beta, "beta"]);
    // udhcpc's signal for: release it.
    house.sh("kill -USR2 $(ip netns pids beta)");
    assert_eq!(words(&next())[1..], ["lost", &address, &beta, "beta"]);

    house.sh("ip link delete port-alpha; ip link delete port-beta");
    house.down("lab");
    let status = watch.wait(PATIENCE);
    assert!(status.success(), "{status}: {}", watch.said());
    house.vmnet(&["leases", "lab", "--watch"]).complaint(NOT_UP);
}

#[test]
fn as_json_each_change_is_an_object_of_a_line_and_a_signal_ends_it() {
    let name = "as_json_each_change_is_an_object_of_a_line_and_a_signal_ends_it";
    let Some(house) = house_with_lab(name) else { return };
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut watch = watch(&house, &["--json"]);
        let guest = format!("guest{}", signal as i32);
        let (station, answer) = house.leased_station(&guest, "lab");
        let line = watch.line(PATIENCE, |_| true).expect("a line");
        let value: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert_eq!((&value["event"], &value["name"]), (&"got".into(), &guest.as_str().into()), "{value}");
        assert_eq!(value["address"], answer.get("ip"), "{value}");
        assert_eq!(value["mac"], station.mac.as_str(), "{value}");
        assert!(
            value["time"].as_u64() > Some(1_700_000_000) && value["left"].as_u64() > Some(500),
            "{value}"
        );
        // To it alone: what brought it into the house would end of the signal.
        house.sh(&format!("kill -{} $(pgrep -f 'leases lab --watc[h]')", signal as i32));
        let status = watch.wait(PATIENCE);
        assert!(status.success(), "{status}: {}", watch.said());
    }
}

#[test]
fn many_leases_at_once_are_each_got_once_and_never_lost_between() {
    let name = "many_leases_at_once_are_each_got_once_and_never_lost_between";
    let Some(house) = house_with_lab(name) else { return };
    let watch = watch(&house, &["--json"]);
    let names: Vec<String> = (0..20).map(|i| format!("guest{i}")).collect();
    let stations: Vec<_> = names.iter().map(|name| house.station(name, "lab")).collect();
    std::thread::scope(|scope| {
        let threads: Vec<_> = stations.iter().map(|station| scope.spawn(|| station.lease())).collect();
        threads.into_iter().for_each(|thread| assert!(thread.join().expect("a client").is_some()));
    });
    let mut got = std::collections::BTreeSet::new();
    while got.len() < 20 {
        let line = watch.line(PATIENCE, |_| true).unwrap_or_else(|e| panic!("{got:?}: {e}"));
        let value: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert_ne!(value["event"], "lost", "{value}");
        if value["event"] == "got" {
            assert!(got.insert(value["mac"].to_string()), "twice: {value}");
        }
    }
}

#[test]
fn a_lease_is_shown_with_its_age_and_whether_it_is_reserved() {
    let name = "a_lease_is_shown_with_its_age_and_whether_it_is_reserved";
    let Some(house) = house_with_lab(name) else { return };
    house.vmnet(&["host", "add", "lab", "web", &mac("one"), "10.5.0.77"]).success();
    let (_one, _) = house.leased_station("one", "lab");
    let (alpha, _) = house.leased_station("alpha", "lab");
    house.sh("sleep 1.1");
    let (_, value) = house.json(&["leases", "lab"]);
    let leases = value["leases"].as_array().cloned().unwrap_or_default();
    assert_eq!(leases.len(), 2, "{value}");
    for lease in &leases {
        let (age, left) = (lease["age"].as_u64(), lease["left"].as_u64());
        assert_eq!(age.zip(left).map(|(age, left)| age + left), Some(600), "{lease}");
        assert!(age.is_some_and(|age| (1..60).contains(&age)), "{lease}");
        let is_web = lease["mac"] == mac("one").as_str();
        assert_eq!((&lease["reserved"], lease["name"] == "web"), (&is_web.into(), is_web), "{lease}");
    }
    let table = house.vmnet(&["leases", "lab"]).success().to_owned();
    let row = |word: &str| table.lines().find(|line| line.contains(word)).unwrap_or_default().to_owned();
    assert!(row("ADDRESS").contains("AGE") && row("ADDRESS").contains("RESERVED"), "{table}");
    assert!(row("10.5.0.77").contains("web") && row("10.5.0.77").contains("yes"), "{table}");
    assert!(row(&alpha.mac).contains("no"), "{table}");
}

#[test]
fn a_guests_ipv6_addresses_are_shown_with_its_lease() {
    let name = "a_guests_ipv6_addresses_are_shown_with_its_lease";
    let Some(house) = House::with_companion(name) else { return };
    house.describe("lab", "subnet = \"10.5.0.0/24\"\nsubnet6 = \"fd00:5::/64\"\n");
    house.up("lab");
    let one = mac("one");
    house.vmnet(&["host", "add", "lab", "web", &one, "--address6", "fd00:5::77"]).success();
    let (_one, _) = house.leased_station("one", "lab");
    let shown = || {
        let (_, value) = house.json(&["leases", "lab"]);
        let all = value["leases"][0]["addresses6"].as_array().cloned().unwrap_or_default();
        all.iter().filter_map(|address| address.as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(shown().first().map(String::as_str), Some("fd00:5::77"));
    // What it made of its MAC (RFC 4291, 2.5.1), once it was heard.
    let parts: Vec<u32> = one.split(':').map(|part| u32::from_str_radix(part, 16).expect("a byte")).collect();
    let words =
        [(parts[0] ^ 2) << 8 | parts[1], parts[2] << 8 | 0xff, 0xfe00 | parts[3], parts[4] << 8 | parts[5]];
    let words = words.map(|word| u16::try_from(word).expect("two bytes"));
    let own = std::net::Ipv6Addr::new(0xfd00, 5, 0, 0, words[0], words[1], words[2], words[3]).to_string();
    let heard = || shown().contains(&own);
    assert!(house.wait_until(Duration::from_secs(30), heard), "no {own}: {:?}", shown());
    let table = house.vmnet(&["leases", "lab"]).success().to_owned();
    assert!(table.contains(&own) && table.contains("IPV6"), "{table}");
}
