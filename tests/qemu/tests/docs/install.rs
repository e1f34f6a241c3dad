//! `make install` in a house, as an administrator would run it: what lands where with which mode, what
//! survives, and that the programs work from there. No rebuild: the tests' own programs are installed.

use std::path::Path;
use std::process::Command;

use rig::command::{Outcome, PATIENCE, run};
use rig::house::{As, HELPER, House, Privilege, VMNET, bin_dir, ours_built};
use rig::skip::{have, skip};

/// The project's files in a house; `make` runs there.
const PROJECT: &str = "/tmp/house/project";
/// In place of cargo: writes down that it was called, and with which paths.
const CARGO: &str = "#!/bin/sh
[ \"$1\" = --version ] && { echo 'cargo 99.0.0'; exit; }
echo \"$* $VMNET_PROGRAM $VMNET_HELPER $VMNET_CONFIG_DIR $VMNET_STATE_DIR $VMNET_RUN_DIR\" >>/tmp/house/cargo.log
";
/// The places that the Makefile gives without being told otherwise, in its words.
const PATHS: &str = "/usr/local/sbin/vmnet /usr/local/libexec/vmnet-bridge-helper /etc/vmnet /var/lib/vmnet \
                     /run/vmnet /etc/qemu/bridge.conf\n";

/// A house with the project in it.
fn house(test: &str) -> Option<House> {
    if !ours_built() {
        skip(test, "our programs are not built");
        return None;
    }
    if !have(test, &["make"]) {
        return None;
    }
    let house = House::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let place = house.outside_path(PROJECT);
    let mut copy = Command::new("sh");
    copy.arg("-euc").arg(r#"mkdir -p "$2"; cd "$1"; cp -r Makefile Cargo.toml conf man completions "$2""#);
    copy.arg("sh").arg(&root).arg(&place);
    run(copy, "copying the project", None, PATIENCE).success();
    for program in ["vmnet", "vmnet-bridge-helper"] {
        house.copy_in(&bin_dir().join(program), &format!("{PROJECT}/target/release/{program}"), 0o755);
    }
    house.write_file(&format!("{PROJECT}/target/release/vmnet.paths"), PATHS);
    house.write_file_for("/tmp/house/cargo", 0o755, (0, 0), CARGO);
    Some(house)
}

/// Runs make there as root.
#[track_caller]
fn make(house: &House, words: &[&str]) -> Outcome {
    let target = format!("CARGO_TARGET_DIR={PROJECT}/target");
    let mut argv = vec!["make", "-C", PROJECT, "CARGO=/tmp/house/cargo", &target];
    argv.extend(words);
    let outcome = house.run(&argv);
    outcome.success();
    outcome
}

/// Files below a folder, with mode and owner.
fn files(house: &House, folder: &str) -> Vec<String> {
    let found = house.sh(&format!("cd {folder}; find . -type f -printf '%m %u:%g %P\\n'"));
    let mut lines: Vec<String> = found.lines().map(str::to_owned).collect();
    lines.sort_by_key(|line| line.rsplit(' ').next().unwrap_or_default().to_owned());
    lines
}

const INSTALLED: [&str; 27] = [
    "644 root:root etc/NetworkManager/conf.d/vmnet.conf",
    "644 root:root etc/dnsmasq.d/vmnet.conf",
    "755 root:root etc/libvirt/hooks/network.d/vmnet",
    "755 root:root etc/libvirt/hooks/qemu.d/vmnet",
    "644 root:root etc/vmnet/bridge.conf",
    "644 root:root etc/vmnet/networks/brmgr0.toml",
    "644 root:root usr/local/lib/systemd/network/05-vmnet.network",
    "644 root:root usr/local/lib/systemd/system/vmnet-broker.service",
    "644 root:root usr/local/lib/systemd/system/vmnet-broker.socket",
    "644 root:root usr/local/lib/systemd/system/vmnet@.service",
    "644 root:root usr/local/lib/sysusers.d/vmnet.conf",
    "4755 root:root usr/local/libexec/vmnet-bridge-helper",
    "755 root:root usr/local/sbin/vmnet",
    "644 root:root usr/local/share/bash-completion/completions/vmnet",
    "644 root:root usr/local/share/fish/vendor_completions.d/vmnet.fish",
    "644 root:root usr/local/share/man/man5/vmnet-bridge.conf.5",
    "644 root:root usr/local/share/man/man5/vmnet.toml.5",
    "644 root:root usr/local/share/man/man8/vmnet-bridge-helper.8",
    "644 root:root usr/local/share/man/man8/vmnet.8",
    "644 root:root usr/local/share/vmnet/default/etc/NetworkManager/conf.d/vmnet.conf",
    "644 root:root usr/local/share/vmnet/default/etc/dnsmasq.d/vmnet.conf",
    "644 root:root usr/local/share/vmnet/default/etc/libvirt/hooks/network.d/vmnet",
    "644 root:root usr/local/share/vmnet/default/etc/libvirt/hooks/qemu.d/vmnet",
    "644 root:root usr/local/share/vmnet/default/etc/vmnet/bridge.conf",
    "644 root:root usr/local/share/vmnet/default/etc/vmnet/networks/brmgr0.toml",
    "644 root:root usr/local/share/vmnet/lxc.container.conf",
    "644 root:root usr/local/share/vmnet/network.schema.json",
];

#[test]
fn below_destdir_stand_exactly_these_files_and_only_the_helper_is_setuid() {
    let name = "below_destdir_stand_exactly_these_files_and_only_the_helper_is_setuid";
    let Some(house) = house(name) else { return };
    make(&house, &["install", "DESTDIR=/tmp/house/tree"]);
    let mut expected = INSTALLED.to_vec();
    expected.push("644 root:root usr/local/share/zsh/site-functions/_vmnet");
    assert_eq!(files(&house, "/tmp/house/tree"), expected);
    assert_eq!(house.read_file("/tmp/house/cargo.log"), None, "the programs were there already");
    let unfilled = house.run(&["grep", "-rIE", "@[A-Z]+@", "/tmp/house/tree"]);
    assert_eq!(unfilled.code(), 1, "{unfilled}");
    make(&house, &["uninstall", "DESTDIR=/tmp/house/tree"]);
    assert_eq!(files(&house, "/tmp/house/tree"), Vec::<String>::new());
}

#[test]
fn the_helper_may_be_installed_without_its_setuid_bit() {
    let Some(house) = house("the_helper_may_be_installed_without_its_setuid_bit") else { return };
    make(&house, &["install", "DESTDIR=/tmp/house/tree", "HELPER_MODE=0755"]);
    let helper = "755 root:root usr/local/libexec/vmnet-bridge-helper";
    assert!(files(&house, "/tmp/house/tree").iter().any(|file| file == helper));
}

#[test]
fn what_an_administrator_edited_is_neither_overwritten_nor_removed() {
    let name = "what_an_administrator_edited_is_neither_overwritten_nor_removed";
    let Some(house) = house(name) else { return };
    let install = ["install", "DESTDIR=/tmp/house/tree"];
    make(&house, &install);
    let rules = "/tmp/house/tree/etc/vmnet/bridge.conf";
    house.write_file(rules, "allow mine\n");
    let said = make(&house, &install);
    assert!(said.stderr.contains("kept /etc/vmnet/bridge.conf"), "{said}");
    make(&house, &["uninstall", "DESTDIR=/tmp/house/tree"]);
    assert_eq!(files(&house, "/tmp/house/tree"), ["644 root:root etc/vmnet/bridge.conf"]);
    assert_eq!(house.read_file(rules).as_deref(), Some("allow mine\n"));
    // Nor is one that was there before the first install.
    house.write_file("/tmp/house/tree/etc/dnsmasq.d/vmnet.conf", "# mine\n");
    make(&house, &install);
    let kept = house.read_file("/tmp/house/tree/etc/dnsmasq.d/vmnet.conf");
    assert_eq!(kept.as_deref(), Some("# mine\n"));
}

#[test]
fn other_places_are_built_in_before_they_are_installed() {
    let Some(house) = house("other_places_are_built_in_before_they_are_installed") else { return };
    let places = ["PREFIX=/usr", "SYSCONFDIR=/etc/local", "LOCALSTATEDIR=/srv", "RUNDIR=/var/run"];
    let mut words = vec!["install", "DESTDIR=/tmp/house/tree"];
    words.extend(places);
    make(&house, &words);
    let built = house.read_file("/tmp/house/cargo.log").unwrap_or_default();
    let paths = "/usr/sbin/vmnet /usr/libexec/vmnet-bridge-helper /etc/local/vmnet /srv/vmnet /var/run/vmnet";
    assert_eq!(built.lines().filter(|line| line.ends_with(paths)).count(), 2, "{built}");
    let helper = house.sh("stat -c %a /tmp/house/tree/usr/libexec/vmnet-bridge-helper");
    assert_eq!(helper.trim(), "4755");
    let unit = house.read_file("/tmp/house/tree/usr/lib/systemd/system/vmnet@.service").unwrap_or_default();
    assert!(unit.contains("ExecStart=/usr/sbin/vmnet run %i"), "{unit}");
    let units = "/tmp/house/tree/usr/lib/systemd/system";
    let socket = house.read_file(&format!("{units}/vmnet-broker.socket")).unwrap_or_default();
    assert!(socket.contains("ListenSequentialPacket=/var/run/vmnet/broker.sock"), "{socket}");
    assert!(house.outside_path("/tmp/house/tree/etc/local/vmnet/bridge.conf").exists());
}

#[test]
fn after_make_install_a_member_of_the_group_is_on_the_network_and_others_are_not() {
    let name = "after_make_install_a_member_of_the_group_is_on_the_network_and_others_are_not";
    let Some(house) = house(name) else { return };
    let places = "find /etc /usr/local -xdev -type f | grep -vE '^/etc/g?(group|shadow)-?$'";
    let before = house.sh(places);
    make(&house, &["install"]);
    let check = house.run(&[VMNET, "check"]);
    assert!(check.success().len() + check.stderr.len() < 2000, "{check}");
    house.run(&["usermod", "--append", "--groups", "vmnet", "alice"]).success();
    let ask = [HELPER, "--br=brmgr0", "--fd={fd}"];
    house.catch("alice", &ask).tap();
    assert!(house.catch("bob", &ask).refusal().contains("access denied by acl file"));
    house.run(&[VMNET, "down", "brmgr0"]).success();
    make(&house, &["uninstall"]);
    assert_eq!(house.sh(places), before);
}

#[test]
fn what_systemd_is_given_it_understands() {
    let name = "what_systemd_is_given_it_understands";
    let Some(house) = house(name) else { return };
    if !have(name, &["systemd-analyze", "systemd-sysusers"]) {
        return;
    }
    make(&house, &["install"]);
    let units = "/usr/local/lib/systemd/system";
    house.sh(&format!("ln -s vmnet@.service {units}/vmnet@brmgr0.service"));
    let path = format!("SYSTEMD_UNIT_PATH={units}:");
    for unit in ["vmnet@brmgr0.service", "vmnet-broker.service", "vmnet-broker.socket"] {
        let unit = format!("{units}/{unit}");
        let verify = ["env", &path, "systemd-analyze", "verify", "--man=no", "--recursive-errors=no", &unit];
        let outcome = house.run(&verify);
        assert!(!outcome.stderr.contains("vmnet"), "{outcome}");
        outcome.success();
    }
    house.sh("mkdir -p /tmp/house/root/etc; touch /tmp/house/root/etc/group /tmp/house/root/etc/passwd");
    let group = ["systemd-sysusers", "--root=/tmp/house/root", "/usr/local/lib/sysusers.d/vmnet.conf"];
    house.run(&["mkdir", "-p", "/tmp/house/root/usr/local/lib/sysusers.d"]).success();
    house.sh("cp /usr/local/lib/sysusers.d/vmnet.conf /tmp/house/root/usr/local/lib/sysusers.d");
    house.run(&group).success();
    let groups = house.read_file("/tmp/house/root/etc/group").unwrap_or_default();
    assert!(groups.lines().any(|line| line.starts_with("vmnet:")), "{groups}");
}

const ASK: [&str; 3] = [HELPER, "--br=br0", "--fd={fd}"];

/// A house with a bridge that all may use, and the helper installed by hand.
fn house_with(test: &str, privilege: Privilege) -> Option<House> {
    if !ours_built() {
        skip(test, "our programs are not built");
        return None;
    }
    let house = House::new();
    house.install_with(privilege);
    house.sh("ip link add br0 type bridge");
    house.write_file("/etc/vmnet/bridge.conf", "allow br0\n");
    Some(house)
}

#[test]
fn setuid_works_whatever_the_mode_of_the_tun_device_and_a_capability_where_the_caller_may_open_it() {
    let name =
        "setuid_works_whatever_the_mode_of_the_tun_device_and_a_capability_where_the_caller_may_open_it";
    for mode in [0o600, 0o666] {
        let Some(house) = house_with(name, Privilege::Setuid) else { return };
        house.set_tun_mode(mode);
        house.catch("alice", &ASK).tap();
    }
    let Some(house) = house_with(name, Privilege::FileCapability) else { return };
    house.set_tun_mode(0o666);
    house.catch("alice", &ASK).tap();
    house.set_tun_mode(0o600);
    let caught = house.catch("alice", &ASK);
    let words = caught.refusal();
    assert!(words.contains("/dev/net/tun") && words.contains("permission denied"), "{words}");
    // Nor can it start a network, and says what can.
    house.set_tun_mode(0o666);
    house.write_file("/etc/vmnet/bridge.conf", "allow brmgr0\n");
    let ask = [HELPER, "--br=brmgr0", "--fd={fd}"];
    let caught = house.catch("alice", &ask);
    assert!(caught.refusal().contains("cannot start network 'brmgr0'"), "{caught:#?}");
    assert!(caught.refusal().contains("vmnet up brmgr0"), "{caught:#?}");
    house.run(&[VMNET, "up", "brmgr0"]).success();
    house.catch("alice", &ask).tap();
}

/// A refusal for want of rights: one clear line, and one that helps.
#[track_caller]
fn assert_explained(words: &str, why: &str) {
    let lines: Vec<&str> = words.lines().collect();
    assert_eq!(lines.len(), 2, "{words}");
    assert!(lines[0].starts_with("vmnet-bridge-helper: cannot create a tap"), "{words}");
    assert!(lines[0].contains("failed to create tun device"), "{words}");
    assert!(lines[0].contains(why), "{words}");
    assert!(lines[1].starts_with("hint: "), "{words}");
}

#[test]
fn without_its_rights_the_helper_says_which_of_the_ways_to_lose_them_it_was() {
    let name = "without_its_rights_the_helper_says_which_of_the_ways_to_lose_them_it_was";
    let Some(house) = house_with(name, Privilege::None) else { return };
    assert_explained(house.catch("alice", &ASK).refusal(), "neither setuid root nor has it cap_net_admin");

    for privilege in [Privilege::Setuid, Privilege::FileCapability] {
        let Some(house) = house_with(name, privilege) else { return };
        let caught = house.catch_with(As::User("alice"), &["--no-new-privileges"], &ASK);
        assert_explained(caught.refusal(), "no_new_privs is set");
    }

    let Some(house) = house_with(name, Privilege::None) else { return };
    house.sh("mount -t tmpfs -o nosuid,mode=755 tmpfs /usr/local/libexec");
    house.install();
    assert_explained(house.catch("alice", &ASK).refusal(), "mounted nosuid");
}
