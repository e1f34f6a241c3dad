//! Files as others have them, and what they mean for our links.

use super::*;
use proptest::prelude::*;

const OURS: &str = include_str!("../../../conf/dnsmasq.conf");

#[test]
fn our_snippet_keeps_a_dnsmasq_off_our_links_and_nothing_less_does() {
    let debian = dnsmasq_arguments(&[
        "-k".into(),
        "-u".into(),
        "dnsmasq".into(),
        "-7".into(),
        "/etc/dnsmasq.d".into(),
    ]);
    assert_eq!(debian, [("conf-dir".to_owned(), "/etc/dnsmasq.d".to_owned())]);
    for (text, link, expected) in [
        (OURS, "brmgr0", Dnsmasq::Spares),
        (OURS, "lab", Dnsmasq::TakesLink),
        ("", "brmgr0", Dnsmasq::TakesAll),
        ("except-interface=brmgr*\n", "brmgr0", Dnsmasq::TakesAll),
        ("bind-dynamic\n", "brmgr0", Dnsmasq::TakesLink),
        ("bind-dynamic\nexcept-interface = lab, brmgr0\n", "brmgr0", Dnsmasq::Spares),
        ("#bind-dynamic\n", "brmgr0", Dnsmasq::TakesAll),
        ("bind-interfaces\ninterface=virbr0\n", "brmgr0", Dnsmasq::Spares),
        ("bind-interfaces\nlisten-address=127.0.0.1 # only\n", "brmgr0", Dnsmasq::Spares),
        ("bind-interfaces\ninterface=br*\n", "brmgr0", Dnsmasq::TakesLink),
    ] {
        assert_eq!(dnsmasq(&dnsmasq_file(text), link), expected, "{text} {link}");
    }
}

#[test]
fn a_command_line_says_the_same_as_a_file() {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let lxc = "--conf-file=/dev/null -u dnsmasq --strict-order --bind-interfaces --listen-address 10.0.3.1";
    assert_eq!(dnsmasq(&dnsmasq_arguments(&words(lxc)), "brmgr0"), Dnsmasq::Spares);
    assert_eq!(dnsmasq(&dnsmasq_arguments(&words("-z -i virbr0")), "brmgr0"), Dnsmasq::Spares);
    assert_eq!(dnsmasq(&dnsmasq_arguments(&words("-z -Ilo")), "brmgr0"), Dnsmasq::TakesLink);
}

#[test]
fn network_manager_spares_what_its_files_name() {
    let ours = include_str!("../../../conf/networkmanager.conf");
    for (text, link, kind, spared) in [
        (ours, "brmgr0", "bridge", true),
        (ours, "vmtap7", "tun", true),
        (ours, "lab", "bridge", false),
        ("[keyfile]\nunmanaged-devices=interface-name:lab;mac:00:11:22:33:44:55\n", "lab", "bridge", true),
        ("[keyfile]\nunmanaged-devices=*,except:interface-name:eth0\n", "lab", "bridge", true),
        ("[keyfile]\nunmanaged-devices=*,except:type:bridge\n", "lab", "bridge", false),
        ("[device]\nmatch-device=type:bridge\nmanaged=1\n", "lab", "bridge", false),
        ("[device-x]\nmatch-device=interface-name:=la*\nmanaged=0\n", "lab", "bridge", false),
        ("[device-x]\nmanaged=no\n", "lab", "bridge", true),
        ("", "lab", "bridge", false),
    ] {
        assert_eq!(network_manager_spares(&[text.to_owned()], link, kind), spared, "{text} {link}");
    }
}

#[test]
fn a_networkd_file_takes_leaves_or_passes_a_link() {
    let ours = include_str!("../../../conf/networkd.network");
    for (text, link, kind, expected) in [
        (ours, "brmgr0", "bridge", Networkd::Leaves),
        (ours, "lab", "bridge", Networkd::Passes),
        ("[Match]\nName=*\n[Network]\nDHCP=yes\n", "lab", "bridge", Networkd::Takes),
        ("[Match]\nName=!eth*\n", "lab", "bridge", Networkd::Takes),
        ("[Match]\nName=!lab\n", "lab", "bridge", Networkd::Passes),
        ("[Match]\nType=ether\n", "lab", "bridge", Networkd::Passes),
        ("[Match]\nType=ether\n", "vmtap1", "tun", Networkd::Takes),
        ("[Match]\nName=*\nMACAddress=00:11:22:33:44:55\n", "lab", "bridge", Networkd::Passes),
        ("[Network]\nDHCP=yes\n", "lab", "bridge", Networkd::Takes),
    ] {
        assert_eq!(networkd(text, link, kind), expected, "{text} {link}");
    }
}

proptest! {
    #[test]
    fn a_pattern_fits_what_it_was_made_of(parts in proptest::collection::vec("[a-c]{0,3}", 1..5), fill in "[a-c]{0,3}") {
        prop_assert!(fits(&parts.join("*"), &parts.join(&fill)));
        prop_assert!(fits(&fill, &fill));
    }

    #[test]
    fn no_file_makes_a_reader_fall_over(text in ".{0,80}") {
        let _ = dnsmasq(&dnsmasq_file(&text), "lab");
        let _ = network_manager_spares(std::slice::from_ref(&text), "lab", "bridge");
        let _ = networkd(&text, "lab", "bridge");
    }
}
