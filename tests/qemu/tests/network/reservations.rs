//! Reservations: `vmnet host add` and `rm` while the network runs, or is down; what they refuse; that
//! they outlive a reboot; and that guests with one identity, or many at once, each get what is theirs.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use rig::companion::{FAILED, USAGE};
use rig::guest::{Plan, available, mac};
use rig::house::{As, HELPER, House};
use serde_json::Value;

const LAB: &str = "subnet = \"10.5.0.0/24\"\nsubnet6 = \"fd00:5::/64\"\n";
const FILE: &str = "/etc/vmnet/networks/lab.toml";
const GATEWAY: &str = "10.5.0.1";
const PATIENCE: Duration = Duration::from_secs(20);

fn house_with(test: &str, text: &str) -> Option<House> {
    let house = House::with_companion(test)?;
    house.describe("lab", text);
    Some(house)
}

/// What `vmnet host list` shows.
#[track_caller]
fn reserved(house: &House) -> Vec<Value> {
    let (code, value) = house.json(&["host", "list", "lab"]);
    assert_eq!(code, 0, "{value}");
    value["hosts"].as_array().unwrap_or_else(|| panic!("{value}")).clone()
}

#[track_caller]
fn add(house: &House, words: &[&str]) -> String {
    house.vmnet(&[&["host", "add", "lab"], words].concat()).success().to_owned()
}

#[test]
fn a_reservation_counts_at_once_and_is_taken_back_at_once_without_a_restart() {
    let name = "a_reservation_counts_at_once_and_is_taken_back_at_once_without_a_restart";
    let Some(house) = house_with(name, LAB) else { return };
    house.up("lab");
    let server = house.server("lab");
    let (alpha, _) = house.leased_station("alpha", "lab");
    let resolves = |name: &str| alpha.resolve(name, GATEWAY);
    assert_eq!(resolves("web.lab.internal"), None);

    let said = add(&house, &["Web", &mac("one"), "10.5.0.77", "--address6", "fd00:5::77", "--alias", "www"]);
    assert_eq!(said, format!("web is reserved: 10.5.0.77, fd00:5::77 for {}\n", mac("one")));
    for name in ["web", "web.lab.internal", "www.lab.internal"] {
        assert_eq!(resolves(name).as_deref(), Some("10.5.0.77"), "{name}");
    }
    add(&house, &["db", &mac("two"), "10.5.0.78"]);
    assert_eq!(resolves("web").as_deref(), Some("10.5.0.77"), "the first is forgotten");
    let (_one, answer) = house.leased_station("one", "lab");
    assert_eq!(answer.get("ip"), "10.5.0.77", "{answer:?}");
    house.assert_up("lab");

    let hosts = reserved(&house);
    assert_eq!(hosts.len(), 2, "{hosts:?}");
    let web = hosts.iter().find(|host| host["name"] == "web").expect("web");
    assert_eq!((&web["address"], &web["address6"]), (&"10.5.0.77".into(), &"fd00:5::77".into()), "{web}");
    assert_eq!((&web["aliases"][0], &web["from"]), (&"www".into(), &"live".into()), "{web}");
    let table = house.vmnet(&["host", "list", "lab"]).success().to_owned();
    for word in ["web", "www", "10.5.0.77", "fd00:5::77", "live", &mac("one")] {
        assert!(table.contains(word), "no {word}: {table}");
    }
    let again = add(&house, &["web", &mac("one"), "--address6", "fd00:5::77", "--alias", "www"]);
    assert!(again.starts_with("web is reserved already: 10.5.0.77"), "{again}");

    house.vmnet(&["host", "rm", "lab", "db"]).success();
    assert_eq!(resolves("db"), None);
    house.vmnet(&["host", "rm", "lab", &mac("one")]).success();
    assert_eq!(resolves("www"), None);
    assert_eq!(reserved(&house), Vec::<Value>::new());
    let (_two, answer) = house.leased_station("two", "lab");
    assert_ne!(answer.get("ip"), "10.5.0.78", "the reservation lives on");
    assert_eq!(house.server("lab"), server, "dnsmasq was restarted");
    house.assert_up("lab");
}

#[test]
fn what_is_anothers_or_no_guests_is_refused_with_its_holders_name() {
    let name = "what_is_anothers_or_no_guests_is_refused_with_its_holders_name";
    let (one, two) = (mac("one"), mac("two"));
    let text = format!(
        "{LAB}[[host]]\nname = \"web\"\nmac = \"{one}\"\naddress = \"10.5.0.77\"\naliases = [\"www\"]\n"
    );
    let Some(house) = house_with(name, &text) else { return };
    house.up("lab");
    add(&house, &["db", &two, "10.5.0.78"]);
    let (alpha, answer) = house.leased_station("alpha", "lab");
    let leased = format!("address {} is leased to {} ('alpha')", answer.get("ip"), alpha.mac);
    let new = mac("new");
    for (words, said) in [
        (["web", &new, "10.5.0.90"], "name 'web' is reserved already\nhint: 'web' stands in /etc/vmnet/"),
        (["www", &new, "10.5.0.90"], "name 'www' is an alias of 'web'"),
        (["db", &new, "10.5.0.90"], "name 'db' is reserved already\nhint: 'vmnet host rm lab db' takes"),
        (["gateway", &new, "10.5.0.90"], "no guest may be called 'gateway'"),
        (["new", &one, "10.5.0.90"], "is reserved as 'web'"),
        (["new", &two, "10.5.0.90"], "is reserved as 'db'"),
        (["new", "01:00:5e:00:00:01", "10.5.0.90"], "can be no guest's"),
        (["new", &new, "10.5.0.77"], "address 10.5.0.77 is reserved for 'web'"),
        (["new", &new, GATEWAY], "address 10.5.0.1 is the bridge's own"),
        (["new", &new, "10.6.0.9"], "address 10.6.0.9 is not in 10.5.0.0/24"),
        (["new", &new, "10.5.0.255"], "no host may have address 10.5.0.255"),
        (["new", &new, answer.get("ip")], &leased),
    ] {
        let outcome = house.vmnet(&[&["host", "add", "lab"], words.as_slice()].concat());
        let complaint = outcome.complaint(FAILED);
        assert!(complaint.contains(said), "{said}: {complaint}");
    }
    for (words, said) in [
        (["new", &new, "--address6=2001:db8::1"], "address 2001:db8::1 is not in fd00:5::/64"),
        (["new", &new, "--alias=web"], "name 'web' is reserved already"),
        (["new", &new, "--alias=new"], "name 'new' is given twice"),
    ] {
        let outcome = house.vmnet(&[&["host", "add", "lab"], words.as_slice()].concat());
        assert!(outcome.complaint(FAILED).contains(said), "{said}: {outcome}");
    }
    for words in [["a.b", new.as_str()], ["-a", &new], ["new", "nonsense"]] {
        assert_eq!(house.vmnet(&[&["host", "add", "lab"], words.as_slice()].concat()).code(), USAGE);
    }
    let outcome = house.vmnet(&["host", "rm", "lab", "web"]);
    assert!(outcome.complaint(FAILED).contains(FILE), "{outcome}");
    assert!(house.vmnet(&["host", "rm", "lab", "nobody"]).complaint(FAILED).contains("nothing is reserved"));
    assert!(house.vmnet(&["host", "add", "none", "a", &new]).complaint(FAILED).contains("no such network"));
    let names: Vec<Value> = reserved(&house).iter().map(|host| host["name"].clone()).collect();
    assert_eq!(names, ["web", "db"]);
    house.assert_up("lab");
}

#[test]
fn without_an_address_one_is_chosen_the_one_held_if_there_is_one() {
    let name = "without_an_address_one_is_chosen_the_one_held_if_there_is_one";
    // A range of few addresses, so that the choice has something to avoid.
    let text = format!("{LAB}[dhcp]\nrange = \"10.5.0.10-10.5.0.13\"\n");
    let Some(house) = house_with(name, &text) else { return };
    house.up("lab");
    let (alpha, answer) = house.leased_station("alpha", "lab");
    let said = add(&house, &["alpha", &alpha.mac]);
    assert_eq!(said, format!("alpha is reserved: {} for {}\n", answer.get("ip"), alpha.mac));
    let macs: Vec<String> = (1..=3).map(|i| mac(&format!("more{i}"))).collect();
    for (place, mac) in macs.iter().enumerate() {
        add(&house, &[&format!("host{place}"), mac]);
    }
    let addresses: BTreeSet<String> =
        reserved(&house).iter().map(|host| host["address"].to_string()).collect();
    assert_eq!(addresses.len(), 4, "{addresses:?}");
    let outcome = house.vmnet(&["host", "add", "lab", "last", &mac("last")]);
    assert!(outcome.complaint(FAILED).contains("every address of its range is taken"));
    // Stable: the same guest gets the same again.
    let before = reserved(&house);
    house.vmnet(&["host", "rm", "lab", "host1"]).success();
    add(&house, &["host1", &macs[1]]);
    let address = |hosts: &[Value]| hosts.iter().find(|h| h["name"] == "host1").map(|h| h["address"].clone());
    assert_eq!(address(&reserved(&house)), address(&before));
}

#[test]
fn reservations_made_while_the_network_is_down_or_up_outlive_down_and_a_reboot() {
    let name = "reservations_made_while_the_network_is_down_or_up_outlive_down_and_a_reboot";
    // The subnet is open: what is promised fixes it.
    let Some(house) = house_with(name, "") else { return };
    let before = house.snapshot();
    let said = add(&house, &["web", &mac("one")]);
    let address = said.split(' ').nth(3).expect("an address").to_owned();
    let (subnet, _) = address.rsplit_once('.').unwrap_or_else(|| panic!("{said}"));
    let (gateway, other) = (format!("{subnet}.1"), format!("{subnet}.78"));
    house.vmnet(&["host", "add", "lab", "x", &mac("x"), "192.0.2.9"]).complaint(FAILED);
    assert!(!house.outside_path("/run/vmnet").exists(), "something is left in /run");
    house.up("lab");
    add(&house, &["db", &mac("two"), &other]);
    let expect = || {
        for (guest, name, address) in [("one", "web", &address), ("two", "db", &other)] {
            let (station, answer) = house.leased_station(guest, "lab");
            assert_eq!(answer.get("ip"), address, "{guest}");
            let whole = format!("{name}.lab.internal");
            assert_eq!(station.resolve(&whole, &gateway).as_ref(), Some(address));
            house.sh(&format!("ip link delete port-{guest}; ip netns delete {guest}"));
        }
    };
    expect();
    house.down("lab");
    house.up("lab");
    expect();
    // As after a reboot: no process, no link, no /run, and the kernel as it begins.
    house.sh("kill -KILL $(cat /run/vmnet/lab/keeper) $(cat /run/vmnet/lab/dnsmasq.pid)
              ip link delete lab; nft delete table inet vmnet_lab; rm -rf /run/vmnet
              sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0");
    house.up("lab");
    expect();
    house.down("lab");
    for host in ["web", "db"] {
        house.vmnet(&["host", "rm", "lab", host]).success();
    }
    let left = before.difference(&house.snapshot());
    let strange: Vec<&str> = left.lines().filter(|line| !line.contains("/var/lib/vmnet")).collect();
    assert!(strange.is_empty(), "{left}");
}

#[test]
fn a_guest_with_another_lease_moves_when_it_renews_it() {
    let name = "a_guest_with_another_lease_moves_when_it_renews_it";
    let Some(house) = house_with(name, LAB) else { return };
    house.up("lab");
    let alpha = house.station("alpha", "lab");
    let script = "#!/bin/sh\n[ \"$1\" = deconfig ] && ip address flush dev eth0\ncase $1 in bound | renew)\n\
                  ip address replace $ip/$mask dev eth0; echo $1 $ip;; esac\n";
    house.write_file_for("/tmp/house/follow", 0o755, (0, 0), script);
    let client =
        alpha.spawn(&["busybox", "udhcpc", "-f", "-i", "eth0", "-T", "1", "-s", "/tmp/house/follow"]);
    let first = client.line(PATIENCE, |line| line.starts_with("bound ")).expect("a lease");
    let first = first.trim_start_matches("bound ").to_owned();
    assert_ne!(first, "10.5.0.77");
    let said = add(&house, &["alpha", &alpha.mac, "10.5.0.77"]);
    assert!(said.contains(&format!("note: it holds {first} until it renews its lease (")), "{said}");
    let (_, value) = house.json(&["leases", "lab"]);
    assert_eq!(
        (&value["leases"][0]["address"], &value["leases"][0]["reserved"]),
        (&first.into(), &false.into())
    );
    // Renew now.
    house.sh("kill -USR1 $(ip netns pids alpha)");
    let second = client.line(PATIENCE, |line| line.starts_with("bound ")).expect("another lease");
    assert_eq!(second, "bound 10.5.0.77");
    let (_, value) = house.json(&["leases", "lab"]);
    assert_eq!(value["leases"].as_array().map(Vec::len), Some(1), "{value}");
    assert_eq!(
        (&value["leases"][0]["name"], &value["leases"][0]["reserved"]),
        (&"alpha".into(), &true.into())
    );
}

#[test]
fn a_reservation_that_comes_by_the_file_restarts_nothing() {
    let name = "a_reservation_that_comes_by_the_file_restarts_nothing";
    let Some(house) = house_with(name, LAB) else { return };
    house.up("lab");
    let server = house.server("lab");
    let (alpha, _) = house.leased_station("alpha", "lab");
    let host = format!("[[host]]\nname = \"web\"\nmac = \"{}\"\naddress = \"10.5.0.77\"\n", mac("one"));
    house.write_file(FILE, format!("{LAB}{host}"));
    // What only stands in the file waits for `up`.
    add(&house, &["db", &mac("two"), "10.5.0.78"]);
    house.vmnet(&["up", "lab"]).success();
    assert_eq!(alpha.resolve("web", GATEWAY).as_deref(), Some("10.5.0.77"));
    assert_eq!(alpha.resolve("db", GATEWAY).as_deref(), Some("10.5.0.78"));
    let froms: Vec<Value> = reserved(&house).iter().map(|host| host["from"].clone()).collect();
    assert_eq!(froms, ["file", "live"]);
    house.write_file(FILE, LAB);
    house.vmnet(&["up", "lab"]).success();
    assert_eq!(alpha.resolve("web", GATEWAY), None);
    assert_eq!(alpha.resolve("db", GATEWAY).as_deref(), Some("10.5.0.78"));
    assert_eq!(house.server("lab"), server, "dnsmasq was restarted");
}

#[test]
fn clones_with_one_client_identifier_get_an_address_each() {
    let name = "clones_with_one_client_identifier_get_an_address_each";
    let Some(house) = house_with(name, LAB) else { return };
    house.up("lab");
    let lease = |guest: &str| {
        let station = house.station(guest, "lab");
        house.write_file_for(
            "/tmp/house/print",
            0o755,
            (0, 0),
            "#!/bin/sh\n[ \"$1\" != bound ] || echo got $ip\n",
        );
        let mut argv = vec!["busybox", "udhcpc", "-f", "-q", "-n", "-i", "eth0", "-t", "5", "-T", "1"];
        // What systemd makes of a machine-id: type 255, an IAID, a DUID of type 2 (RFC 4361).
        argv.extend(["-C", "-x", "0x3d:ffaabbccdd00020000ab11aabbccddeeff0011"]);
        argv.extend(["-x", "hostname:clone", "-s", "/tmp/house/print"]);
        let said = station.run(&argv);
        let got = said.stdout.lines().find_map(|line| line.strip_prefix("got ").map(str::to_owned));
        got.unwrap_or_else(|| panic!("{guest}: {said}"))
    };
    let (one, two) = (lease("one"), lease("two"));
    assert_ne!(one, two);
    let (_, value) = house.json(&["leases", "lab"]);
    assert_eq!(value["leases"].as_array().map(Vec::len), Some(2), "{value}");
}

/// MACs without order: multiples of an odd number, so that no two are the same.
fn random_macs(count: u32) -> Vec<String> {
    let mac = |i: u32| {
        let [a, b, c, d] = (i + 1).wrapping_mul(0x9e37_79b1).to_be_bytes();
        format!("52:54:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
    };
    (0..count).map(mac).collect()
}

#[test]
fn fifty_guests_at_once_whose_addresses_are_reserved_get_them_without_one_refusal() {
    let name = "fifty_guests_at_once_whose_addresses_are_reserved_get_them_without_one_refusal";
    let macs = random_macs(50);
    let host = |(i, mac): (usize, &String)| {
        format!("[[host]]\nname = \"guest{i}\"\nmac = \"{mac}\"\naddress = \"10.5.0.{}\"\n", i + 10)
    };
    let hosts: String = macs.iter().enumerate().map(host).collect();
    let text = format!("{LAB}[dhcp]\nrange = \"10.5.0.2-10.5.0.240\"\n{hosts}");
    let Some(house) = house_with(name, &text) else { return };
    let tests = std::env::current_exe().expect("the test's own path");
    let folder = tests.parent().and_then(|deps| deps.parent()).map(PathBuf::from).expect("cargo's folder");
    house.copy_in(&folder.join("dhcp-crowd"), "/tmp/house/dhcp-crowd", 0o755);
    house.up("lab");
    let crowd = house.station("crowd", "lab");
    house.sh("ip -n crowd address add 10.5.0.250/24 dev eth0");
    assert!(crowd.reaches(GATEWAY));
    let mut argv = vec!["/tmp/house/dhcp-crowd", "10.5.0.255"];
    argv.extend(macs.iter().map(String::as_str));
    for round in 0..3 {
        let said = crowd.run(&argv).success().to_owned();
        let value: Value = serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"));
        assert_eq!(value["naks"], 0, "round {round}: {value}");
        for (i, mac) in macs.iter().enumerate() {
            assert_eq!(value["leases"][mac], format!("10.5.0.{}", i + 10), "round {round}: {value}");
        }
        house.sh("kill -KILL $(cat /run/vmnet/lab/dnsmasq.pid); rm -f /run/vmnet/lab/leases");
        house.assert_up("lab");
    }
}

#[test]
fn real_guests_with_reserved_names_find_each_other() {
    let name = "real_guests_with_reserved_names_find_each_other";
    if !available(name) {
        return;
    }
    let Some(house) = house_with(name, LAB) else { return };
    house.write_file("/etc/vmnet/bridge.conf", "allow lab\n");
    add(&house, &["web", &mac("alpha"), "10.5.0.77", "--alias", "www"]);
    let netdev = format!("bridge,br=lab,helper={HELPER}");
    let (alpha, beta) = (Plan::new("alpha", "alice", &netdev), Plan::new("beta", "bob", &netdev));
    let (alpha, beta) = (alpha.start(&house), beta.start(&house));
    let (alpha, mut beta) = (alpha.ready(), beta.ready());
    assert_eq!(alpha.lease.get("address"), "10.5.0.77/24", "{}", alpha.said());
    for name in ["web", "web.lab.internal", "www.lab.internal"] {
        assert_eq!(beta.resolve(name).get("address"), "10.5.0.77", "{name}: {}", beta.said());
    }
    assert!(beta.reaches("10.5.0.77"), "{}", beta.said());
    // Added under them.
    house
        .run_with(As::Root, &[rig::house::VMNET, "host", "add", "lab", "beta", &mac("beta")], None, PATIENCE)
        .success();
    let address = beta.address().to_owned();
    assert_eq!(beta.resolve("beta.lab.internal").get("address"), address, "{}", beta.said());
    alpha.power_off();
    beta.power_off();
}
