//! `vmnet doctor` beside other people's firewalls: closed ones are found while the network is down, told
//! to be opened while it is up, and found again where somebody closed them.

use rig::doctor::Finding;
use rig::house::{House, VMNET};
use rig::skip::have;

/// The findings about firewalls.
fn about_firewalls(house: &House) -> Vec<Finding> {
    let mut found = house.findings(&["brmgr0"]);
    found.retain(|finding| finding.id != "host-names");
    found
}

/// Sees a closed firewall found, opened by `up`, closed again behind its back and found again.
#[track_caller]
fn assert_told(house: &House, owner: &str, close_again: &str) {
    let mut closed = about_firewalls(house);
    // Docker turns br_netfilter on.
    closed.retain(|finding| finding.id != "br-netfilter");
    assert_eq!(closed.len(), 1, "{closed:#?}");
    assert_eq!((closed[0].id.as_str(), closed[0].severity.as_str()), ("firewall-closed", "fault"));
    assert!(closed[0].what.starts_with(owner), "{closed:#?}");
    house.do_cure(&closed[0]);
    let opened = about_firewalls(house);
    assert!(opened.iter().all(|f| f.id == "firewall-opened" && f.severity == "note"), "{opened:#?}");
    assert!(!opened.is_empty() && opened[0].what.starts_with(owner), "{opened:#?}");
    // The keeper would open it at once.
    house.sh(&format!("kill -STOP {}; {close_again}", house.keeper("brmgr0")));
    let again = about_firewalls(house);
    let told = again.iter().find(|finding| finding.id == "firewall-closed").expect("the closed firewall");
    assert!(told.safe, "{again:#?}");
    house.vmnet(&["doctor", "brmgr0", "--fix"]);
    house.sh(&format!("kill -CONT {}", house.keeper("brmgr0")));
    assert!(about_firewalls(house).iter().all(|finding| finding.severity == "note"));
    house.down("brmgr0");
}

#[test]
fn a_chain_that_drops_by_default_is_found() {
    let Some(house) = House::healthy("a_chain_that_drops_by_default_is_found") else { return };
    house.sh("nft 'table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; };
                             chain INPUT { type filter hook input priority 0; policy drop; iif lo accept; }; }'");
    assert_told(&house, "the host's firewall", "nft flush chain ip filter FORWARD");
    house.sh("nft delete table ip filter");
    house.assert_healthy();
}

#[test]
fn br_netfilter_before_a_closed_chain_is_found() {
    let name = "br_netfilter_before_a_closed_chain_is_found";
    let Some(house) = House::healthy(name) else { return };
    if !have(name, &["/proc/sys/net/bridge/bridge-nf-call-iptables"]) {
        return;
    }
    house.enable_br_netfilter();
    house.assert_healthy();
    house
        .sh("nft 'table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }'");
    let found = about_firewalls(&house);
    let ids: Vec<&str> = found.iter().map(|finding| finding.id.as_str()).collect();
    assert_eq!(ids, ["firewall-closed", "br-netfilter"]);
    house.do_cure(&found[1]);
    assert_eq!(about_firewalls(&house).len(), 1);
}

#[test]
fn docker_is_found() {
    let name = "docker_is_found";
    let Some(house) = House::healthy(name) else { return };
    if !have(name, &["dockerd", "docker", "iptables"]) {
        return;
    }
    let _dockerd = house.start_dockerd();
    assert_told(&house, "Docker", "iptables -F DOCKER-USER");
}

#[test]
fn ufw_is_found() {
    let name = "ufw_is_found";
    if !have(name, &["/usr/sbin/ufw", "/usr/share/ufw", "iptables"]) {
        return;
    }
    let Some(house) = House::with_companion(name) else { return };
    house.sh("sed -i 's/^IPV6=.*/IPV6=no/' /etc/default/ufw; ufw --force enable");
    let closed = about_firewalls(&house);
    let told = closed.iter().find(|finding| finding.id == "firewall-closed").expect("ufw");
    assert!(told.what.starts_with("ufw drops"), "{closed:#?}");
    house.sh("ufw disable");
    assert!(about_firewalls(&house).iter().all(|finding| finding.id != "firewall-closed"));
}

#[test]
fn firewalld_is_found() {
    let name = "firewalld_is_found";
    let Some(house) = House::healthy(name) else { return };
    if !have(name, &["firewalld", "dbus-daemon", "firewall-cmd"]) {
        return;
    }
    let _bus = house.start_dbus();
    let _firewalld = house.start_firewalld();
    let closed = about_firewalls(&house);
    assert_eq!((closed.len(), closed[0].id.as_str()), (1, "firewall-closed"), "{closed:#?}");
    assert_eq!(closed[0].cure, format!("{} up brmgr0", VMNET.rsplit('/').next().unwrap_or_default()));
    house.do_cure(&closed[0]);
    let noted = || about_firewalls(&house).iter().all(|finding| finding.severity == "note");
    assert!(house.wait_until(rig::command::PATIENCE, noted), "{:#?}", about_firewalls(&house));
}
