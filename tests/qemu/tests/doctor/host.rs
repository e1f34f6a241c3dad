//! `vmnet doctor` about the host: each thing is made to happen on a real one, is found and nothing else
//! with it, and is gone when the cure that was given is done.

use rig::companion::{DONE, DRIFTED, FAILED};
use rig::house::{As, HELPER, House, Privilege};

#[test]
fn a_host_in_order_gives_nothing_and_a_network_that_is_up_only_a_note_about_names() {
    let name = "a_host_in_order_gives_nothing_and_a_network_that_is_up_only_a_note_about_names";
    let Some(house) = House::healthy(name) else { return };
    assert_eq!(house.vmnet(&["doctor"]).success(), "nothing to say\n");
    house.up("brmgr0");
    let note = house.finding("host-names");
    assert_eq!((note.severity.as_str(), note.safe), ("note", false));
    let before = house.snapshot();
    assert_eq!(house.vmnet(&["doctor", "--fix"]).code(), DONE);
    house.assert_as_in(&before);
    assert!(note.cure.contains("server=/brmgr0.internal/10.0.1.1"), "{note:?}");
    house.write_file("/etc/resolv.conf", "nameserver 10.0.1.1\n");
    house.assert_healthy();
    house.down("brmgr0");
    house.vmnet(&["doctor", "nowhere"]).complaint(FAILED);
}

#[test]
fn a_helper_without_its_rights_is_found() {
    let Some(house) = House::healthy("a_helper_without_its_rights_is_found") else { return };
    for (id, script) in [
        ("helper-rights", format!("chmod 755 {HELPER}")),
        ("helper-owner", format!("chown alice {HELPER}; chmod 4755 {HELPER}")),
        ("helper-mode", format!("chmod 4754 {HELPER}")),
    ] {
        house.sh(&script);
        assert_eq!(house.assert_cured(id).object, HELPER);
    }
    house.sh(&format!("rm {HELPER}"));
    assert_eq!(house.finding("helper-missing").severity, "fault");
    house.install_with(Privilege::FileCapability);
    assert_eq!(house.assert_cured("tun-mode").object, "/dev/net/tun");
}

#[test]
fn a_helper_on_a_nosuid_file_system_is_found() {
    let Some(house) = House::healthy("a_helper_on_a_nosuid_file_system_is_found") else { return };
    house.sh("cp -a /usr/local/libexec /tmp/house/libexec
         mount -t tmpfs -o nosuid none /usr/local/libexec
         cp -a /tmp/house/libexec/. /usr/local/libexec/");
    let finding = house.assert_cured("helper-nosuid");
    assert_eq!(finding.cure, "mount -o remount,suid /usr/local/libexec");
}

#[test]
fn a_program_that_is_missing_is_found() {
    let Some(house) = House::healthy("a_program_that_is_missing_is_found") else { return };
    for program in ["dnsmasq", "nft"] {
        let place = house.sh(&format!("command -v {program}")).trim().to_owned();
        house.sh(&format!("mount --bind /dev/null {place}"));
        let finding = house.finding("program-missing");
        assert_eq!(finding.object, program);
        assert!(finding.cure.contains("install"), "{finding:?}");
        house.sh(&format!("umount {place}"));
        house.assert_healthy();
    }
}

/// Lays a script over nft that speaks as the kernel of a host without a module does.
fn lay_over_nft(house: &House, word: &str) {
    house.write_file_for(
        "/tmp/house/nft-without",
        0o755,
        (0, 0),
        format!(
            "#!/bin/bash\ntext=$(cat)\nif [[ $text == *'{word}'* ]]; then\n\
             echo 'Error: Could not process rule: No such file or directory' >&2; exit 1; fi\n\
             exec /tmp/house/nft \"$@\" <<<\"$text\"\n"
        ),
    );
    house.sh("cp /usr/sbin/nft /tmp/house/nft; mount --bind /tmp/house/nft-without /usr/sbin/nft");
}

#[test]
fn a_kernel_that_lacks_something_is_found_with_the_module_that_has_it() {
    let name = "a_kernel_that_lacks_something_is_found_with_the_module_that_has_it";
    let Some(house) = House::healthy(name) else { return };
    house.sh("rm -r /dev/net");
    house.assert_cured("tun-missing");
    house.sh("rm /dev/net/tun; mknod /dev/net/tun c 10 251");
    assert_eq!(house.finding("kernel-feature").cure, "modprobe tun");
    house.sh("rm /dev/net/tun");
    house.assert_cured("tun-missing");
    for (word, module) in [("masquerade", "nft_masq"), ("fib daddr", "nft_fib_inet"), ("table", "nf_tables")]
    {
        lay_over_nft(&house, word);
        let finding = house.finding("kernel-feature");
        assert_eq!((finding.cure, finding.severity), (format!("modprobe {module}"), "fault".to_owned()));
        house.sh("umount /usr/sbin/nft");
        house.assert_healthy();
    }
}

/// A process that is called so, and does nothing.
fn impersonate(house: &House, program: &str) -> rig::process::Process {
    house.sh(&format!("cp /bin/sleep /tmp/house/{program}"));
    let process = house.spawn(As::Root, &[&format!("/tmp/house/{program}"), "1000"]);
    let started = || house.run(&["pgrep", "-f", &format!("^/tmp/house/{program}")]).code() == 0;
    assert!(house.wait_until(rig::command::PATIENCE, started), "{program} did not start");
    process
}

#[test]
fn network_manager_is_found_where_it_is_not_told_to_leave_our_links_alone() {
    let name = "network_manager_is_found_where_it_is_not_told_to_leave_our_links_alone";
    let Some(house) = House::healthy(name) else { return };
    house.sh("mkdir -p /etc/NetworkManager/conf.d /usr/local/bin
         printf '#!/bin/sh\\necho \"$@\" >>/tmp/house/nmcli\\n' >/usr/local/bin/nmcli; chmod +x /usr/local/bin/nmcli");
    let running = impersonate(&house, "NetworkManager");
    house.assert_cured("networkmanager-config");
    house.describe("lab", "mode = \"isolated\"\n");
    assert_eq!(house.finding("networkmanager-config").object, "lab");
    house.assert_cured("networkmanager-config");
    assert_eq!(house.read_file("/tmp/house/nmcli").as_deref(), Some("general reload\ngeneral reload\n"));

    house.up("lab");
    let of_link = format!("/run/NetworkManager/devices/{}", house.index("lab"));
    house.write_file(&of_link, "[device]\nmanaged=true\n");
    let found = house.findings(&["lab"]);
    let finding = found.iter().find(|finding| finding.id == "networkmanager-link").expect("the link");
    assert_eq!(finding.cure, "nmcli device set lab managed no");
    house.write_file(&of_link, "[device]\nmanaged=false\n");
    assert!(house.findings(&[]).iter().all(|finding| finding.severity == "note"));
    drop(running);
}

#[test]
fn networkd_is_found_where_a_file_of_its_takes_our_links() {
    let name = "networkd_is_found_where_a_file_of_its_takes_our_links";
    let Some(house) = House::healthy(name) else { return };
    house.write_file("/usr/local/bin/networkctl", "#!/bin/sh\n");
    house.sh("chmod +x /usr/local/bin/networkctl");
    let running = impersonate(&house, "systemd-networkd");
    house.assert_healthy();
    house.write_file("/etc/systemd/network/50-all.network", "[Match]\nName=*\n[Network]\nDHCP=yes\n");
    assert_eq!(house.assert_cured("networkd-config").object, "brmgr* vmtap* vmveth*");
    drop(running);
}

#[test]
fn access_rules_that_match_nothing_are_found() {
    let Some(house) = House::healthy("access_rules_that_match_nothing_are_found") else { return };
    let rules = "/etc/vmnet/bridge.conf";
    house.write_file(rules, "allow brmgr0 user=alice\ndeny all user=bob\n");
    house.assert_healthy();
    for (line, id) in [
        ("allow brmgr0 user=nobody-here", "rule-matches-nothing"),
        ("allow brmgr0 group=no-such-group", "rule-matches-nothing"),
        ("include missing.conf", "rule-matches-nothing"),
        ("allow nowhere user=alice", "rule-without-bridge"),
    ] {
        house.write_file(rules, format!("allow brmgr0 user=alice\n{line}\n"));
        assert_eq!(house.assert_cured(id).object, format!("{rules}:2"), "{line}");
    }
    house.write_file(rules, "allow brmgr0 user=alice,nobody-here\n");
    assert_eq!(house.finding("rule-unknown-account").severity, "note");
    house.write_file(rules, "permit brmgr0\n");
    assert_eq!(house.finding("rules-unreadable").severity, "fault");
    house.write_file("/etc/qemu/bridge.conf", "allow br0 # the lab's\n");
    house.write_file(rules, "");
    assert_eq!(house.finding("rule-matches-nothing").object, "/etc/qemu/bridge.conf:1");
}

#[test]
fn a_plain_user_is_told_what_only_root_can_see() {
    let Some(house) = House::healthy("a_plain_user_is_told_what_only_root_can_see") else { return };
    house.sh(&format!("chmod 755 {HELPER}"));
    let told = house.run_as("alice", &[rig::house::VMNET, "doctor"]);
    assert_eq!(told.assert_plain().code(), DRIFTED, "{told}");
    assert!(told.stdout.starts_with("fault: ") && told.stdout.contains("[helper-rights]"), "{told}");
    assert!(told.stdout.contains("only root can"), "{told}");
    house.run_as("alice", &[rig::house::VMNET, "doctor", "--fix"]).complaint(FAILED);
}
