//! Many at once, and many in all: a network that fifty guests start together is started once, none of
//! a hundred helpers fails, and a bridge that is full says so.

use std::time::Duration;

use rig::catch::Holder;
use rig::house::{As, HELPER, House, VMNET, ours_built};
use rig::skip::skip;

const ASK: [&str; 3] = [HELPER, "--br=brmgr0", "--fd={fd}"];

fn house(test: &str) -> Option<House> {
    if !ours_built() {
        skip(test, "our programs are not built");
        return None;
    }
    let house = House::new();
    house.install();
    house.write_file("/etc/vmnet/bridge.conf", "allow all\n");
    Some(house)
}

/// So many helpers at once, their TAPs still held.
#[track_caller]
fn rush(house: &House, count: usize) -> Vec<Holder> {
    let users = ["alice", "bob"];
    let holders: Vec<Holder> = std::thread::scope(|scope| {
        let ask = |user| move || house.hold_with(As::User(user), &["--patience=60"], &ASK);
        let threads: Vec<_> = users.iter().cycle().take(count).map(|user| scope.spawn(ask(user))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a caller")).collect()
    });
    for holder in &holders {
        assert_eq!(holder.caught.tap().master.as_deref(), Some("brmgr0"), "{:#?}", holder.caught);
    }
    let mut took: Vec<Duration> = holders.iter().map(|holder| holder.caught.took).collect();
    took.sort();
    println!("{count} at once: from {:?} to {:?}", took[0], took[count - 1]);
    holders
}

/// How many processes of the house have these words in their command line.
fn processes(house: &House, words: &str) -> usize {
    house
        .sh("ps -eo stat=,args=")
        .lines()
        .filter(|line| line.contains(words) && !line.starts_with('Z'))
        .count()
}

#[test]
fn fifty_helpers_that_find_the_network_down_start_it_exactly_once() {
    let name = "fifty_helpers_that_find_the_network_down_start_it_exactly_once";
    let Some(house) = house(name) else { return };
    house.start_syslog();
    let monitor = house.spawn(As::Root, &["ip", "-o", "monitor", "link"]);
    let holders = rush(&house, 50);
    assert_eq!(house.sh("ls /sys/class/net/brmgr0/brif").lines().count(), 50);
    assert_eq!(processes(&house, "/run/vmnet/brmgr0/dnsmasq.conf"), 1, "{}", house.sh("ps -eo args"));
    assert_eq!(processes(&house, "vmnet run brmgr0"), 1, "{}", house.sh("ps -eo args"));
    house.run(&[VMNET, "status", "brmgr0"]).success();
    let log = house.log();
    assert_eq!(log.matches("started, version").count(), 1, "dnsmasq's starts:\n{log}");
    let links = monitor.said();
    assert!(links.contains("brmgr0") && !links.contains("Deleted"), "{links}");
    drop(holders);
    let gone =
        house.wait_until(Duration::from_secs(20), || house.sh("ls /sys/class/net/brmgr0/brif").is_empty());
    assert!(gone, "{}", house.sh("ip -o link"));
    house.run(&[VMNET, "down", "brmgr0"]).success();
}

#[test]
fn of_a_hundred_helpers_at_once_none_fails() {
    let name = "of_a_hundred_helpers_at_once_none_fails";
    let Some(house) = house(name) else { return };
    house.run(&[VMNET, "up", "brmgr0"]).success();
    let mut taps: Vec<String> = rush(&house, 100).iter().map(|h| h.caught.tap().name.clone()).collect();
    taps.sort();
    taps.dedup();
    assert_eq!(taps.len(), 100, "two callers got one TAP");
}

/// Fills a plain bridge with both ends of veth pairs, all down: unlike a thousand TAPs they are made and
/// taken away in seconds.
const FILL: &str = r#"
ip link add full0 type bridge
{
    for i in $(seq 512); do echo "link add a$i type veth peer name b$i"; done
    for i in $(seq 512); do echo "link set a$i master full0"; done
    for i in $(seq 511); do echo "link set b$i master full0"; done
} | ip -batch -
"#;

#[test]
fn a_bridge_with_1023_ports_is_said_to_be_full_and_takes_the_next_when_one_goes() {
    let name = "a_bridge_with_1023_ports_is_said_to_be_full_and_takes_the_next_when_one_goes";
    let Some(house) = house(name) else { return };
    house.sh(FILL);
    let ask = [HELPER, "--br=full0", "--fd={fd}"];
    let caught = house.catch("alice", &ask);
    let words = caught.refusal();
    assert!(words.contains("1023 ports, the kernel's limit"), "{words}");
    assert!(words.contains("failed to add interface"), "{words}");
    assert_eq!(words.lines().count(), 1, "{words}");
    assert!(!house.sh("ls /sys/class/net").contains("vmtap"), "a TAP was left");
    house.run(&["ip", "link", "set", "b500", "nomaster"]).success();
    house.catch("alice", &ask).tap();
}
