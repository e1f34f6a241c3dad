//! `vmnet doctor` about networks that are up: their ports 53 and 67, their subnets, their TAPs and what
//! `--fix` does.

use rig::command::PATIENCE;
use rig::doctor::Finding;
use rig::house::{As, HELPER, House, VMNET};
use rig::process::Process;
use rig::skip::have;

const ASK: [&str; 3] = [HELPER, "--br=brmgr0", "--fd={fd}"];

/// A healthy house whose network is up and whose host resolves the guests' names.
fn house(test: &str) -> Option<House> {
    let house = House::healthy(test)?;
    house.write_file("/etc/vmnet/bridge.conf", "allow all\n");
    house.write_file("/etc/resolv.conf", "nameserver 10.0.1.1\n");
    house.sh("rm -rf /etc/default/lxc-net /etc/default/lxc /etc/libvirt /etc/docker");
    house.up("brmgr0");
    house.assert_healthy();
    Some(house)
}

/// Starts a program that must come to hold a UDP port.
#[track_caller]
fn start_on(house: &House, port: u16, argv: &[&str]) -> Process {
    let process = house.spawn(As::Root, argv);
    let held = || {
        !house
            .sh(&format!("ss -Hlun 'sport = :{port}' | grep -v -F -e %brmgr0 -e 10.0.1.1 || true"))
            .is_empty()
    };
    assert!(house.wait_until(PATIENCE, held), "{argv:?} does not listen: {}", process.said());
    process
}

/// The host's own dnsmasq as Debian starts it, and a `service` that restarts it.
fn host_dnsmasq(house: &House) {
    let start = "dnsmasq -x /run/dnsmasq.pid -u dnsmasq -7 /etc/dnsmasq.d,.dpkg-dist --local-service";
    house.sh("mkdir -p /etc/dnsmasq.d; touch /etc/dnsmasq.conf");
    house.write_file_for(
        "/etc/init.d/dnsmasq",
        0o755,
        (0, 0),
        format!("#!/bin/bash\nif [ -e /run/dnsmasq.pid ]; then kill $(cat /run/dnsmasq.pid); while kill -0 $(cat /run/dnsmasq.pid); do :; done 2>/dev/null; fi\nexec {start}\n"),
    );
    house.sh("/etc/init.d/dnsmasq start");
}

#[test]
fn the_hosts_dnsmasq_without_the_snippet_is_found_and_the_snippet_cures_it() {
    let name = "the_hosts_dnsmasq_without_the_snippet_is_found_and_the_snippet_cures_it";
    let Some(house) = House::healthy(name) else { return };
    if !have(name, &["service"]) {
        return;
    }
    host_dnsmasq(&house);
    let finding = house.assert_cured("dnsmasq-snippet");
    assert_eq!(finding.severity, "fault");
    house.up("brmgr0");
    let found = house.findings(&[]);
    assert!(found.iter().all(|finding| finding.id == "host-names"), "{found:#?}");
    let note = house.assert_cured("host-names");
    assert!(note.cure.contains("/etc/dnsmasq.d/vmnet.conf"), "{note:?}");
    house.describe("lab", "");
    let later = house.finding("dnsmasq-snippet");
    assert_eq!(later.severity, "warning");
    house.assert_cured("dnsmasq-snippet");
    assert_eq!(
        house.read_file("/etc/dnsmasq.d/vmnet.conf").as_deref(),
        Some(
            "bind-interfaces\nexcept-interface=brmgr*\nserver=/brmgr0.internal/10.0.1.1\nexcept-interface=lab\n"
        )
    );
}

#[test]
fn a_dnsmasq_that_another_manager_bound_to_its_own_bridge_is_nobodys_trouble() {
    let name = "a_dnsmasq_that_another_manager_bound_to_its_own_bridge_is_nobodys_trouble";
    let Some(house) = house(name) else { return };
    house.sh(
        "ip link add virbr0 type bridge; ip address add 192.168.122.1/24 dev virbr0; ip link set virbr0 up",
    );
    house.write_file(
        "/tmp/house/virbr0.conf",
        "strict-order\npid-file=\nexcept-interface=lo\nbind-dynamic\ninterface=virbr0\ndhcp-range=192.168.122.2,192.168.122.9\n",
    );
    let _server = start_on(&house, 67, &["dnsmasq", "-k", "--conf-file=/tmp/house/virbr0.conf"]);
    house.assert_healthy();
}

#[test]
fn a_stranger_on_the_ports_of_dns_and_dhcp_is_found_by_name() {
    let name = "a_stranger_on_the_ports_of_dns_and_dhcp_is_found_by_name";
    let Some(house) = House::healthy(name) else { return };
    // A real server, under a name that nobody knows.
    house.sh("cp $(command -v dnsmasq) /tmp/house/stranger");
    let alone = ["/tmp/house/stranger", "-k", "-C", "/dev/null", "--pid-file=", "--user=root"];
    for (port, id, options) in [
        (53, "foreign-dns", &["--no-resolv"][..]),
        (67, "foreign-dhcp", &["--port=0", "--dhcp-range=192.0.2.0,static"]),
    ] {
        let mut stranger = start_on(&house, port, &[&alone, options].concat());
        let finding = house.finding(id);
        assert!(finding.what.contains("stranger (pid "), "{finding:?}");
        house.do_cure(&finding);
        stranger.wait(PATIENCE);
        house.assert_healthy();
    }
}

#[test]
fn a_route_that_came_later_and_overlaps_is_found() {
    let Some(house) = house("a_route_that_came_later_and_overlaps_is_found") else { return };
    house.sh("ip link add wg0 type veth peer name far; ip link set wg0 up; ip link set far up");
    for (route, severity) in [
        ("10.0.1.0/25 dev wg0", "fault"),
        ("10.0.0.0/8 dev wg0", "warning"),
        ("10.0.0.0/8 dev wg0 table 51820", "fault"),
    ] {
        house.sh(&format!("ip route add {route}"));
        let finding = house.finding("subnet-overlap");
        assert_eq!((finding.severity.as_str(), finding.object.as_str()), (severity, "brmgr0"), "{route}");
        assert!(finding.what.contains("wg0"), "{finding:?}");
        house.sh(&format!("ip route del {route}"));
        house.assert_healthy();
    }
    for route in ["default dev wg0 table 51820", "0.0.0.0/1 dev wg0", "10.0.2.0/24 dev wg0"] {
        house.sh(&format!("ip route add {route}"));
        house.assert_healthy();
        house.sh(&format!("ip route del {route}"));
    }
    // The cure: another subnet.
    house.sh("ip address add 10.0.1.7/24 dev wg0");
    let finding = house.finding("subnet-overlap");
    house.do_cure(&finding);
    assert!(house.findings(&[]).iter().all(|finding| finding.id == "host-names"));
    assert!(house.sh("ip -4 -o address show dev brmgr0").contains("10.0.2.1/24"));
}

/// A TAP of alice's that she made persistent and let go.
fn leak(house: &House) -> String {
    house.catch_with(As::User("alice"), &["--persist"], &ASK).tap().name.clone()
}

#[test]
fn a_leaked_tap_is_found_and_deleted_only_where_it_is_in_nobodys_hands_and_on_no_network() {
    let name = "a_leaked_tap_is_found_and_deleted_only_where_it_is_in_nobodys_hands_and_on_no_network";
    let Some(house) = house(name) else { return };
    let held = house.hold("alice", &ASK);
    let held_name = held.caught.tap().name.clone();
    house.assert_healthy();

    // A keeper would delete it at once; `--fix` does as `up` does.
    house.sh(&format!("kill -STOP {}", house.keeper("brmgr0")));
    let leaked = leak(&house);
    let finding = house.finding("network-drifted");
    assert!(finding.safe && finding.what.ends_with(&format!("holder of {leaked}")), "{finding:?}");
    house.vmnet(&["doctor", "--fix"]);
    assert!(house.run(&["ip", "link", "show", &leaked]).code() != 0, "{leaked} is still there");

    let leaked = leak(&house);
    // Without its network, which somebody took away by hand.
    house.sh(&format!(
        "kill -9 {}; ip link del brmgr0; rm /run/vmnet/brmgr0/record.json",
        house.keeper("brmgr0")
    ));
    let found = house.findings(&["--fix"]);
    let told = |id: &str| found.iter().find(|finding| finding.id == id).cloned().expect("a finding");
    assert!(told("tap-leaked").fixed && !told("tap-cut-off").fixed, "{found:#?}");
    assert!(house.run(&["ip", "link", "show", &leaked]).code() != 0, "{leaked} is still there");
    house.sh(&format!("ip link show {held_name}"));
    house.do_cure(&told("tap-cut-off"));
    house.assert_up("brmgr0");
    house.assert_healthy();
    drop(held);
}

#[test]
fn a_persistent_tap_that_belongs_to_nobody_is_found() {
    let Some(house) = house("a_persistent_tap_that_belongs_to_nobody_is_found") else { return };
    house.sh("ip tuntap add dev tap5 mode tap user alice; ip tuntap add dev tun5 mode tun");
    house.assert_healthy();
    house.sh("ip tuntap add dev tap6 mode tap");
    let finding = house.assert_cured("tap-unowned");
    assert_eq!((finding.object.as_str(), finding.safe), ("tap6", false));
}

#[test]
fn a_bridge_near_its_last_port_is_found() {
    let Some(house) = house("a_bridge_near_its_last_port_is_found") else { return };
    let links = |range: &str| {
        house.sh(&format!(
            "for i in $(seq {range}); do echo link add p$i master brmgr0 type veth peer name q$i; done | ip -batch -"
        ))
    };
    links("1 919");
    house.assert_up("brmgr0");
    house.assert_healthy();
    links("920 920");
    house.assert_up("brmgr0");
    let finding = house.finding("bridge-full");
    assert_eq!((finding.severity.as_str(), finding.object.as_str()), ("warning", "brmgr0"));
    assert!(finding.what.contains("920 ports of the 1023"), "{finding:?}");
    house.sh("ip link delete p920");
    house.assert_healthy();
}

#[test]
fn fix_makes_a_network_right_again_and_touches_nothing_else() {
    let name = "fix_makes_a_network_right_again_and_touches_nothing_else";
    let Some(house) = house(name) else { return };
    house.sh("ip tuntap add dev tap6 mode tap; ip link add wg0 type veth peer name far; ip link set wg0 up");
    house.sh("ip route add 10.0.0.0/8 dev far table 77 2>/dev/null || ip route add unreachable 10.0.0.0/8 table 77");
    house.sh(&format!("chmod 755 {HELPER}"));
    let mut before = house.findings(&[]);
    let state = house.snapshot();
    house.sh("pkill -KILL -f 'vmnet run brmgr[0]'; ip address del 10.0.1.1/24 dev brmgr0");
    let drifted = house.findings(&["brmgr0"]);
    let drift = drifted.iter().find(|finding| finding.id == "network-drifted").expect("the drift");
    assert!(drift.safe && drift.what.contains("address"), "{drift:?}");
    let fixed: Vec<Finding> =
        house.findings(&["--fix"]).into_iter().filter(|finding| finding.fixed).collect();
    assert_eq!(fixed.iter().map(|finding| finding.id.as_str()).collect::<Vec<_>>(), ["network-drifted"]);
    house.assert_as_in_but_for_processes(&state);
    let mut after = house.findings(&[]);
    before.sort_by(|a, b| a.what.cmp(&b.what));
    after.sort_by(|a, b| a.what.cmp(&b.what));
    assert_eq!(before, after);
}

#[test]
fn the_json_of_doctor_has_its_keys() {
    let Some(house) = house("the_json_of_doctor_has_its_keys") else { return };
    house.sh("ip tuntap add dev tap6 mode tap");
    let (_, report) = house.json(&["doctor"]);
    let keys = |value: &serde_json::Value| -> Vec<String> {
        value.as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default()
    };
    assert_eq!(keys(&report), ["findings", "ok", "unseen"]);
    let of_finding = ["cause", "cure", "failure", "fixed", "id", "object", "safe", "severity", "what"];
    assert_eq!(keys(&report["findings"][0]), of_finding);
    let words = house.run(&[VMNET, "doctor"]);
    assert!(
        words.stdout.starts_with("warning: tap6 ") && words.stdout.contains("\n  cure: ip link delete tap6")
    );
}
