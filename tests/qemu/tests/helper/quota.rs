//! `ports=N`: how many ports a user may hold at one time, counted by the kernel's own list of the
//! bridge's ports, whoever asks how often at once and in whatever order.

use std::time::Duration;

use rig::catch::{Caught, Holder};
use rig::house::{As, HELPER, House, Privilege, VMNET, ours_built};
use rig::process::Process;
use rig::skip::skip;
use rig::tap::TapHolder;

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

/// How many ports alice has on `lab`, by the kernel's list.
fn ports(house: &House) -> usize {
    house.sh("ip -o link show master lab").lines().filter(|line| line.contains("uid=1000")).count()
}

/// A hundred at once, each by another way in; the processes and TAPs of those that got a port stay.
fn crowd(house: &House) -> Vec<Process> {
    let way_in = |number: usize| -> Option<Process> {
        let patience = Duration::from_secs(60);
        let (words, granted): (&[&str], &str) = match number % 4 {
            0 => (&[VMNET, "exec", "lab", "--", "sh", "-c", "echo granted; exec sleep 300"], "granted"),
            1 => (
                &[VMNET, "exec", "lab", "--queues=2", "--", "sh", "-c", "echo granted; exec sleep 300"],
                "granted",
            ),
            2 => (&[VMNET, "tap", "add", "lab"], "vmtap"),
            _ => {
                let holder = house.ask_tap("alice", &ASK);
                if let Err(words) = &holder {
                    assert!(words.contains("all 8 ports"), "{words}");
                }
                return holder.ok().map(TapHolder::into_process);
            }
        };
        let mut process = house.spawn(As::User("alice"), words);
        if process.line(patience, |line| line.starts_with(granted)).is_ok() {
            return Some(process);
        }
        assert!(!process.wait(patience).success(), "{}", process.said());
        let said = house.wait_until(patience, || !process.said().is_empty());
        assert!(said && process.said().contains("all 8 ports"), "{}", process.said());
        None
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..100).map(|number| scope.spawn(move || way_in(number))).collect();
        threads.into_iter().filter_map(|thread| thread.join().expect("a caller")).collect()
    })
}

#[test]
fn of_a_hundred_at_once_by_every_way_in_exactly_the_eight_allowed_get_a_port() {
    let name = "of_a_hundred_at_once_by_every_way_in_exactly_the_eight_allowed_get_a_port";
    let Some(house) = house_with(name, Privilege::Setuid, "allow lab ports=8\n") else { return };
    let granted = crowd(&house);
    assert_eq!((granted.len(), ports(&house)), (8, 8), "{}", house.sh("ip -o link show master lab"));
}

#[test]
fn through_the_broker_alone_or_beside_the_setuid_helper_they_are_eight_too() {
    let name = "through_the_broker_alone_or_beside_the_setuid_helper_they_are_eight_too";
    for privilege in [Privilege::None, Privilege::Setuid] {
        let Some(house) = house_with(name, privilege, "allow lab ports=8\n") else { return };
        let _broker = house.start_broker();
        let granted = crowd(&house);
        let links = house.sh("ip -o link show master lab");
        assert_eq!((granted.len(), ports(&house)), (8, 8), "{privilege:?}: {links}");
    }
}

#[test]
fn with_a_file_capability_of_a_hundred_by_every_way_in_never_more_than_eight_get_a_port() {
    let name = "with_a_file_capability_of_a_hundred_by_every_way_in_never_more_than_eight_get_a_port";
    let Some(house) = house_with(name, Privilege::FileCapability, "allow lab ports=8\n") else { return };
    let granted = crowd(&house);
    println!("{} of 100 granted", granted.len());
    assert!(granted.len() <= 8 && ports(&house) <= 8, "{}", house.sh("ip -o link show master lab"));
}

#[test]
fn no_limit_is_passed_by_making_taps_stay_and_asking_again() {
    let name = "no_limit_is_passed_by_making_taps_stay_and_asking_again";
    let Some(house) = house_with(name, Privilege::Setuid, "allow lab ports=3\n") else { return };
    house.set_tun_mode(0o666);
    // What a holder can do to it leaves it hers: on a bridge without a keeper nobody takes it back.
    let mut left = Vec::new();
    for acts in [
        &["persist 1", "owner 1000"][..],
        &["mac 02:00:00:00:00:01", "persist 1"],
        &["owner 1001", "persist 1"],
    ] {
        let mut holder = house.ask_tap("alice", &ASK).unwrap_or_else(|why| panic!("{why}"));
        for act in acts {
            holder.tell(act).unwrap_or_else(|why| panic!("{act}: {why}"));
        }
        left.push(holder.name.clone());
    }
    for words in [&ASK[..], &[VMNET, "exec", "lab", "--", "true"], &[VMNET, "tap", "add", "lab"]] {
        let words = if words == ASK {
            house.catch("alice", words).stderr
        } else {
            house.run_as("alice", words).stderr
        };
        assert!(words.contains("all 3 ports allowed to you are in use"), "{words}");
    }
    // Nor by hiding one: what it is counted by is not hers to change, in no namespace.
    for change in ["alias mine", "nomaster", "netns $$", "name vmtapx"] {
        for way in ["", "unshare --user --map-root-user ", "unshare --user --map-root-user --net "] {
            let script = format!("{way}ip link set dev {} {change}", left[0]);
            assert_ne!(house.run_as("alice", &["sh", "-c", &script]).code(), 0, "{script}");
        }
    }
    // Opened again it is the same port, and no more of them.
    let _again = house.open_tap("alice", &left[0], false).unwrap_or_else(|why| panic!("{why}"));
    assert_over(&house.catch("alice", &ASK), 3, "/etc/vmnet/bridge.conf:1");
    assert_eq!(ports(&house), 3);
    // Only root gives one back for her.
    house.run(&["ip", "link", "delete", &left[1]]).success();
    house.catch("alice", &ASK).tap();
}

#[test]
fn what_root_made_for_a_user_counts_and_what_he_made_to_stay_counts_until_it_is_removed() {
    let name = "what_root_made_for_a_user_counts_and_what_he_made_to_stay_counts_until_it_is_removed";
    let Some(house) = house_with(name, Privilege::Setuid, "allow lab ports=2\n") else { return };
    house.vmnet(&["tap", "add", "lab", "--owner", "alice", "--name", "fc0"]).success();
    house.run_as("alice", &[VMNET, "tap", "add", "lab", "--name", "vmtapfc1"]).success();
    assert_over(&house.catch("alice", &ASK), 2, "/etc/vmnet/bridge.conf:1");
    house.catch("bob", &ASK).tap();
    // Root asks nobody.
    house.vmnet(&["tap", "add", "lab", "--owner", "alice", "--name", "fc2"]).success();
    for one in ["vmtapfc1", "fc0"] {
        assert_over(&house.catch("alice", &ASK), 2, "/etc/vmnet/bridge.conf:1");
        house.run_as("alice", &[VMNET, "tap", "rm", one]).success();
    }
    house.catch("alice", &ASK).tap();
}
