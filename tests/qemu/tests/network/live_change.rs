//! A changed file and `vmnet up`: only what changed is touched, and guests that talk meanwhile, to each
//! other, to the host and to the world, do not lose one packet.

use std::collections::BTreeSet;
use std::time::Duration;

use nix::sys::signal::Signal;
use rig::command::Outcome;
use rig::house::{HELPER, House};
use rig::outside::{Outside, SERVER, SERVER6};
use rig::process::Process;
use rig::skip::have;
use rig::station::Station;
use serde_json::Value;

const SOON: Duration = Duration::from_secs(10);
const LAB: &str = "subnet = \"10.5.0.0/24\"\nsubnet6 = \"fd05::/64\"\n";
const NOTE: &str = "note: guests learn of the change when they renew their leases";

/// What a change may touch besides.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Server {
    /// dnsmasq goes on.
    Same,
    /// It is started anew, and guests hear of the change at their next renewal.
    New,
}

/// Each kind of change, one after the other, each on top of the first line alone.
const CHANGES: [(&str, &str, Server); 12] = [
    ("a forward", "[[forward]]\nlisten = 8080\nto = \"10.5.0.77:80\"\n", Server::Same),
    (
        "two forwards",
        "[[forward]]\nlisten = 8081\nto = \"10.5.0.77:80\"\n[[forward]]\nlisten = 5300\nto = \"10.5.0.77\"\nprotocol = \"udp\"\n",
        Server::Same,
    ),
    (
        "a name",
        "[[host]]\nname = \"printer\"\nmac = \"52:54:00:00:00:99\"\naddress = \"10.5.0.99\"\n",
        Server::Same,
    ),
    ("host_access", "host_access = \"all\"\n", Server::Same),
    ("allow_from", "allow_from = [\"brmgr0\"]\n", Server::Same),
    ("idle", "idle = \"10m\"\n", Server::Same),
    ("domain", "[dns]\ndomain = \"other.test\"\n", Server::New),
    ("upstream", "[dns]\nupstream = [\"192.0.2.1\"]\n", Server::New),
    ("range", "[dhcp]\nrange = \"10.5.0.2-10.5.0.250\"\n", Server::New),
    ("a second subnet", "more_subnets = [\"10.6.0.0/24\"]\n", Server::New),
    ("mtu", "mtu = 1400\n", Server::New),
    ("nothing", "", Server::New),
];

/// A ping that goes on.
struct Pings(Process, String);

impl Pings {
    #[track_caller]
    fn start(house: &House, station: &Station<'_>, target: &str) -> Self {
        let ping = station.spawn(&["ping", "-n", "-i", "0.05", "-D", target]);
        assert!(house.wait_until(SOON, || ping.said().contains("icmp_seq=3 ")), "{}", ping.said());
        Self(ping, target.to_owned())
    }

    /// Ends it; how many were sent, and which of them got no answer but the last, which may be on its way.
    fn end(mut self) -> (u32, Vec<u32>) {
        self.0.signal(Signal::SIGINT);
        self.0.wait(SOON);
        let _ = self.0.line(SOON, |_| false);
        let said = self.0.said();
        let number = |line: &str| {
            let (_, rest) = line.split_once("icmp_seq=")?;
            rest.split_once(' ')?.0.parse().ok().filter(|_| line.contains(" time="))
        };
        let heard: BTreeSet<u32> = said.lines().filter_map(number).collect();
        let sent = said.lines().find_map(|line| line.split_once(" packets transmitted"));
        let sent: u32 = sent.and_then(|(sent, _)| sent.parse().ok()).unwrap_or_else(|| panic!("{said}"));
        (sent, (1..sent).filter(|number| !heard.contains(number)).collect())
    }

    /// Fails if one was lost since it started.
    #[track_caller]
    fn assert_none_lost(self) {
        let target = self.1.clone();
        let (sent, lost) = self.end();
        assert!(sent > 10 && lost.is_empty(), "to {target}: of {sent} lost {lost:?}");
        println!("to {target}: {sent} sent, none lost");
    }
}

/// A house with an outside and this network up.
fn house_with(test: &str, toml: &str) -> Option<(House, (Outside, Process))> {
    if !have(test, &["/proc/sys/net/ipv6", "ping"]) {
        return None;
    }
    let house = House::with_companion(test)?;
    let outside = house.with_ipv6_outside();
    house.describe("lab", toml);
    house.up("lab");
    Some((house, outside))
}

/// Changes the file and brings the network in line.
fn change(house: &House, toml: &str) -> Outcome {
    house.describe("lab", toml);
    let said = house.up("lab");
    house.assert_up("lab");
    said
}

/// A guest with both kinds of address; answers the IPv6 one.
fn guest<'a>(house: &'a House, name: &str) -> (Station<'a>, String, String) {
    let (station, answer) = house.leased_station(name, "lab");
    let own = || {
        let text = house.sh(&format!("ip -n {name} -6 -o address show dev eth0 scope global -tentative"));
        text.split_whitespace().nth(3).and_then(|word| word.split('/').next()).map(str::to_owned)
    };
    assert!(house.wait_until(SOON, || own().is_some()), "{name} has no IPv6 address");
    (station, answer.get("ip").to_owned(), own().unwrap_or_default())
}

#[test]
fn no_change_of_the_file_costs_a_guest_one_packet_and_only_what_changed_is_touched() {
    let name = "no_change_of_the_file_costs_a_guest_one_packet_and_only_what_changed_is_touched";
    let Some((house, _outside)) = house_with(name, LAB) else { return };
    let (alpha, _, _) = guest(&house, "alpha");
    let (_beta, beta, beta6) = guest(&house, "beta");
    assert!(house.wait_until(SOON, || alpha.reaches(SERVER6)));
    let targets = [beta.as_str(), "10.5.0.1", SERVER, beta6.as_str(), "fd05::1", SERVER6];
    let pings: Vec<Pings> = targets.iter().map(|target| Pings::start(&house, &alpha, target)).collect();
    let (index, keeper) = (house.index("lab"), house.keeper("lab"));
    for (what, toml, server) in CHANGES {
        let before = house.server("lab");
        let said = change(&house, &format!("{LAB}{toml}"));
        // Back to the first line from a change that needs guests to renew is such a change too.
        let notes = said.stdout.contains(NOTE);
        println!("{what}: {}", said.stdout.trim());
        match server {
            Server::Same => assert_eq!(house.server("lab"), before, "{what}: dnsmasq was started anew"),
            Server::New => {
                assert_ne!(house.server("lab"), before, "{what}: dnsmasq knows nothing of it");
                // The keeper, still busy with what it heard of the last change, may have been first.
                let kept = said.stdout.contains("is up already");
                assert!(notes || kept, "{what}: guests must renew: {said}");
            }
        }
        assert_eq!((house.index("lab"), house.keeper("lab")), (index, keeper), "{what}");
        assert_eq!(house.vmnet(&["up", "lab", "--dry-run"]).success(), "nothing to do\n", "{what}");
    }
    pings.into_iter().for_each(Pings::assert_none_lost);
}

#[test]
fn isolation_that_comes_and_goes_costs_nothing_but_what_it_forbids() {
    let name = "isolation_that_comes_and_goes_costs_nothing_but_what_it_forbids";
    let Some((house, _outside)) = house_with(name, LAB) else { return };
    let (alpha, _, _) = guest(&house, "alpha");
    let (_beta, beta, _) = guest(&house, "beta");
    let pings = ["10.5.0.1", SERVER, "fd05::1"].map(|target| Pings::start(&house, &alpha, target));
    let (server, index) = (house.server("lab"), house.index("lab"));
    for (isolated, reaches) in [("true", false), ("false", true), ("true", false)] {
        change(&house, &format!("{LAB}isolated = {isolated}\n"));
        assert_eq!(alpha.reaches(&beta), reaches, "isolated = {isolated}");
    }
    assert_eq!((house.server("lab"), house.index("lab")), (server, index));
    pings.into_iter().for_each(Pings::assert_none_lost);
}

#[test]
fn a_second_subnet_works_for_guests_beside_the_first() {
    let name = "a_second_subnet_works_for_guests_beside_the_first";
    let Some((house, _outside)) = house_with(name, LAB) else { return };
    let (alpha, own, _) = guest(&house, "alpha");
    let host =
        format!("[[host]]\nname = \"beta\"\nmac = \"{}\"\naddress = \"10.6.0.9\"\n", rig::guest::mac("beta"));
    change(&house, &format!("{LAB}more_subnets = [\"10.6.0.0/24\"]\n{host}"));
    let (beta, answer) = house.leased_station("beta", "lab");
    assert_eq!((answer.get("ip"), answer.get("router")), ("10.6.0.9", "10.6.0.1"), "{answer:?}");
    for target in ["10.6.0.1", SERVER, own.as_str()] {
        assert!(beta.reaches(target), "{target}");
    }
    assert_eq!(
        beta.resolve("example.test", answer.get("dns").split(' ').next().unwrap_or_default()).as_deref(),
        Some(SERVER)
    );
    assert!(alpha.reaches("10.6.0.9"));
    change(&house, LAB);
    assert!(!house.sh("ip address show dev lab").contains("10.6.0.1"), "its address stays");
}

/// A link as `ip` shows it.
fn link(house: &House, name: &str) -> Value {
    let text = house.sh(&format!("ip -j -d link show {name}"));
    serde_json::from_str::<Value>(&text).unwrap_or_else(|e| panic!("{e}: {text}"))[0].clone()
}

#[test]
fn down_and_up_under_guests_gives_their_taps_their_bridge_back() {
    let name = "down_and_up_under_guests_gives_their_taps_their_bridge_back";
    let isolated = format!("{LAB}isolated = true\n");
    let Some((house, _outside)) = house_with(name, &isolated) else { return };
    house.write_file("/etc/vmnet/bridge.conf", "allow lab user=alice\n");
    let ports = [(); 3].map(|()| house.hold("alice", &[HELPER, "--br=lab", "--fd={fd}"]));
    let taps = ports.each_ref().map(|port| port.caught.tap().name.clone());
    let shape = |tap: &str| {
        let link = link(&house, tap);
        let flags = &link["linkinfo"]["info_slave_data"];
        let up = link["flags"].as_array().is_some_and(|flags| flags.iter().any(|flag| flag == "UP"));
        (link["master"].clone(), link["group"].clone(), link["mtu"].clone(), flags["isolated"].clone(), up)
    };
    let before = taps.each_ref().map(|tap| shape(tap));
    assert!(before.iter().all(|shape| shape.0 == "lab" && shape.3 == true), "{before:?}");
    for (toml, mtu) in [(isolated.clone(), 1500), (format!("{isolated}mtu = 1400\n"), 1400)] {
        house.vmnet(&["down", "lab", "--force"]).success();
        assert!(link(&house, &taps[0])["master"].is_null());
        house.describe("lab", &toml);
        house.up("lab");
        house.assert_up("lab");
        for (tap, was) in taps.iter().zip(&before) {
            let (master, group, has, isolated, up) = shape(tap);
            assert_eq!((&master, &group, &isolated, up), (&was.0, &was.1, &was.3, was.4), "{tap}");
            assert_eq!(has, mtu, "{tap}");
        }
    }
    // A bridge that somebody deletes comes back with its ports too, by the keeper.
    house.sh("ip link del lab");
    let back = || {
        house.run(&["ip", "link", "show", "lab"]).code() == 0 && taps.iter().all(|tap| shape(tap).0 == "lab")
    };
    assert!(house.wait_until(SOON, back), "{}", house.sh("ip -d link"));
}

#[test]
fn a_guest_talks_on_after_down_and_up_under_it() {
    let name = "a_guest_talks_on_after_down_and_up_under_it";
    let Some((house, _outside)) = house_with(name, LAB) else { return };
    let (alpha, address, _) = guest(&house, "alpha");
    house.vmnet(&["down", "lab", "--force"]).success();
    assert!(!alpha.reaches("10.5.0.1"));
    house.up("lab");
    // A container's link is its owner's: it is not ours to plug in again.
    assert!(link(&house, "port-alpha")["master"].is_null());
    house.sh("ip link set port-alpha master lab");
    assert!(alpha.reaches("10.5.0.1") && alpha.reaches(SERVER), "with its old address {address}");
}
