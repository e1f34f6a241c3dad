//! `up` and `down` killed at any moment: the next `up` makes the network whole, the next `down` leaves
//! nothing.

use rig::companion::{DONE, NOT_UP};
use rig::house::{As, House, VMNET};
use rig::skip::have;
use rig::snapshot::Snapshot;
use std::cell::RefCell;
use std::time::Duration;

/// System calls at whose entry a kill is worth trying: each changes something that others see.
const CALLS: [&str; 9] =
    ["mkdir", "renameat", "flock", "write", "sendto", "clone3", "openat", "unlink", "unlinkat"];

/// How many houses share the work.
const SHARES: usize = 2;

/// A moment: the entry into this call, counted from one from the start of the program.
type Moment = (&'static str, usize);

fn moments(house: &House, verb: &str) -> Vec<Moment> {
    let trace = "/tmp/house/trace";
    house.run(&["strace", "-o", trace, VMNET, verb, "brmgr0"]).success();
    let text = house.read_file(trace).expect("a trace");
    let (mut started, mut moments, mut seen) = (false, Vec::new(), [0; CALLS.len()]);
    for line in text.lines() {
        started |= line.starts_with("rt_sigaction(SIGPIPE");
        let name = line.split('(').next().unwrap_or_default();
        let Some(at) = CALLS.iter().position(|call| *call == name) else { continue };
        seen[at] += 1;
        // One write of a sysctl begins again, hundreds of times, while others hold the kernel's rtnl lock.
        if line.contains("ERESTARTNOINTR") {
            continue;
        }
        // Opening a file to read it changes nothing.
        if started && (name != "openat" || line.contains("O_CREAT")) {
            moments.push((CALLS[at], seen[at]));
        }
    }
    moments
}

/// Runs a verb that kills itself at a moment. A run may have a call or two fewer than the recorded one;
/// then it ends by itself.
fn killed_at(house: &House, verb: &str, (call, which): Moment) {
    let trace = format!("-etrace={call}");
    let inject = format!("-einject={call}:signal=KILL:when={which}");
    let outcome = house.run(&["strace", "-o", "/tmp/house/trace", &trace, &inject, VMNET, verb, "brmgr0"]);
    match outcome.code() {
        -9 => println!("{verb} killed at {call} {which}"),
        DONE if which > 1 => println!("{verb} made no call {which} of {call} this time"),
        _ => panic!("{verb} was not killed at {call} {which}: {outcome}"),
    }
}

fn each_moment(test: &str, verb: &'static str, check: impl Fn(&House, &Snapshot, Moment) + Sync) {
    if !have(test, &["strace"]) {
        return;
    }
    let fresh = || {
        let house = House::with_companion(test)?;
        house.up("brmgr0");
        house.down("brmgr0");
        Some(house)
    };
    let Some(house) = fresh() else { return };
    if verb == "down" {
        house.up("brmgr0");
    }
    let all = &moments(&house, verb);
    assert!(all.len() >= 5, "only {all:?}");
    drop(house);
    std::thread::scope(|scope| {
        for share in 0..SHARES {
            let (check, fresh) = (&check, &fresh);
            scope.spawn(move || {
                let house = fresh().expect("another house");
                let before = house.snapshot();
                for moment in all.iter().skip(share).step_by(SHARES) {
                    check(&house, &before, *moment);
                }
            });
        }
    });
}

#[test]
fn after_up_was_killed_anywhere_up_finishes_it_and_down_leaves_nothing() {
    let name = "after_up_was_killed_anywhere_up_finishes_it_and_down_leaves_nothing";
    each_moment(name, "up", |house, before, moment| {
        killed_at(house, "up", moment);
        house.vmnet(&["list"]).success();
        house.vmnet(&["status", "brmgr0"]).assert_plain();
        house.up("brmgr0");
        assert_eq!(house.drift("brmgr0"), (DONE, vec![]));
        house.down("brmgr0");
        house.assert_as_in(before);
        let remembered = house.sh("ls -A /var/lib/vmnet");
        assert_eq!(remembered.trim(), "brmgr0.json", "a half-written file is left");
    });
}

#[test]
fn after_up_was_killed_anywhere_down_alone_leaves_nothing() {
    let name = "after_up_was_killed_anywhere_down_alone_leaves_nothing";
    each_moment(name, "up", |house, before, moment| {
        killed_at(house, "up", moment);
        let down = house.vmnet(&["down", "brmgr0"]);
        assert!([DONE, NOT_UP].contains(&down.code()), "{down}");
        down.assert_plain();
        house.assert_as_in(before);
    });
}

#[test]
fn after_down_was_killed_anywhere_down_finishes_it() {
    let name = "after_down_was_killed_anywhere_down_finishes_it";
    each_moment(name, "down", |house, before, moment| {
        house.up("brmgr0");
        killed_at(house, "down", moment);
        let down = house.vmnet(&["down", "brmgr0"]);
        assert!([DONE, NOT_UP].contains(&down.code()), "{down}");
        down.assert_plain();
        house.assert_as_in(before);
    });
}

#[test]
fn after_down_was_killed_anywhere_up_makes_the_network_whole() {
    let name = "after_down_was_killed_anywhere_up_makes_the_network_whole";
    each_moment(name, "down", |house, before, moment| {
        house.up("brmgr0");
        killed_at(house, "down", moment);
        house.up("brmgr0");
        assert_eq!(house.drift("brmgr0"), (DONE, vec![]));
        house.down("brmgr0");
        house.assert_as_in(before);
    });
}

/// It hears of it only later, on a busy machine; and the one who would have waited for it is no more.
#[test]
fn a_keeper_that_was_told_to_leave_by_a_down_that_was_killed_is_replaced() {
    let name = "a_keeper_that_was_told_to_leave_by_a_down_that_was_killed_is_replaced";
    let Some(house) = House::with_companion(name) else { return };
    let before = house.snapshot();
    house.up("brmgr0");
    let keeper = house.keeper("brmgr0");
    house.sh(&format!("kill -STOP {keeper}; timeout -s KILL 0.2 {VMNET} down brmgr0 || true"));
    let up = RefCell::new(house.spawn(As::Root, &[VMNET, "up", "brmgr0"]));
    let hasty = house.wait_until(Duration::from_millis(300), || !up.borrow_mut().is_running());
    assert!(!hasty, "it took the one that is on its way out for a keeper");
    house.sh(&format!("kill -CONT {keeper}"));
    let mut up = up.into_inner();
    assert!(up.wait(Duration::from_secs(20)).success(), "{}", up.said());
    assert_ne!(house.keeper("brmgr0"), keeper);
    assert_eq!(house.drift("brmgr0"), (DONE, vec![]));
    house.down("brmgr0");
    house.assert_as_in(&before);
}

#[test]
fn an_up_that_was_killed_holds_nobody_up_and_forgets_nothing_of_the_host() {
    let name = "an_up_that_was_killed_holds_nobody_up_and_forgets_nothing_of_the_host";
    let Some(house) = House::with_companion(name) else { return };
    let before = house.snapshot();
    // Ten of them, at moments that no list has.
    for number in 1..=10 {
        let script = format!("timeout -s KILL 0.0{number} {VMNET} up brmgr0 >/dev/null || true");
        house.sh(&script);
    }
    house.up("brmgr0");
    assert_eq!(house.drift("brmgr0"), (DONE, vec![]));
    house.down("brmgr0");
    house.assert_as_in(&before);
}
