//! Beside the host's own firewall, whatever it is: guests keep DHCP, DNS and the Internet, or have them
//! again within a second, and after `down` the host's rules are as before.

use std::time::{Duration, Instant};

use rig::companion::DONE;
use rig::firewalls::{A_SECOND, Iptables};
use rig::house::House;
use rig::outside::{HOST, Outside, SERVER};
use rig::skip::have;

/// A firewall as administrators write it: what is not asked for is dropped, in every direction.
const DEFAULT_DROP: &str = "table inet guard {
    chain arrive {
        type filter hook input priority filter; policy drop;
        ct state established,related accept
        iif lo accept
        iifname \"uplink0\" icmp type echo-request accept
    }
    chain pass {
        type filter hook forward priority 10; policy accept;
        ct state established,related accept
        counter jump end
    }
    chain end {
        reject with icmpx admin-prohibited
    }
    chain leave {
        type filter hook output priority filter; policy drop;
        oif lo accept
        oifname \"uplink0\" accept
    }
}
";

fn house(test: &str, needed: &[&str]) -> Option<(House, Outside)> {
    if !have(test, needed) {
        return None;
    }
    let house = House::with_companion(test)?;
    house.enable_br_netfilter();
    let outside = house.with_outside();
    Some((house, outside))
}

fn load(house: &House, text: &str) {
    house.write_file("/tmp/house/guard.nft", text);
    house.sh("nft -f /tmp/house/guard.nft");
}

#[test]
fn a_default_drop_firewall_is_opened_for_guests_alone_and_closed_again() {
    let name = "a_default_drop_firewall_is_opened_for_guests_alone_and_closed_again";
    let Some((house, _outside)) = house(name, &[]) else { return };
    load(&house, DEFAULT_DROP);
    let before = house.snapshot();
    house.up("brmgr0");
    let (alpha, _) = house.leased_station("alpha", "brmgr0");
    house.assert_served(&alpha, "up");
    assert_eq!(house.opened("brmgr0"), "opened in inet guard arrive, inet guard leave, inet guard pass");
    assert_eq!(house.drift("brmgr0"), (DONE, vec![]));
    let marks = house.foreign_rules();
    assert!(marks.contains("comment \"vmnet brmgr0 dhcp\""), "{marks}");
    // Guests of one bridge, whose frames br_netfilter shows to this firewall.
    let (_beta, answer) = house.leased_station("beta", "brmgr0");
    assert!(alpha.reaches(answer.get("ip")));
    // Nothing else was: the outside is as shut out as before.
    assert_ne!(
        house.run(&["ip", "netns", "exec", "outside", "busybox", "nc", "-z", "-w1", HOST, "53"]).code(),
        0
    );
    house.sh(
        "ip link delete port-alpha; ip link delete port-beta; ip netns delete alpha; ip netns delete beta",
    );
    house.down("brmgr0");
    house.sh("rm -rf /tmp/house/lease.*");
    house.assert_as_in(&before);
}

#[test]
fn a_firewall_that_comes_later_cuts_guests_off_for_less_than_a_second() {
    let name = "a_firewall_that_comes_later_cuts_guests_off_for_less_than_a_second";
    let Some((house, _outside)) = house(name, &[]) else { return };
    house.up("brmgr0");
    let (alpha, _) = house.leased_station("alpha", "brmgr0");
    let clean = house.foreign_rules();
    load(&house, DEFAULT_DROP);
    house.assert_served_since(&alpha, Instant::now(), "a firewall was loaded");
    let again = format!("flush ruleset\n{DEFAULT_DROP}");
    house.assert_regained(&alpha, "brmgr0", "a firewall instead of all others", || load(&house, &again));
    // Loaded anew, as a service does when it is reloaded: everything of ours in it is gone.
    load(&house, &again);
    house.assert_served_since(&alpha, Instant::now(), "a firewall was reloaded");
    let opened = house.foreign_rules();
    let drop = "nft insert rule inet guard pass drop";
    house.assert_regained(&alpha, "brmgr0", drop, || house.sh(drop));
    house.sh("nft flush chain inet guard pass");
    house.assert_served(&alpha, "what refused was taken away");
    house.sh("nft delete table inet guard");
    house.assert_served(&alpha, "the firewall was taken away");
    assert!(!opened.is_empty() && house.foreign_rules() == clean, "{}", house.foreign_rules());
}

#[test]
fn a_flushed_ruleset_is_back_under_running_guests_within_a_second() {
    let name = "a_flushed_ruleset_is_back_under_running_guests_within_a_second";
    let Some((house, _outside)) = house(name, &[]) else { return };
    house.up("brmgr0");
    let (alpha, answer) = house.leased_station("alpha", "brmgr0");
    let up = house.rules();
    for round in 1..=3 {
        house.sh("nft flush ruleset");
        house.assert_served_since(&alpha, Instant::now(), "nft flush ruleset");
        let back = house.wait_until(Duration::from_secs(5), || house.rules() == up);
        assert!(back, "round {round}: {}", house.rules());
    }
    assert_eq!(alpha.seen_as(SERVER).as_deref(), Some("192.0.2.2"), "{answer:?}");
    house.assert_up("brmgr0");
}

#[test]
fn a_killed_network_leaves_nothing_in_others_tables_after_down() {
    let name = "a_killed_network_leaves_nothing_in_others_tables_after_down";
    let Some((house, _outside)) = house(name, &[]) else { return };
    load(&house, DEFAULT_DROP);
    let before = house.foreign_rules();
    house.up("brmgr0");
    house.sh(&format!("kill -9 {}", house.keeper("brmgr0")));
    // Even without its record, what the network left is found by its marks.
    assert_ne!(house.foreign_rules(), before);
    house.down("brmgr0");
    assert_eq!(house.foreign_rules(), before);
}

#[test]
fn two_networks_each_have_their_own_marks() {
    let name = "two_networks_each_have_their_own_marks";
    let Some((house, _outside)) = house(name, &[]) else { return };
    load(&house, DEFAULT_DROP);
    for network in ["lab", "lab2"] {
        house.describe(network, "");
    }
    let before = house.foreign_rules();
    house.up("lab");
    let one = house.foreign_rules();
    house.up("lab2");
    let (alpha, _) = house.leased_station("alpha", "lab");
    house.down("lab2");
    assert_eq!(house.foreign_rules(), one);
    house.assert_served(&alpha, "the other network went down");
    house.sh("ip link delete port-alpha");
    house.down("lab");
    assert_eq!(house.foreign_rules(), before);
}

fn ufw(test: &str, iptables: Iptables) {
    let Some((house, _outside)) = house(test, &["ufw", "iptables-legacy"]) else { return };
    house.choose_iptables(iptables);
    // Its first start makes chains and files that stay.
    house.sh("ufw --force enable; ufw disable");
    house.up("brmgr0");
    let (alpha, _) = house.leased_station("alpha", "brmgr0");
    house.assert_regained(&alpha, "brmgr0", "ufw enable", || house.sh("ufw --force enable"));
    house.assert_up("brmgr0");
    let word = if iptables == Iptables::Nft { "ip filter FORWARD" } else { "iptables-legacy filter FORWARD" };
    assert!(house.opened("brmgr0").contains(word), "{}", house.opened("brmgr0"));
    house.sh("ufw reload");
    house.assert_served_since(&alpha, Instant::now(), "ufw reload");
    house.sh("ufw allow 22/tcp");
    house.assert_served(&alpha, "ufw allow");
    let listed = house.sh("iptables -S; ip6tables -S");
    assert!(listed.contains("vmnet brmgr0 dhcp") && !listed.contains("incompatible"), "{listed}");
    house.sh("ip link delete port-alpha; ip netns delete alpha");
    house.down("brmgr0");
    let after = house.rules();
    assert!(!after.contains("vmnet"), "{after}");

    // And the other way round: ufw first.
    house.up("brmgr0");
    let (beta, _) = house.leased_station("beta", "brmgr0");
    house.assert_served(&beta, "up beside ufw");
    house.sh("ip link delete port-beta; ip netns delete beta");
    house.down("brmgr0");
    assert_eq!(house.rules(), after);
}

#[test]
fn ufw_on_nf_tables_lets_guests_through() {
    ufw("ufw_on_nf_tables_lets_guests_through", Iptables::Nft);
}

#[test]
fn ufw_on_the_older_iptables_lets_guests_through() {
    ufw("ufw_on_the_older_iptables_lets_guests_through", Iptables::Legacy);
}

#[test]
fn firewalld_lets_guests_through_however_often_it_starts() {
    let name = "firewalld_lets_guests_through_however_often_it_starts";
    let Some((house, _outside)) = house(name, &["firewalld", "firewall-cmd", "dbus-daemon"]) else { return };
    let _bus = house.start_dbus();
    house.up("brmgr0");
    let (alpha, _) = house.leased_station("alpha", "brmgr0");
    let zone = || house.run(&["firewall-cmd", "--get-zone-of-interface=brmgr0"]).stdout.trim().to_owned();
    let firewalld = house.assert_regained(&alpha, "brmgr0", "firewalld came up", || house.start_firewalld());
    assert_eq!(zone(), "trusted");
    for reload in ["--reload", "--complete-reload"] {
        house.run(&["firewall-cmd", reload]).success();
        house.assert_served_since(&alpha, Instant::now(), reload);
    }
    house.stop_firewalld();
    drop(firewalld);
    house.assert_served(&alpha, "firewalld ended");
    let _firewalld =
        house.assert_regained(&alpha, "brmgr0", "firewalld came back", || house.start_firewalld());
    house.assert_up("brmgr0");
    let shown = house.vmnet(&["status", "brmgr0"]);
    assert!(
        shown.stdout.lines().any(|row| row.contains("firewalld") && row.contains("zone trusted")),
        "{shown}"
    );
    house.sh("ip link delete port-alpha; ip netns delete alpha");
    house.down("brmgr0");
    assert!(zone() != "trusted", "{}", zone());

    let before = house.foreign_rules();
    house.up("brmgr0");
    let told = house.wait_until(Duration::from_secs(1), || zone() == "trusted");
    assert!(told, "{}", zone());
    let (beta, _) = house.leased_station("beta", "brmgr0");
    house.assert_served(&beta, "up beside firewalld");
    house.sh("ip link delete port-beta; ip netns delete beta");
    house.down("brmgr0");
    assert_eq!(house.foreign_rules(), before);
}

#[test]
fn firewalld_lets_others_in_to_guests_of_a_routed_network() {
    let name = "firewalld_lets_others_in_to_guests_of_a_routed_network";
    let Some((house, _outside)) = house(name, &["firewalld", "firewall-cmd", "dbus-daemon"]) else { return };
    let _bus = house.start_dbus();
    let _firewalld = house.start_firewalld();
    house.describe("field", "mode = \"routed\"\nsubnet = \"10.7.0.0/24\"\n");
    house.sh(&format!("ip -n outside route add 10.7.0.0/24 via {HOST}"));
    house.up("field");
    let (alpha, answer) = house.leased_station("alpha", "field");
    let _web = alpha.serve();
    let opening = rig::station::opening(answer.get("ip"), "80");
    let enters = || house.run(&[&["ip", "netns", "exec", "outside"], &opening[..]].concat()).code() == 0;
    assert!(enters(), "{}", house.rules());
    house.run(&["firewall-cmd", "--reload"]).success();
    assert!(house.wait_until(A_SECOND, enters), "{}", house.rules());
    // And it is for this accept that it is so.
    house.sh(&format!("kill -STOP {}", house.keeper("field")));
    house.run(&["firewall-cmd", "--reload"]).success();
    assert!(!enters(), "{}", house.rules());
    house.sh(&format!("kill -CONT {}; ip link delete port-alpha", house.keeper("field")));
    house.down("field");
    // firewalld makes the chains of a zone when it is first used, and keeps them.
    let after = house.rules();
    assert!(!after.contains("vmnet") && !after.contains("\"field\""), "{after}");
}

#[test]
fn a_bridge_that_an_administrator_put_into_a_zone_stays_there() {
    let name = "a_bridge_that_an_administrator_put_into_a_zone_stays_there";
    let Some((house, _outside)) = house(name, &["firewalld", "firewall-cmd", "dbus-daemon"]) else { return };
    let _bus = house.start_dbus();
    let _firewalld = house.start_firewalld();
    house.run(&["firewall-cmd", "--zone=home", "--add-interface=brmgr0"]).success();
    house.up("brmgr0");
    house.sh("sleep 1");
    house.down("brmgr0");
    let zone = house.run(&["firewall-cmd", "--get-zone-of-interface=brmgr0"]);
    assert_eq!(zone.stdout.trim(), "home");
}
