//! Beside a real dockerd, on both iptables, whichever comes first: guests keep DHCP, DNS and the
//! Internet, Docker's own rules stay as Docker made them.

use std::time::Instant;

use rig::firewalls::Iptables;
use rig::house::House;
use rig::outside::Outside;
use rig::skip::have;

fn house(test: &str, iptables: Iptables) -> Option<(House, Outside)> {
    if !have(test, &["dockerd", "docker", "iptables-nft", "iptables-legacy"]) {
        return None;
    }
    let house = House::with_companion(test)?;
    house.choose_iptables(iptables);
    house.enable_br_netfilter();
    let outside = house.with_outside();
    Some((house, outside))
}

fn docker_first(test: &str, iptables: Iptables) {
    let Some((house, _outside)) = house(test, iptables) else { return };
    let _dockerd = house.start_dockerd();
    let listed = house.sh("iptables -S FORWARD");
    assert!(listed.contains("-P FORWARD DROP"), "Docker closes nothing: {listed}");
    let before = house.foreign_rules();
    house.up("brmgr0");
    let (alpha, _) = house.leased_station("alpha", "brmgr0");
    house.assert_served(&alpha, "up beside Docker");
    let (_beta, answer) = house.leased_station("beta", "brmgr0");
    assert!(alpha.reaches(answer.get("ip")), "guests of one bridge");
    let word = if iptables == Iptables::Nft {
        "ip filter DOCKER-USER"
    } else {
        "iptables-legacy filter DOCKER-USER"
    };
    assert!(house.opened("brmgr0").contains(word), "{}", house.opened("brmgr0"));
    let listed = house.sh("iptables -S DOCKER-USER");
    assert!(listed.contains("-i brmgr0 -m comment --comment \"vmnet brmgr0 from\" -j ACCEPT"), "{listed}");

    for disturbance in
        ["iptables -F DOCKER-USER; iptables -A DOCKER-USER -j RETURN", "iptables -D FORWARD -j DOCKER-USER"]
    {
        house.assert_regained(&alpha, "brmgr0", disturbance, || house.sh(disturbance));
        house.assert_up("brmgr0");
    }
    house.sh("iptables -I FORWARD -j DOCKER-USER");
    house.assert_up("brmgr0");
    house.sh("ip link delete port-alpha; ip link delete port-beta");
    house.down("brmgr0");
    assert_eq!(house.foreign_rules(), before);
}

fn docker_later(test: &str, iptables: Iptables) {
    let Some((house, _outside)) = house(test, iptables) else { return };
    house.up("brmgr0");
    let (alpha, _) = house.leased_station("alpha", "brmgr0");
    // Docker closes the way only where it has to turn forwarding on; an administrator may, too.
    let _dockerd = house.start_dockerd();
    house.assert_served_since(&alpha, Instant::now(), "dockerd came up");
    let closing = "iptables -P FORWARD DROP";
    house.assert_regained(&alpha, "brmgr0", closing, || house.sh(closing));
    house.stop_dockerd();
    house.assert_served(&alpha, "dockerd ended");
    let _dockerd = house.start_dockerd();
    house.assert_served_since(&alpha, Instant::now(), "dockerd came back");
    house.assert_up("brmgr0");
    house.sh("ip link delete port-alpha");
    house.down("brmgr0");
    assert!(!house.rules().contains("vmnet"), "{}", house.rules());
}

#[test]
fn guests_are_served_beside_docker_on_nf_tables() {
    docker_first("guests_are_served_beside_docker_on_nf_tables", Iptables::Nft);
}

#[test]
fn guests_are_served_beside_docker_on_the_older_iptables() {
    docker_first("guests_are_served_beside_docker_on_the_older_iptables", Iptables::Legacy);
}

#[test]
fn guests_are_not_cut_off_when_docker_comes_on_nf_tables() {
    docker_later("guests_are_not_cut_off_when_docker_comes_on_nf_tables", Iptables::Nft);
}

#[test]
fn guests_are_not_cut_off_when_docker_comes_on_the_older_iptables() {
    docker_later("guests_are_not_cut_off_when_docker_comes_on_the_older_iptables", Iptables::Legacy);
}
