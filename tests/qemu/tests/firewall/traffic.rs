//! What packets may do, mode by mode: out, in, across, to the host. Guests are namespaces with a real
//! DHCP client; the Internet is a namespace that tells its callers who they seem to be.

use std::time::Duration;

use rig::house::{As, House, VMNET, ours_built};
use rig::outside::{HOST, Outside, ROUTER, SERVER};
use rig::process::Process;
use rig::skip::have;
use rig::station::{Station, opening};

/// A house with an outside and these networks, all up.
fn house_with(test: &str, networks: &[(&str, &str)]) -> Option<(House, Outside)> {
    if !ours_built() {
        rig::skip::skip(test, "our programs are not built");
        return None;
    }
    if !have(test, &["busybox", "ping", "tcpdump"]) {
        return None;
    }
    let house = House::new();
    house.install();
    let outside = house.with_outside();
    for (name, text) in networks {
        house.write_file(&format!("/etc/vmnet/networks/{name}.toml"), text);
        house.run(&[VMNET, "up", name]).success();
    }
    Some((house, outside))
}

const LAB: &str = "subnet = \"10.5.0.0/24\"\n";

/// Gives the outside a way to the guests, as only a routed network has one.
fn route_back(house: &House) {
    house.sh(&format!("ip -n outside route add 10.0.0.0/8 via {HOST}"));
}

/// Whether the outside can open a connection to a guest.
fn outside_opens(house: &House, address: &str, port: &str) -> bool {
    let mut argv = vec!["ip", "netns", "exec", "outside"];
    argv.extend(opening(address, port));
    house.run(&argv).code() == 0
}

/// What passes on the wire to the outside, one packet a line.
fn watch_outside(house: &House, filter: &str) -> Process {
    let argv = ["ip", "netns", "exec", "outside", "tcpdump", "-l", "-n", "-i", "wan", filter];
    let tcpdump = house.spawn(As::Root, &argv);
    let listening = || tcpdump.said().contains("listening on");
    assert!(house.wait_until(Duration::from_secs(20), listening), "{}", tcpdump.said());
    tcpdump
}

#[test]
fn nat_lets_guests_out_as_the_host_and_nobody_in() {
    let name = "nat_lets_guests_out_as_the_host_and_nobody_in";
    let Some((house, _outside)) = house_with(name, &[("lab", LAB)]) else { return };
    route_back(&house);
    let (alpha, answer) = house.leased_station("alpha", "lab");
    assert_eq!(answer.get("router"), "10.5.0.1");
    assert!(alpha.reaches(SERVER));
    assert_eq!(alpha.seen_as(SERVER).as_deref(), Some(HOST));
    let _server = alpha.serve();
    assert!(!outside_opens(&house, answer.get("ip"), "80"), "a new connection from outside was let in");
    let ping = house.run(&["ip", "netns", "exec", "outside", "ping", "-c1", "-W2", answer.get("ip")]);
    assert_ne!(ping.code(), 0, "{ping}");
    // The host itself is no stranger.
    let argv = opening(answer.get("ip"), "80");
    house.run(&argv).success();
}

#[test]
fn guests_of_one_network_reach_each_other_and_of_two_they_do_not() {
    let name = "guests_of_one_network_reach_each_other_and_of_two_they_do_not";
    let other = "subnet = \"10.6.0.0/24\"\n";
    let Some((house, _outside)) = house_with(name, &[("lab", LAB), ("other", other)]) else { return };
    let (alpha, _) = house.leased_station("alpha", "lab");
    let (beta, beta_answer) = house.leased_station("beta", "lab");
    let (gamma, gamma_answer) = house.leased_station("gamma", "other");
    let _servers = [beta.serve(), gamma.serve()];
    assert!(alpha.reaches(beta_answer.get("ip")));
    assert!(alpha.opens(beta_answer.get("ip"), 80));
    assert!(!alpha.reaches(gamma_answer.get("ip")), "from one network into another");
    assert!(!alpha.opens(gamma_answer.get("ip"), 80), "from one network into another");
    assert!(!alpha.reaches("10.6.0.1"), "another network's gateway");
    assert_eq!(alpha.resolve("gamma.other.internal", "10.6.0.1"), None, "another network's names");
    assert_eq!(gamma.seen_as(SERVER).as_deref(), Some(HOST));
}

#[test]
fn where_bridged_packets_pass_the_firewall_neighbours_still_reach_each_other() {
    let name = "where_bridged_packets_pass_the_firewall_neighbours_still_reach_each_other";
    if !have(name, &["/proc/sys/net/bridge/bridge-nf-call-iptables"]) {
        return;
    }
    let inner = "mode = \"isolated\"\nsubnet = \"10.6.0.0/24\"\n";
    let Some((house, _outside)) = house_with(name, &[("lab", LAB), ("inner", inner)]) else { return };
    house.sh("sysctl -w net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1");
    // Counts what the test is about: packets between two ports that the IP hooks get to see.
    house.sh("nft 'table inet probe { chain probe { type filter hook forward priority -10; ip daddr 10.0.0.0/8 counter; }; }'");
    for network in ["lab", "inner"] {
        let (one, two) = (format!("one-{network}"), format!("two-{network}"));
        let (alpha, _) = house.leased_station(&one, network);
        let (beta, answer) = house.leased_station(&two, network);
        let _server = beta.serve();
        assert!(alpha.reaches(answer.get("ip")), "{network}");
        assert!(alpha.opens(answer.get("ip"), 80), "{network}");
    }
    let counted = house.sh("nft list table inet probe");
    assert!(counted.contains("counter packets") && !counted.contains("packets 0 "), "{counted}");
}

#[test]
fn an_isolated_network_has_no_way_out_or_in_even_where_the_host_forwards() {
    let name = "an_isolated_network_has_no_way_out_or_in_even_where_the_host_forwards";
    let inner = "mode = \"isolated\"\nsubnet = \"10.6.0.0/24\"\n";
    let Some((house, _outside)) = house_with(name, &[("inner", inner), ("lab", LAB)]) else { return };
    assert_eq!(house.sh("cat /proc/sys/net/ipv4/ip_forward").trim(), "1");
    route_back(&house);
    let (alpha, answer) = house.leased_station("alpha", "inner");
    let (beta, beta_answer) = house.leased_station("beta", "inner");
    assert_eq!(answer.get("router"), "", "{answer:?}");
    assert!(alpha.reaches(beta_answer.get("ip")), "neighbours");
    assert!(alpha.reaches("10.6.0.1"), "the host's services");
    alpha.run(&["ip", "route", "add", "default", "via", "10.6.0.1"]).success();
    let wire = watch_outside(&house, "net 10.6.0.0/24");
    assert!(!alpha.reaches(SERVER));
    assert_eq!(alpha.seen_as(SERVER), None);
    assert!(!wire.said().contains("10.6.0."), "{}", wire.said());
    let _server = beta.serve();
    assert!(!outside_opens(&house, beta_answer.get("ip"), "80"));
}

#[test]
fn a_routed_guest_is_itself_outside_and_reached_from_there() {
    let name = "a_routed_guest_is_itself_outside_and_reached_from_there";
    let routed = "mode = \"routed\"\nsubnet = \"10.7.0.0/24\"\n";
    let Some((house, _outside)) = house_with(name, &[("field", routed), ("lab", LAB)]) else { return };
    route_back(&house);
    let (alpha, answer) = house.leased_station("alpha", "field");
    assert_eq!(alpha.seen_as(SERVER).as_deref(), Some(answer.get("ip")));
    let _server = alpha.serve();
    assert!(outside_opens(&house, answer.get("ip"), "80"), "it must be reached from outside");
    // Not from another network here, unless this one names it: those are closed to each other.
    let (beta, beta_answer) = house.leased_station("beta", "lab");
    assert!(!beta.opens(answer.get("ip"), 80));
    house.write_file("/etc/vmnet/networks/field.toml", format!("{routed}allow_from = [\"lab\"]\n"));
    house.run(&[VMNET, "up", "field"]).success();
    assert!(beta.opens(answer.get("ip"), 80));
    let _beta_server = beta.serve();
    assert!(!alpha.opens(beta_answer.get("ip"), 80), "routed guests are strangers to one behind NAT");
}

/// Which of the host a guest reaches: DHCP, DNS, ping, a server on the bridge's address, one on another
/// address of the host.
fn reach(house: &House, station: &Station<'_>) -> [bool; 5] {
    let dhcp = station.lease().is_some();
    house.sh("ip -n alpha route replace default via 10.5.0.1");
    [
        dhcp,
        station.resolve("example.test", "10.5.0.1").as_deref() == Some(SERVER),
        station.reaches("10.5.0.1"),
        station.opens("10.5.0.1", 8000),
        station.opens(HOST, 8000),
    ]
}

#[test]
fn host_access_says_what_of_the_host_guests_reach() {
    let name = "host_access_says_what_of_the_host_guests_reach";
    let Some((house, _outside)) = house_with(name, &[("lab", LAB)]) else { return };
    let _server = house.spawn(As::Root, &["busybox", "httpd", "-f", "-p", "8000", "-h", "/tmp/house/www"]);
    let argv = opening("127.0.0.1", "8000");
    assert!(house.wait_until(Duration::from_secs(10), || house.run(&argv).code() == 0));
    let alpha = house.station("alpha", "lab");
    for (access, expected) in [
        ("none", [true, false, false, false, false]),
        ("services", [true, true, true, false, false]),
        ("all", [true; 5]),
    ] {
        house.write_file("/etc/vmnet/networks/lab.toml", format!("{LAB}host_access = \"{access}\"\n"));
        house.run(&[VMNET, "up", "lab"]).success();
        assert_eq!(reach(&house, &alpha), expected, "{access}: dhcp, dns, ping, bridge, other address");
        assert_eq!(alpha.seen_as(SERVER).as_deref(), Some(HOST), "{access}: the world is another matter");
    }
}

#[test]
fn a_packet_with_another_source_than_the_subnets_is_dropped() {
    let name = "a_packet_with_another_source_than_the_subnets_is_dropped";
    let routed = "mode = \"routed\"\nsubnet = \"10.7.0.0/24\"\n";
    let networks = [("lab", LAB, "10.5.0.1"), ("field", routed, "10.7.0.1")];
    let files: Vec<(&str, &str)> = networks.iter().map(|(name, text, _)| (*name, *text)).collect();
    let Some((house, _outside)) = house_with(name, &files) else { return };
    route_back(&house);
    // Strict reverse path filtering would hide what the firewall does not do.
    house.sh("for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >$f; done");
    let wire = watch_outside(&house, "icmp");
    for (network, _, gateway) in networks {
        let (alpha, _) = house.leased_station(network, network);
        alpha.run(&["ip", "address", "add", "10.99.0.1/32", "dev", "eth0"]).success();
        for target in [SERVER, ROUTER, gateway, HOST] {
            let forged = alpha.run(&["ping", "-c1", "-W1", "-s", "333", "-I", "10.99.0.1", target]);
            assert_ne!(forged.code(), 0, "{network}: {target}: {forged}");
        }
        alpha.run(&["ping", "-c1", "-W5", "-s", "222", SERVER]).success();
    }
    let both = || wire.said().matches("echo request").count() >= 2;
    assert!(house.wait_until(Duration::from_secs(10), both), "{}", wire.said());
    assert!(!wire.said().contains("length 341"), "a forged packet got out:\n{}", wire.said());
    // And the test would see one.
    house.sh("kill -STOP $(cat /run/vmnet/lab/keeper); nft delete table inet vmnet_lab
         ip netns exec lab ping -c1 -W1 -s 333 -I 10.99.0.1 192.0.2.10 || :");
    let out = || wire.said().contains("length 341");
    assert!(house.wait_until(Duration::from_secs(10), out), "{}", wire.said());
}

/// What a resolver says to one that asks from a namespace.
fn asks(house: &House, namespace: &str, name: &str, server: &str) -> String {
    let lookup = ["timeout", "5", "busybox", "nslookup", "-type=a", name, server];
    house.run(&[&["ip", "netns", "exec", namespace], &lookup[..]].concat()).stdout
}

/// CVE-2012-3411: a server bound to the bridge's address hears whoever can send a packet there.
#[test]
fn the_networks_resolver_answers_its_guests_and_the_host_and_nobody_else() {
    let name = "the_networks_resolver_answers_its_guests_and_the_host_and_nobody_else";
    let Some((house, _outside)) = house_with(name, &[("lab", LAB)]) else { return };
    route_back(&house);
    let (_alpha, answer) = house.leased_station("alpha", "lab");
    let name = "alpha.lab.internal";
    assert!(asks(&house, "alpha", name, "10.5.0.1").contains(answer.get("ip")));
    let own = house.run(&["busybox", "nslookup", "-type=a", name, "10.5.0.1"]);
    assert!(own.stdout.contains(answer.get("ip")), "{own}");
    let outside = asks(&house, "outside", name, "10.5.0.1");
    assert!(!outside.contains(answer.get("ip")), "the outside was told a guest's address: {outside}");
}

#[test]
fn ipv6_passes_no_network_without_it_even_where_the_host_forwards_it() {
    let name = "ipv6_passes_no_network_without_it_even_where_the_host_forwards_it";
    if !have(name, &["/proc/sys/net/ipv6/conf/all/forwarding"]) {
        return;
    }
    let lab = format!("{LAB}subnet6 = \"none\"\n");
    let routed = "mode = \"routed\"\nsubnet = \"10.7.0.0/24\"\nsubnet6 = \"none\"\n";
    let networks = [("lab", lab.as_str()), ("field", routed)];
    let Some((house, _outside)) = house_with(name, &networks) else { return };
    house.sh("sysctl -qw net.ipv6.conf.all.forwarding=1
              ip -6 address add fd01::2/64 dev uplink0 nodad
              ip -n outside -6 address add fd01::1/64 dev wan nodad
              ip -n outside -6 route add default via fd01::2");
    house.run(&["ip", "netns", "exec", "outside", "ping", "-c1", "-W5", "fd01::2"]).success();
    for (number, (network, _)) in networks.iter().enumerate() {
        let station = house.station(network, network);
        // Even an administrator's own IPv6 on the bridge opens nothing.
        house.sh(&format!(
            "echo 0 >/proc/sys/net/ipv6/conf/{network}/disable_ipv6
             ip -6 address add fd0{number}:5::1/64 dev {network} nodad
             ip -n {network} -6 address add fd0{number}:5::2/64 dev eth0 nodad
             ip -n {network} -6 route add default via fd0{number}:5::1"
        ));
        assert!(!station.reaches("fd01::1"), "{network}: out");
        let inward = format!("fd0{number}:5::2");
        let ping = house.run(&["ip", "netns", "exec", "outside", "ping", "-c1", "-W2", &inward]);
        assert_ne!(ping.code(), 0, "{network}: in: {ping}");
        house.sh(&format!(
            "kill -STOP $(cat /run/vmnet/{network}/keeper); nft delete table inet vmnet_{network}"
        ));
        assert!(station.reaches("fd01::1"), "{network}: the test would see nothing");
    }
}
