//! `idle`: a network goes down so long after its last port went, never while there is one or one is on
//! its way, and is up again for whoever comes next.

use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, Flock, FlockArg, fcntl};
use rig::catch::Holder;
use rig::house::{HELPER, House};

const ASK: [&str; 3] = [HELPER, "--br=lab", "--fd={fd}"];
const IDLE: Duration = Duration::from_secs(1);
const SOON: Duration = Duration::from_secs(10);

/// A house whose network `lab` has this `idle`.
fn house_with(test: &str, idle: &str) -> Option<House> {
    let house = House::with_companion(test)?;
    house.describe("lab", &format!("idle = \"{idle}\"\n"));
    house.write_file("/etc/vmnet/bridge.conf", "allow lab user=alice ports=9\nallow lab user=bob\n");
    Some(house)
}

#[track_caller]
fn hold(house: &House, user: &str) -> Holder {
    let holder = house.hold(user, &ASK);
    assert_eq!(holder.caught.tap().master.as_deref(), Some("lab"));
    holder
}

fn is_up(house: &House) -> bool {
    house.outside_path("/run/vmnet/lab/record.json").exists()
}

/// Fails if the network is not up for so long from now on.
#[track_caller]
fn assert_stays_up(house: &House, time: Duration) {
    let down = house.wait_until(time, || !is_up(house));
    assert!(!down, "it went down");
}

#[track_caller]
fn assert_goes_down(house: &House) {
    assert!(house.wait_until(SOON, || !is_up(house)), "it stays up: {}", house.sh("ip link"));
}

#[test]
fn a_network_goes_down_so_long_after_its_last_port_went_and_leaves_nothing() {
    let name = "a_network_goes_down_so_long_after_its_last_port_went_and_leaves_nothing";
    let Some(house) = house_with(name, "1s") else { return };
    let first = hold(&house, "alice");
    drop(first);
    // The port's end takes its time, and so may the test.
    let gone = Instant::now();
    assert_goes_down(&house);
    assert!(gone.elapsed() >= IDLE, "after {:?}", gone.elapsed());
    house.wait_until(SOON, || !house.outside_path("/run/vmnet").exists());
    house.sh("rm -rf /tmp/house/catch /var/lib/vmnet/*");

    let before = house.snapshot();
    for users in [&["alice"][..], &["bob", "alice", "alice"]] {
        let mut holders: Vec<Holder> = users.iter().map(|user| hold(&house, user)).collect();
        while holders.pop().is_some_and(|last| {
            drop(last);
            !holders.is_empty()
        }) {
            assert_stays_up(&house, IDLE * 2);
            house.assert_up("lab");
        }
        assert_goes_down(&house);
        house.sh("rm -rf /tmp/house/catch");
        house.assert_as_in(&before);
    }
}

#[test]
fn a_network_that_nobody_used_stays_up_and_so_does_one_that_is_to_be_kept() {
    let name = "a_network_that_nobody_used_stays_up_and_so_does_one_that_is_to_be_kept";
    let Some(house) = house_with(name, "1s") else { return };
    house.up("lab");
    assert_stays_up(&house, IDLE * 3);
    // Neither a keeper that is told to read the file nor a repair makes it a network that was used.
    house.sh(&format!("kill -HUP {0}; kill -9 {1}", house.keeper("lab"), house.server("lab")));
    assert_stays_up(&house, IDLE * 2);
    house.assert_up("lab");
    // What is said while it runs counts.
    house.describe("lab", "idle = \"keep\"\n");
    house.up("lab");
    drop(hold(&house, "alice"));
    assert_stays_up(&house, IDLE * 3);
    house.describe("lab", "idle = \"1s\"\n");
    house.up("lab");
    drop(hold(&house, "alice"));
    assert_goes_down(&house);
}

#[test]
fn whatever_else_happens_meanwhile_does_not_put_the_end_off() {
    let name = "whatever_else_happens_meanwhile_does_not_put_the_end_off";
    let Some(house) = house_with(name, "2s") else { return };
    drop(hold(&house, "alice"));
    let noise = "for i in $(seq 100); do ip link add noise type veth peer name eison
                 ip address add 10.99.0.1/24 dev noise; ip link del noise; sleep 0.05; done";
    let _noise = house.spawn(rig::house::As::Root, &["bash", "-c", noise]);
    let gone = Instant::now();
    assert_goes_down(&house);
    assert!(gone.elapsed() < Duration::from_secs(5), "after {:?}", gone.elapsed());
}

#[test]
fn a_keeper_that_takes_over_knows_of_the_ports_that_are_there() {
    let name = "a_keeper_that_takes_over_knows_of_the_ports_that_are_there";
    let Some(house) = house_with(name, "1s") else { return };
    let port = hold(&house, "alice");
    let keeper = house.keeper("lab");
    house.sh(&format!("kill -9 {keeper}"));
    let ended = || house.run(&["test", "-e", &format!("/proc/{keeper}")]).code() != 0;
    assert!(house.wait_until(SOON, ended), "it cannot be killed");
    house.up("lab");
    assert_stays_up(&house, IDLE * 2);
    drop(port);
    assert_goes_down(&house);
}

/// Whether somebody waits for a lock on a file.
pub fn is_waited_for(file: &File) -> bool {
    let inode = file.metadata().expect("the file's number").ino();
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    locks.lines().any(|line| line.contains(" -> ") && line.contains(&format!(":{inode} ")))
}

/// A byte of a file in the house, locked as the helper's turns are, until dropped.
fn turn(house: &House, uid: i64) -> File {
    let path = house.outside_path("/run/vmnet/turns");
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    let file = file.expect("the file of turns");
    let lock = libc::flock {
        l_type: libc::F_WRLCK as i16,
        l_whence: libc::SEEK_SET as i16,
        l_start: uid,
        l_len: 1,
        l_pid: 0,
    };
    fcntl(file.as_fd(), FcntlArg::F_OFD_SETLKW(&lock)).expect("the turn");
    file
}

#[test]
fn one_who_is_on_the_way_in_keeps_the_network_up() {
    let name = "one_who_is_on_the_way_in_keeps_the_network_up";
    let Some(house) = house_with(name, "1s") else { return };
    let last = hold(&house, "bob");
    std::thread::scope(|scope| {
        // Alice's rule has a quota, so her helper waits for its turn, between its look and its TAP.
        let turn = turn(&house, 1000);
        let alice = scope.spawn(|| hold(&house, "alice"));
        assert!(house.wait_until(SOON, || is_waited_for(&turn)), "the helper does not wait");
        drop(last);
        assert_stays_up(&house, IDLE * 3);
        drop(turn);
        let _port = alice.join().expect("a port");
        assert_stays_up(&house, IDLE * 3);
        house.assert_up("lab");
    });
    assert_goes_down(&house);
}

#[test]
fn ports_are_counted_again_when_it_is_the_keepers_turn_to_change_the_host() {
    let name = "ports_are_counted_again_when_it_is_the_keepers_turn_to_change_the_host";
    let Some(house) = house_with(name, "1s") else { return };
    drop(hold(&house, "alice"));
    let lock = File::open(house.outside_path("/run/vmnet/lock")).expect("the lock");
    let lock = Flock::lock(lock, FlockArg::LockExclusive).expect("the lock");
    // By now the keeper waits for the lock.
    assert!(house.wait_until(SOON, || is_waited_for(&lock)), "the keeper does not come");
    let port = hold(&house, "alice");
    drop(lock);
    assert_stays_up(&house, IDLE * 3);
    house.assert_up("lab");
    drop(port);
    assert_goes_down(&house);
}

#[test]
fn whoever_comes_just_as_it_goes_down_gets_a_port_that_stays() {
    let name = "whoever_comes_just_as_it_goes_down_gets_a_port_that_stays";
    let Some(house) = house_with(name, "1s") else { return };
    let mut starts = 0;
    let mut keeper = 0;
    drop(hold(&house, "alice"));
    for round in 0..16_u64 {
        // Around the moment at which it goes, a little later each time: eight callers at once.
        std::thread::sleep(IDLE - Duration::from_millis(80) + Duration::from_millis(round * 12));
        let ports: Vec<Holder> = std::thread::scope(|scope| {
            let callers: Vec<_> = (0..8).map(|_| scope.spawn(|| hold(&house, "alice"))).collect();
            callers.into_iter().map(|caller| caller.join().expect("a port")).collect()
        });
        std::thread::sleep(Duration::from_millis(100));
        let attached = house.sh("ip -o link show master lab");
        for port in &ports {
            let tap = &port.caught.tap().name;
            assert!(attached.contains(&format!(" {tap}:")), "round {round}: {tap} lost: {attached}");
        }
        house.assert_up("lab");
        starts += i32::from(house.keeper("lab") != keeper);
        keeper = house.keeper("lab");
    }
    println!("it went down and came up again {starts} times in 16 rounds");
}
