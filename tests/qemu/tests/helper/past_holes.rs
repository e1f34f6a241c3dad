//! One test for each hole that QEMU's helper had, has, or leaves to the administrator. Most run
//! against both, so that each hole is seen to be real where it is still there.

use std::time::Duration;

use rig::helper::Verdict::{Allowed, Broken, Crashed, Denied, Hung};
use rig::helper::{Helper, each, verdict};
use rig::house::{As, House};

const RULES: &str = "/etc/qemu/bridge.conf";
const ALICE: As<'_> = As::User("alice");

fn give(house: &House, path: &str, mode: u32, owner: (u32, u32), text: &str) {
    house.write_file_for(path, mode, owner, text);
}

#[test]
fn cve_2019_13164_a_name_of_16_bytes_does_not_pass_a_deny() {
    each("cve_2019_13164_a_name_of_16_bytes_does_not_pass_a_deny", |helper, house| {
        house.sh("ip link add denied-bridge-1 type bridge");
        give(house, RULES, 0o644, (0, 0), "allow all\ndeny denied-bridge-1\n");
        assert_eq!(house.verdict(helper, "denied-bridge-1"), Denied);
        for longer in ["denied-bridge-1x", "denied-bridge-1xxxxxxxxxxxxxxxxxxxxxxxxx"] {
            let bridge = format!("--br={longer}");
            let caught = house.catch("alice", &[helper.path(), &bridge, "--fd={fd}"]);
            assert!(caught.refusal().contains("too long"), "{caught:#?}");
        }
    });
}

#[test]
fn an_altname_does_not_pass_a_deny() {
    each("an_altname_does_not_pass_a_deny", |helper, house| {
        house.sh("ip link property add dev br0 altname another0");
        give(house, RULES, 0o644, (0, 0), "allow all\ndeny br0\n");
        assert_eq!(house.verdict(helper, "br0"), Denied);
        assert_eq!(house.verdict(helper, "another0"), helper.differs("altname", Allowed, Denied));
        give(house, RULES, 0o644, (0, 0), "allow br0\n");
        assert_eq!(house.verdict(helper, "another0"), helper.differs("altname", Denied, Allowed));
    });
}

#[test]
fn a_deny_in_an_include_that_the_caller_cannot_read_still_denies() {
    each("a_deny_in_an_include_that_the_caller_cannot_read_still_denies", |helper, house| {
        give(house, RULES, 0o644, (0, 0), "allow all\ninclude /etc/qemu/secret.conf\n");
        give(house, "/etc/qemu/secret.conf", 0o600, (0, 0), "deny br0\nallow br1\n");
        assert_eq!(house.verdict(helper, "br0"), helper.differs("unreadable include", Allowed, Denied));
        assert_eq!(house.verdict(helper, "br1"), Allowed);
    });
}

#[test]
fn an_include_gives_its_allows_to_those_alone_who_can_read_it() {
    each("an_include_gives_its_allows_to_those_alone_who_can_read_it", |helper, house| {
        give(house, RULES, 0o644, (0, 0), "include /etc/qemu/alice.conf\ninclude /etc/qemu/users.conf\n");
        give(house, "/etc/qemu/alice.conf", 0o640, (0, 1000), "allow br0\n");
        give(house, "/etc/qemu/users.conf", 0o640, (0, 2001), "allow br1\n");
        let who = |who, bridge| house.verdict_for(who, &[], helper, bridge);
        assert_eq!(who(ALICE, "br0"), Allowed);
        assert_eq!(who(As::User("bob"), "br0"), Denied);
        assert_eq!(who(ALICE, "br1"), Allowed, "by a supplementary group");
        assert_eq!(who(As::UserWithGroups("alice", ""), "br1"), Denied, "without the group");
        assert_eq!(who(As::UserWithGroups("bob", "2001"), "br1"), Allowed, "the kernel's groups count");
    });
}

#[test]
fn a_main_file_that_the_caller_cannot_read_lets_nobody_in() {
    each("a_main_file_that_the_caller_cannot_read_lets_nobody_in", |helper, house| {
        give(house, RULES, 0o600, (0, 0), "allow all\n");
        assert_eq!(house.verdict(helper, "br0"), helper.differs("unreadable main file", Broken, Denied));
    });
}

#[test]
fn the_callers_folder_holds_no_rules() {
    each("the_callers_folder_holds_no_rules", |helper, house| {
        give(house, RULES, 0o644, (0, 0), "include rel.conf\n");
        give(house, "/tmp/alice/rel.conf", 0o644, (1000, 1000), "allow br0\n");
        let here = house.verdict_for(ALICE, &["--cwd=/tmp/alice"], helper, "br0");
        assert_eq!(here, helper.differs("relative include", Allowed, Denied));
        give(house, "/etc/qemu/rel.conf", 0o644, (0, 0), "allow br0\n");
        let elsewhere = house.verdict_for(ALICE, &["--cwd=/"], helper, "br0");
        assert_eq!(elsewhere, helper.differs("relative include", Denied, Allowed));
    });
}

#[test]
fn files_that_include_each_other_end_in_a_refusal() {
    each("files_that_include_each_other_end_in_a_refusal", |helper, house| {
        let expected = helper.differs("include depth", Crashed, Broken);
        give(house, RULES, 0o644, (0, 0), "allow all\ninclude /etc/qemu/bridge.conf\n");
        assert_eq!(house.verdict(helper, "br0"), expected, "itself");
        give(house, RULES, 0o644, (0, 0), "allow all\ninclude /etc/qemu/a.conf\n");
        give(house, "/etc/qemu/a.conf", 0o644, (0, 0), "include /etc/qemu/b.conf\n");
        give(house, "/etc/qemu/b.conf", 0o644, (0, 0), "include /etc/qemu/a.conf\n");
        assert_eq!(house.verdict(helper, "br0"), expected, "each other");
        // Twice is not for ever.
        give(house, "/etc/qemu/a.conf", 0o644, (0, 0), "allow br0\n");
        give(house, RULES, 0o644, (0, 0), &"include /etc/qemu/a.conf\n".repeat(2));
        assert_eq!(house.verdict(helper, "br0"), Allowed);
    });
}

#[test]
fn includes_go_eight_files_deep() {
    each("includes_go_eight_files_deep", |helper, house| {
        give(house, RULES, 0o644, (0, 0), "include /etc/qemu/1.conf\n");
        let chain = |last: u32| {
            for number in 1..last {
                let next = format!("include /etc/qemu/{}.conf\n", number + 1);
                give(house, &format!("/etc/qemu/{number}.conf"), 0o644, (0, 0), &next);
            }
            give(house, &format!("/etc/qemu/{last}.conf"), 0o644, (0, 0), "allow br0\n");
        };
        chain(8);
        assert_eq!(house.verdict(helper, "br0"), Allowed);
        chain(9);
        assert_eq!(house.verdict(helper, "br0"), helper.differs("include depth", Allowed, Broken));
    });
}

#[test]
fn includes_that_multiply_end_in_time() {
    each("includes_that_multiply_end_in_time", |helper, house| {
        if helper == Helper::Qemu {
            return; // two to the power of 25 files: it has no limit
        }
        for number in 0..8 {
            let path = format!("/etc/qemu/{number}.conf");
            let line = format!("include /etc/qemu/{}.conf\n", number + 1);
            give(house, &path, 0o644, (0, 0), &line.repeat(30));
        }
        give(house, RULES, 0o644, (0, 0), "allow all\ninclude /etc/qemu/0.conf\n");
        assert_eq!(house.verdict(helper, "br0"), Broken);
    });
}

#[test]
fn a_deny_behind_a_bad_line_of_an_include_is_not_lost() {
    each("a_deny_behind_a_bad_line_of_an_include_is_not_lost", |helper, house| {
        give(house, RULES, 0o644, (0, 0), "allow all\ninclude /etc/qemu/bad.conf\n");
        give(house, "/etc/qemu/bad.conf", 0o644, (0, 0), "permit br1\ndeny br0\n");
        assert_eq!(house.verdict(helper, "br0"), helper.differs("bad include", Allowed, Broken));
    });
}

#[test]
fn the_tail_of_a_long_comment_is_no_rule() {
    each("the_tail_of_a_long_comment_is_no_rule", |helper, house| {
        let long = format!("#{}allow br0\n", "x".repeat(4094));
        give(house, RULES, 0o644, (0, 0), &long);
        assert_eq!(house.verdict(helper, "br0"), helper.differs("long line", Allowed, Broken));
    });
}

#[test]
fn a_file_of_more_than_64_kib_is_refused() {
    each("a_file_of_more_than_64_kib_is_refused", |helper, house| {
        let lines = "# a comment of thirty-two bytes.\n".repeat(2000);
        give(house, RULES, 0o644, (0, 0), &format!("allow br0\n{lines}"));
        assert_eq!(house.verdict(helper, "br0"), helper.differs("long file", Allowed, Broken));
        give(house, RULES, 0o644, (0, 0), &format!("allow br0\n{}", &lines[..60_000]));
        assert_eq!(house.verdict(helper, "br0"), Allowed);
    });
}

#[test]
fn a_file_that_others_can_write_is_not_obeyed() {
    each("a_file_that_others_can_write_is_not_obeyed", |helper, house| {
        let expected = helper.differs("file that others can write", Allowed, Broken);
        for (mode, owner) in [(0o666, (0, 0)), (0o664, (0, 0)), (0o646, (0, 0)), (0o644, (1000, 1000))] {
            give(house, RULES, mode, owner, "allow br0\n");
            assert_eq!(house.verdict(helper, "br0"), expected, "main file, {mode:o} {owner:?}");
            give(house, RULES, 0o644, (0, 0), "include /etc/qemu/more.conf\n");
            give(house, "/etc/qemu/more.conf", mode, owner, "allow br0\n");
            assert_eq!(house.verdict(helper, "br0"), expected, "included file, {mode:o} {owner:?}");
        }
        // By a link of the caller's own, too.
        give(house, "/tmp/alice/rules.conf", 0o644, (1000, 1000), "allow br0\n");
        house.sh("ln -sf /tmp/alice/rules.conf /etc/qemu/bridge.conf");
        assert_eq!(house.verdict(helper, "br0"), expected, "a symlink");
    });
}

#[test]
fn what_is_no_regular_file_is_refused_at_once() {
    each("what_is_no_regular_file_is_refused_at_once", |helper, house| {
        let quick = |what: &str| {
            let argv = [helper.path(), "--br=br0", "--fd={fd}"];
            let found = verdict(&house.catch_with(ALICE, &["--patience=3"], &argv));
            println!("{helper:?}: {what}: {found:?}");
            found
        };
        give(house, RULES, 0o644, (0, 0), "allow br0\ninclude /etc/qemu/odd\n");
        house.sh("mkdir /etc/qemu/odd");
        assert_eq!(quick("a directory"), helper.differs("include of no regular file", Allowed, Broken));
        house.sh("rmdir /etc/qemu/odd; mkfifo -m 644 /etc/qemu/odd");
        assert_eq!(quick("a FIFO"), helper.differs("include of no regular file", Hung, Broken));
        house.sh("rm /etc/qemu/odd; ln -s /dev/full /etc/qemu/odd");
        assert_ne!(
            quick("a device without end"),
            helper.differs("include of no regular file", Denied, Allowed)
        );
        house.sh("rm -r /etc/qemu/bridge.conf; mkdir /etc/qemu/bridge.conf");
        assert_eq!(
            quick("a directory as the main file"),
            helper.differs("include of no regular file", Denied, Broken)
        );
        house.sh("rmdir /etc/qemu/bridge.conf; mkfifo -m 644 /etc/qemu/bridge.conf");
        assert_eq!(
            quick("a FIFO as the main file"),
            helper.differs("include of no regular file", Hung, Broken)
        );
    });
}

#[test]
fn a_link_that_leads_nowhere_or_to_itself_lets_nobody_in() {
    each("a_link_that_leads_nowhere_or_to_itself_lets_nobody_in", |helper, house| {
        for target in ["/etc/qemu/bridge.conf", "/nowhere", "/etc/qemu/bridge.conf/below"] {
            house.sh(&format!("rm -f /etc/qemu/bridge.conf; ln -s {target} /etc/qemu/bridge.conf"));
            assert_eq!(house.verdict(helper, "br0"), Broken, "{target}");
        }
    });
}

#[test]
fn a_socket_that_is_none_leaves_nothing() {
    each("a_socket_that_is_none_leaves_nothing", |helper, house| {
        let argv = [helper.path(), "--br=br0", "--fd=99"];
        for _ in 0..3 {
            assert!(house.catch("alice", &argv).refused());
        }
        let gone = || !house.sh("ip -br link").contains("tap");
        assert!(house.wait_until(Duration::from_secs(10), gone), "{}", house.sh("ip link"));
    });
}

#[test]
fn a_bad_line_of_a_file_the_caller_cannot_read_is_not_shown_to_them() {
    let name = "a_bad_line_of_a_file_the_caller_cannot_read_is_not_shown_to_them";
    if !Helper::all(name).contains(&Helper::Ours) {
        return;
    }
    let house = Helper::Ours.house();
    give(&house, RULES, 0o644, (0, 0), "allow all\ninclude secret.conf\n");
    give(&house, "/etc/qemu/secret.conf", 0o600, (0, 0), "deny br1\ntopsecretword\n");
    let caught = house.catch("alice", &[Helper::Ours.path(), "--br=br0", "--fd={fd}"]);
    assert!(caught.refusal().contains("/etc/qemu/secret.conf:2"), "{caught:#?}");
    assert!(!caught.refusal().contains("topsecret"), "{caught:#?}");
}
