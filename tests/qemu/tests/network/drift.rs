//! A network that somebody changed, or whose file changed: `status` shows what drifted, `up` makes it
//! right again, and no guest is cut off for it.

use rig::companion::{DONE, DRIFTED};
use rig::house::{As, HELPER, House};
use std::time::Duration;

fn address_of(house: &House, bridge: &str) -> String {
    house.sh(&format!("ip -br -4 address show dev {bridge} | awk '{{print $3}}'")).trim().to_owned()
}

#[test]
fn status_shows_what_somebody_changed_and_up_makes_it_right() {
    let name = "status_shows_what_somebody_changed_and_up_makes_it_right";
    let Some(house) = House::with_companion(name) else { return };
    // A server that its parent does not bury is none.
    let _parent = house.spawn(As::Root, &["sh", "-c", "dnsmasq --version >/dev/null & exec sleep 120"]);
    assert!(house.wait_until(Duration::from_secs(5), || house.sh("ps -eo comm=").contains("dnsmasq")));
    let before = house.snapshot();
    house.describe("lab", "");
    house.up("lab");
    // A keeper would repair some of these before they are seen.
    house.sh(&format!("kill -STOP {}", house.keeper("lab")));
    let (up, index) = (house.snapshot(), house.index("lab"));
    for (change, aspects) in [
        ("ip link set lab address 02:00:00:00:00:99", &["mac"][..]),
        ("ip link set lab mtu 1400", &["mtu"]),
        ("ip link set lab alias 'vmnet network lab'; ip link set lab mtu 9000", &["mtu"]),
        ("ip address del 10.0.1.1/24 dev lab", &["address", "dnsmasq"]),
        ("ip -4 address flush dev lab; ip address add 10.0.9.1/24 dev lab", &["address", "dnsmasq"]),
        ("ip -6 address flush dev lab scope global", &["ipv6 address"]),
        ("ip link set lab group 7", &["group"]),
        ("ip link set lab down", &["link", "ipv6 address"]),
        ("echo 1 >/proc/sys/net/ipv6/conf/lab/accept_ra", &["host's ipv6"]),
        ("echo 1 >/proc/sys/net/ipv6/conf/lab/disable_ipv6", &["host's ipv6", "ipv6 address"]),
        ("echo 0 >/proc/sys/net/ipv4/ip_forward", &["forwarding"]),
        ("echo 0 >/proc/sys/net/ipv6/conf/all/forwarding", &["ipv6 forwarding"]),
        ("nft add rule inet vmnet_lab from_guests accept", &["firewall"]),
        ("nft flush table inet vmnet_lab", &["firewall"]),
        ("nft flush ruleset", &["firewall"]),
        ("kill $(cat /run/vmnet/lab/dnsmasq.pid); sleep 0.2", &["dnsmasq"]),
        ("kill -9 $(cat /run/vmnet/lab/dnsmasq.pid); rm /run/vmnet/lab/dnsmasq.pid", &["dnsmasq"]),
        // It goes on, and nobody knows it any more.
        ("rm /run/vmnet/lab/dnsmasq.pid", &["dnsmasq"]),
        ("echo '# mine' >>/run/vmnet/lab/dnsmasq.conf", &["dnsmasq"]),
        ("rm /run/vmnet/lab/dnsmasq.conf", &["dnsmasq"]),
        ("echo 10.0.1.9 mine >/run/vmnet/lab/names/reserved", &["names"]),
        ("rm /run/vmnet/lab/reservations/reserved", &["reservations"]),
        ("rm /run/vmnet/lab/port", &["port record"]),
        ("echo 'isolated 1' >/run/vmnet/lab/port", &["port record"]),
    ] {
        house.sh(change);
        let (code, drifted) = house.drift("lab");
        assert!(code == DRIFTED && drifted == aspects, "after `{change}`: {code} {drifted:?}");
        let table = house.vmnet(&["status", "lab"]);
        assert!(table.stdout.starts_with("lab: drifted\n") && table.code() == DRIFTED, "{table}");
        assert!(house.up("lab").stdout.starts_with("lab is up: "), "after `{change}`");
        assert_eq!(house.drift("lab"), (DONE, vec![]), "after `{change}` and `up`");
        // A second address may be anybody's.
        house.sh("ip address del 10.0.9.1/24 dev lab 2>/dev/null || true");
        house.assert_as_in_but_for_processes(&up);
    }
    assert_eq!(house.index("lab"), index, "the bridge was made anew");
    house.sh("ip link del lab");
    let (code, drifted) = house.drift("lab");
    assert!(code == DRIFTED && drifted.contains(&"bridge".to_owned()), "{drifted:?}");
    house.up("lab");
    assert_eq!(house.drift("lab"), (DONE, vec![]));
    house.sh(&format!("kill -CONT {}", house.keeper("lab")));
    house.down("lab");
    house.sh("rm -r /etc/vmnet");
    house.assert_as_in(&before);
}

#[test]
fn status_says_that_the_keeper_is_gone_and_up_starts_another() {
    let name = "status_says_that_the_keeper_is_gone_and_up_starts_another";
    let Some(house) = House::with_companion(name) else { return };
    house.up("brmgr0");
    let (keeper, server) = (house.keeper("brmgr0"), house.server("brmgr0"));
    house.sh(&format!("kill -9 {keeper}"));
    assert!(house.wait_until(std::time::Duration::from_secs(5), || {
        house.drift("brmgr0") == (DRIFTED, vec!["keeper".to_owned()])
    }));
    house.up("brmgr0");
    assert_eq!(house.drift("brmgr0"), (DONE, vec![]));
    assert_ne!(house.keeper("brmgr0"), keeper);
    assert_eq!(house.server("brmgr0"), server, "dnsmasq was started anew");
}

#[test]
fn an_edited_file_takes_effect_under_running_guests() {
    let name = "an_edited_file_takes_effect_under_running_guests";
    let Some(house) = House::with_companion(name) else { return };
    let before = house.snapshot();
    house.write_file("/etc/qemu/bridge.conf", "allow lab\n");
    house.describe("lab", "");
    house.up("lab");
    let index = house.index("lab");
    let holder = house.hold("alice", &[HELPER, "--br=lab", "--fd={fd}"]);
    let port = holder.caught.tap().name.clone();
    for (edit, address, check) in [
        ("mtu = 1400", "10.0.1.1/24", "grep -qx 1400 /sys/class/net/lab/mtu"),
        ("mtu = 9000", "10.0.1.1/24", "grep -qx 9000 /sys/class/net/lab/mtu"),
        (
            "mac = \"02:00:00:00:07:07\"",
            "10.0.1.1/24",
            "grep -qx 02:00:00:00:07:07 /sys/class/net/lab/address",
        ),
        (
            "subnet = \"10.77.0.0/16\"",
            "10.77.0.1/16",
            "grep -q 10.77.0.2,10.77.255.254 /run/vmnet/lab/dnsmasq.conf",
        ),
        ("subnet = \"10.78.0.0/24\"\naddress = \"10.78.0.9\"", "10.78.0.9/24", "true"),
        (
            "subnet = \"10.78.0.0/24\"\n[dhcp]\nrange = \"10.78.0.50-10.78.0.60\"",
            "10.78.0.1/24",
            "grep -q 'dhcp-range=10.78.0.50,10.78.0.60' /run/vmnet/lab/dnsmasq.conf",
        ),
        (
            "subnet = \"10.78.0.0/24\"\nmode = \"isolated\"",
            "10.78.0.1/24",
            "! nft list ruleset | grep -q masquerade",
        ),
        (
            "subnet = \"10.78.0.0/24\"\nmode = \"routed\"\nhost_access = \"all\"",
            "10.78.0.1/24",
            "! nft list ruleset | grep -q 'hook input'",
        ),
        (
            "subnet = \"10.78.0.0/24\"\n[dhcp]\nenabled = false\n",
            "10.78.0.1/24",
            "! grep -q dhcp /run/vmnet/lab/dnsmasq.conf",
        ),
        (
            "subnet = \"10.78.0.0/24\"\nhost_access = \"none\"\n[dhcp]\nenabled = false\n",
            "10.78.0.1/24",
            "[ ! -e /run/vmnet/lab/dnsmasq.conf ]; ! pgrep -x dnsmasq",
        ),
        ("subnet = \"10.78.0.0/24\"", "10.78.0.1/24", "pgrep -x dnsmasq"),
    ] {
        house.describe("lab", edit);
        let (code, drifted) = house.drift("lab");
        assert!(code == DRIFTED && !drifted.is_empty(), "{edit:?} is not seen: {drifted:?}");
        house.up("lab");
        assert_eq!(house.drift("lab"), (DONE, vec![]), "{edit:?} did not take effect");
        assert_eq!(address_of(&house, "lab"), address, "{edit:?}");
        assert_eq!(house.run(&["bash", "-c", check]).code(), 0, "{edit:?}: not so: {check}");
        assert_eq!(house.index("lab"), index, "{edit:?} made the bridge anew");
        let master = house.sh(&format!("basename $(readlink /sys/class/net/{port}/master)"));
        assert_eq!(master.trim(), "lab", "{edit:?} cut the guest off");
    }
    drop(holder);
    house.sh("rm -rf /etc/vmnet /etc/qemu/bridge.conf /tmp/house/catch");
    house.vmnet(&["down", "lab", "--force"]).success();
    house.assert_as_in(&before);
}

#[test]
fn an_edit_with_a_mistake_changes_nothing_of_a_running_network() {
    let name = "an_edit_with_a_mistake_changes_nothing_of_a_running_network";
    let Some(house) = House::with_companion(name) else { return };
    house.up("brmgr0");
    house.describe("brmgr0", "mtu = 1400\nmood = \"nat\"\n");
    let up = house.snapshot();
    let words = house.vmnet(&["up", "brmgr0"]);
    assert!(words.complaint(1).contains("/etc/vmnet/networks/brmgr0.toml:2:1"), "{words}");
    house.assert_as_in_but_for_processes(&up);
    house.down("brmgr0");
}

#[test]
fn forwarding_comes_back_for_a_network_that_stopped_needing_it() {
    let name = "forwarding_comes_back_for_a_network_that_stopped_needing_it";
    let Some(house) = House::with_companion(name) else { return };
    house.describe("lab", "");
    house.up("lab");
    house.describe("lab", "mode = \"isolated\"\n");
    house.up("lab");
    house.up("brmgr0");
    house.down("lab");
    assert_eq!(house.sh("cat /proc/sys/net/ipv4/ip_forward").trim(), "1");
    house.down("brmgr0");
    assert_eq!(house.sh("cat /proc/sys/net/ipv4/ip_forward").trim(), "0");
}
