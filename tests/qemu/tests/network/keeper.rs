//! The keeper: it makes good what went, it is not needed for what runs, and it ends as it is told to.

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use rig::companion::{DONE, FAILED};
use rig::house::{As, HELPER, House, VMNET};

const SOON: Duration = Duration::from_secs(10);

/// The process of that number runs, and is no zombie.
fn runs(house: &House, pid: u32) -> bool {
    house.run(&["grep", "-q", "^State:[[:space:]]*[RSD]", &format!("/proc/{pid}/status")]).code() == 0
}

#[test]
fn a_network_goes_on_without_its_keeper_and_the_next_one_adopts_it() {
    let name = "a_network_goes_on_without_its_keeper_and_the_next_one_adopts_it";
    let Some(house) = House::with_companion(name) else { return };
    let before = house.snapshot();
    house.up("brmgr0");
    let (server, index) = (house.server("brmgr0"), house.index("brmgr0"));
    let rules = house.sh("nft -s list ruleset");
    house.sh(&format!("kill -9 {}", house.keeper("brmgr0")));
    house.plug_in("one", "brmgr0");
    assert!(house.lease("one").is_some_and(|address| address.starts_with("10.0.1.")), "no lease");
    assert_eq!(house.sh("nft -s list ruleset"), rules);

    house.up("brmgr0");
    house.assert_up("brmgr0");
    assert_eq!((house.server("brmgr0"), house.index("brmgr0")), (server, index));
    // A keeper that never started this dnsmasq replaces it all the same.
    house.sh(&format!("kill -9 {server}"));
    let back = house.wait_until(SOON, || house.vmnet(&["status", "brmgr0"]).code() == DONE);
    assert!(back, "{}", house.vmnet(&["status", "brmgr0"]));
    house.sh("ip netns del one");
    assert!(house.wait_until(SOON, || !house.outside_path("/sys/class/net/one").exists()));
    house.down("brmgr0");
    house.assert_as_in(&before);
}

#[test]
fn a_dnsmasq_that_dies_is_back_within_two_seconds_again_and_again() {
    let name = "a_dnsmasq_that_dies_is_back_within_two_seconds_again_and_again";
    let Some(house) = House::with_companion(name) else { return };
    house.up("brmgr0");
    house.plug_in("one", "brmgr0");
    let address = house.lease("one").expect("a lease");
    let keeper = house.keeper("brmgr0");
    for signal in ["KILL", "TERM", "SEGV"] {
        let server = house.server("brmgr0");
        let killed = Instant::now();
        house.sh(&format!("kill -{signal} {server}"));
        let back = || {
            let text = house.read_file("/run/vmnet/brmgr0/dnsmasq.pid").unwrap_or_default();
            text.trim().parse().is_ok_and(|pid| pid != server && runs(&house, pid))
        };
        assert!(house.wait_until(Duration::from_secs(2), back), "after SIG{signal}");
        println!("SIG{signal}: back after {:?}", killed.elapsed());
        assert_eq!(house.lease("one").as_ref(), Some(&address), "after SIG{signal}");
    }
    assert_eq!(house.keeper("brmgr0"), keeper);
    let zombies = house.sh("ps -eo stat=,args= | grep -c '^Z.*dnsmasq' || true");
    assert_eq!(zombies.trim(), "0", "its dead are not buried");
    house.assert_up("brmgr0");
}

#[test]
fn a_server_that_dies_at_once_each_time_costs_little_and_down_still_works() {
    let name = "a_server_that_dies_at_once_each_time_costs_little_and_down_still_works";
    let Some(house) = House::with_companion(name) else { return };
    let before = house.snapshot();
    house.up("brmgr0");
    let keeper = house.keeper("brmgr0");
    house.sh("mount --bind /bin/true /usr/sbin/dnsmasq; kill -9 $(cat /run/vmnet/brmgr0/dnsmasq.pid)");
    std::thread::sleep(Duration::from_secs(2));
    let ticks = house.sh(&format!("awk '{{print $14 + $15}}' /proc/{keeper}/stat"));
    assert!(ticks.trim().parse::<u32>().is_ok_and(|ticks| ticks < 100), "busy for {ticks} ticks in 2 s");
    let started = Instant::now();
    house.down("brmgr0");
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    house.sh("umount /usr/sbin/dnsmasq");
    house.assert_as_in(&before);
}

#[test]
fn what_somebody_takes_from_a_bridge_is_given_back() {
    let name = "what_somebody_takes_from_a_bridge_is_given_back";
    let Some(house) = House::with_companion(name) else { return };
    let before = house.snapshot();
    house.up("brmgr0");
    let up = house.snapshot();
    let keeper = house.keeper("brmgr0");
    for taken in
        ["ip address flush dev brmgr0", "ip link set brmgr0 down", "ip link del brmgr0", "ip link del brmgr0"]
    {
        house.sh(taken);
        let back = house.wait_until(SOON, || house.drift("brmgr0") == (DONE, vec![]));
        assert!(back, "after `{taken}`: {}", house.vmnet(&["status", "brmgr0"]));
        house.assert_as_in_but_for_processes(&up);
    }
    assert_eq!(house.keeper("brmgr0"), keeper);
    house.plug_in("one", "brmgr0");
    assert!(house.lease("one").is_some(), "the new bridge serves nobody");
    house.sh("ip netns del one");
    assert!(house.wait_until(SOON, || !house.outside_path("/sys/class/net/one").exists()));
    house.down("brmgr0");
    house.assert_as_in(&before);
}

#[test]
fn run_in_the_foreground_says_ready_when_the_network_is_and_sigterm_takes_it_down() {
    let name = "run_in_the_foreground_says_ready_when_the_network_is_and_sigterm_takes_it_down";
    let Some(house) = House::with_companion(name) else { return };
    let before = house.snapshot();
    let notify = UnixDatagram::bind(house.outside_path("/tmp/house/notify")).expect("a socket");
    notify.set_read_timeout(Some(Duration::from_secs(20))).expect("a time limit");
    for signal in ["TERM", "INT"] {
        let mut keeper =
            house.spawn(As::Root, &["env", "NOTIFY_SOCKET=/tmp/house/notify", VMNET, "run", "brmgr0"]);
        let mut word = [0; 256];
        let length = notify.recv(&mut word).unwrap_or_else(|e| panic!("no word: {e}\n{}", keeper.said()));
        let word = String::from_utf8_lossy(&word[..length]).into_owned();
        assert!(word.lines().any(|line| line == "READY=1"), "{word:?}");
        assert_eq!(house.drift("brmgr0"), (DONE, vec![]), "not ready when it said so");

        let second = house.vmnet(&["run", "brmgr0"]);
        let pid = house.keeper("brmgr0");
        let words = second.complaint(FAILED);
        assert!(words.contains("kept already") && words.contains(&pid.to_string()), "{second}");

        house.sh(&format!("kill -{signal} {pid}"));
        assert_eq!(keeper.wait(SOON).code(), Some(DONE), "{}", keeper.said());
        house.assert_as_in(&before);
    }
}

#[test]
fn a_keeper_told_to_stop_leaves_the_network_to_its_guests() {
    let name = "a_keeper_told_to_stop_leaves_the_network_to_its_guests";
    let Some(house) = House::with_companion(name) else { return };
    house.write_file("/etc/vmnet/bridge.conf", "allow brmgr0\n");
    let before = house.snapshot();
    let mut keeper = house.start_keeper("brmgr0");
    assert!(
        house.wait_until(SOON, || house.vmnet(&["status", "brmgr0"]).code() == DONE),
        "{}",
        keeper.said()
    );
    let holder = house.hold("alice", &[HELPER, "--br=brmgr0", "--fd={fd}"]);
    let (server, port) = (house.server("brmgr0"), holder.caught.tap().name.clone());
    house.sh(&format!("kill {}", house.keeper("brmgr0")));
    assert_eq!(keeper.wait(SOON).code(), Some(DONE), "{}", keeper.said());
    assert!(keeper.said().contains(&format!("goes on: {port} attached")), "{}", keeper.said());
    assert!(runs(&house, server));
    house.up("brmgr0");
    house.assert_up("brmgr0");
    drop(holder);
    assert!(house.wait_until(SOON, || !house.outside_path(&format!("/sys/class/net/{port}")).exists()));
    house.down("brmgr0");
    house.sh("rm /tmp/house/catch");
    house.assert_as_in(&before);
}

#[test]
fn down_ends_a_keeper_in_the_foreground_too() {
    let name = "down_ends_a_keeper_in_the_foreground_too";
    let Some(house) = House::with_companion(name) else { return };
    let before = house.snapshot();
    let mut keeper = house.start_keeper("brmgr0");
    assert!(
        house.wait_until(SOON, || house.vmnet(&["status", "brmgr0"]).code() == DONE),
        "{}",
        keeper.said()
    );
    house.down("brmgr0");
    assert_eq!(keeper.wait(SOON).code(), Some(DONE), "{}", keeper.said());
    house.assert_as_in(&before);
}

#[test]
fn a_keeper_reads_the_file_again_on_sighup() {
    let name = "a_keeper_reads_the_file_again_on_sighup";
    let Some(house) = House::with_companion(name) else { return };
    house.up("brmgr0");
    house.describe("brmgr0", "mtu = 1400\n");
    house.sh(&format!("kill -HUP {}", house.keeper("brmgr0")));
    let mtu = || house.sh("cat /sys/class/net/brmgr0/mtu").trim() == "1400";
    assert!(house.wait_until(SOON, mtu), "{}", house.vmnet(&["status", "brmgr0"]));
    house.assert_up("brmgr0");
}
