//! `ports=N`: how many ports a user may hold at one time, counted by the kernel's own list of the
//! bridge's ports, whoever asks how often at once and in whatever order.

use std::time::Duration;

use rig::catch::{Caught, Holder};
use rig::house::{As, HELPER, House, Privilege, ours_built};
use rig::skip::skip;

const RULES: &str = "/etc/vmnet/bridge.conf";
const ASK: [&str; 3] = [HELPER, "--br=lab", "--fd={fd}"];

/// A house with a plain bridge `lab`, which is no network of ours, and these rules.
fn house_with(test: &str, privilege: Privilege, rules: &str) -> Option<House> {
    if !ours_built() {
        skip(test, "our programs are not built");
        return None;
    }
    let house = House::new();
    house.install_with(privilege);
    if privilege == Privilege::FileCapability {
        house.set_tun_mode(0o666);
    }
    house.sh("ip link add lab type bridge; ip link set lab up");
    house.write_file(RULES, rules);
    Some(house)
}

fn hold(house: &House, user: &str) -> Holder {
    let holder = house.hold(user, &ASK);
    holder.caught.tap();
    holder
}

/// The TAP of a holder that lets go is gone some time later.
#[track_caller]
fn let_go(house: &House, holder: Holder) {
    let link = format!("/sys/class/net/{}", holder.caught.tap().name);
    drop(holder);
    let there = || house.run(&["test", "-e", &link]).code() == 0;
    assert!(house.wait_until(Duration::from_secs(10), || !there()), "{link} stays");
}

#[track_caller]
fn assert_over(caught: &Caught, ports: u32, place: &str) {
    let words = caught.refusal();
    assert!(words.contains(place), "{words}");
    assert!(words.contains(&format!("all {ports} ports")), "{words}");
    assert_eq!(words.lines().count(), 1, "{words}");
}

#[test]
fn the_port_after_the_last_is_refused_with_the_rule_until_one_is_given_back() {
    let name = "the_port_after_the_last_is_refused_with_the_rule_until_one_is_given_back";
    for privilege in [Privilege::Setuid, Privilege::FileCapability] {
        let Some(house) = house_with(name, privilege, "# who\nallow lab ports=2\n") else { return };
        let first = hold(&house, "alice");
        let _second = hold(&house, "alice");
        assert_over(&house.catch("alice", &ASK), 2, "/etc/vmnet/bridge.conf:2");
        let_go(&house, first);
        let _third = hold(&house, "alice");
        assert_over(&house.catch("alice", &ASK), 2, "/etc/vmnet/bridge.conf:2");
        assert_eq!(house.sh("ls /sys/class/net/lab/brif").lines().count(), 2, "{privilege:?}");
    }
}

#[test]
fn users_are_counted_separately_and_so_are_bridges() {
    let name = "users_are_counted_separately_and_so_are_bridges";
    let rules = "allow lab ports=1\nallow lab2 ports=1\n";
    let Some(house) = house_with(name, Privilege::Setuid, rules) else { return };
    house.sh("ip link add lab2 type bridge");
    let _alices = hold(&house, "alice");
    let _bobs = hold(&house, "bob");
    let elsewhere = house.hold("alice", &[HELPER, "--br=lab2", "--fd={fd}"]);
    elsewhere.caught.tap();
    assert_over(&house.catch("alice", &ASK), 1, "/etc/vmnet/bridge.conf:1");
    assert_over(&house.catch("bob", &ASK), 1, "/etc/vmnet/bridge.conf:1");
}

#[test]
fn of_several_limits_the_widest_counts_and_its_line_is_named() {
    let name = "of_several_limits_the_widest_counts_and_its_line_is_named";
    let rules = "allow lab ports=1\nallow lab user=alice ports=3\nallow all ports=2\n";
    let Some(house) = house_with(name, Privilege::Setuid, rules) else { return };
    let _alices: Vec<Holder> = (0..3).map(|_| hold(&house, "alice")).collect();
    assert_over(&house.catch("alice", &ASK), 3, "/etc/vmnet/bridge.conf:2");
    let _bobs: Vec<Holder> = (0..2).map(|_| hold(&house, "bob")).collect();
    assert_over(&house.catch("bob", &ASK), 2, "/etc/vmnet/bridge.conf:3");
    // A rule without a limit is the widest of all, in QEMU's file too.
    house.write_file("/etc/qemu/bridge.conf", "allow lab\n");
    let _more = hold(&house, "bob");
}

#[test]
fn no_ports_at_all_may_be_allowed_or_the_number_is_a_mistake() {
    let name = "no_ports_at_all_may_be_allowed_or_the_number_is_a_mistake";
    let Some(house) = house_with(name, Privilege::Setuid, "allow lab ports=0\n") else { return };
    assert!(house.catch("alice", &ASK).refusal().contains("/etc/vmnet/bridge.conf:1"));
    for number in ["-1", "x", "", "99999999999"] {
        house.write_file(RULES, format!("allow lab ports={number}\n"));
        let words = house.catch("alice", &ASK);
        assert!(words.refusal().contains("/etc/vmnet/bridge.conf:1"), "{number}: {words:#?}");
    }
}

#[test]
fn a_port_that_its_holder_made_persistent_still_counts() {
    let name = "a_port_that_its_holder_made_persistent_still_counts";
    let Some(house) = house_with(name, Privilege::Setuid, "allow lab ports=1\n") else { return };
    let caught = house.catch_with(As::User("alice"), &["--persist"], &ASK);
    let tap = caught.tap().name.clone();
    assert_over(&house.catch("alice", &ASK), 1, "/etc/vmnet/bridge.conf:1");
    house.run(&["ip", "link", "delete", &tap]).success();
    house.catch("alice", &ASK).tap();
}

/// Twenty at once; what each got, TAPs still held.
fn rush(house: &House, user: &str) -> Vec<Holder> {
    std::thread::scope(|scope| {
        let ask = || house.hold_with(As::User(user), &["--patience=60"], &ASK);
        let threads: Vec<_> = (0..20).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a caller")).collect()
    })
}

#[test]
fn of_twenty_helpers_at_once_exactly_the_five_allowed_get_a_port() {
    let name = "of_twenty_helpers_at_once_exactly_the_five_allowed_get_a_port";
    let Some(house) = house_with(name, Privilege::Setuid, "allow lab ports=5\n") else { return };
    let (alices, bobs) = std::thread::scope(|scope| {
        let alices = scope.spawn(|| rush(&house, "alice"));
        (rush(&house, "bob"), alices.join().expect("alice's"))
    });
    for holders in [&alices, &bobs] {
        let (granted, refused): (Vec<_>, Vec<_>) = holders.iter().partition(|h| h.caught.granted());
        refused.iter().for_each(|holder| assert_over(&holder.caught, 5, "/etc/vmnet/bridge.conf:1"));
        assert_eq!(granted.len(), 5);
    }
    let left = house
        .wait_until(Duration::from_secs(10), || house.sh("ls /sys/class/net/lab/brif").lines().count() == 10);
    assert!(left, "{}", house.sh("ip -o link show master lab"));
}

#[test]
fn with_a_file_capability_of_twenty_at_once_never_more_than_five_get_a_port() {
    let name = "with_a_file_capability_of_twenty_at_once_never_more_than_five_get_a_port";
    let rules = "allow lab ports=5\n";
    let Some(house) = house_with(name, Privilege::FileCapability, rules) else { return };
    for _ in 0..3 {
        let holders = rush(&house, "alice");
        let granted = holders.iter().filter(|holder| holder.caught.granted()).count();
        println!("{granted} of 20 granted");
        assert!(granted <= 5, "{granted}");
        let refused = holders.iter().filter(|holder| !holder.caught.granted());
        refused.for_each(|holder| assert_over(&holder.caught, 5, "/etc/vmnet/bridge.conf:1"));
        for holder in holders.into_iter().filter(|holder| holder.caught.granted()) {
            let_go(&house, holder);
        }
    }
}
