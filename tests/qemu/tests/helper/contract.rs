//! The contract with QEMU and libvirt: arguments, message, TAP, exit status. Every case runs against
//! QEMU's own helper and against ours, with rights of its own and with a broker's.

use rig::catch::Caught;
use rig::difference::DIFFERENCES;
use rig::helper::{Helper, each, each_way};
use rig::house::{As, House, Privilege};
use rig::snapshot::Snapshot;
use std::time::Duration;

const TAP_NO_PI: u64 = 0x1002;
const VNET_HDR: u64 = 0x4000;

#[track_caller]
fn ask(house: &House, helper: Helper, arguments: &[&str]) -> Caught {
    let mut argv = vec![helper.path()];
    argv.extend(arguments);
    house.catch("alice", &argv)
}

/// The house as it is after a first TAP came and went: a bridge gets its IPv6 link-local address and its
/// offload limits with its first port and keeps them.
#[track_caller]
fn snapshot_after_a_first_tap(house: &House, helper: Helper) -> Snapshot {
    assert!(ask(house, helper, &["--br=br0", "--fd={fd}"]).granted());
    let quiet =
        || !house.sh("ip -br link").contains("tap") && house.sh("ip link show br0").contains("NO-CARRIER");
    assert!(house.wait_until(Duration::from_secs(10), quiet), "a TAP stayed: {}", house.sh("ip link"));
    house.snapshot()
}

#[test]
fn arguments_come_in_every_order() {
    each_way("arguments_come_in_every_order", |helper, house| {
        let (v, b, f) = ("--use-vnet", "--br=br0", "--fd={fd}");
        for order in [[v, b, f], [v, f, b], [b, v, f], [b, f, v], [f, v, b], [f, b, v]] {
            let caught = ask(house, helper, &order);
            assert_eq!(caught.tap().flags, TAP_NO_PI | VNET_HDR, "{order:?}");
        }
        for order in [[b, f], [f, b]] {
            assert_eq!(ask(house, helper, &order).tap().flags, TAP_NO_PI, "{order:?}");
        }
    });
}

#[test]
fn the_last_argument_of_a_kind_wins() {
    each_way("the_last_argument_of_a_kind_wins", |helper, house| {
        let caught = ask(house, helper, &["--br=br1", "--fd=99", "--br=br0", "--fd={fd}"]);
        assert_eq!(caught.tap().master.as_deref(), Some("br0"));
        let caught = ask(house, helper, &["--fd={fd}", "--br=a-name-that-is-too-long", "--br=br1"]);
        assert_eq!(caught.tap().master.as_deref(), Some("br1"));
    });
}

#[test]
fn missing_and_unknown_arguments_are_refused_with_usage() {
    each_way("missing_and_unknown_arguments_are_refused_with_usage", |helper, house| {
        for arguments in [
            &[][..],
            &["--br=br0"],
            &["--fd={fd}"],
            &["--use-vnet"],
            &["--br=br0", "--fd=-1"],
            &["--br=br0", "--fd={fd}", "--use-vnet=on"],
            &["--br=br0", "--fd={fd}", "br0"],
            &["--br=br0", "--fd={fd}", ""],
            &["--br=br0", "--fd={fd}", "--brr=br0"],
        ] {
            let caught = ask(house, helper, arguments);
            assert!(caught.refused(), "{arguments:?}: {caught:#?}");
            assert!(caught.stdout.is_empty(), "{arguments:?}: {caught:#?}");
        }
    });
}

#[test]
fn arguments_of_two_words_and_questions_are_ours_alone() {
    each_way("arguments_of_two_words_and_questions_are_ours_alone", |helper, house| {
        let caught = ask(house, helper, &["--br", "br0", "--fd", "{fd}"]);
        assert_eq!(caught.granted(), helper.differs("two-word arguments", false, true), "{caught:#?}");
        for question in ["--help", "--version"] {
            let caught = ask(house, helper, &[question]);
            assert_eq!(caught.exit, helper.differs("help and version", Some(1), Some(0)), "{caught:#?}");
            assert_eq!(caught.stdout.is_empty(), helper == Helper::Qemu, "{caught:#?}");
            assert_eq!(caught.fds, 0);
        }
    });
}

#[test]
fn exactly_one_byte_and_one_descriptor_come_and_nothing_is_said() {
    each_way("exactly_one_byte_and_one_descriptor_come_and_nothing_is_said", |helper, house| {
        let caught = ask(house, helper, &["--use-vnet", "--fd={fd}", "--br=br0"]);
        assert!(caught.granted() && caught.ended, "{caught:#?}");
        assert_eq!((caught.bytes.as_slice(), caught.fds, caught.controls), (&[0][..], 1, 1));
        assert_eq!((caught.stdout.as_str(), caught.stderr.as_str()), ("", ""));
    });
}

#[test]
fn the_tap_is_as_qemu_wants_it() {
    each_way("the_tap_is_as_qemu_wants_it", |helper, house| {
        let caught = ask(house, helper, &["--use-vnet", "--br=br0", "--fd={fd}"]);
        let tap = caught.tap();
        assert_eq!(tap.master.as_deref(), Some("br0"));
        assert_eq!(tap.mtu, 1400);
        assert!(tap.mac.starts_with("fe:"), "{tap:?}");
        assert!(tap.up && tap.read_write && !tap.nonblocking, "{tap:?}");
        assert_eq!(tap.header, 10);
        let number = tap.name.strip_prefix(helper.differs("tap name", "tap", "vmtap")).expect("the prefix");
        assert!(!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()), "{tap:?}");
        assert_eq!(tap.alias.starts_with("vmnet br0 uid=1000 pid="), helper == Helper::Ours, "{tap:?}");
    });
}

#[test]
fn the_tap_lives_as_long_as_its_descriptor() {
    each_way("the_tap_lives_as_long_as_its_descriptor", |helper, house| {
        let before = snapshot_after_a_first_tap(house, helper);
        let first = house.hold("alice", &[helper.path(), "--br=br0", "--fd={fd}"]);
        let second = house.hold("bob", &[helper.path(), "--br=br0", "--fd={fd}"]);
        let (first_name, second_name) = (first.caught.tap().name.clone(), second.caught.tap().name.clone());
        assert_ne!(first_name, second_name);
        let has = |name: &str| house.sh("ip -br link").contains(name);
        assert!(has(&first_name) && has(&second_name), "{}", house.sh("ip link"));
        drop(first);
        assert!(house.wait_until(Duration::from_secs(10), || !has(&first_name)), "{first_name} stayed");
        let third = house.hold("alice", &[helper.path(), "--br=br0", "--fd={fd}"]);
        let again = third.caught.tap().name == first_name;
        assert_eq!(again, helper.differs("tap number", true, false), "{:?}", third.caught.tap());
        drop((second, third));
        house.assert_as_in(&before);
    });
}

#[test]
fn a_name_that_is_taken_is_left_to_its_holder() {
    let name = "a_name_that_is_taken_is_left_to_its_holder";
    if !Helper::all(name).contains(&Helper::Ours) {
        return;
    }
    let house = Helper::Ours.house();
    // The helper names its TAP after its own process, which will be one of the next.
    let last: u32 = house.sh("echo $$").trim().parse().expect("a number");
    let links: String = (1..200).map(|n| format!("link add vmtap{} type bridge\n", last + n)).collect();
    house.write_file("/run/links", links);
    house.sh("ip -batch /run/links");
    let caught = ask(&house, Helper::Ours, &["--br=br0", "--fd={fd}"]);
    assert_eq!(caught.tap().name, "vmtap0", "{caught:#?}");
}

#[test]
fn the_bridge_keeps_its_mtu_its_mac_and_its_state() {
    each_way("the_bridge_keeps_its_mtu_its_mac_and_its_state", |helper, house| {
        let holder = house.hold("alice", &[helper.path(), "--br=br0", "--fd={fd}"]);
        assert!(holder.caught.granted(), "{:#?}", holder.caught);
        let link = house.sh("ip -o link show br0");
        assert!(link.contains("mtu 1400") && link.contains("52:54:00:00:00:01"), "{link}");
        let holder = house.hold("alice", &[helper.path(), "--br=br1", "--fd={fd}"]);
        assert!(holder.caught.granted(), "a bridge that is down is a bridge: {:#?}", holder.caught);
        assert!(!house.sh("ip -o link show br1").contains(",UP"), "it was brought up");
    });
}

#[test]
fn a_large_mtu_reaches_the_tap() {
    each_way("a_large_mtu_reaches_the_tap", |helper, house| {
        house.sh("ip link set br0 mtu 9000");
        assert_eq!(ask(house, helper, &["--br=br0", "--fd={fd}"]).tap().mtu, 9000);
    });
}

#[test]
fn a_descriptor_that_cannot_carry_the_tap_is_refused_and_nothing_stays() {
    each_way("a_descriptor_that_cannot_carry_the_tap_is_refused_and_nothing_stays", |helper, house| {
        let before = snapshot_after_a_first_tap(house, helper);
        let with = |setting: &str| {
            let argv = [helper.path(), "--br=br0", "--fd={fd}"];
            house.catch_with(As::User("alice"), &[setting, "--ignore-sigpipe"], &argv)
        };
        for kind in ["pipe", "file", "inet", "unconnected", "listening", "deaf"] {
            let caught = with(&format!("--kind={kind}"));
            assert!(caught.refusal().contains("failed to write fd to unix socket"), "{kind}: {caught:#?}");
        }
        for kind in ["datagram", "seqpacket"] {
            let caught = with(&format!("--kind={kind}"));
            assert_eq!(caught.fds, helper.differs("fd is a stream socket", 1, 0), "{kind}: {caught:#?}");
            assert_eq!(
                caught.exit,
                helper.differs("fd is a stream socket", Some(0), Some(1)),
                "{kind}: {caught:#?}"
            );
        }
        let caught = ask(house, helper, &["--br=br0", "--fd=99"]);
        assert!(caught.refusal().contains("failed to write fd to unix socket"), "{caught:#?}");
        house.assert_as_in(&before);
    });
}

#[test]
fn a_descriptor_that_is_no_number_is_not_standard_input() {
    each_way("a_descriptor_that_is_no_number_is_not_standard_input", |helper, house| {
        let argv = [helper.path(), "--br=br0", "--fd=abc"];
        let caught = house.catch_with(As::User("alice"), &["--number=0"], &argv);
        assert_eq!(caught.granted(), helper.differs("fd is a number", true, false), "{caught:#?}");
    });
}

#[test]
fn what_is_no_bridge_is_refused_and_nothing_stays() {
    each_way("what_is_no_bridge_is_refused_and_nothing_stays", |helper, house| {
        house.write_file("/etc/qemu/bridge.conf", "allow all\n");
        house.sh("ip link add veth0 type veth peer name veth1");
        let before = house.snapshot();
        let no_bridge = "failed to add interface";
        for (name, words) in [
            ("absent0", "failed to get mtu of bridge"),
            ("veth0", no_bridge),
            ("lo", helper.differs("not a bridge", "failed to set mtu of device", no_bridge)),
            ("a-name-of-16-byt", "too long: 16"),
        ] {
            let caught = ask(house, helper, &[&format!("--br={name}"), "--fd={fd}"]);
            assert!(caught.refusal().contains(words), "{name}: {caught:#?}");
        }
        assert!(ask(house, helper, &["--br=", "--fd={fd}"]).refused());
        house.assert_as_in(&before);
    });
}

#[test]
fn who_is_not_allowed_is_told_so() {
    each_way("who_is_not_allowed_is_told_so", |helper, house| {
        house.write_file("/etc/qemu/bridge.conf", "allow br1\n");
        let caught = ask(house, helper, &["--br=br0", "--fd={fd}"]);
        assert!(caught.refusal().contains("access denied by acl file"), "{caught:#?}");
        house.run(&["rm", "/etc/qemu/bridge.conf"]).success();
        let caught = ask(house, helper, &["--br=br0", "--fd={fd}"]);
        assert!(caught.refusal().contains("failed to parse default acl file"), "{caught:#?}");
    });
}

#[test]
fn without_privilege_it_says_the_words_that_people_search_for() {
    each("without_privilege_it_says_the_words_that_people_search_for", |helper, house| {
        house.run(&["chmod", "755", helper.path()]).success();
        let caught = ask(house, helper, &["--br=br0", "--fd={fd}"]);
        let words = caught.refusal().to_lowercase();
        assert!(words.contains("failed to create tun device: operation not permitted"), "{caught:#?}");
        house.run(&["chmod", "4755", helper.path()]).success();
        let argv = [helper.path(), "--br=br0", "--fd={fd}"];
        let caught = house.catch_with(As::User("alice"), &["--no-new-privileges"], &argv);
        assert!(caught.refusal().to_lowercase().contains("failed to create tun device"), "{caught:#?}");
    });
}

#[test]
fn a_file_capability_is_enough() {
    each("a_file_capability_is_enough", |helper, house| {
        match helper {
            Helper::Qemu => {
                house.run(&["chmod", "755", helper.path()]).success();
                house.run(&["setcap", "cap_net_admin+ep", helper.path()]).success();
            }
            Helper::Ours => house.install_with(Privilege::FileCapability),
        }
        house.set_tun_mode(0o666);
        assert_eq!(ask(house, helper, &["--br=br0", "--fd={fd}"]).tap().master.as_deref(), Some("br0"));
    });
}

#[test]
fn ours_works_where_the_tun_device_is_roots_alone() {
    each_way("ours_works_where_the_tun_device_is_roots_alone", |helper, house| {
        house.set_tun_mode(0o600);
        let caught = ask(house, helper, &["--br=br0", "--fd={fd}"]);
        assert_eq!(caught.granted(), helper.differs("tun device mode", false, true), "{caught:#?}");
        assert_eq!(caught.stderr.contains("failed to open /dev/net/tun"), helper == Helper::Qemu);
    });
}

#[test]
fn every_difference_in_the_table_is_tested() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/helper");
    let files = std::fs::read_dir(folder).expect("the tests").flatten();
    let tests: String = files.filter_map(|file| std::fs::read_to_string(file.path()).ok()).collect();
    let tests: String = tests.split_whitespace().collect();
    for difference in DIFFERENCES {
        let name: String = difference.name.split_whitespace().collect();
        assert!(tests.contains(&format!("differs(\"{name}\"")), "{difference:?} is not tested");
    }
}
