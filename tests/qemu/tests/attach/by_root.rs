//! `vmnet attach` and `detach` by root: a namespace that gets an interface has what a guest has, with
//! real traffic, and nothing of it stays anywhere afterwards.

use std::time::Duration;

use rig::attach::{LAB, address, lab_with};
use rig::companion::FAILED;
use rig::house::As;
use rig::outside::{SERVER, SERVER_NAME};
use serde_json::Value;

const RESOLVER: &str = "/etc/netns/web/resolv.conf";

#[test]
fn a_namespace_gets_all_that_a_guest_has_though_the_network_was_down() {
    let Some(house) = lab_with("a_namespace_gets_all_that_a_guest_has", &["web"]) else { return };
    house.describe("lab", &format!("{LAB}mtu = 1400\n"));
    let _outside = house.with_outside();
    let monitor = house.spawn(As::Root, &["ip", "monitor", "link"]);
    let attached = house.attach(&["lab", "--netns", "web"]);
    assert_eq!(
        (&attached["already"], &attached["mtu"]),
        (&Value::from(false), &Value::from(1400)),
        "{attached}"
    );
    let own = address(&attached);

    let link: Value = serde_json::from_str(&house.sh("ip -n web -j address show dev eth0")).expect("JSON");
    assert_eq!((&link[0]["mtu"], &link[0]["address"]), (&Value::from(1400), &attached["mac"]));
    let v4 = link[0]["addr_info"].as_array().into_iter().flatten().find(|info| info["family"] == "inet");
    let left = v4.and_then(|info| info["valid_life_time"].as_u64()).expect("a lifetime");
    assert!((3500..=3600).contains(&left), "as long as the lease: {left}");
    assert_eq!(v4.unwrap()["local"], own.as_str());

    for address in ["127.0.0.1", "10.5.0.1", SERVER] {
        house.assert_reaches("web", address);
    }
    let (alpha, _) = house.leased_station("alpha", "lab");
    assert!(alpha.reaches(&own), "{own}");
    assert_eq!(alpha.resolve("web.lab.internal", "10.5.0.1").as_deref(), Some(own.as_str()));
    // By the file that `ip netns exec` lays over /etc/resolv.conf.
    for name in ["alpha", "alpha.lab.internal", SERVER_NAME] {
        house.within("web", &["ping", "-n", "-c", "1", "-W", "2", name]).success();
    }
    assert!(house.address6("-n web", "eth0").starts_with("fd00:5::"));
    house.assert_reaches("web", "fd00:5::1");

    let port = attached["port"].as_str().unwrap_or_default();
    monitor.line(Duration::from_secs(5), |line| line.contains(port)).expect("the port was seen on the host");
    assert!(!monitor.said().contains(" eth0"), "the other end was seen on the host: {}", monitor.said());
    let shown = house.vmnet(&["ports", "lab"]).success().to_owned();
    assert!(shown.contains(port) && shown.contains(&own), "{shown}");
}

#[test]
fn an_address_of_ones_own_comes_with_routes_and_names() {
    let Some(house) = lab_with("an_address_of_ones_own", &["web"]) else { return };
    house.up("lab");
    let outcome = house.vmnet(&[
        "attach",
        "lab",
        "--netns",
        "web",
        "--address",
        "10.5.0.9/24",
        "--address",
        "fd00:5::9/64",
    ]);
    let said = outcome.success();
    assert!(said.contains("10.5.0.9/24, fd00:5::9/64"), "{said}");
    assert!(said.contains("note: DHCP may give 10.5.0.9 to another guest"), "{said}");
    house.assert_reaches("web", "10.5.0.1");
    house.assert_reaches("web", "fd00:5::1");
    assert!(house.sh("ip -n web route").contains("default via 10.5.0.1 dev eth0"));
    assert!(house.sh("ip -n web -6 route").contains("default via fd00:5::1 dev eth0"));
    assert!(
        house.read_file(RESOLVER).expect("a file").contains("search lab.internal\nnameserver 10.5.0.1\n")
    );
    assert_eq!(house.lease_keepers(), 0, "there is no lease to renew");
}

#[test]
fn an_address_that_is_anothers_or_nobodys_is_refused_before_anything_is_made() {
    let Some(house) = lab_with("an_address_that_is_anothers", &["web"]) else { return };
    house.up("lab");
    let (_alpha, answer) = house.leased_station("alpha", "lab");
    house.vmnet(&["host", "add", "lab", "db", "02:00:00:00:00:99", "10.5.0.77"]).success();
    let leased = format!("{}/24", answer.get("ip"));
    let before = house.snapshot();
    for (address, why) in [
        (leased.as_str(), "leased to"),
        ("10.5.0.77/24", "reserved for 'db'"),
        ("10.5.0.1/24", "the bridge's own"),
        ("10.6.0.9/24", "not in 10.5.0.0/24"),
        ("10.5.0.9/16", "length 24, not 16"),
        ("10.5.0.255/24", "no host can have it"),
        ("10.5.0.9", "not an address with its length"),
        ("fd00:6::9/64", "not in fd00:5::/64"),
        ("fd00:5::1/64", "the bridge's own"),
    ] {
        let outcome = house.vmnet(&["attach", "lab", "--netns", "web", "--address", address]);
        assert!(outcome.complaint(FAILED).contains(why), "{outcome}");
    }
    house.assert_as_in(&before);
    house.describe("mute", "subnet = \"10.8.0.0/24\"\n[dhcp]\nenabled = false\n");
    let mute = house.vmnet(&["attach", "mute", "--netns", "web"]);
    assert!(mute.complaint(FAILED).contains("has no DHCP"), "{mute}");
    assert_eq!(house.veth_ports(), Vec::<String>::new());
    // On a network that is down it is seen only when it is up, and still nothing stays.
    house.vmnet(&["down", "lab", "--force"]).success();
    house.vmnet(&["attach", "lab", "--netns", "web", "--address", "10.6.0.9/24"]).complaint(FAILED);
    assert_eq!(house.veth_ports(), Vec::<String>::new());
    assert!(!house.sh("ip -n web link").contains("eth0"));
}

#[test]
fn what_is_not_ours_stays_as_it_is() {
    let Some(house) = lab_with("what_is_not_ours_stays_as_it_is", &["web"]) else { return };
    house.up("lab");
    house.warm_up("lab", "10.5.0.9/24");
    house.sh("ip link add mine type veth peer name eth0 netns web; mkdir -p /etc/netns/web; echo mine >/etc/netns/web/resolv.conf");
    let before = house.snapshot();
    let attach = house.vmnet(&["attach", "lab", "--netns", "web"]);
    assert!(attach.complaint(FAILED).contains("it has another interface 'eth0'"), "{attach}");
    let detach = house.vmnet(&["detach", "lab", "--netns", "web"]);
    assert!(detach.complaint(FAILED).contains("none of vmnet's"), "{detach}");
    house.assert_as_in(&before);
    for words in [["--pid", "1"], ["--netns", "/proc/self/ns/net"]] {
        let own = house.vmnet(&[&["attach", "lab"], &words[..]].concat());
        assert!(own.complaint(FAILED).contains("this host's own"), "{own}");
    }
    for (words, why) in [
        (["--netns", "/proc/self/ns/mnt"], "no network namespace"),
        (["--netns", "/dev/null"], "no network namespace"),
        (["--netns", "none"], "no such namespace"),
        (["--pid", "999999"], "no such process"),
    ] {
        let outcome = house.vmnet(&[&["attach", "lab"], &words[..]].concat());
        assert!(outcome.complaint(FAILED).contains(why), "{outcome}");
    }
    house.assert_as_in(&before);
    house.attach(&["lab", "--netns", "web", "--ifname", "eth1"]);
    assert_eq!(house.read_file(RESOLVER).as_deref(), Some("mine\n"));
    house.vmnet(&["detach", "lab", "--netns", "web", "--ifname", "eth1"]).success();
    house.assert_as_in(&before);
}

#[test]
fn a_process_is_known_by_the_name_of_its_machine() {
    let Some(house) = lab_with("a_process_is_known_by_the_name_of_its_machine", &[]) else { return };
    house.up("lab");
    let script = "hostname box.example.org; echo $$; exec sleep 1000";
    let mut machine = house.spawn(As::Root, &["unshare", "--net", "--uts", "bash", "-c", script]);
    let pid = machine.line(Duration::from_secs(5), |_| true).expect("a number");
    let attached = house.attach(&["lab", "--pid", &pid]);
    assert_eq!(
        (&attached["resolver_file"], &attached["resolvers"][0]),
        (&Value::Null, &Value::from("10.5.0.1"))
    );
    house.sh(&format!("nsenter --net --target {pid} ping -n -c 1 -W 2 10.5.0.1"));
    let (alpha, _) = house.leased_station("alpha", "lab");
    assert_eq!(alpha.resolve("box.lab.internal", "10.5.0.1"), Some(address(&attached)));
    // It is ended from within the house: only there its number is known.
    house.sh(&format!("kill -9 {pid}"));
    machine.wait(Duration::from_secs(5));
    house.assert_soon("the port is gone", || house.veth_ports().is_empty());
    house.assert_soon("nobody renews the lease", || house.lease_keepers() == 0);
}

#[test]
fn a_bridge_of_others_is_taken_as_it_is() {
    let Some(house) = lab_with("a_bridge_of_others_is_taken_as_it_is", &["web", "db"]) else { return };
    house.sh("ip link add lxcbr0 type bridge; ip address add 10.0.3.1/24 dev lxcbr0; ip link set lxcbr0 mtu 1450 up");
    let attached = house.attach(&["lxcbr0", "--netns", "web", "--address", "10.0.3.9/24"]);
    assert_eq!((&attached["mtu"], &attached["gateways"][0]), (&Value::from(1450), &Value::from("10.0.3.1")));
    house.assert_reaches("web", "10.0.3.1");
    assert!(house.sh("ip -n web route").contains("default via 10.0.3.1"));
    let own = house.vmnet(&["attach", "lxcbr0", "--netns", "db", "--address", "10.0.3.1/24"]);
    assert!(own.complaint(FAILED).contains("the bridge's own"), "{own}");
    // And by its own DHCP server, with replies whose checksum nobody fills in.
    let server = [
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--user=root",
        "--pid-file=",
        "--bind-interfaces",
        "--interface=lxcbr0",
        "--except-interface=lo",
        "--dhcp-range=10.0.3.100,10.0.3.110,1h",
        "--dhcp-leasefile=/tmp/house/lxc.leases",
        "--dhcp-no-override",
        "--domain=lxc",
    ];
    let _server = house.spawn(As::Root, &server);
    let attached = house.attach(&["lxcbr0", "--netns", "db"]);
    assert!(address(&attached).starts_with("10.0.3.10") || address(&attached) == "10.0.3.110", "{attached}");
    assert_eq!(
        (&attached["domain"], &attached["resolvers"][0]),
        (&Value::from("lxc"), &Value::from("10.0.3.1"))
    );
    house.assert_reaches("db", "10.0.3.9");
    house.vmnet(&["detach", "lxcbr0", "--netns", "db"]).success();
    house.assert_soon("the lease is given back", || {
        house.read_file("/tmp/house/lxc.leases").as_deref() == Some("")
    });
}

#[test]
fn a_network_with_a_long_name_goes_by_its_bridge() {
    let Some(house) = lab_with("a_network_with_a_long_name", &["web"]) else { return };
    let name = "a-laboratory-of-long-names";
    house.describe(name, "subnet = \"10.7.0.0/24\"\nmode = \"isolated\"\n");
    let attached = house.attach(&[name, "--netns", "web"]);
    assert_ne!(attached["bridge"], name);
    assert_eq!(attached["gateways"], Value::Array(Vec::new()), "it leads nowhere: {attached}");
    house.assert_reaches("web", "10.7.0.1");
    house.vmnet(&["detach", name, "--netns", "web"]).success();
    assert_eq!(house.veth_ports(), Vec::<String>::new());
}

#[test]
fn whoever_only_holds_the_namespace_open_holds_nobody_up() {
    let Some(house) = lab_with("whoever_only_holds_the_namespace_open", &["web"]) else { return };
    house.up("lab");
    let _bob = house.spawn(As::User("bob"), &["flock", "/run/netns/web", "sleep", "100"]);
    let locked = || house.run(&["flock", "--nonblock", "/run/netns/web", "true"]).code() != 0;
    house.assert_soon("bob has it locked", locked);
    house.attach(&["lab", "--netns", "web"]);
    house.assert_reaches("web", "10.5.0.1");
}

#[test]
fn a_guarded_network_of_guests_apart_takes_it_as_one_of_them() {
    let Some(house) = lab_with("a_guarded_network", &["web", "db"]) else { return };
    house.describe("lab", &format!("{LAB}guard = true\nisolated = true\n"));
    let web = house.attach(&["lab", "--netns", "web"]);
    house.attach(&["lab", "--netns", "db", "--address", "10.5.0.200/24"]);
    for space in ["web", "db"] {
        house.assert_reaches(space, "10.5.0.1");
    }
    let apart = house.within("db", &["ping", "-n", "-c", "1", "-W", "1", &address(&web)]);
    assert_ne!(apart.code(), 0, "they are to be apart: {apart}");
    house.vmnet(&["detach", "lab", "--netns", "web"]).success();
    let leases = || house.json(&["leases", "lab"]).1["leases"].as_array().map(Vec::len);
    house.assert_soon("the lease is given back", || leases() == Some(0));
}
