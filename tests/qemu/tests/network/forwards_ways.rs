//! Every way by which a forward is reached, and as whom the guest then sees its caller: from the LAN,
//! from the host by each of its addresses, from 127.0.0.1, from a guest of the same network, from the
//! guest itself, from a guest of another network. IPv4 and IPv6, TCP and UDP.

use rig::forwards::{CLIENT, CLIENT6, HOST6, address6, ask, ask_one, at, equip, list, serve_in};
use rig::house::{House, VMNET};
use rig::outside::{HOST, Outside};
use rig::skip::have;

const LAB: &str = "subnet = \"10.5.0.0/24\"\nsubnet6 = \"fd00:5::/64\"\n";
const OTHER: &str = "subnet = \"10.6.0.0/24\"\nsubnet6 = \"fd00:6::/64\"\n";
const GATEWAY: &str = "10.5.0.1";
const GATEWAY6: &str = "fd00:5::1";
const BOTH: [&str; 2] = ["tcp", "udp"];

/// A house with an outside, a client behind it, and these networks up.
fn house_with(test: &str, networks: &[(&str, &str)]) -> Option<(House, Outside)> {
    let house = House::with_companion(test)?;
    let outside = house.with_outside();
    equip(&house);
    for (name, text) in networks {
        house.describe(name, text);
        house.up(name);
    }
    Some((house, outside))
}

/// Whether frames between ports pass the host's IP firewall, as Docker and a new namespace have it.
fn let_frames_pass(house: &House, pass: bool) {
    let value = u8::from(pass);
    house.sh(&format!(
        "for f in /proc/sys/net/bridge/bridge-nf-call-ip*tables; do [ ! -e $f ] || echo {value} >$f; done"
    ));
}

/// One caller: where it is, the address it asks, and as whom the guest must see it.
type Way<'a> = (&'a str, &'a str, &'a str);

/// Asks the port by each way and protocol; every answer must name the caller and port 80.
#[track_caller]
fn assert_reached(house: &House, port: u16, ways: &[Way<'_>]) {
    for (from, address, seen_as) in ways {
        for protocol in BOTH {
            let answer = ask_one(house, from, protocol, &at(address, port));
            let from = if from.is_empty() { "the host" } else { from };
            assert_eq!(
                answer.as_deref(),
                Some(format!("{seen_as} 80").as_str()),
                "from {from} to {address} by {protocol}\n{}",
                house.sh("nft list ruleset")
            );
        }
    }
}

#[test]
fn a_forward_is_reached_from_every_side_and_the_guest_sees_who_it_is() {
    let name = "a_forward_is_reached_from_every_side_and_the_guest_sees_who_it_is";
    let Some((house, _outside)) = house_with(name, &[("lab", LAB), ("other", OTHER)]) else { return };
    let_frames_pass(&house, false);
    let (web, _) = house.leased_station("web", "lab");
    let (peer, _) = house.leased_station("peer", "lab");
    let (far, far_lease) = house.leased_station("far", "other");
    let (web6, far6) = (address6(&house, &web), address6(&house, &far));
    address6(&house, &peer);
    let _server = serve_in(&house, "web", "::", &["80"]);
    let said = house.vmnet(&["forward", "add", "lab", "8080", "web:80", "--protocol", "tcp+udp"]);
    assert!(said.success().contains("tcp+udp 8080 to web:80: open, at 10.5.0."), "{said}");
    assert!(said.stdout.contains(&web6), "{said}");
    let far4 = far_lease.get("ip");
    assert_reached(
        &house,
        8080,
        &[
            ("client", HOST, CLIENT),
            ("client", HOST6, CLIENT6),
            ("", HOST, HOST),
            ("", HOST6, HOST6),
            ("", GATEWAY, GATEWAY),
            ("", GATEWAY6, GATEWAY6),
            ("", "127.0.0.1", GATEWAY),
            ("", "127.5.6.7", GATEWAY),
            ("peer", GATEWAY, GATEWAY),
            ("peer", HOST, GATEWAY),
            ("peer", GATEWAY6, GATEWAY6),
            ("peer", HOST6, GATEWAY6),
            ("web", GATEWAY, GATEWAY),
            ("web", HOST, GATEWAY),
            ("web", GATEWAY6, GATEWAY6),
            ("far", HOST, far4),
            ("far", "10.6.0.1", far4),
            ("far", GATEWAY, far4),
            ("far", HOST6, &far6),
        ],
    );
    // Only the port that is forwarded.
    assert_eq!(ask_one(&house, "client", "tcp", &at(HOST, 80)), None);
    assert_eq!(house.drift("lab"), (0, Vec::new()));
    house.vmnet(&["forward", "rm", "lab", "8080"]).success();
    for (from, address) in [("client", HOST), ("", "127.0.0.1"), ("peer", GATEWAY), ("far", HOST6)] {
        assert_eq!(
            ask_one(&house, from, "tcp", &at(address, 8080)),
            None,
            "after rm, from {from} to {address}"
        );
    }
    assert_eq!(house.drift("lab"), (0, Vec::new()));
}

#[test]
fn a_forward_from_colon_colon_1_is_refused_with_the_reason_and_a_client_fails_at_once() {
    let name = "a_forward_from_colon_colon_1_is_refused_with_the_reason_and_a_client_fails_at_once";
    let Some((house, _outside)) = house_with(name, &[("lab", LAB)]) else { return };
    let (web, _) = house.leased_station("web", "lab");
    address6(&house, &web);
    let refused = house.vmnet(&["forward", "add", "lab", "[::1]:8080", "web:80"]);
    assert_eq!(refused.code(), 2, "{refused}");
    assert!(refused.stderr.contains("the kernel takes no answer for ::1 from another link"), "{refused}");
    house.vmnet(&["forward", "add", "lab", "8080", "web:80"]).success();
    // A program that tries ::1 first goes on to 127.0.0.1 only if it is refused and not left to wait.
    let script = "timeout 2 bash -c 'exec 3<>/dev/tcp/::1/8080' 2>&1 || echo $?";
    let said = house.sh(script);
    assert!(said.contains("refused") && !said.contains("124"), "{said}");
}

#[test]
fn ranges_lead_port_by_port_shifted_or_not() {
    let name = "ranges_lead_port_by_port_shifted_or_not";
    let Some((house, _outside)) = house_with(name, &[("lab", LAB)]) else { return };
    let (web, _) = house.leased_station("web", "lab");
    address6(&house, &web);
    let _server = serve_in(&house, "web", "::", &["7000", "7001", "7002", "9000", "9001", "9002"]);
    let add = |listen: &str, to: &str| {
        house.vmnet(&["forward", "add", "lab", listen, to, "--protocol", "tcp+udp"]).success().to_owned()
    };
    add("7000-7002", "web");
    add("8000-8002", "web:9000-9002");
    for host in [HOST, HOST6] {
        let places: Vec<String> =
            [7000, 7001, 7002, 8000, 8001, 8002, 8003].map(|port| at(host, port)).into();
        let places: Vec<&str> = places.iter().map(String::as_str).collect();
        for protocol in BOTH {
            let answers = ask(&house, "client", protocol, &places);
            let ports: Vec<Option<&str>> =
                answers.iter().map(|answer| answer.as_deref()?.split(' ').nth(1)).collect();
            let wanted = ["7000", "7001", "7002", "9000", "9001", "9002"].into_iter().map(Some).chain([None]);
            assert_eq!(ports, wanted.collect::<Vec<_>>(), "{host} {protocol}");
        }
    }
}

#[test]
fn a_guests_own_traffic_to_that_port_elsewhere_is_left_alone() {
    let name = "a_guests_own_traffic_to_that_port_elsewhere_is_left_alone";
    let Some((house, _outside)) = house_with(name, &[("lab", LAB)]) else { return };
    let (_web, _) = house.leased_station("web", "lab");
    let (_peer, _) = house.leased_station("peer", "lab");
    let _inside = serve_in(&house, "web", "::", &["80"]);
    let _outside_server = serve_in(&house, "client", CLIENT, &["8080"]);
    house.vmnet(&["forward", "add", "lab", "8080", "web:80", "--protocol", "tcp+udp"]).success();
    let elsewhere = at(CLIENT, 8080);
    for from in ["peer", "web", ""] {
        for protocol in BOTH {
            let answer = ask_one(&house, from, protocol, &elsewhere);
            assert_eq!(
                answer.as_deref(),
                Some(format!("{HOST} 8080").as_str()),
                "from {from:?} by {protocol}"
            );
        }
    }
    assert_eq!(list(&house, "lab")[0]["hits"], 0, "nothing of that went by the forward");
}

#[test]
fn guests_kept_from_each_other_still_reach_forwards_to_their_network() {
    let name = "guests_kept_from_each_other_still_reach_forwards_to_their_network";
    let text = format!("{LAB}isolated = true\n");
    let Some((house, _outside)) = house_with(name, &[("lab", &text)]) else { return };
    // Where frames between ports pass the firewall, the kernel itself keeps this from isolated ports.
    let_frames_pass(&house, false);
    let (web, lease) = house.leased_station("web", "lab");
    let (_peer, _) = house.leased_station("peer", "lab");
    address6(&house, &web);
    let _server = serve_in(&house, "web", "::", &["80"]);
    house.vmnet(&["forward", "add", "lab", "8080", "web:80", "--protocol", "tcp+udp"]).success();
    house.assert_up("lab");
    assert_eq!(ask_one(&house, "peer", "tcp", &at(lease.get("ip"), 80)), None, "straight to the guest");
    assert_reached(
        &house,
        8080,
        &[
            ("client", HOST, CLIENT),
            ("peer", GATEWAY, GATEWAY),
            ("web", GATEWAY, GATEWAY),
            ("", "127.0.0.1", GATEWAY),
        ],
    );
}

#[test]
fn where_bridged_packets_pass_the_firewall_every_way_still_works() {
    let name = "where_bridged_packets_pass_the_firewall_every_way_still_works";
    if !have(name, &["/proc/sys/net/bridge/bridge-nf-call-iptables"]) {
        return;
    }
    let Some((house, _outside)) = house_with(name, &[("lab", LAB)]) else { return };
    let_frames_pass(&house, true);
    let (web, _) = house.leased_station("web", "lab");
    let (peer, _) = house.leased_station("peer", "lab");
    address6(&house, &web);
    address6(&house, &peer);
    let _server = serve_in(&house, "web", "::", &["80"]);
    house.vmnet(&["forward", "add", "lab", "8080", "web:80", "--protocol", "tcp+udp"]).success();
    assert!(house.sh("cat /run/vmnet/lab/port").contains("hairpin on"));
    assert_eq!(house.drift("lab"), (0, Vec::new()), "hairpin on every port, at once");
    assert_reached(
        &house,
        8080,
        &[
            ("client", HOST, CLIENT),
            ("", HOST, HOST),
            ("", "127.0.0.1", GATEWAY),
            ("peer", GATEWAY, GATEWAY),
            ("peer", GATEWAY6, GATEWAY6),
            ("web", GATEWAY, GATEWAY),
            ("web", GATEWAY6, GATEWAY6),
        ],
    );
    house.vmnet(&["forward", "rm", "lab", "8080"]).success();
    assert!(house.sh("cat /run/vmnet/lab/port").contains("hairpin off"));
    assert_eq!(house.drift("lab"), (0, Vec::new()));
}

#[test]
fn answers_leave_by_the_link_they_came_for_even_if_guests_may_not_go_out_by_it() {
    let name = "answers_leave_by_the_link_they_came_for_even_if_guests_may_not_go_out_by_it";
    let text = format!("{LAB}[nat]\nuplink = \"wan9\"\n");
    let Some((house, _outside)) = house_with(name, &[("lab", &text)]) else { return };
    let (web, _) = house.leased_station("web", "lab");
    let _server = serve_in(&house, "web", "::", &["80"]);
    assert!(!web.reaches(CLIENT), "guests go out by wan9 alone");
    house.vmnet(&["forward", "add", "lab", "8080", "web:80", "--protocol", "tcp+udp"]).success();
    assert_reached(&house, 8080, &[("client", HOST, CLIENT)]);
}

#[test]
fn cve_2020_8558_guests_do_not_reach_the_hosts_loopback_by_way_of_a_forward() {
    let name = "cve_2020_8558_guests_do_not_reach_the_hosts_loopback_by_way_of_a_forward";
    // Nothing else keeps guests from the host.
    let text = format!("{LAB}host_access = \"all\"\n");
    let Some((house, _outside)) = house_with(name, &[("lab", &text)]) else { return };
    let (web, _) = house.leased_station("web", "lab");
    let (peer, _) = house.leased_station("peer", "lab");
    let _private = serve_in(&house, "", "127.0.0.1", &["6443"]);
    house.vmnet(&["forward", "add", "lab", "8080", "web:80"]).success();
    assert_eq!(house.sh("cat /proc/sys/net/ipv4/conf/lab/route_localnet").trim(), "1");
    // The guest asks the host for 127.0.0.1 as if it were any other address, and takes the answer.
    house.sh("sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.lab.rp_filter=0");
    for guest in [&web, &peer] {
        guest.run(&["sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1"]).success();
        guest.run(&["ip", "address", "del", "127.0.0.1/8", "dev", "lo"]).success();
        guest.run(&["ip", "route", "replace", "127.0.0.0/8", "via", GATEWAY]).success();
    }
    let counted = || house.sh("nft list table inet probe");
    house.sh("nft 'table inet probe { chain probe { type filter hook prerouting priority -400; iifname lab ip daddr 127.0.0.1 counter; }; }'");
    for guest in ["web", "peer"] {
        for protocol in BOTH {
            assert_eq!(ask_one(&house, guest, protocol, "127.0.0.1:6443"), None, "{guest} {protocol}");
        }
    }
    assert!(!counted().contains("packets 0 "), "the guests' packets must have come as far: {}", counted());
    house.run(&[VMNET, "status", "lab"]).success();
}
