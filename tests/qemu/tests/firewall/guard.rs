//! `guard`: no guest is another, or the host, or the network's server or router; and a guest that
//! comes back is itself again.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use rig::companion::DONE;
use rig::frame::{self, ALL_NODES, BROADCAST};
use rig::guest;
use rig::house::{HELPER, House};
use rig::skip::have;
use rig::station::Station;

const GUARDED: &str = "subnet = \"10.5.0.0/24\"\nguard = true\n";
const OPEN: &str = "subnet = \"10.5.0.0/24\"\n";
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 5, 0, 1);

fn house_with(test: &str, text: &str) -> Option<House> {
    if !have(test, &["ping", "dnsmasq"]) {
        return None;
    }
    let house = House::with_companion(test)?;
    house.describe("lab", text);
    house.up("lab");
    house.install_raw_frame();
    Some(house)
}

/// One that has its lease; answers its address too.
fn leased<'a>(house: &'a House, name: &str) -> (Station<'a>, String) {
    let station = house.member_station(name, "lab");
    let answer = station.lease().unwrap_or_else(|| panic!("{name} got no lease"));
    (station, answer.get("ip").to_owned())
}

fn take(house: &House, guest: &str, mac: &str) {
    house.sh(&format!("ip -n {guest} link set eth0 address {mac}; ip -n {guest} neigh flush all"));
}

/// Adds an address to a guest and asks whether anybody answers it.
fn passes_as(station: &Station<'_>, address: &str, target: &str) -> bool {
    let (length, nodad) = if address.contains(':') { ("64", Some("nodad")) } else { ("24", None) };
    let place = format!("{address}/{length}");
    let mut add = vec!["ip", "address", "add", &place, "dev", "eth0"];
    add.extend(nodad);
    station.run(&add).success();
    let answered =
        (0..2).any(|_| station.run(&["ping", "-n", "-c", "1", "-W", "1", "-I", address, target]).code() == 0);
    station.run(&["ip", "address", "del", &place, "dev", "eth0"]).success();
    answered
}

/// The MAC that a guest believes an address to have.
fn believes(house: &House, guest: &str, address: &str) -> String {
    let shown = house.sh(&format!("ip -n {guest} neigh show {address}"));
    let mut words = shown.split_whitespace().skip_while(|word| *word != "lladdr");
    words.nth(1).unwrap_or_default().to_owned()
}

#[test]
fn a_guest_has_one_mac_and_nobody_elses() {
    let Some(house) = house_with("a_guest_has_one_mac_and_nobody_elses", GUARDED) else { return };
    let (alpha, _) = leased(&house, "alpha");
    let (beta, beta_address) = leased(&house, "beta");
    assert!(alpha.reaches(&beta_address) && alpha.reaches("10.5.0.1"));
    let host = house.sh("cat /sys/class/net/lab/address").trim().to_owned();
    for mac in ["02:00:00:00:77:77", beta.mac.as_str(), host.as_str()] {
        take(&house, "alpha", mac);
        assert!(!alpha.reaches("10.5.0.1"), "the host answered {mac}");
        assert!(!alpha.reaches(&beta_address), "a guest answered {mac}");
        assert!(beta.reaches("10.5.0.1"), "{mac}: who it belongs to was cut off");
    }
    take(&house, "alpha", &alpha.mac);
    assert!(alpha.reaches(&beta_address) && alpha.reaches("10.5.0.1"));
}

#[test]
fn a_guest_has_no_address_of_another_or_of_the_host() {
    let text =
        format!("{GUARDED}[[host]]\nname = \"web\"\nmac = \"02:00:00:00:00:09\"\naddress = \"10.5.0.9\"\n");
    let Some(house) = house_with("a_guest_has_no_address_of_another_or_of_the_host", &text) else { return };
    let (alpha, _) = leased(&house, "alpha");
    let (beta, beta_address) = leased(&house, "beta");
    let (gamma, target) = leased(&house, "gamma");
    let told = || house.sh("nft list set bridge vmnet_lab owners4").contains(&beta_address);
    assert!(house.wait_until(Duration::from_secs(5), told), "the firewall does not know of beta's lease");
    assert!(!passes_as(&alpha, &beta_address, &target), "a leased address");
    assert!(!passes_as(&alpha, "10.5.0.9", &target), "a reserved address");
    assert!(!passes_as(&alpha, "10.5.0.1", &target), "the host's address");
    assert!(passes_as(&alpha, "10.5.0.77", &target), "nobody's address");
    assert!(!passes_as(&beta, "10.5.0.77", &target), "an address that alpha uses");
    assert!(beta.reaches(&target) && beta.reaches("10.5.0.1"), "and beta has its own");

    let (host6, beta6, gamma6) = (house.address6("", "lab"), beta.address6(), gamma.address6());
    assert!(!passes_as(&alpha, &beta6, &gamma6), "an address made of beta's MAC");
    assert!(!passes_as(&alpha, &host6, &gamma6), "the host's address");
    let free = format!("{host6}077");
    assert!(passes_as(&alpha, &free, &gamma6), "nobody's address");
    assert!(!passes_as(&beta, &free, &gamma6), "an address that alpha uses");
    assert!(beta.reaches(&gamma6) && beta.reaches(&host6), "and beta has its own");
}

#[test]
fn no_guest_is_believed_to_be_the_host() {
    let name = "no_guest_is_believed_to_be_the_host";
    for (text, deceived) in [(GUARDED, false), (OPEN, true)] {
        let Some(house) = house_with(name, text) else { return };
        let (alpha, _) = leased(&house, "alpha");
        let (beta, _) = leased(&house, "beta");
        let host = house.sh("cat /sys/class/net/lab/address").trim().to_owned();
        let ends = [house.address6("", "lab"), alpha.address6(), beta.address6()];
        let [host6, own6, beta6] = ends.each_ref().map(|text| text.parse::<Ipv6Addr>().expect("an address"));
        assert!(beta.reaches("10.5.0.1") && beta.reaches(&ends[0]));
        let claim = frame::neighbour(host6, &alpha.mac);
        let lie = [
            frame::arp_reply(&beta.mac, &alpha.mac, &alpha.mac, GATEWAY),
            frame::icmp6(&beta.mac, &alpha.mac, (host6, beta6), &[], &claim),
            frame::icmp6(&beta.mac, &alpha.mac, (own6, beta6), &[], &claim),
        ];
        let fooled = |address: &str| {
            (0..15).any(|_| {
                alpha.send(&lie);
                std::thread::sleep(Duration::from_millis(150));
                believes(&house, "beta", address) == alpha.mac
            })
        };
        assert_eq!(fooled("10.5.0.1"), deceived, "ARP");
        assert_eq!(fooled(&ends[0]), deceived, "ND");
        if !deceived {
            assert_eq!(believes(&house, "beta", "10.5.0.1"), host);
            assert!(beta.reaches("10.5.0.1") && beta.reaches(&ends[0]));
        }
    }
}

#[test]
fn no_guest_plays_dhcp_server_or_router() {
    let name = "no_guest_plays_dhcp_server_or_router";
    for (text, deceived) in [(GUARDED, false), (OPEN, true)] {
        let Some(house) = house_with(name, &format!("{text}[dhcp]\nenabled = false\n")) else { return };
        let alpha = house.member_station("alpha", "lab");
        let beta = house.member_station("beta", "lab");
        alpha.run(&["ip", "address", "add", "10.66.0.1/24", "dev", "eth0"]).success();
        let argv = [
            "dnsmasq",
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--port=0",
            "--user=root",
            "--log-facility=-",
        ];
        let rest = ["--dhcp-range=10.66.0.2,10.66.0.9", "--dhcp-authoritative", "--no-ping", "--pid-file="];
        let rogue = alpha.spawn(&[&argv[..], &rest[..], &["--dhcp-leasefile=/tmp/house/rogue"]].concat());
        assert!(house.wait_until(Duration::from_secs(10), || rogue.said().contains("DHCP, IP range")));
        assert_eq!(beta.lease().is_some(), deceived, "a guest's DHCP server\n{}", rogue.said());

        let routers: [(Ipv6Addr, &[u8]); 2] = [
            ("fe80::bad".parse().expect("an address"), &[]),
            ("fe80::bad:2".parse().expect("an address"), &[58, 0, 1, 4, 0, 0, 0, 0]),
        ];
        for (router, extra) in routers {
            let all = "ff02::1".parse().expect("an address");
            let advertisement = frame::icmp6(ALL_NODES, &alpha.mac, (router, all), extra, &frame::ROUTER);
            let believed = (0..10).any(|_| {
                alpha.send(std::slice::from_ref(&advertisement));
                std::thread::sleep(Duration::from_millis(100));
                house.sh("ip -n beta -6 route show default").contains(&format!("via {router} "))
            });
            assert_eq!(believed, deceived, "a guest's router advertisement from {router}");
        }
    }
}

#[test]
fn no_guest_gives_back_anothers_lease() {
    let name = "no_guest_gives_back_anothers_lease";
    for (text, deceived) in [(GUARDED, false), (OPEN, true)] {
        let Some(house) = house_with(name, text) else { return };
        let (alpha, alpha_address) = leased(&house, "alpha");
        let (beta, address) = leased(&house, "beta");
        let held = |address: &str| house.vmnet(&["leases", "lab"]).stdout.contains(address);
        assert!(held(&address) && held(&alpha_address));
        let release = |mac: &str, address: &str| {
            let address: Ipv4Addr = address.parse().expect("an address");
            let body = frame::dhcp_release(mac, address, GATEWAY);
            let server = (BROADCAST, Ipv4Addr::BROADCAST, 67);
            frame::udp(server, (&alpha.mac, Ipv4Addr::UNSPECIFIED, 68), &body)
        };
        alpha.send(&[release(&beta.mac, &address)]);
        // Its own it may give back; once that is done, the other was judged too.
        alpha.send(&[release(&alpha.mac, &alpha_address)]);
        assert!(house.wait_until(Duration::from_secs(5), || !held(&alpha_address)), "its own lease");
        assert_eq!(held(&address), !deceived);
    }
}

#[test]
fn a_guest_that_comes_back_by_another_port_is_itself_again() {
    let name = "a_guest_that_comes_back_by_another_port_is_itself_again";
    let Some(house) = house_with(name, GUARDED) else { return };
    let (alpha, address) = leased(&house, "alpha");
    let mac = alpha.mac.clone();
    let bound = || house.sh("nft list set bridge vmnet_lab bound").matches(" . \"port-").count();
    assert_eq!(bound(), 1);
    house.sh("ip link del port-alpha; ip netns del alpha");
    let started = Instant::now();
    let (alpha, again) = leased(&house, "alpha");
    println!("back after {:?}", started.elapsed());
    assert_eq!((&again, &alpha.mac), (&address, &mac));
    assert!(alpha.reaches("10.5.0.1"));

    // Without a keeper nobody sees the port go; the next one does.
    house.sh(&format!("kill -9 {}", house.keeper("lab")));
    house.sh("ip link del port-alpha; ip netns del alpha");
    house.up("lab");
    let started = Instant::now();
    let (alpha, again) = leased(&house, "alpha");
    println!("back after {:?}, with the next keeper", started.elapsed());
    assert_eq!(again, address);
    assert!(alpha.reaches("10.5.0.1"));
    assert_eq!(bound(), 1, "{}", house.sh("nft list set bridge vmnet_lab bound"));
}

#[test]
fn what_was_learned_lives_through_leases_and_another_up() {
    let name = "what_was_learned_lives_through_leases_and_another_up";
    let Some(house) = house_with(name, GUARDED) else { return };
    let (alpha, _) = leased(&house, "alpha");
    let handle = || house.sh("nft -a list table bridge vmnet_lab | sed -n 1p");
    let bound = || house.sh("nft list set bridge vmnet_lab bound");
    let number = alpha.mac.replace(':', "").trim_start_matches('0').to_owned();
    let before = handle();
    assert!(bound().contains(&number), "{}", bound());
    let (_beta, address) = leased(&house, "beta");
    let told = || house.sh("nft list set bridge vmnet_lab owners4").contains(&address);
    assert!(house.wait_until(Duration::from_secs(5), told));
    house.up("lab");
    assert_eq!(handle(), before, "the table was made anew");
    assert!(bound().contains(&number), "{}", bound());
    assert_eq!(house.drift("lab"), (DONE, Vec::new()));

    // A reservation that the file gains is known at once.
    let host = "[[host]]\nname = \"web\"\nmac = \"02:00:00:00:00:09\"\naddress = \"10.5.0.9\"\n";
    house.describe("lab", &format!("{GUARDED}{host}"));
    house.up("lab");
    assert!(house.sh("nft list set bridge vmnet_lab owners4").contains("10.5.0.9 . 02:00:00:00:00:09"));
    assert_eq!(handle(), before, "the table was made anew");
    assert_eq!(house.drift("lab"), (DONE, Vec::new()));

    // And without guard nothing of it is left.
    house.describe("lab", OPEN);
    house.up("lab");
    assert!(!house.sh("nft list tables").contains("bridge"));
    assert_eq!(house.drift("lab"), (DONE, Vec::new()));
}

#[test]
fn a_helpers_port_is_guarded_without_a_keeper() {
    let name = "a_helpers_port_is_guarded_without_a_keeper";
    let Some(house) = house_with(name, GUARDED) else { return };
    house.write_file("/etc/vmnet/bridge.conf", "allow lab user=alice\n");
    house.sh(&format!("kill -9 {}", house.keeper("lab")));
    let holder = house.hold("alice", &[HELPER, "--use-vnet", "--br=lab", "--fd={fd}"]);
    let tap = holder.caught.tap().name.clone();
    let group = house.sh(&format!("cat /sys/class/net/{tap}/netdev_group"));
    let rule = format!("iifgroup {} jump from_port", group.trim());
    assert!(house.sh("nft list table bridge vmnet_lab").contains(&rule), "{rule}");
}

#[test]
fn a_real_guest_is_served_on_a_guarded_network_also_when_it_comes_back() {
    let name = "a_real_guest_is_served_on_a_guarded_network_also_when_it_comes_back";
    if !guest::available(name) {
        return;
    }
    let limits = "[limits]\nfrom_guest = \"100mbit\"\nto_guest = \"100mbit\"\n";
    let Some(house) = house_with(name, &format!("{GUARDED}{limits}")) else { return };
    house.write_file("/etc/vmnet/bridge.conf", "allow lab user=alice\n");
    let plan = guest::Plan::new("vm", "alice", &format!("bridge,br=lab,helper={HELPER}"));
    for _ in 0..2 {
        let vm = plan.boot(&house);
        let address = vm.lease.get("address").split('/').next().unwrap_or_default().to_owned();
        assert!(address.starts_with("10.5.0."), "{:?}", vm.lease);
        house.run(&["ping", "-c", "1", "-W", "10", &address]).success();
    }
}
