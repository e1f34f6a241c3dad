//! Bridge and VDE switch are one wire: a guest on a TAP, a guest that joins the switch by itself, a
//! guest on a port of ours, and a namespace on vde2's own plug, all on one network.

use rig::guest::{Guest, Plan, available};
use rig::house::{HELPER, House, VMNET};
use rig::outside::{HOST, SERVER, SERVER_NAME, WHO_AM_I};
use std::time::Duration;

/// The network's switch.
const SWITCH: &str = "/run/vmnet/lab/vde";

/// A network with a switch, which alice may join by her group.
fn house(test: &str) -> Option<House> {
    if !available(test) {
        return None;
    }
    let house = House::with_companion(test)?;
    house.describe("lab", "subnet = \"10.0.1.0/24\"\n[vde]\ngroup = \"vmusers\"\n");
    house.write_file("/etc/vmnet/bridge.conf", "allow lab user=alice\n");
    Some(house)
}

/// What every guest must find: an address, the gateway, names, the Internet behind NAT.
#[track_caller]
fn assert_it_is_on_the_network(guest: &mut Guest) {
    assert!(guest.lease.get("address").starts_with("10.0.1."), "{:?}\n{}", guest.lease, guest.said());
    assert!(guest.reaches("gateway"), "{}", guest.said());
    assert_eq!(guest.resolve(SERVER_NAME).get("address"), SERVER, "{}", guest.said());
    assert_eq!(guest.connect(SERVER, 80).get("open"), "yes", "{}", guest.said());
    assert_eq!(guest.fetch(SERVER, WHO_AM_I).get("body"), HOST, "{}", guest.said());
}

#[test]
fn a_tap_a_vde_guest_a_switch_port_and_a_plug_are_on_one_wire() {
    let name = "a_tap_a_vde_guest_a_switch_port_and_a_plug_are_on_one_wire";
    let Some(house) = house(name) else { return };
    let _outside = house.with_outside();
    let before = house.snapshot();
    house.up("lab").success();
    house.assert_up("lab");

    let bridge = Plan::new("alpha", "alice", &format!("bridge,br=lab,helper={HELPER}"));
    let vde = Plan::new("beta", "alice", &format!("vde,sock={SWITCH}"));
    let exec = [VMNET, "exec", "lab", "--vde", "--"];
    let dgram = Plan::new("gamma", "alice", "dgram,local.type=fd,local.str={fd}").started_by(&exec);
    // All of them at once: most of a boot is waiting.
    let starting = [bridge, vde, dgram].map(|plan| plan.start(&house));
    let (delta, plug) = house.station_by_plug2tap("delta", SWITCH);
    let lease = delta.lease().unwrap_or_else(|| panic!("delta got no lease: {}", plug.said()));
    let mut guests = starting.map(|starting| starting.ready());

    guests.iter_mut().for_each(|guest| assert_it_is_on_the_network(guest));
    assert_eq!(delta.seen_as(SERVER).as_deref(), Some(HOST));
    let names = ["alpha", "beta", "gamma", "delta"];
    let mut addresses: Vec<String> = guests.iter().map(|guest| guest.address().to_owned()).collect();
    addresses.push(lease.get("ip").to_owned());
    for guest in &mut guests {
        for (name, address) in names.iter().zip(&addresses) {
            assert_eq!(guest.resolve(name).get("address"), address, "{name}: {}", guest.said());
            assert!(guest.reaches(address), "{name} {address}: {}", guest.said());
        }
    }
    for (name, address) in names.iter().zip(&addresses) {
        assert_eq!(delta.resolve(name, "10.0.1.1").as_deref(), Some(address.as_str()), "{name}");
        assert!(delta.reaches(address), "{name} {address}");
    }
    house.assert_up("lab");
    assert!(house.vmnet(&["down", "lab"]).failure(1).contains("attached"));

    guests.into_iter().for_each(Guest::power_off);
    drop(plug);
    house.sh("ip netns del delta");
    let free = || house.vmnet(&["down", "lab"]).code() == 0;
    assert!(house.wait_until(Duration::from_secs(20), free), "{}", house.vmnet(&["down", "lab"]));
    house.assert_as_in(&before);
}

#[test]
fn guests_on_the_switch_go_on_when_it_is_killed() {
    let Some(house) = house("guests_on_the_switch_go_on_when_it_is_killed") else { return };
    house.up("lab").success();
    let exec = [VMNET, "exec", "lab", "--vde", "--"];
    let dgram = Plan::new("gamma", "alice", "dgram,local.type=fd,local.str={fd}").started_by(&exec);
    let mut guest = dgram.boot(&house);
    let tap = house.leased_station("delta", "lab").1;
    for _ in 0..3 {
        let switch = house.sh("cat /run/vmnet/lab/switch.pid");
        house.sh(&format!("kill -9 {}", switch.trim()));
        let again = || house.sh("cat /run/vmnet/lab/switch.pid") != switch && house.drift("lab").0 == 0;
        assert!(house.wait_until(Duration::from_secs(10), again), "{:?}", house.drift("lab"));
        assert!(guest.reaches("gateway") && guest.reaches(tap.get("ip")), "{}", guest.said());
    }
    guest.power_off();
    house.sh("ip link del port-delta");
    let free = || house.vmnet(&["down", "lab"]).code() == 0;
    assert!(house.wait_until(Duration::from_secs(20), free), "{}", house.vmnet(&["down", "lab"]));
}

#[test]
fn whoever_is_not_in_the_group_cannot_join() {
    let Some(house) = house("whoever_is_not_in_the_group_cannot_join") else { return };
    house.up("lab").success();
    let inside =
        house.run_as("alice", &["timeout", "5", "sh", "-c", &format!("sleep 1 | vde_plug {SWITCH}")]);
    inside.success();
    let outside = house.run_as("bob", &["timeout", "5", "sh", "-c", &format!("sleep 1 | vde_plug {SWITCH}")]);
    assert_ne!(outside.code(), 0, "{outside}");
    let refusal = Plan::new("beta", "bob", &format!("vde,sock={SWITCH}")).start(&house).refusal();
    assert!(refusal.contains("vde"), "{refusal}");
    // Nor does anybody but root come to the console.
    for user in ["alice", "bob"] {
        assert_ne!(house.run_as(user, &["ls", "/run/vmnet/lab/console"]).code(), 0, "{user}");
    }
    house.down("lab");
}
