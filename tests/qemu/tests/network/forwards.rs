//! `vmnet forward`: added, listed and taken away live; by name, MAC and address; following a lease;
//! remembered; refused where somebody else holds the port.

use rig::companion::{DONE, FAILED, USAGE};
use rig::forwards::{CLIENT, HOST6, address6, ask_one, ask_until, at, equip, list, serve_in};
use rig::house::House;
use rig::outside::{HOST, Outside};

const LAB: &str = "subnet = \"10.5.0.0/24\"\nsubnet6 = \"fd00:5::/64\"\n";
const OTHER: &str = "subnet = \"10.6.0.0/24\"\n";

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

#[test]
fn a_guest_is_named_by_name_mac_or_address() {
    let name = "a_guest_is_named_by_name_mac_or_address";
    let Some((house, _outside)) = house_with(name, &[("lab", LAB)]) else { return };
    let (web, lease) = house.leased_station("web", "lab");
    let v6 = address6(&house, &web);
    let _server = serve_in(&house, "web", "::", &["80"]);
    let targets =
        ["WEB:80".to_owned(), format!("{}:80", web.mac), format!("{}:80", lease.get("ip")), at(&v6, 80)];
    for (port, target) in (8001..).zip(&targets) {
        house.vmnet(&["forward", "add", "lab", &port.to_string(), target]).success();
        let from = if port == 8004 { HOST6 } else { HOST };
        let answer = ask_one(&house, "client", "tcp", &at(from, port));
        assert!(answer.as_deref().is_some_and(|a| a.ends_with(" 80")), "{target}: {answer:?}");
    }
    let states: Vec<_> = list(&house, "lab").iter().map(|row| row["state"].clone()).collect();
    assert_eq!(states, ["open"; 4]);
    for stranger in ["192.0.2.77:80", "[2001:db8::77]:80", "10.5.0.1:80"] {
        let refused = house.vmnet(&["forward", "add", "lab", "8005", stranger]);
        assert!(refused.complaint(FAILED).contains("is no address of a guest of network 'lab'"), "{refused}");
    }
}

#[test]
fn a_forward_waits_for_its_guest_and_follows_its_lease() {
    let name = "a_forward_waits_for_its_guest_and_follows_its_lease";
    let Some((house, _outside)) = house_with(name, &[("lab", LAB)]) else { return };
    let said = house.vmnet(&["forward", "add", "lab", "8080", "web:80"]);
    assert!(said.success().contains("tcp 8080 to web:80: waits for web"), "{said}");
    assert_eq!(list(&house, "lab")[0]["state"], "waits");
    assert_eq!(house.drift("lab"), (DONE, Vec::new()));
    let (web, first) = house.leased_station("web", "lab");
    let server = serve_in(&house, "web", "::", &["80"]);
    let caller = format!("{CLIENT} 80");
    assert_eq!(ask_until(&house, "client", &at(HOST, 8080), Some(&caller)), Some(caller.clone()));
    drop(server);

    // Another address for the same name: its old one is given to somebody else first.
    web.run(&["ip", "address", "flush", "dev", "eth0"]).success();
    house.vmnet(&["forward", "add", "lab", "8081", "web:81"]).success();
    house.sh(&format!(
        "ip -n web link set eth0 address 52:54:00:00:99:01; ip -n web link set eth0 up; : {}",
        web.mac
    ));
    let second = web.lease().expect("a lease for the new MAC");
    assert_ne!(first.get("ip"), second.get("ip"));
    let _server = serve_in(&house, "web", "::", &["80", "81"]);
    for (port, to) in [(8080, 80), (8081, 81)] {
        let caller = format!("{CLIENT} {to}");
        assert_eq!(ask_until(&house, "client", &at(HOST, port), Some(&caller)), Some(caller));
    }
    let rows = list(&house, "lab");
    assert!(rows.iter().all(|row| row["address"] == second.get("ip")), "{rows:?}");
    house.assert_up("lab");
}

#[test]
fn what_is_added_live_outlives_down_and_what_is_closed_stays_closed() {
    let name = "what_is_added_live_outlives_down_and_what_is_closed_stays_closed";
    let Some((house, _outside)) = house_with(name, &[("lab", LAB)]) else { return };
    house.vmnet(&["forward", "add", "lab", "8080", "10.5.0.9:80"]).success();
    house.vmnet(&["forward", "add", "lab", "8081", "10.5.0.9:81"]).success();
    let before = house.vmnet(&["forward", "add", "lab", "8080", "10.5.0.9:80"]);
    assert!(before.success().contains("open already"), "{before}");
    house.down("lab");
    assert!(list(&house, "lab").iter().all(|row| row["state"] == "closed"));
    let said = house.vmnet(&["forward", "add", "lab", "8082", "10.5.0.9:82"]);
    assert!(said.success().contains("remembered; network 'lab' is not up"), "{said}");
    house.vmnet(&["forward", "rm", "lab", "8081"]).success();
    assert!(!house.outside_path("/run/vmnet").exists(), "a network that is down leaves nothing there");
    house.up("lab");
    let rows = list(&house, "lab");
    let shown: Vec<_> = rows.iter().map(|row| (row["port"].clone(), row["state"].clone())).collect();
    assert_eq!(shown, [(8080.into(), "open".into()), (8082.into(), "open".into())]);
    let table = house.sh("nft list table inet vmnet_lab");
    assert!(table.contains("dnat ip to 10.5.0.9:82") && !table.contains("10.5.0.9:81"), "{table}");
    house.vmnet(&["forward", "rm", "lab", "8080"]).success();
    house.vmnet(&["forward", "rm", "lab", "8082", "--protocol", "tcp"]).success();
    let gone = house.vmnet(&["forward", "rm", "lab", "8082"]);
    assert!(gone.complaint(FAILED).contains("network 'lab' has none"), "{gone}");
    assert!(!house.sh("nft list table inet vmnet_lab").contains("dnat ip"));
    assert_eq!(house.drift("lab"), (DONE, Vec::new()));
}

#[test]
fn a_forward_of_the_file_is_opened_by_up_and_closed_only_there() {
    let name = "a_forward_of_the_file_is_opened_by_up_and_closed_only_there";
    let text = format!("{LAB}[[forward]]\nlisten = 8080\nto = \"web:80\"\n");
    let Some((house, _outside)) = house_with(name, &[("lab", &text)]) else { return };
    let (_web, _) = house.leased_station("web", "lab");
    let _server = serve_in(&house, "web", "::", &["80"]);
    let caller = format!("{CLIENT} 80");
    assert_eq!(ask_until(&house, "client", &at(HOST, 8080), Some(&caller)), Some(caller));
    assert_eq!(list(&house, "lab")[0]["live"], false);
    let refused = house.vmnet(&["forward", "rm", "lab", "8080"]);
    assert!(refused.complaint(FAILED).contains("it stands in /etc/vmnet/networks/lab.toml"), "{refused}");
    let twice = house.vmnet(&["forward", "add", "lab", "127.0.0.1:8080", "peer:80"]);
    let words = "network 'lab' forwards tcp 8080 to web:80 already (/etc/vmnet/networks/lab.toml)";
    assert!(twice.complaint(FAILED).contains(words), "{twice}");
    house.describe("lab", LAB);
    house.up("lab");
    assert_eq!(ask_one(&house, "client", "tcp", &at(HOST, 8080)), None);
    assert_eq!(list(&house, "lab").len(), 0);
}

#[test]
fn a_port_that_somebody_holds_is_refused_with_the_holders_name() {
    let name = "a_port_that_somebody_holds_is_refused_with_the_holders_name";
    let Some((house, _outside)) = house_with(name, &[("lab", LAB), ("other", OTHER)]) else { return };
    let _listener = serve_in(&house, "", "127.0.0.1", &["7000"]);
    house.vmnet(&["forward", "add", "lab", "8080-8089", "10.5.0.9"]).success();
    for (network, listen, protocol, words) in [
        ("lab", "8085", "tcp", "network 'lab' forwards tcp 8080-8089 to 10.5.0.9 already (added live)"),
        ("other", "192.0.2.2:8085", "tcp+udp", "network 'lab' forwards tcp 8080-8089 to 10.5.0.9"),
        ("lab", "7000", "tcp", "caller-id (pid "),
        ("lab", "6990-7010", "udp", "listens on udp 127.0.0.1:7000"),
        ("lab", "53", "udp", "dnsmasq (pid "),
    ] {
        let to = if network == "lab" { "10.5.0.7" } else { "10.6.0.7" };
        let refused = house.vmnet(&["forward", "add", network, listen, to, "--protocol", protocol]);
        assert!(refused.complaint(FAILED).contains(words), "{refused}");
    }
    // Neither an address where nobody listens nor another protocol is in anybody's way.
    house.vmnet(&["forward", "add", "lab", "192.0.2.2:7000", "10.5.0.7"]).success();
    house.vmnet(&["forward", "add", "other", "8085", "10.6.0.7", "--protocol", "udp"]).success();
    house.vmnet(&["forward", "add", "lab", "192.0.2.2:53", "10.5.0.7", "--protocol", "tcp+udp"]).success();
    // Nor is the one who came later, to a network that is up.
    let _late = serve_in(&house, "", "127.0.0.1", &["8081"]);
    house.up("lab");
    house.sh("nft delete table inet vmnet_lab");
    house.up("lab");
    assert_eq!(house.drift("lab"), (DONE, Vec::new()));
}

#[test]
fn up_refuses_a_new_forward_of_the_file_whose_port_is_held() {
    let name = "up_refuses_a_new_forward_of_the_file_whose_port_is_held";
    let Some((house, _outside)) = house_with(name, &[("lab", LAB)]) else { return };
    house.vmnet(&["forward", "add", "lab", "8080", "10.5.0.9:80"]).success();
    let _listener = serve_in(&house, "", "127.0.0.1", &["7000"]);
    let file = |listen: u16| format!("{OTHER}[[forward]]\nlisten = {listen}\nto = \"10.6.0.9:80\"\n");
    for (listen, words) in [
        (8080, "network 'lab' forwards tcp 8080 to 10.5.0.9:80"),
        (7000, "caller-id (pid "),
        (53, "the network's own dnsmasq listens on tcp 10.6.0.1:53"),
    ] {
        house.describe("other", &file(listen));
        let refused = house.vmnet(&["up", "other"]);
        assert!(refused.complaint(FAILED).contains(words), "{refused}");
        assert!(!house.outside_path("/run/vmnet/other").exists(), "nothing of it is up");
    }
    house.describe("other", &file(8090));
    house.up("other");
}

#[test]
fn port_0_is_chosen_and_reported() {
    let name = "port_0_is_chosen_and_reported";
    let Some((house, _outside)) = house_with(name, &[("lab", LAB)]) else { return };
    let (_web, _) = house.leased_station("web", "lab");
    let _server = serve_in(&house, "web", "::", &["80"]);
    let _listener = serve_in(&house, "", "127.0.0.1", &["61000"]);
    let add = || {
        let (code, value) = house.json(&["forward", "add", "lab", "0", "web:80"]);
        assert_eq!(code, DONE);
        u16::try_from(value["forward"]["port"].as_u64().expect("a port")).expect("a port")
    };
    let (one, two) = (add(), add());
    assert!(one != two && one > 61000 && two > 61000, "{one} {two}");
    for port in [one, two] {
        assert_eq!(ask_one(&house, "client", "tcp", &at(HOST, port)), Some(format!("{CLIENT} 80")));
    }
    let refused = house.vmnet(&["forward", "add", "lab", "0", "web"]);
    assert!(refused.complaint(FAILED).contains("port 0 chooses one of the host's"), "{refused}");
    assert_eq!(house.vmnet(&["forward", "add", "lab", "8080-8090", "web:80-81"]).code(), FAILED);
    assert_eq!(house.vmnet(&["forward", "add", "lab", "http", "web:80"]).code(), USAGE);
}

#[test]
fn hits_are_counted_and_live_on_when_other_forwards_come_and_go() {
    let name = "hits_are_counted_and_live_on_when_other_forwards_come_and_go";
    let Some((house, _outside)) = house_with(name, &[("lab", LAB)]) else { return };
    let (_web, _) = house.leased_station("web", "lab");
    let _server = serve_in(&house, "web", "::", &["80"]);
    house.vmnet(&["forward", "add", "lab", "8080", "web:80"]).success();
    assert_eq!(list(&house, "lab")[0]["hits"], 0);
    for _ in 0..3 {
        assert!(ask_one(&house, "client", "tcp", &at(HOST, 8080)).is_some());
    }
    house.vmnet(&["forward", "add", "lab", "8081", "web:80"]).success();
    house.vmnet(&["forward", "rm", "lab", "8081"]).success();
    assert_eq!(list(&house, "lab")[0]["hits"], 3);
    let table = house.vmnet(&["forward", "list"]);
    let words: Vec<&str> = table.success().split_whitespace().collect();
    assert_eq!(&words[..7], ["NETWORK", "LISTEN", "PROTOCOL", "TO", "ADDRESS", "HITS", "STATE"], "{table}");
    assert_eq!(words[7..11], ["lab", "8080", "tcp", "web:80"], "{table}");
    // What is closed and opened again begins anew.
    house.vmnet(&["forward", "rm", "lab", "8080"]).success();
    house.vmnet(&["forward", "add", "lab", "8080", "web:80"]).success();
    assert_eq!(list(&house, "lab")[0]["hits"], 0);
}

#[test]
fn a_forward_is_opened_though_somebody_flushed_the_firewall() {
    let name = "a_forward_is_opened_though_somebody_flushed_the_firewall";
    let Some((house, _outside)) = house_with(name, &[("lab", LAB)]) else { return };
    house.vmnet(&["forward", "add", "lab", "8080", "10.5.0.9:80"]).success();
    house.sh("nft flush ruleset");
    house.vmnet(&["forward", "add", "lab", "8081", "10.5.0.9:81"]).success();
    house.sh("nft flush ruleset");
    house.vmnet(&["forward", "rm", "lab", "8080"]).success();
    house.up("lab");
    assert_eq!(house.drift("lab"), (DONE, Vec::new()));
    let rows = list(&house, "lab");
    assert!(rows.len() == 1 && rows[0]["port"] == 8081 && rows[0]["state"] == "open", "{rows:?}");
}

#[test]
fn an_isolated_network_takes_no_forward() {
    let name = "an_isolated_network_takes_no_forward";
    let text = "mode = \"isolated\"\nsubnet = \"10.7.0.0/24\"\n";
    let Some((house, _outside)) = house_with(name, &[("inner", text)]) else { return };
    let refused = house.vmnet(&["forward", "add", "inner", "8080", "web:80"]);
    assert!(refused.complaint(FAILED).contains("is isolated: nobody reaches its guests"), "{refused}");
    let unknown = house.vmnet(&["forward", "add", "nowhere", "8080", "web:80"]);
    assert!(unknown.complaint(FAILED).contains("no such network"), "{unknown}");
}
