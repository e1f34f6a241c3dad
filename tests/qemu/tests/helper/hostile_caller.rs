//! Callers that start the helper in odd or hostile ways. It must do its work or refuse in one line; it
//! must never crash, hang, say what only root may know, or leave anything. QEMU's helper is not asked
//! here: how it behaves is in the contract's tests.

use std::time::Duration;

use rig::catch::Caught;
use rig::helper::Helper;
use rig::house::{As, HELPER, House, Privilege, ours_built};
use rig::skip::skip;

const ALICE: As<'_> = As::User("alice");
const ASK: [&str; 3] = [HELPER, "--br=br0", "--fd={fd}"];

fn house(test: &str) -> Option<House> {
    if !ours_built() {
        skip(test, "our programs are not built");
        return None;
    }
    Some(Helper::Ours.house())
}

/// Runs a check with a setuid helper, and with one that has no rights beside a broker.
#[track_caller]
fn each(test: &str, check: impl Fn(&House)) {
    let Some(setuid) = house(test) else { return };
    check(&setuid);
    let house = Helper::Ours.house();
    house.install_with(Privilege::None);
    let _broker = house.start_broker();
    check(&house);
}

#[track_caller]
fn with(house: &House, settings: &[&str]) -> Caught {
    house.catch_with(ALICE, settings, &ASK)
}

#[track_caller]
fn assert_one_line(caught: &Caught) {
    let lines: Vec<&str> = caught.refusal().lines().collect();
    let (first, rest) = lines.split_first().expect("a line");
    assert!(first.starts_with("vmnet-bridge-helper: cannot "), "{caught:#?}");
    let more = |line: &&str| line.starts_with("hint: ") || line.starts_with("usage: ");
    assert!(rest.len() <= 1 && rest.iter().all(more), "{caught:#?}");
}

#[test]
fn signals_as_qemu_leaves_them_or_all_blocked_change_nothing() {
    each("signals_as_qemu_leaves_them_or_all_blocked_change_nothing", |house| {
        for settings in
            [&["--block-signals"][..], &["--ignore-sigpipe"], &["--block-signals", "--ignore-sigpipe"]]
        {
            assert!(with(house, settings).granted(), "{settings:?}");
        }
    });
}

#[test]
fn closed_standard_descriptors_change_nothing() {
    each("closed_standard_descriptors_change_nothing", |house| {
        for closed in ["0", "1", "2", "0,1", "0,2", "1,2", "0,1,2"] {
            let setting = format!("--close={closed}");
            let caught = with(house, &[&setting]);
            assert!(caught.granted() && caught.fds == 1, "{closed}: {caught:#?}");
            house.write_file("/etc/qemu/bridge.conf", "");
            let caught = with(house, &[&setting]);
            assert_eq!((caught.exit, caught.fds), (Some(1), 0), "{closed}, refused: {caught:#?}");
            house.write_file("/etc/qemu/bridge.conf", "allow br0\n");
        }
    });
}

#[test]
fn a_socket_in_a_standard_descriptors_place_is_never_mistaken() {
    each("a_socket_in_a_standard_descriptors_place_is_never_mistaken", |house| {
        for number in ["0", "1", "2"] {
            let caught = with(house, &[&format!("--number={number}")]);
            println!("{number}: {caught:#?}");
            // Served or refused; but the words for people never go down the socket.
            assert!(caught.bytes == [0] || caught.bytes.is_empty(), "{number}: {caught:#?}");
            assert_eq!(caught.exit == Some(0), caught.fds == 1, "{number}: {caught:#?}");
        }
    });
}

#[test]
fn a_thousand_inherited_descriptors_change_nothing() {
    each("a_thousand_inherited_descriptors_change_nothing", |house| {
        assert!(with(house, &["--extra-fds=1000"]).granted());
    });
}

#[test]
fn no_arguments_at_all_not_even_a_name_are_refused() {
    each("no_arguments_at_all_not_even_a_name_are_refused", |house| {
        assert_one_line(&with(house, &["--no-arguments"]));
    });
}

#[test]
fn the_environment_has_no_say() {
    each("the_environment_has_no_say", |house| {
        house.write_file_for("/tmp/alice/bridge.conf", 0o644, (1000, 1000), "allow all\n");
        let hostile = [
            "--env=LD_PRELOAD=/tmp/alice/evil.so",
            "--env=VMNET_CONFIG_DIR=/tmp/alice",
            "--env=VMNET_QEMU_RULES=/tmp/alice/bridge.conf",
            "--env=RUST_BACKTRACE=full",
            "--env=RUST_LOG=trace",
            "--env=PATH=/tmp/alice",
            "--env=TMPDIR=/tmp/alice",
            "--env=LC_ALL=../../tmp/alice",
            "--env=MALLOC_CHECK_=7",
        ];
        assert!(with(house, &hostile).granted());
        assert!(with(house, &["--clear-env"]).granted());
        house.write_file("/etc/qemu/bridge.conf", "deny br0\n");
        let caught = with(house, &hostile);
        assert_one_line(&caught);
        assert!(caught.stderr.contains("access denied by acl file"), "{caught:#?}");
    });
}

#[test]
fn a_reader_who_went_away_is_no_death_by_sigpipe() {
    each("a_reader_who_went_away_is_no_death_by_sigpipe", |house| {
        assert_one_line(&with(house, &["--kind=deaf"]));
    });
}

#[test]
fn a_small_file_size_limit_does_not_hinder_or_kill_it() {
    each("a_small_file_size_limit_does_not_hinder_or_kill_it", |house| {
        assert!(with(house, &["--file-size=0"]).granted());
    });
}

#[test]
fn bytes_that_are_no_text_are_refused_and_cannot_forge_a_line() {
    each("bytes_that_are_no_text_are_refused_and_cannot_forge_a_line", |house| {
        house.start_syslog();
        for name in
            ["br0\nroot: allowed", "br0/../br1", "..", ".", "br 0", "br0\u{1b}[2J", "%n%s", "a/b", "\u{202e}"]
        {
            let caught = house.catch("alice", &[HELPER, &format!("--br={name}"), "--fd={fd}"]);
            assert_one_line(&caught);
            assert!(!caught.stderr.contains('\u{1b}'), "{caught:#?}");
        }
        let long = "x".repeat(100_000);
        assert_one_line(&house.catch("alice", &[HELPER, &format!("--br={long}"), "--fd={fd}"]));
        assert_one_line(&house.catch("alice", &[HELPER, &long]));
        assert!(
            !house.log().lines().any(|line| line.contains("root: allowed") && !line.contains("vmnet")),
            "{}",
            house.log()
        );
    });
}

#[test]
fn numbers_that_name_no_socket_are_refused() {
    each("numbers_that_name_no_socket_are_refused", |house| {
        for number in
            ["", "-1", "+7", " 7", "0x7", "7 ", "99999999999999999999", "2147483648", "1048576", "1e1"]
        {
            assert_one_line(&house.catch("alice", &[HELPER, "--br=br0", &format!("--fd={number}")]));
        }
    });
}

#[test]
fn every_grant_and_every_refusal_is_one_line_in_the_log() {
    let Some(house) = house("every_grant_and_every_refusal_is_one_line_in_the_log") else { return };
    house.start_syslog();
    assert!(with(&house, &[]).granted());
    house.write_file("/etc/qemu/bridge.conf", "allow all\ndeny br0\n");
    assert_one_line(&with(&house, &[]));
    let about_it = || {
        let log = house.log();
        log.lines().filter(|line| line.contains("vmnet-bridge-helper")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(house.wait_until(Duration::from_secs(10), || about_it().len() >= 2), "{}", house.log());
    let lines = about_it();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(lines.iter().all(|line| line.contains("br0") && line.contains("1000")), "{lines:#?}");
    assert!(lines[1].contains("/etc/qemu/bridge.conf:2"), "{lines:#?}");
}

#[test]
fn without_a_system_log_it_works_as_well() {
    each("without_a_system_log_it_works_as_well", |house| {
        assert!(with(house, &[]).granted());
        house.sh("ln -s /nowhere /dev/log");
        assert!(with(house, &[]).granted());
    });
}

#[test]
fn its_holder_cannot_do_more_with_the_tap_than_with_qemus() {
    each("its_holder_cannot_do_more_with_the_tap_than_with_qemus", |house| {
        let held = house.hold("alice", &ASK);
        let name = held.caught.tap().name.clone();
        for argv in [["ip", "link", "set", &name, "down"], ["ip", "link", "del", &name, "up"]] {
            assert_ne!(house.run_as("alice", &argv).code(), 0, "{argv:?}");
        }
    });
}

#[test]
fn a_hundred_callers_at_once_all_get_their_tap() {
    each("a_hundred_callers_at_once_all_get_their_tap", |house| {
        house.catch_with(ALICE, &[], &ASK);
        let caught: Vec<Caught> = std::thread::scope(|scope| {
            let callers: Vec<_> = (0..100).map(|_| scope.spawn(|| with(house, &["--patience=60"]))).collect();
            callers.into_iter().map(|caller| caller.join().expect("a caller")).collect()
        });
        assert!(caught.iter().all(Caught::granted), "{:#?}", caught.iter().find(|caught| !caught.granted()));
    });
}
