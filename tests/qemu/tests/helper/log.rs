//! The system log: one line for each grant and each refusal, which no caller can forge and no log can
//! turn into a hang. The test is the log itself, a socket at the house's `/dev/log`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::time::{Duration, Instant};

use rig::house::{As, HELPER, House, VMNET, ours_built};
use rig::skip::skip;

const LOG: &str = "/dev/log";
const ASK: [&str; 3] = [HELPER, "--br=br0", "--fd={fd}"];

fn house(test: &str) -> Option<House> {
    if !ours_built() {
        skip(test, "our programs are not built");
        return None;
    }
    let house = House::new();
    house.install();
    house.sh("ip link add br0 type bridge");
    house.write_file("/etc/vmnet/bridge.conf", "# who\nallow br0 user=alice\ndeny all user=bob\n");
    Some(house)
}

/// The house's log; as on any machine everybody may write to it.
fn log(house: &House) -> UnixDatagram {
    let place = house.outside_path(LOG);
    let log = UnixDatagram::bind(&place).expect("a socket");
    fs::set_permissions(&place, Permissions::from_mode(0o666)).expect("its mode");
    log.set_read_timeout(Some(Duration::from_millis(200))).expect("a time limit");
    log
}

/// Everything in the log: what a helper writes is there before it exits.
fn lines(log: &UnixDatagram) -> Vec<String> {
    let mut lines = Vec::new();
    let mut buffer = [0; 65536];
    while let Ok(size) = log.recv(&mut buffer) {
        lines.push(String::from_utf8(buffer[..size].to_vec()).expect("UTF-8"));
    }
    lines
}

#[track_caller]
fn only_line(log: &UnixDatagram) -> String {
    let mut lines = lines(log);
    assert_eq!(lines.len(), 1, "{lines:#?}");
    lines.remove(0)
}

/// Facility authpriv (10), level notice (5), and who says so.
#[track_caller]
fn assert_head(line: &str) {
    let rest = line.strip_prefix("<85>vmnet-bridge-helper[").unwrap_or_else(|| panic!("{line}"));
    let (pid, _) = rest.split_once("]: ").unwrap_or_else(|| panic!("{line}"));
    assert!(pid.parse::<u32>().is_ok(), "{line}");
}

#[test]
fn a_grant_is_one_line_with_user_bridge_tap_and_rule() {
    let Some(house) = house("a_grant_is_one_line_with_user_bridge_tap_and_rule") else { return };
    let log = log(&house);
    let caught = house.catch("alice", &ASK);
    let line = only_line(&log);
    assert_head(&line);
    let tap = format!("tap={}", caught.tap().name);
    for word in ["granted", "user=alice", "uid=1000", "bridge=br0", &tap, "/etc/vmnet/bridge.conf:2"] {
        assert!(line.contains(word), "no {word}: {line}");
    }
    assert_eq!(caught.stderr, "");
}

#[test]
fn a_refusal_is_one_line_with_user_bridge_and_rule() {
    let Some(house) = house("a_refusal_is_one_line_with_user_bridge_and_rule") else { return };
    let log = log(&house);
    house.catch("bob", &ASK).refusal();
    let line = only_line(&log);
    assert_head(&line);
    for word in ["refused", "user=bob", "uid=1001", "bridge=br0", "/etc/vmnet/bridge.conf:3"] {
        assert!(line.contains(word), "no {word}: {line}");
    }
    house.catch("alice", &[HELPER, "--br=none0", "--fd={fd}"]).refusal();
    let line = only_line(&log);
    assert!(
        line.contains("refused") && line.contains("user=alice") && line.contains("bridge=none0"),
        "{line}"
    );
    house.write_file("/etc/vmnet/bridge.conf", "allow br0\npermit br0\n");
    house.catch("alice", &ASK).refusal();
    let line = only_line(&log);
    assert!(line.contains("refused") && line.contains("/etc/vmnet/bridge.conf:2"), "{line}");
}

#[test]
fn a_quota_that_is_used_up_is_one_line() {
    let Some(house) = house("a_quota_that_is_used_up_is_one_line") else { return };
    house.write_file("/etc/vmnet/bridge.conf", "allow br0 ports=1\n");
    let holder = house.hold("alice", &ASK);
    holder.caught.tap();
    let log = log(&house);
    house.catch("alice", &ASK).refusal();
    let line = only_line(&log);
    assert!(line.contains("refused") && line.contains("/etc/vmnet/bridge.conf:1"), "{line}");
}

#[test]
fn no_control_character_reaches_the_log_or_a_terminal() {
    let Some(house) = house("no_control_character_reaches_the_log_or_a_terminal") else { return };
    let log = log(&house);
    let clean = |text: &str| !text.trim_end_matches('\n').chars().any(|c| c.is_control() && c != '\n');
    for name in ["a\u{1b}[2Jb", "a\u{7f}b", "a\u{9b}b", "a\rb", "a\nb: x", "é\u{202e}x"] {
        let caught = house.catch("alice", &[HELPER, &format!("--br={name}"), "--fd={fd}"]);
        assert!(clean(caught.refusal()), "{:?}", caught.stderr);
        for line in lines(&log) {
            assert!(!line.chars().any(char::is_control), "{name:?}: {line:?}");
        }
    }
    // What a program says that the helper started, and what stands in a rule file.
    let forged =
        "#!/bin/sh\nprintf 'vmnet: cannot \\033[2Jstart\\rthis\\007\\n<85>forged: line\\n' >&2\nexit 1\n";
    house.write_file_for(VMNET, 0o755, (0, 0), forged);
    house.write_file("/etc/vmnet/bridge.conf", "allow brmgr0\n");
    let caught = house.catch("alice", &[HELPER, "--br=brmgr0", "--fd={fd}"]);
    assert!(clean(caught.refusal()), "{:?}", caught.stderr);
    let line = only_line(&log);
    assert!(!line.chars().any(char::is_control) && !line.contains("forged"), "{line:?}");
    house.write_file("/etc/vmnet/bridge.conf", "allow \u{1b}[2Jbr0\nper\u{7}mit br0\n");
    let caught = house.catch("alice", &ASK);
    assert!(clean(caught.refusal()), "{:?}", caught.stderr);
    assert!(!only_line(&log).chars().any(char::is_control));
}

#[test]
fn without_a_log_nothing_is_said() {
    let Some(house) = house("without_a_log_nothing_is_said") else { return };
    let caught = house.catch("alice", &ASK);
    caught.tap();
    assert_eq!(caught.stderr, "");
    let caught = house.catch("bob", &ASK);
    assert_eq!(caught.refusal().lines().count(), 1, "{}", caught.stderr);
}

/// How much longer a grant may take than one without a log: the second that a bad log may cost, and as
/// much again for a machine with other things to do.
const LONGER: Duration = Duration::from_secs(2);

#[test]
fn a_log_whose_queue_is_full_costs_at_most_a_second_and_not_the_descriptor() {
    let name = "a_log_whose_queue_is_full_costs_at_most_a_second_and_not_the_descriptor";
    let Some(house) = house(name) else { return };
    let quick = house.catch("alice", &ASK).took;
    let log = log(&house);
    let filler = UnixDatagram::unbound().expect("a socket");
    filler.set_nonblocking(true).expect("not blocking");
    filler.connect(house.outside_path(LOG)).expect("connected");
    let filled = (0..100_000).take_while(|_| filler.send(&[b'x'; 900]).is_ok()).count();
    assert!(filled > 0);
    let started = Instant::now();
    let caught = house.catch_with(As::User("alice"), &["--patience=15"], &ASK);
    caught.tap();
    assert!(caught.took < quick + LONGER, "{caught:#?}");
    println!("{quick:?} without a log, {:?} with a full one, {:?} in all", caught.took, started.elapsed());
    let refused = house.catch("bob", &ASK);
    assert!(refused.refusal().contains("access denied by acl file"), "{refused:#?}");
    assert!(refused.took < quick + LONGER, "{refused:#?}");
    assert_eq!(lines(&log).len(), filled);
}

#[test]
fn a_log_that_listens_for_streams_and_accepts_none_costs_nothing() {
    let name = "a_log_that_listens_for_streams_and_accepts_none_costs_nothing";
    let Some(house) = house(name) else { return };
    let quick = house.catch("alice", &ASK).took;
    let place = house.outside_path(LOG);
    let _log = UnixListener::bind(&place).expect("a socket");
    fs::set_permissions(&place, Permissions::from_mode(0o666)).expect("its mode");
    // std asks for a backlog of 128 at least, and connecting blocks when it is full: so not to the brim.
    let _waiting: Vec<UnixStream> = (0..100).map_while(|_| UnixStream::connect(&place).ok()).collect();
    let caught = house.catch("alice", &ASK);
    caught.tap();
    assert!(caught.took < quick + LONGER, "{caught:#?}");
}

#[test]
fn a_log_that_died_costs_nothing() {
    let Some(house) = house("a_log_that_died_costs_nothing") else { return };
    let quick = house.catch("alice", &ASK).took;
    drop(log(&house));
    let caught = house.catch("alice", &ASK);
    caught.tap();
    assert!(caught.took < quick + LONGER, "{caught:#?}");
    assert!(caught.stderr.lines().count() <= 1, "{caught:#?}");
}
