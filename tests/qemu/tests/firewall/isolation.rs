//! Who is kept from whom: guests of an isolated network from each other, networks from networks, guests
//! from the host; and what the file opens again.

use std::time::Duration;

use rig::companion::DONE;
use rig::house::{As, HELPER, House};
use rig::skip::have;
use rig::station::{Station, opening};

const APART: &str = "subnet = \"10.5.0.0/24\"\nisolated = true\n";

fn house_with(test: &str, networks: &[(&str, &str)]) -> Option<House> {
    if !have(test, &["ping", "tcpdump", "busybox"]) {
        return None;
    }
    let house = House::with_companion(test)?;
    for (name, text) in networks {
        house.describe(name, text);
        house.up(name);
    }
    Some(house)
}

fn leased<'a>(house: &'a House, name: &str, network: &str) -> (Station<'a>, String) {
    let station = house.member_station(name, network);
    let answer = station.lease().unwrap_or_else(|| panic!("{name} got no lease on {network}"));
    (station, answer.get("ip").to_owned())
}

/// The isolated flag of every port of a bridge.
fn flags(house: &House, bridge: &str) -> String {
    house.sh(&format!("cat /sys/class/net/{bridge}/brif/*/isolated")).replace('\n', "")
}

/// Frames of a kind that a guest sees of another while that does something.
fn overhears(house: &House, listener: &Station<'_>, from: &Station<'_>, act: &dyn Fn()) -> bool {
    let filter = format!("ether src {}", from.mac);
    let heard = listener.spawn(&["tcpdump", "-l", "-n", "-e", "-i", "eth0", &filter]);
    assert!(house.wait_until(Duration::from_secs(20), || heard.said().contains("listening on")));
    act();
    house.wait_until(Duration::from_millis(500), || heard.said().contains(&from.mac))
}

#[test]
fn guests_of_an_isolated_network_see_nothing_of_each_other() {
    let name = "guests_of_an_isolated_network_see_nothing_of_each_other";
    for (text, apart) in [(APART, true), ("subnet = \"10.5.0.0/24\"\n", false)] {
        let Some(house) = house_with(name, &[("lab", text)]) else { return };
        let (alpha, alpha_address) = leased(&house, "alpha", "lab");
        let (beta, address) = leased(&house, "beta", "lab");
        assert_eq!(flags(&house, "lab"), if apart { "11" } else { "00" });
        let _server = beta.serve();
        let (alpha6, beta6) = (alpha.address6(), beta.address6());
        let meets = || {
            [
                alpha.reaches(&address),
                beta.reaches(&alpha_address),
                alpha.opens(&address, 80),
                alpha.reaches(&beta6),
                beta.reaches(&alpha6),
                overhears(&house, &beta, &alpha, &|| {
                    alpha.run(&["busybox", "arping", "-c", "3", "-w", "3", "-I", "eth0", "10.5.0.99"]);
                    alpha.run(&["ping", "-c", "1", "-W", "1", "-b", "10.5.0.255"]);
                    alpha.run(&["ping", "-c", "1", "-W", "1", "ff02::1%eth0"]);
                }),
            ]
        };
        assert_eq!(meets(), [!apart; 6], "there, back, TCP, IPv6 there, back, broadcasts");
        assert!(alpha.reaches("10.5.0.1") && beta.reaches("10.5.0.1"), "the host is no guest");
    }
}

#[test]
fn no_way_leads_round_by_the_host_from_guest_to_guest() {
    let name = "no_way_leads_round_by_the_host_from_guest_to_guest";
    let Some(house) = house_with(name, &[("lab", APART)]) else { return };
    let (alpha, alpha_address) = leased(&house, "alpha", "lab");
    let (beta, address) = leased(&house, "beta", "lab");
    let (alpha6, beta6) = (alpha.address6(), beta.address6());
    let host6 = house.address6("", "lab");
    let _server = beta.serve();
    for (guest, address, address6) in [("alpha", &alpha_address, &alpha6), ("beta", &address, &beta6)] {
        // All that is not the host itself is sent to the host's MAC.
        house.sh(&format!(
            "echo 0 | ip netns exec {guest} tee /proc/sys/net/ipv6/conf/eth0/accept_ra
             ip -n {guest} address flush dev eth0 scope global
             ip -n {guest} -6 route flush root fc00::/7
             ip -n {guest} address add {address}/32 dev eth0
             ip -n {guest} route add 10.5.0.1 dev eth0
             ip -n {guest} route add default via 10.5.0.1
             ip -n {guest} -6 address add {address6}/128 dev eth0 nodad
             ip -n {guest} -6 route flush default
             ip -n {guest} -6 route add {host6} dev eth0
             ip -n {guest} -6 route add default via {host6}"
        ));
    }
    let crosses = || [alpha.reaches(&address), alpha.opens(&address, 80), alpha.reaches(&beta6)];
    assert!(alpha.reaches("10.5.0.1") && alpha.reaches(&host6));
    assert_eq!(crosses(), [false; 3]);
    // And the test would see it.
    house.sh(&format!("kill -9 {}; nft delete table inet vmnet_lab", house.keeper("lab")));
    assert_eq!(crosses(), [true; 3]);
}

#[test]
fn a_port_that_comes_by_other_means_is_kept_apart_too() {
    let name = "a_port_that_comes_by_other_means_is_kept_apart_too";
    let Some(house) = house_with(name, &[("lab", APART)]) else { return };
    house.write_file("/etc/vmnet/bridge.conf", "allow lab user=alice\n");
    let _holder = house.hold("alice", &[HELPER, "--use-vnet", "--br=lab", "--fd={fd}"]);
    assert_eq!(flags(&house, "lab"), "1", "the helper's port has it from the start");
    house.plug_in("one", "lab");
    assert!(
        house.wait_until(Duration::from_secs(5), || flags(&house, "lab") == "11"),
        "{}",
        flags(&house, "lab")
    );
    assert_eq!(house.drift("lab"), (DONE, Vec::new()));
    // And it loses it with the network's.
    house.describe("lab", "subnet = \"10.5.0.0/24\"\n");
    house.up("lab");
    assert_eq!(flags(&house, "lab"), "00");
}

#[test]
fn networks_are_closed_to_each_other_in_every_mode() {
    let name = "networks_are_closed_to_each_other_in_every_mode";
    let networks = [
        ("lab", "subnet = \"10.5.0.0/24\"\n"),
        ("field", "subnet = \"10.6.0.0/24\"\nmode = \"routed\"\n"),
        ("inner", "subnet = \"10.7.0.0/24\"\nmode = \"isolated\"\n"),
    ];
    let Some(house) = house_with(name, &networks) else { return };
    let guests: Vec<_> = networks
        .iter()
        .map(|(network, _)| {
            let guest = format!("in-{network}");
            let (station, address) = leased(&house, &guest, network);
            let gateway = address.rsplit_once('.').map(|(net, _)| format!("{net}.1")).unwrap_or_default();
            house.sh(&format!("ip -n {guest} route replace default via {gateway}"));
            let address6 = station.address6();
            let host6 = house.address6("", network);
            house.sh(&format!("ip -n {guest} -6 route replace default via {host6} metric 1"));
            (station, address, address6)
        })
        .collect();
    let servers: Vec<_> = guests.iter().map(|(station, ..)| station.serve()).collect();
    for (number, (from, ..)) in guests.iter().enumerate() {
        for (other, (_, address, address6)) in guests.iter().enumerate().filter(|(other, _)| *other != number)
        {
            let way = format!("{} to {}", networks[number].0, networks[other].0);
            assert!(!from.reaches(address), "{way}");
            assert!(!from.opens(address, 80), "{way}");
            assert!(!from.reaches(address6), "{way} by IPv6");
        }
    }
    for (_, address, address6) in &guests {
        house.run(&opening(address, "80")).success();
        house.run(&["ping", "-c", "1", "-W", "5", address6]).success();
    }
    drop(servers);
}

#[test]
fn allow_from_opens_a_network_to_another_in_that_direction() {
    let name = "allow_from_opens_a_network_to_another_in_that_direction";
    for mode in ["nat", "routed", "isolated"] {
        let networks = [
            ("lab", "subnet = \"10.5.0.0/24\"\n".to_owned()),
            ("rest", "subnet = \"10.8.0.0/24\"\n".to_owned()),
            ("goal", format!("subnet = \"10.6.0.0/24\"\nmode = \"{mode}\"\nallow_from = [\"lab\"]\n")),
        ];
        let texts: Vec<(&str, &str)> = networks.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let Some(house) = house_with(name, &texts) else { return };
        let (lab, lab_address) = leased(&house, "in-lab", "lab");
        let (rest, _) = leased(&house, "in-rest", "rest");
        let (goal, address) = leased(&house, "in-goal", "goal");
        let (lab6, goal6) = (lab.address6(), goal.address6());
        for (guest, network) in [("in-lab", "lab"), ("in-rest", "rest"), ("in-goal", "goal")] {
            let host6 = house.address6("", network);
            house.sh(&format!("ip -n {guest} -6 route replace default via {host6} metric 1"));
        }
        // A guest without a default route, as on an isolated network, has nowhere to answer to.
        house.sh("ip -n in-goal route replace default via 10.6.0.1");
        let _servers = [lab.serve(), goal.serve()];
        assert!(lab.opens(&address, 80), "{mode}: TCP");
        assert!(lab.reaches(&address), "{mode}: ping");
        assert!(lab.reaches(&goal6), "{mode}: IPv6");
        assert!(!goal.opens(&lab_address, 80), "{mode}: the other way");
        assert!(!goal.reaches(&lab6), "{mode}: the other way by IPv6");
        assert!(!rest.opens(&address, 80) && !rest.reaches(&goal6), "{mode}: another network");
    }
}

#[test]
fn host_access_is_the_same_by_ipv6() {
    let name = "host_access_is_the_same_by_ipv6";
    let lab = "subnet = \"10.5.0.0/24\"\n";
    let Some(house) = house_with(name, &[("lab", lab)]) else { return };
    let host6 = house.address6("", "lab");
    house.sh("mkdir -p /tmp/house/www");
    let _server =
        house.spawn(As::Root, &["busybox", "httpd", "-f", "-p", "[::]:8000", "-h", "/tmp/house/www"]);
    let argv = opening("::1", "8000");
    assert!(house.wait_until(Duration::from_secs(10), || house.run(&argv).code() == 0));
    let (alpha, _) = leased(&house, "alpha", "lab");
    alpha.address6();
    for (access, expected) in [("none", [false; 3]), ("services", [true, true, false]), ("all", [true; 3])] {
        house.describe("lab", &format!("{lab}host_access = \"{access}\"\n"));
        house.up("lab");
        let reach = [
            alpha.resolve("gateway.lab.internal", &host6).is_some(),
            alpha.reaches(&host6),
            alpha.opens(&host6, 8000),
        ];
        assert_eq!(reach, expected, "{access}: dns, ping, a server");
    }
}
