//! `vmnet attach` and `detach` killed at any moment: the next `attach` makes it whole, the next `detach`
//! leaves nothing.

use std::time::Duration;

use rig::companion::DONE;
use rig::house::{House, VMNET};
use rig::skip::have;

/// System calls at whose entry a kill is worth trying: each changes something, or waits for somebody who
/// does.
const CALLS: [&str; 8] = ["clone", "sendmsg", "recvmsg", "sendto", "recvfrom", "wait4", "renameat", "unlink"];
const ATTACH: [&str; 4] = ["attach", "lab", "--netns", "web"];
const DETACH: [&str; 4] = ["detach", "lab", "--netns", "web"];

/// A house with the network `lab`, up, and a namespace `web`; its first port has come and gone.
fn house(test: &str) -> Option<House> {
    if !have(test, &["strace"]) {
        return None;
    }
    let house = House::with_companion(test)?;
    house.describe("lab", "subnet = \"10.5.0.0/24\"\nsubnet6 = \"none\"\n");
    house.up("lab");
    house.sh("ip netns add web");
    house.vmnet(&ATTACH).success();
    house.vmnet(&DETACH).success();
    Some(house)
}

/// How often a verb enters each of the calls.
fn moments(house: &House, words: &[&str]) -> Vec<(&'static str, usize)> {
    let trace = "/tmp/house/trace";
    house.run(&[&["strace", "-o", trace, VMNET], words].concat()).success();
    let text = house.read_file(trace).expect("a trace");
    let count = |call: &str| text.lines().filter(|line| line.starts_with(&format!("{call}("))).count();
    CALLS.into_iter().flat_map(|call| (1..=count(call)).map(move |which| (call, which))).collect()
}

/// Runs a verb that is killed at a moment; it may have a call fewer than the recorded one.
fn killed_at(house: &House, words: &[&str], (call, which): (&str, usize)) -> bool {
    let (trace, inject) = (format!("-etrace={call}"), format!("-einject={call}:signal=KILL:when={which}"));
    let outcome = house.run(&[&["strace", "-o", "/tmp/house/trace", &trace, &inject, VMNET], words].concat());
    assert!([-9, DONE].contains(&outcome.code()), "{call} {which}: {outcome}");
    outcome.code() == -9
}

fn nothing_is_left(house: &House) -> bool {
    let leases = house.json(&["leases", "lab"]).1["leases"].as_array().map(Vec::len);
    house.lease_keepers() == 0
        && leases == Some(0)
        && house.sh("ip -o link show type veth").is_empty()
        && !house.sh("ip -n web link").contains("eth0")
        && house.read_file("/etc/netns/web/resolv.conf").is_none()
}

#[track_caller]
fn assert_whole(house: &House, moment: (&str, usize)) {
    let again = house.vmnet(&ATTACH);
    assert_eq!(again.code(), DONE, "attach killed at {moment:?}, then: {again}");
    let ping = house.run(&["ip", "netns", "exec", "web", "ping", "-n", "-c", "1", "-W", "2", "10.5.0.1"]);
    assert_eq!(ping.code(), DONE, "attach killed at {moment:?}, then attached: {ping}");
    assert_eq!(house.sh("ip -o link show type veth").lines().count(), 1, "killed at {moment:?}");
}

#[track_caller]
fn assert_clean(house: &House, moment: (&str, usize)) {
    house.vmnet(&DETACH).success();
    let patience = Duration::from_secs(10);
    // Whoever was killed before it knew of its lease cannot give it back; the server takes it back in time.
    let left =
        || house.sh("ip -o link show type veth; ip -n web link; ps -eo args=; ls /etc/netns 2>&1 || true");
    assert!(
        house.wait_until(patience, || nothing_is_left(house)),
        "killed at {moment:?}, then detached: {}",
        left()
    );
}

#[test]
fn attach_killed_anywhere_is_made_whole_by_the_next() {
    let Some(house) = house("attach_killed_anywhere_is_made_whole") else { return };
    let moments = moments(&house, &ATTACH);
    house.vmnet(&DETACH).success();
    assert!(moments.len() > 10, "{moments:?}");
    let killed = moments.into_iter().filter(|moment| {
        let killed = killed_at(&house, &ATTACH, *moment);
        assert_whole(&house, *moment);
        assert_clean(&house, *moment);
        killed
    });
    assert!(killed.count() > 10);
}

#[test]
fn attach_killed_anywhere_is_cleaned_up_by_detach() {
    let Some(house) = house("attach_killed_anywhere_is_cleaned_up") else { return };
    let moments = moments(&house, &ATTACH);
    house.vmnet(&DETACH).success();
    for moment in moments {
        killed_at(&house, &ATTACH, moment);
        house.vmnet(&DETACH).success();
        assert!(!house.sh("ip -n web link; ip -o link show type veth").contains("eth0@"), "{moment:?}");
        house.assert_soon(&format!("nobody renews after {moment:?}"), || house.lease_keepers() == 0);
        assert!(house.sh("ip -o link show type veth").is_empty(), "a port is left after {moment:?}");
        assert!(house.read_file("/etc/netns/web/resolv.conf").is_none(), "{moment:?}");
    }
}

#[test]
fn detach_killed_anywhere_is_finished_by_the_next() {
    let Some(house) = house("detach_killed_anywhere_is_finished") else { return };
    house.vmnet(&ATTACH).success();
    let moments = moments(&house, &DETACH);
    assert!(moments.len() > 5, "{moments:?}");
    for moment in moments {
        house.vmnet(&ATTACH).success();
        killed_at(&house, &DETACH, moment);
        assert_clean(&house, moment);
    }
}

#[test]
fn nor_does_a_half_made_pair_stay_when_whoever_makes_it_is_killed() {
    let Some(house) = house("nor_does_a_half_made_pair_stay") else { return };
    let words = ["attach", "lab", "--netns", "web", "--address", "10.5.0.9/24"];
    let mut failed = 0;
    for which in 1..=20 {
        // With an address nobody is left that strace would wait for. It counts for each process on its own.
        let inject = format!("-einject=sendto:signal=KILL:when={which}");
        let strace = ["strace", "-f", "-o", "/tmp/house/trace", "-etrace=sendto", &inject, VMNET];
        let outcome = house.run(&[&strace[..], &words].concat());
        failed += usize::from(outcome.code() != DONE);
        let moment = ("sendto, each process's", which);
        if outcome.code() > 0 {
            assert_eq!(
                house.veth_ports(),
                Vec::<String>::new(),
                "it failed and left it there, {moment:?}: {outcome}"
            );
        }
        assert_whole(&house, moment);
        assert_clean(&house, moment);
    }
    assert!(failed > 5, "{failed}");
}
