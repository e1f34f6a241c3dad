//! IPv6: guests have it at once and reach the world by it, and it opens nothing that IPv4 keeps shut.
//! The host keeps the IPv6 that it had from its own routers.

use std::time::{Duration, Instant};

use rig::house::{As, House};
use rig::outside::{HOST, HOST6, Outside, SERVER, SERVER6, UPLINK};
use rig::process::Process;
use rig::skip::have;
use rig::station::{Station, opening};

const SOON: Duration = Duration::from_secs(10);
const FORWARDING: &str = "/proc/sys/net/ipv6/conf/all/forwarding";

/// A prefix of ours for each network, so that a test knows its addresses.
const LAB: &str = "subnet = \"10.5.0.0/24\"\nsubnet6 = \"fd05::/64\"\n";
const FIELD: &str = "mode = \"routed\"\nsubnet = \"10.7.0.0/24\"\nsubnet6 = \"2001:db8:7::/64\"\n";

/// A house where these networks are up.
fn house_with(test: &str, networks: &[(&str, &str)]) -> Option<House> {
    if !have(test, &[FORWARDING, "ping", "tcpdump"]) {
        return None;
    }
    let house = House::with_companion(test)?;
    networks.iter().for_each(|(name, text)| house.describe(name, text));
    Some(house)
}

/// The same with an outside; the networks are up.
fn house_outside(test: &str, networks: &[(&str, &str)]) -> Option<(House, (Outside, Process))> {
    let house = house_with(test, networks)?;
    let outside = house.with_ipv6_outside();
    networks.iter().for_each(|(name, _)| drop(house.up(name)));
    Some((house, outside))
}

/// A namespace's addresses of global scope on `eth0`; `usable`: only those that it may use already.
fn addresses(house: &House, station: &str, usable: bool) -> Vec<String> {
    let only = if usable { "-tentative" } else { "" };
    let text = house.sh(&format!("ip -n {station} -6 -o address show dev eth0 scope global {only}"));
    let address = |line: &str| Some(line.split_whitespace().nth(3)?.split('/').next()?.to_owned());
    text.lines().filter_map(address).collect()
}

/// Waits for the address that a guest makes itself, until it may use it.
#[track_caller]
fn own_address(house: &House, station: &str, prefix: &str) -> String {
    let found = || addresses(house, station, true).into_iter().find(|address| address.starts_with(prefix));
    assert!(house.wait_until(SOON, || found().is_some()), "{station} has no address in {prefix}");
    found().unwrap_or_default()
}

/// Plugs a guest in that ends with an IPv6 address.
#[track_caller]
fn station6<'a>(house: &'a House, name: &str, network: &str, prefix: &str) -> (Station<'a>, String) {
    let station = house.station(name, network);
    let address = own_address(house, name, prefix);
    (station, address)
}

#[test]
fn a_guest_has_an_address_two_seconds_after_it_was_plugged_in_and_the_world_through_nat() {
    let name = "a_guest_has_an_address_two_seconds_after_it_was_plugged_in_and_the_world_through_nat";
    let Some((house, _outside)) = house_outside(name, &[("lab", LAB)]) else { return };
    for guest in ["first", "second"] {
        let plugged = Instant::now();
        let alpha = house.station(guest, "lab");
        let there = || !addresses(&house, guest, false).is_empty();
        assert!(house.wait_until(SOON, there), "{guest}: no address");
        let took = plugged.elapsed();
        println!("{guest}: {took:?}");
        assert!(took < Duration::from_secs(2), "{guest}: {took:?}");
        let own = own_address(&house, guest, "fd05::");
        assert!(alpha.reaches("fd05::1"), "{guest}: the gateway");
        assert!(alpha.reaches(SERVER6), "{guest}: outside");
        assert_eq!(alpha.seen_as(SERVER6).as_deref(), Some(HOST6), "{guest} is {own}");
    }
    // The two reach each other without the host's help.
    let other = own_address(&house, "second", "fd05::");
    assert_eq!(house.run(&["ip", "netns", "exec", "first", "ping", "-c1", "-W2", &other]).code(), 0);
}

#[test]
fn an_automatic_prefix_is_local_stable_and_another_for_each_network() {
    let name = "an_automatic_prefix_is_local_stable_and_another_for_each_network";
    let Some(house) = house_with(name, &[("lab", ""), ("other", "")]) else { return };
    house.write_file("/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    let own = |network: &str| {
        house.up(network);
        let text = house.sh(&format!("ip -6 -o address show dev {network} scope global"));
        let address = text.split_whitespace().nth(3).unwrap_or_default().to_owned();
        assert!(address.starts_with("fd") && address.ends_with("::1/64"), "{text}");
        assert!(!text.contains("tentative"), "{text}");
        address
    };
    let (lab, other) = (own("lab"), own("other"));
    assert_ne!(lab, other);
    house.down("lab");
    house.sh("rm -r /var/lib/vmnet");
    assert_eq!(own("lab"), lab, "it changes with every start");
    house.down("lab");
    house.write_file("/etc/machine-id", "fedcba9876543210fedcba9876543210\n");
    assert_ne!(own("lab"), lab, "two machines have the same");
}

#[test]
fn the_resolver_answers_on_the_ipv6_address_as_soon_as_up_returns() {
    let name = "the_resolver_answers_on_the_ipv6_address_as_soon_as_up_returns";
    let Some((house, _outside)) = house_outside(name, &[]) else { return };
    house.describe("lab", LAB);
    for round in 0..5 {
        house.up("lab");
        let answer =
            house.run(&["timeout", "5", "busybox", "nslookup", "-type=a", "example.test", "fd05::1"]);
        assert!(answer.stdout.contains(SERVER), "round {round}: {answer}");
        house.down("lab");
    }
    house.up("lab");
    let (alpha, _) = station6(&house, "alpha", "lab", "fd05::");
    assert_eq!(alpha.resolve("example.test", "fd05::1").as_deref(), Some(SERVER));
    // Told by the advertisement, as a guest without DHCP learns of it.
    let wire = alpha.spawn(&["tcpdump", "-l", "-v", "-n", "-i", "eth0", "icmp6 and ip6[40] == 134"]);
    assert!(house.wait_until(SOON, || wire.said().contains("listening on")));
    alpha.run(&["ip", "link", "set", "eth0", "down"]).success();
    alpha.run(&["ip", "link", "set", "eth0", "up"]).success();
    let told = || wire.said().contains("rdnss option") && wire.said().contains("fd05::1");
    assert!(house.wait_until(SOON, told), "{}", wire.said());
    for words in ["other stateful", "fd05::/64", "dnssl option", "lab.internal"] {
        assert!(wire.said().contains(words), "no {words:?}: {}", wire.said());
    }
    assert!(!wire.said().contains("managed"), "addresses are the guests' own: {}", wire.said());
}

#[test]
fn a_routed_guest_is_itself_outside_and_reached_from_there() {
    let name = "a_routed_guest_is_itself_outside_and_reached_from_there";
    let Some((house, _outside)) = house_outside(name, &[("field", FIELD), ("lab", LAB)]) else { return };
    house.sh(&format!("ip -n outside route add 2001:db8:7::/64 via {HOST6}"));
    house.sh(&format!("ip -n outside route add fd05::/64 via {HOST6}"));
    let (alpha, own) = station6(&house, "alpha", "field", "2001:db8:7:");
    assert_eq!(alpha.seen_as(SERVER6).as_deref(), Some(own.as_str()));
    let _server = alpha.serve();
    assert!(outside_opens(&house, &own, "80"), "it must be reached from outside");
    let (beta, hidden) = station6(&house, "beta", "lab", "fd05::");
    let _beta_server = beta.serve();
    assert!(!outside_opens(&house, &hidden, "80"), "nobody gets in past NAT");
}

fn outside_opens(house: &House, address: &str, port: &str) -> bool {
    let mut argv = vec!["ip", "netns", "exec", "outside"];
    argv.extend(opening(address, port));
    house.run(&argv).code() == 0
}

#[test]
fn without_a_prefix_the_host_is_off_the_network_and_forwards_nothing() {
    let name = "without_a_prefix_the_host_is_off_the_network_and_forwards_nothing";
    let Some((house, _outside)) = house_outside(name, &[("none", "subnet6 = \"none\"\n")]) else { return };
    assert_eq!(house.sh(&format!("cat {FORWARDING}")).trim(), "0");
    assert_eq!(house.sh("ip -6 address show dev none"), "", "the host has an address there");
    let alpha = house.station("alpha", "none");
    // Long enough for a guest that looks for a router to find one.
    assert!(!house.wait_until(Duration::from_secs(3), || !addresses(&house, "alpha", false).is_empty()));
    assert_eq!(alpha.run(&["ip", "-6", "route", "show", "default"]).success(), "");
    assert!(alpha.lease().is_some() && alpha.seen_as(SERVER).as_deref() == Some(HOST));
    house.sh("sysctl -qw net.ipv6.conf.all.forwarding=1");
    alpha.run(&["ip", "-6", "address", "add", "fd99::2/64", "dev", "eth0", "nodad"]).success();
    alpha.run(&["ip", "-6", "route", "add", "default", "dev", "eth0"]).success();
    assert!(!alpha.reaches(SERVER6) && !alpha.reaches(HOST6));
}

#[test]
fn guests_reach_nothing_of_the_host_by_ipv6_but_its_services() {
    let name = "guests_reach_nothing_of_the_host_by_ipv6_but_its_services";
    let Some((house, _outside)) = house_outside(name, &[("lab", LAB)]) else { return };
    let _server =
        house.spawn(As::Root, &["busybox", "httpd", "-f", "-p", "[::]:8000", "-h", "/tmp/house/www"]);
    assert!(house.wait_until(SOON, || house.run(&opening("::1", "8000")).code() == 0));
    let (alpha, _) = station6(&house, "alpha", "lab", "fd05::");
    let text = house.sh("ip -6 -o address show dev lab scope link");
    let local = text.split_whitespace().nth(3).and_then(|word| word.split('/').next());
    let local = format!("{}%eth0", local.unwrap_or_else(|| panic!("no link-local address: {text}")));
    for (access, services, rest) in [("services", true, false), ("none", false, false), ("all", true, true)] {
        house.describe("lab", &format!("{LAB}host_access = \"{access}\"\n"));
        house.up("lab");
        let answer = alpha.resolve("example.test", "fd05::1");
        assert_eq!(answer.as_deref() == Some(SERVER), services, "{access}: dns");
        assert_eq!(alpha.reaches("fd05::1"), services, "{access}: ping");
        for address in ["fd05::1", HOST6, local.as_str()] {
            assert_eq!(alpha.opens(address, 8000), rest, "{access}: {address}");
        }
        assert_eq!(alpha.seen_as(SERVER6).as_deref(), Some(HOST6), "{access}: the world is another matter");
    }
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
fn a_packet_with_another_source_than_the_prefix_is_dropped() {
    let name = "a_packet_with_another_source_than_the_prefix_is_dropped";
    let networks = [("lab", LAB, "fd05::1"), ("field", FIELD, "2001:db8:7::1")];
    let files: Vec<(&str, &str)> = networks.iter().map(|(name, text, _)| (*name, *text)).collect();
    let Some((house, _outside)) = house_outside(name, &files) else { return };
    let wire = watch_outside(&house, "icmp6 and ip6[40] == 128");
    for (network, _, gateway) in networks {
        let (alpha, own) = station6(&house, network, network, &gateway[..gateway.len() - 2]);
        alpha.run(&["ip", "address", "add", "fd99::9/128", "dev", "eth0", "nodad"]).success();
        for target in [SERVER6, gateway, HOST6] {
            let forged = alpha.run(&["ping", "-c1", "-W1", "-s", "333", "-I", "fd99::9", target]);
            assert_ne!(forged.code(), 0, "{network}: {target}: {forged}");
        }
        alpha.run(&["ping", "-c1", "-W5", "-s", "222", "-I", &own, HOST6]).success();
        alpha.run(&["ping", "-c1", "-W1", "-s", "222", "-I", &own, SERVER6]);
    }
    let both = || wire.said().matches("echo request").count() >= 2;
    assert!(house.wait_until(SOON, both), "{}", wire.said());
    assert!(!wire.said().contains("length 341"), "a forged packet got out:\n{}", wire.said());
    // And the test would see one.
    house.sh(&format!(
        "kill -STOP $(cat /run/vmnet/lab/keeper); nft delete table inet vmnet_lab
         ip netns exec lab ping -c1 -W1 -s 333 -I fd99::9 {SERVER6} || :"
    ));
    assert!(house.wait_until(SOON, || wire.said().contains("length 341")), "{}", wire.said());
}

#[test]
fn networks_are_closed_to_each_other_unless_one_is_let_in() {
    let name = "networks_are_closed_to_each_other_unless_one_is_let_in";
    let two = "subnet = \"10.6.0.0/24\"\nsubnet6 = \"fd06::/64\"\n";
    let Some((house, _outside)) = house_outside(name, &[("lab", LAB), ("two", two), ("field", FIELD)]) else {
        return;
    };
    let (alpha, alpha_address) = station6(&house, "alpha", "lab", "fd05::");
    let (beta, beta_address) = station6(&house, "beta", "two", "fd06::");
    let (gamma, gamma_address) = station6(&house, "gamma", "field", "2001:db8:7:");
    let _servers = [beta.serve(), gamma.serve()];
    for (from, to) in [(&alpha, &beta_address), (&alpha, &gamma_address), (&gamma, &beta_address)] {
        assert!(!from.reaches(to) && !from.opens(to, 80), "{to}");
    }
    house.describe("two", &format!("{two}allow_from = [\"lab\"]\n"));
    house.up("two");
    assert!(alpha.reaches(&beta_address) && alpha.opens(&beta_address, 80));
    assert_eq!(alpha.seen_as(&beta_address).as_ref(), Some(&alpha_address), "under its own address");
    assert!(!gamma.opens(&beta_address, 80), "only lab was let in");
    let lab = alpha.serve();
    assert!(!beta.opens(&alpha_address, 80), "the way back is not open by that");
    drop(lab);
}

/// A router on the house's uplink that advertises itself and a prefix, as a provider's does.
fn with_advertising_router(house: &House) -> Process {
    house.sh(&format!(
        "ip netns add router
         ip link add {UPLINK} type veth peer name wan netns router
         ip -n router address add 2001:db8:1::1/64 dev wan nodad
         ip -n router address add 2001:db8:99::1/128 dev wan nodad
         ip netns exec router sysctl -qw net.ipv6.conf.all.forwarding=1
         ip -n router link set lo up
         ip -n router link set wan up
         ip link set {UPLINK} up"
    ));
    let mut argv = vec!["ip", "netns", "exec", "router", "dnsmasq", "--keep-in-foreground"];
    argv.extend(["--conf-file=/dev/null", "--port=0", "--bind-dynamic", "--interface=wan", "--enable-ra"]);
    argv.extend(["--dhcp-range=2001:db8:1::,ra-only", "--ra-param=wan,4", "--pid-file=", "--user=root"]);
    argv.extend(["--dhcp-leasefile=/tmp/house/router.leases"]);
    let router = house.spawn(As::Root, &argv);
    let routed = || !house.sh("ip -6 route show default proto ra").is_empty();
    assert!(house.wait_until(Duration::from_secs(20), routed), "no route: {}", router.said());
    router
}

fn accept_ra(house: &House) -> String {
    house.sh(&format!("cat /proc/sys/net/ipv6/conf/{UPLINK}/accept_ra")).trim().to_owned()
}

#[test]
fn the_host_keeps_the_routes_of_its_own_routers_and_says_how() {
    let name = "the_host_keeps_the_routes_of_its_own_routers_and_says_how";
    let Some(house) = house_with(name, &[("lab", LAB), ("two", ""), ("none", "subnet6 = \"none\"\n")]) else {
        return;
    };
    let router = with_advertising_router(&house);
    let route = || house.sh("ip -6 route show default proto ra | sed 's/ expires.*//'");
    let (before, was) = (house.snapshot(), route());
    assert_eq!(accept_ra(&house), "1");
    let reaches = || house.run(&["ping", "-c1", "-W2", "2001:db8:99::1"]).code() == 0;
    assert!(house.wait_until(SOON, reaches), "{}", house.sh("ip -6 route"));
    house.up("none");
    assert_eq!((accept_ra(&house), route()), ("1".to_owned(), was.clone()), "no business of this one");
    let said = house.up("lab");
    let note = format!("note: {UPLINK}: goes on taking router advertisements (accept_ra 2)");
    assert!(said.stdout.contains(&note), "{said}");
    assert_eq!((accept_ra(&house), route()), ("2".to_owned(), was.clone()));
    assert!(!house.up("two").stdout.contains("note:"), "said once");
    assert!(reaches());
    // A new advertisement is still taken: the route comes back by itself.
    house.sh("ip -6 route del default proto ra");
    assert!(house.wait_until(Duration::from_secs(20), || route() == was), "{}", house.sh("ip -6 route"));
    let guest = station6(&house, "alpha", "lab", "fd05::").0;
    assert!(guest.reaches("2001:db8:99::1"), "a guest behind it");
    house.sh("ip netns del alpha");
    assert!(house.wait_until(SOON, || house.sh("ip link").matches("port-alpha").count() == 0));
    for network in ["lab", "two"] {
        house.down(network);
    }
    assert_eq!((accept_ra(&house), route()), ("1".to_owned(), was));
    house.down("none");
    drop(router);
    house.sh("rm -f /tmp/house/station");
    let rest = before.difference(&house.snapshot());
    let ours: Vec<&str> =
        rest.lines().filter(|line| !line.contains("process ") && !line.contains("dnsmasq")).collect();
    assert!(ours.is_empty(), "{ours:#?}");
}

#[test]
fn the_last_of_several_networks_puts_every_switch_back_whatever_the_order() {
    let name = "the_last_of_several_networks_puts_every_switch_back_whatever_the_order";
    let quiet = "mode = \"isolated\"\n";
    let four = "subnet6 = \"none\"\n";
    let Some(house) = house_with(name, &[("one", ""), ("two", ""), ("quiet", quiet), ("four", four)]) else {
        return;
    };
    house.sh("ip link add eth7 type veth peer name peer7; ip link set eth7 up; ip link set peer7 up
              ip link add eth8 type veth peer name peer8; ip link set eth8 up
              sysctl -qw net.ipv6.conf.eth8.accept_ra=0 net.ipv6.conf.peer7.accept_ra=2
              sysctl -qw net.ipv6.conf.peer8.forwarding=1");
    let before = house.snapshot();
    let forwards = || house.sh(&format!("cat {FORWARDING}")).trim() == "1";
    let orders =
        [["one", "two", "four", "quiet"], ["four", "quiet", "two", "one"], ["quiet", "two", "one", "four"]];
    for (first, last) in [(0, 1), (1, 2), (2, 0), (0, 0)] {
        let (Some(up), Some(down)) = (orders.get(first), orders.get(last)) else { continue };
        for network in up {
            house.up(network);
        }
        assert!(forwards());
        for (gone, network) in down.iter().enumerate() {
            house.down(network);
            let left = down.iter().skip(gone + 1).any(|network| ["one", "two"].contains(network));
            assert_eq!(forwards(), left, "up {up:?}, down {down:?}: after {network}");
        }
        house.assert_as_in(&before);
    }
    // Where the host forwarded before, it goes on.
    house.sh("sysctl -qw net.ipv6.conf.all.forwarding=1");
    let before = house.snapshot();
    house.up("one");
    house.down("one");
    house.assert_as_in(&before);
}

#[test]
fn an_isolated_network_has_addresses_and_no_way_out() {
    let name = "an_isolated_network_has_addresses_and_no_way_out";
    let inner = "mode = \"isolated\"\nsubnet6 = \"fd06::/64\"\n";
    let Some((house, _outside)) = house_outside(name, &[("inner", inner), ("lab", LAB)]) else { return };
    let (alpha, _) = station6(&house, "alpha", "inner", "fd06::");
    let (_beta, beta) = station6(&house, "beta", "inner", "fd06::");
    assert!(alpha.reaches(&beta) && alpha.reaches("fd06::1"));
    assert_eq!(
        alpha.run(&["ip", "-6", "route", "show", "default"]).success(),
        "",
        "a router that leads nowhere"
    );
    alpha.run(&["ip", "-6", "route", "add", "default", "via", "fd06::1"]).success();
    let wire = watch_outside(&house, "icmp6 and ip6[40] == 128");
    assert!(!alpha.reaches(SERVER6));
    assert!(!wire.said().contains("fd06:"), "{}", wire.said());
}
