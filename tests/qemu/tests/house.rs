//! The rig itself: a house is a host of its own, and nothing of it stays.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use rig::house::{As, House};
use rig::outside::{HOST, SERVER_NAME, WHO_AM_I};
use rig::process::Process;

#[test]
fn a_house_has_its_own_network_users_devices_and_files() {
    let house = House::new();
    assert_eq!(house.sh("ls /sys/class/net").trim(), "lo");
    assert_eq!(house.sh("stat -c %a /dev/net/tun").trim(), "600");
    assert_eq!(house.sh("cat /proc/sys/net/ipv4/ip_forward").trim(), "0");
    house.write_file("/etc/vmnet/bridge.conf", "allow all\n");
    house.write_file("/usr/local/sbin/a-program", "");
    house.write_file("/run/a-file", "");
    assert_eq!(house.sh("cat /etc/vmnet/bridge.conf").trim(), "allow all");
    for outside in ["/etc/vmnet/bridge.conf", "/usr/local/sbin/a-program", "/run/a-file"] {
        assert!(!std::path::Path::new(outside).exists(), "{outside} reached the machine");
    }
}

#[test]
fn a_plain_user_is_one_and_setuid_still_works() {
    let house = House::new();
    let alice = house.run_as("alice", &["id"]);
    assert!(
        alice.success().starts_with("uid=1000(alice) gid=1000(alice) groups=1000(alice),2001(vmusers)"),
        "{alice}"
    );
    let without = house.run_with(As::UserWithGroups("bob", ""), &["id", "-G"], None, Duration::from_secs(20));
    assert_eq!(without.success().trim(), "1001");
    let status = house.run_as("alice", &["cat", "/proc/self/status"]);
    for line in ["CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "NoNewPrivs:\t0"] {
        assert!(status.success().contains(line), "no {line:?}: {status}");
    }
    house.sh("cp /usr/bin/id /usr/local/bin/setuid-id; chmod 4755 /usr/local/bin/setuid-id");
    assert_eq!(house.run_as("alice", &["/usr/local/bin/setuid-id", "-u"]).success().trim(), "0");
    assert_ne!(house.run_as("alice", &["ip", "link", "add", "br0", "type", "bridge"]).code(), 0);
}

#[test]
fn a_house_reaps_orphans_and_takes_its_daemons_along() {
    let house = House::new();
    house.sh("setsid -f sleep 0.01; setsid -f sleep 1234.5");
    let reaped = house.wait_until(Duration::from_secs(10), || {
        !house.sh("ps -eo stat,args").lines().any(|line| line.contains('Z') || line.contains("sleep 0.01"))
    });
    assert!(reaped, "{}", house.sh("ps -eo stat,args"));
    let init = house.init();
    drop(house);
    assert!(!std::path::Path::new(&format!("/proc/{init}")).exists());
}

#[test]
fn a_program_that_hangs_is_killed_and_named() {
    let house = House::new();
    let panic = std::panic::catch_unwind(|| {
        house.run_with(As::Root, &["sleep", "100"], None, Duration::from_millis(200));
    });
    let message = panic.expect_err("it hung").downcast::<String>().expect("a message");
    assert!(message.contains("`sleep 100`"), "{message}");
    let gone = || !house.sh("ps -eo args").contains("sleep 100\n");
    assert!(house.wait_until(Duration::from_secs(10), gone), "it still runs");
}

#[test]
fn the_system_log_can_be_read() {
    let house = House::new();
    house.start_syslog();
    house.run_as("alice", &["busybox", "logger", "-p", "authpriv.notice", "a word"]).success();
    assert!(house.wait_until(Duration::from_secs(10), || house.log().contains("a word")), "{}", house.log());
}

#[test]
fn a_snapshot_sees_each_kind_of_left_over_and_nothing_else() {
    let house = House::new();
    house.sh("ip link add kept0 type bridge; ip link set kept0 up; ip addr add 10.9.0.1/24 dev kept0");
    let before = house.snapshot();
    house.assert_as_in(&before);
    let prints = |script: &str, undo: &str, word: &str| {
        house.sh(script);
        let difference = before.difference(&house.snapshot());
        assert!(difference.contains(word), "{script}: no {word:?} in {difference:?}");
        house.sh(undo);
        house.assert_as_in(&before);
    };
    prints("ip link add left0 type bridge", "ip link del left0", "+ link");
    prints("ip addr add 10.9.0.2/24 dev kept0", "ip addr del 10.9.0.2/24 dev kept0", "+ address");
    prints("ip route add blackhole 10.8.0.0/24 table 77", "ip route flush table 77", "+ route");
    prints("ip rule add from 10.8.0.0/24 lookup 77", "ip rule del from 10.8.0.0/24", "+ rule");
    prints("nft add table inet left", "nft delete table inet left", "+ nftables");
    prints("sysctl -qw net.ipv4.ip_forward=1", "sysctl -qw net.ipv4.ip_forward=0", "net.ipv4.ip_forward = 1");
    prints("setsid -f sleep 4321", "pkill -x sleep", "sleep 4321");
    prints("touch /run/left", "rm /run/left", "+ file /run/left");
    prints("cp -p /etc/passwd /tmp/p; echo x >>/etc/passwd", "cat /tmp/p >/etc/passwd", "/etc/passwd");
    prints("mkdir -p /var/lib/misc; touch /var/lib/misc/left", "rm /var/lib/misc/left", "/var/lib/misc/left");
}

#[test]
fn the_outside_answers_names_and_tells_the_callers_address() {
    let house = House::new();
    let _outside = house.with_outside();
    assert_eq!(house.fetch(SERVER_NAME, WHO_AM_I).as_deref(), Some(HOST));
}

/// Set in a copy of this test program that builds a house and is then killed.
const VICTIM: &str = "RIG_TEST_VICTIM";

#[test]
fn a_house_dies_with_its_test_however_that_dies() {
    let name = "a_house_dies_with_its_test_however_that_dies";
    if std::env::var_os(VICTIM).is_some() {
        let house = House::new();
        println!("init {}", house.init());
        std::thread::sleep(Duration::from_secs(60));
        return;
    }
    let mut copy = Command::new(std::env::current_exe().expect("this program"));
    copy.args(["--exact", name, "--nocapture"]).env(VICTIM, "1");
    let victim = Process::start(copy, name);
    let line = victim.line(Duration::from_secs(60), |line| line.contains("init ")).expect("its house");
    let init = line.rsplit(' ').next().expect("a number").to_owned();
    let house = Path::new("/proc").join(init);
    assert!(house.exists());
    victim.signal(Signal::SIGKILL);
    let gone = (0..500).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        !house.exists()
    });
    assert!(gone, "{} outlived its test", house.display());
}
