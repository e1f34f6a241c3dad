//! A real guest with an IPv6 stack of its own, plugged in by the helper as QEMU does it.

use std::time::Duration;

use rig::guest::{Plan, available};
use rig::house::{HELPER, House};
use rig::outside::{HOST6, SERVER6, WHO_AM_I};

#[test]
fn a_guest_under_qemu_makes_its_address_and_reaches_gateway_and_world_by_ipv6() {
    let name = "a_guest_under_qemu_makes_its_address_and_reaches_gateway_and_world_by_ipv6";
    if !available(name) {
        return;
    }
    let Some(house) = House::with_companion(name) else { return };
    house.describe("lab", "subnet = \"10.5.0.0/24\"\nsubnet6 = \"fd05::/64\"\n");
    house.write_file("/etc/vmnet/bridge.conf", "allow lab user=alice\n");
    let _outside = house.with_ipv6_outside();
    // Down: the guest's QEMU is who brings it up.
    let mut guest = Plan::new("guest", "alice", &format!("bridge,br=lab,helper={HELPER}")).boot(&house);
    let own = "for i in $(seq 50); do ip -6 addr show dev eth0 | grep -v tentative | grep -q 'inet6 fd05:' && exit 0; \
               sleep 0.2; done; exit 1";
    assert_eq!(guest.sh(own), 0, "no address of its own: {}", guest.said());
    for target in ["fd05::1", SERVER6] {
        assert!(guest.reaches(target), "{target}: {}", guest.said());
    }
    assert_eq!(guest.fetch(SERVER6, WHO_AM_I).get("body"), format!("[{HOST6}]"), "{}", guest.said());
    // Its neighbours and the host find it by its name.
    let known = || {
        let argv = ["timeout", "5", "busybox", "nslookup", "-type=aaaa", "guest.lab.internal", "fd05::1"];
        house.run(&argv).stdout.contains("Address: fd05::5054:ff:")
    };
    assert!(house.wait_until(Duration::from_secs(30), known), "no AAAA for its name");
    guest.power_off();
}
