//! Real guests, started by a plain user: through QEMU's own helper on a bridge made by hand, which
//! proves the rig, and through ours on a network that comes up by itself.

use rig::guest::{Guest, Plan, available};
use rig::house::{As, HELPER, House, QEMU_HELPER, VMNET, ours_built};
use rig::outside::{HOST, SERVER, SERVER_NAME, WHO_AM_I};
use rig::process::Process;
use rig::skip::skip;

/// A bridge `br0` with 10.7.0.1/24, a DHCP and DNS server, NAT to the outside, all by hand.
fn bridge_by_hand(house: &House) -> Process {
    house.sh("ip link add br0 type bridge
         ip address add 10.7.0.1/24 dev br0
         ip link set br0 up
         sysctl -qw net.ipv4.ip_forward=1
         nft add table ip hand
         nft add chain ip hand nat '{ type nat hook postrouting priority srcnat; }'
         nft add rule ip hand nat ip saddr 10.7.0.0/24 oifname uplink0 masquerade");
    house.write_file("/etc/qemu/bridge.conf", "allow br0\n");
    let mut argv = vec!["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--interface=br0"];
    argv.extend([
        "--bind-dynamic",
        "--except-interface=lo",
        "--dhcp-authoritative",
        "--no-ping",
        "--user=root",
    ]);
    argv.extend(["--dhcp-range=10.7.0.10,10.7.0.99,1h", "--pid-file=", "--no-hosts"]);
    argv.push("--dhcp-leasefile=/run/hand.leases");
    house.spawn(As::Root, &argv)
}

/// What every guest must find: an address, the gateway, names, the Internet behind NAT.
#[track_caller]
fn assert_it_is_on_the_network(guest: &mut Guest, network: &str) {
    let lease = guest.lease.clone();
    assert!(lease.get("address").starts_with(network), "{lease:?}\n{}", guest.said());
    assert!(guest.reaches("gateway"), "{}", guest.said());
    assert_eq!(guest.resolve(SERVER_NAME).get("address"), SERVER, "{}", guest.said());
    assert_eq!(guest.connect(SERVER, 80).get("open"), "yes", "{}", guest.said());
    assert_eq!(guest.fetch(SERVER, WHO_AM_I).get("body"), HOST, "{}", guest.said());
    println!("booted {} ms, lease {} ms", guest.booted.number("ms"), lease.number("ms"));
}

#[test]
fn with_qemus_helper_a_guest_is_on_a_bridge_made_by_hand() {
    if !available("with_qemus_helper_a_guest_is_on_a_bridge_made_by_hand") {
        return;
    }
    let house = House::new();
    house.install_qemu_helper();
    let _outside = house.with_outside();
    let _dnsmasq = bridge_by_hand(&house);
    for netdev in ["bridge,br=br0".to_owned(), format!("tap,br=br0,helper={QEMU_HELPER}")] {
        let mut guest = Plan::new("alpha", "alice", &netdev).boot(&house);
        assert_it_is_on_the_network(&mut guest, "10.7.0.");
        guest.power_off();
    }
}

#[test]
fn with_our_helper_a_guest_is_on_a_bridge_made_by_hand() {
    let name = "with_our_helper_a_guest_is_on_a_bridge_made_by_hand";
    if !available(name) || !ours(name) {
        return;
    }
    let house = House::new();
    house.install();
    let _outside = house.with_outside();
    let _dnsmasq = bridge_by_hand(&house);
    for kind in ["bridge", "tap"] {
        let mut guest = Plan::new("alpha", "alice", &format!("{kind},br=br0,helper={HELPER}")).boot(&house);
        assert_it_is_on_the_network(&mut guest, "10.7.0.");
        guest.power_off();
    }
}

#[test]
fn two_guests_of_two_users_share_brmgr0_which_came_up_by_itself() {
    let name = "two_guests_of_two_users_share_brmgr0_which_came_up_by_itself";
    if !available(name) || !ours(name) {
        return;
    }
    let house = House::new();
    house.install();
    let _outside = house.with_outside();
    house.write_file("/etc/vmnet/bridge.conf", "allow brmgr0\n");
    let before = house.snapshot();
    let mut alpha = Plan::new("alpha", "alice", &format!("bridge,br=brmgr0,helper={HELPER}")).boot(&house);
    let mut beta = Plan::new("beta", "bob", &format!("tap,br=brmgr0,helper={HELPER}")).boot(&house);
    assert_it_is_on_the_network(&mut alpha, "10.0.1.");
    assert_it_is_on_the_network(&mut beta, "10.0.1.");
    assert!(alpha.reaches(beta.address()), "{}", alpha.said());
    assert_eq!(alpha.resolve("beta").get("address"), beta.address(), "{}", alpha.said());
    let down = house.run(&[VMNET, "down", "brmgr0"]);
    assert!(down.failure(1).contains("vmtap"), "it must name who is attached: {down}");
    alpha.power_off();
    beta.power_off();
    house.run(&[VMNET, "down", "brmgr0"]).success();
    house.assert_as_in(&before);
}

#[test]
fn a_refused_guest_says_why() {
    let name = "a_refused_guest_says_why";
    if !available(name) || !ours(name) {
        return;
    }
    let house = House::new();
    house.install();
    house.write_file("/etc/vmnet/bridge.conf", "allow brmgr0 user=bob\n");
    let refusal =
        Plan::new("alpha", "alice", &format!("bridge,br=brmgr0,helper={HELPER}")).start(&house).refusal();
    assert!(refusal.contains("vmnet-bridge-helper: cannot"), "{refusal}");
    assert!(refusal.contains("access denied by acl file"), "{refusal}");
    assert!(!house.outside_path("/sys/class/net/brmgr0").exists(), "a refused caller started the network");
}

fn ours(name: &str) -> bool {
    if !ours_built() {
        skip(name, "our programs are not built");
    }
    ours_built()
}
