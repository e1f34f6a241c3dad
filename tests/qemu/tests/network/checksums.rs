//! DHCP for clients that read raw packets and check what they read. What the host sends by itself has its
//! UDP checksum left to the network card; on a veth or virtio port nobody ever fills it in.

use std::path::PathBuf;
use std::time::Duration;

use rig::house::{As, House, VMNET};
use rig::process::Process;
use rig::skip::have;
use serde_json::{Value, json};

const CLIENT: &str = "/tmp/house/raw-dhcp";

fn house(test: &str) -> Option<House> {
    if !have(test, &["dnsmasq", "nft", "ip"]) {
        return None;
    }
    let house = House::with_companion(test)?;
    let tests = std::env::current_exe().expect("the test's own path");
    let folder = tests.parent().and_then(|deps| deps.parent()).map(PathBuf::from).expect("cargo's folder");
    house.copy_in(&folder.join("raw-dhcp"), CLIENT, 0o755);
    Some(house)
}

fn house_with_network(test: &str) -> Option<House> {
    let house = house(test)?;
    house.describe("lab", "subnet = \"10.5.0.0/24\"\n");
    house.up("lab");
    Some(house)
}

/// A bridge with a dnsmasq of which vmnet knows nothing.
fn plain_server(house: &House) -> Process {
    house.sh("ip link add plain0 type bridge
         ip address add 10.6.0.1/24 dev plain0
         ip link set plain0 up");
    let mut server = vec!["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-hosts"];
    server.extend(["--no-resolv", "--interface=plain0", "--except-interface=lo", "--bind-dynamic"]);
    server.extend(["--dhcp-range=10.6.0.2,10.6.0.99", "--no-ping", "--dhcp-authoritative"]);
    server.extend(["--dhcp-leasefile=/tmp/house/leases", "--pid-file="]);
    house.spawn(As::Root, &server)
}

/// What a guest saw whose kernel has every offload on, as it comes.
fn seen_on_veth(house: &House, guest: &str, bridge: &str) -> Value {
    house.plug_in(guest, bridge);
    said(house, &["ip", "netns", "exec", guest, CLIENT, "eth0"])
}

fn said(house: &House, argv: &[&str]) -> Value {
    let text = house.run(argv).success().to_owned();
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// Without this the test below would show nothing.
#[test]
fn a_plain_servers_replies_look_wrong_to_who_reads_raw_packets() {
    let name = "a_plain_servers_replies_look_wrong_to_who_reads_raw_packets";
    let Some(house) = house(name) else { return };
    let server = plain_server(&house);
    assert_eq!(
        seen_on_veth(&house, "alpha", "plain0"),
        json!({"offer": "wrong", "ack": null, "dns": null}),
        "{}",
        server.said()
    );
}

#[test]
fn a_client_that_checks_raw_packets_gets_its_lease_with_offload_on() {
    let name = "a_client_that_checks_raw_packets_gets_its_lease_with_offload_on";
    let Some(house) = house_with_network(name) else { return };
    let seen = seen_on_veth(&house, "alpha", "lab");
    assert_eq!(seen, json!({"offer": "none", "ack": "none", "dns": null}));
}

/// Where the kernel does fill checksums in, one that was set to zero behind its back comes out wrong.
#[test]
fn a_port_without_offload_gets_good_replies_and_dns_keeps_its_checksums() {
    let name = "a_port_without_offload_gets_good_replies_and_dns_keeps_its_checksums";
    let Some(house) = house_with_network(name) else { return };
    let seen = said(&house, &[CLIENT, "tap0", "lab"]);
    assert_eq!(seen, json!({"offer": "none", "ack": "none", "dns": "right"}));
}

#[test]
fn a_server_that_was_started_again_is_like_the_first() {
    let name = "a_server_that_was_started_again_is_like_the_first";
    let Some(house) = house_with_network(name) else { return };
    let first = house.server("lab");
    house.run(&["kill", "-KILL", &first.to_string()]).success();
    let file = || house.read_file("/run/vmnet/lab/dnsmasq.pid").unwrap_or_default();
    let anew = || file().trim().parse().is_ok_and(|number: u32| number != first);
    assert!(
        house.wait_until(Duration::from_secs(20), || anew() && house.vmnet(&["status", "lab"]).code() == 0)
    );
    let seen = seen_on_veth(&house, "alpha", "lab");
    assert_eq!(seen, json!({"offer": "none", "ack": "none", "dns": null}));
}

/// Only such clients miss it, so where the kernel refuses (a container without `CAP_SYS_PTRACE`) the
/// network comes up all the same, and the log says why.
#[test]
fn without_the_right_to_it_the_network_comes_up_and_the_log_tells() {
    let name = "without_the_right_to_it_the_network_comes_up_and_the_log_tells";
    if !have(name, &["setpriv"]) {
        return;
    }
    let Some(house) = house(name) else { return };
    house.start_syslog();
    house.describe("lab", "subnet = \"10.5.0.0/24\"\n");
    let up = house.run(&["setpriv", "--bounding-set=-sys_ptrace", "--", VMNET, "up", "lab"]);
    assert_eq!((up.code(), up.stderr.as_str()), (0, ""), "{up}");
    let told = "cannot leave out the checksums of the DHCP server's replies on lab: operation not permitted";
    assert!(house.wait_until(Duration::from_secs(10), || house.log().contains(told)), "{}", house.log());
    let (_alpha, answer) = house.leased_station("alpha", "lab");
    assert!(answer.get("ip").starts_with("10.5.0."), "{answer:?}");
}
