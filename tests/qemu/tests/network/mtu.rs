//! The MTU: taken from the uplink where the file says so, told to guests by every way they ask, and a
//! way out that is narrower than the network swallows no connection.

use std::time::Duration;

use rig::companion::DRIFTED;
use rig::house::{As, HELPER, House};
use rig::outside::{Outside, SERVER, SERVER6, UPLINK};
use rig::process::Process;
use rig::skip::have;
use rig::station::Station;

const SOON: Duration = Duration::from_secs(10);
const LAB: &str = "subnet = \"10.5.0.0/24\"\nsubnet6 = \"fd05::/64\"\n";
/// Some hundred packets.
const SIZE: usize = 200_000;

/// A house with an outside; nothing is up yet.
fn house_outside(test: &str) -> Option<(House, (Outside, Process))> {
    if !have(test, &["/proc/sys/net/ipv6", "tcpdump", "ping"]) {
        return None;
    }
    let house = House::with_companion(test)?;
    let outside = house.with_ipv6_outside();
    Some((house, outside))
}

fn mtu(house: &House, link: &str) -> String {
    house.sh(&format!("cat /sys/class/net/{link}/mtu")).trim().to_owned()
}

/// What a guest's kernel took from an advertisement.
fn advertised(station: &Station<'_>) -> String {
    station.run(&["cat", "/proc/sys/net/ipv6/conf/eth0/mtu"]).success().trim().to_owned()
}

#[test]
fn a_network_takes_its_mtu_from_the_uplink_and_tells_every_guest() {
    let name = "a_network_takes_its_mtu_from_the_uplink_and_tells_every_guest";
    let Some((house, _outside)) = house_outside(name) else { return };
    house.sh(&format!("ip link set {UPLINK} mtu 1400; ip -n outside link set wan mtu 1400"));
    house.describe("lab", &format!("{LAB}mtu = \"auto\"\n"));
    house.write_file("/etc/vmnet/bridge.conf", "allow lab user=alice\n");
    house.up("lab");
    assert_eq!(mtu(&house, "lab"), "1400");
    let alpha = house.station("alpha", "lab");
    assert!(house.wait_until(SOON, || advertised(&alpha) == "1400"), "advertised: {}", advertised(&alpha));
    let answer = alpha.lease().expect("a lease");
    assert_eq!(answer.get("mtu"), "1400", "{answer:?}");
    let port = house.hold("alice", &[HELPER, "--br=lab", "--fd={fd}"]);
    let tap = port.caught.tap();
    assert_eq!(tap.mtu, 1400);

    // Nothing follows the uplink behind the administrator's back; `status` tells, `up` cures.
    house.sh(&format!("ip link set {UPLINK} mtu 1350; ip -n outside link set wan mtu 1350"));
    let (code, drifted) = house.drift("lab");
    assert_eq!(code, DRIFTED);
    assert!(drifted.contains(&"mtu".to_owned()), "{drifted:?}");
    assert_eq!(mtu(&house, "lab"), "1400");
    let said = house.up("lab");
    assert!(said.stdout.contains("renew"), "guests must be told: {said}");
    assert_eq!((mtu(&house, "lab"), mtu(&house, &tap.name)), ("1350".to_owned(), "1350".to_owned()));
    house.assert_up("lab");
    assert_eq!(alpha.lease().expect("a lease").get("mtu"), "1350");
}

#[test]
fn without_an_uplink_the_mtu_is_what_a_link_has_by_itself() {
    let name = "without_an_uplink_the_mtu_is_what_a_link_has_by_itself";
    let Some(house) = House::with_companion(name) else { return };
    house.describe("lab", "mtu = \"auto\"\n");
    house.up("lab");
    assert_eq!(mtu(&house, "lab"), "1500");
    assert_eq!(house.station("alpha", "lab").lease().expect("a lease").get("mtu"), "");
}

/// A guest whose way out is narrower than its network, and that never hears of it.
fn on_a_narrow_way(house: &House) -> Station<'_> {
    // Only the host's end: the other sends what the connection allows, and what is too long is lost.
    house.sh(&format!("ip link set {UPLINK} mtu 1300"));
    house.describe("lab", &format!("{LAB}mtu = 1500\n"));
    house.up("lab");
    assert_eq!(mtu(house, "lab"), "1500");
    let (alpha, _) = house.leased_station("alpha", "lab");
    // One packet at a time: a link of namespaces carries a whole burst whatever its MTU.
    house.sh("ip -n alpha link set eth0 gso_max_segs 1; ip -n outside link set wan gso_max_segs 1");
    let way = || !alpha.run(&["ip", "-6", "route", "show", "default"]).stdout.is_empty();
    assert!(house.wait_until(SOON, way));
    assert!(house.wait_until(SOON, || alpha.reaches(SERVER6)));
    let deaf = "table inet deaf { chain heard { type filter hook input priority 0;
                icmp type destination-unreachable drop; icmpv6 type packet-too-big drop; }; }";
    alpha.run(&["nft", deaf]).success();
    house.sh(&format!("ip netns exec outside nft '{deaf}'; head -c {SIZE} /dev/zero >/tmp/house/www/large"));
    alpha
}

/// How much of a file a guest gets from the server.
fn download(alpha: &Station<'_>, server: &str) -> usize {
    let script = r#"exec 3<>"/dev/tcp/$0/80"; printf 'GET /large HTTP/1.0\r\n\r\n' >&3; cat <&3 | wc -c"#;
    let answer = alpha.run(&["timeout", "10", "bash", "-c", script, server]);
    answer.stdout.trim().parse().unwrap_or(0)
}

/// How much of what a guest sends arrives.
fn upload(house: &House, alpha: &Station<'_>, server: &str, port: &str) -> usize {
    let sink =
        ["ip", "netns", "exec", "outside", "bash", "-c", "timeout 15 busybox nc -l -p $0 | wc -c", port];
    let sink = house.spawn(As::Root, &sink);
    let listens = format!("ip netns exec outside busybox netstat -ltn | grep -q ':{port} '");
    assert!(house.wait_until(SOON, || house.run(&["bash", "-c", &listens]).code() == 0), "{}", sink.said());
    let script = r#"timeout 10 head -c "$2" /dev/zero >"/dev/tcp/$0/$1""#;
    alpha.run(&["timeout", "10", "bash", "-c", script, server, port, &SIZE.to_string()]);
    let counted = sink.line(Duration::from_secs(20), |_| true).unwrap_or_default();
    counted.trim().parse().unwrap_or(0)
}

#[test]
fn connections_fit_a_narrower_way_out_even_where_nobody_hears_of_it() {
    let name = "connections_fit_a_narrower_way_out_even_where_nobody_hears_of_it";
    let Some((house, _outside)) = house_outside(name) else { return };
    let alpha = on_a_narrow_way(&house);
    let argv = ["ip", "netns", "exec", "outside", "tcpdump", "-l", "-n", "-i", "wan", "tcp"];
    let wire = house.spawn(As::Root, &argv);
    assert!(house.wait_until(SOON, || wire.said().contains("listening on")), "{}", wire.said());
    // IPv4's header is 20 bytes, IPv6's 40, TCP's 20.
    for (server, mss, port) in [(SERVER, 1260, "9004"), (SERVER6, 1240, "9006")] {
        assert!(download(&alpha, server) > SIZE, "{server}: the answer and its header");
        assert_eq!(upload(&house, &alpha, server, port), SIZE, "{server}");
        let opened = format!("> {server}.");
        let seen = || {
            wire.said()
                .lines()
                .any(|l| l.contains(&opened) && l.contains("[S],") && l.contains(&format!("mss {mss},")))
        };
        assert!(house.wait_until(SOON, seen), "{server}: no mss {mss}: {}", wire.said());
    }
    // And without the clamp the test would see it. The keeper would put it back.
    house.sh(&format!("kill -STOP {}", house.keeper("lab")));
    let clamps = "nft -a list chain inet vmnet_lab at_forward | sed -n 's/.*maxseg.*handle //p'";
    house.sh(&format!(
        "for rule in $({clamps}); do nft delete rule inet vmnet_lab at_forward handle $rule; done"
    ));
    assert!(download(&alpha, SERVER) < SIZE, "everything fits without a clamp");
}
