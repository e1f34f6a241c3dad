//! The system's libvirt (`qemu:///system`) with our hooks: its guests' networks come up, and what their
//! metadata asks for is there while they run.

use rig::house::{As, House};
use rig::libvirt::{Domain, available};
use rig::page::blocks;
use rig::station::opening;

/// What `alpha` asks for on the network `lab`.
const WEB: &str = "<vmnet:network xmlns:vmnet='urn:vmnet:domain:1' name='lab' host='web' address='10.9.0.99'>
    <vmnet:forward listen='8080' to='80'/></vmnet:network>";

fn house(test: &str) -> Option<House> {
    if !available(test) {
        return None;
    }
    let house = House::with_companion(test)?;
    house.describe("lab", "subnet = \"10.9.0.0/24\"\nsubnet6 = \"none\"\n");
    house.install_hooks();
    Some(house)
}

/// What is reserved and forwarded.
#[track_caller]
fn wishes(house: &House) -> String {
    let hosts = house.vmnet(&["host", "list", "lab"]).success().to_owned();
    hosts + house.vmnet(&["forward", "list", "lab"]).success()
}

#[test]
fn a_started_domain_has_its_network_its_name_and_its_forward_until_it_is_gone() {
    let Some(house) = house("a_started_domain_has_its_network_its_name_and_its_forward_until_it_is_gone")
    else {
        return;
    };
    let libvirtd = house.start_libvirt();
    let nothing = wishes(&house);
    let domain = Domain::new("alpha").on_bridge("lab", "virtio").with_metadata(WEB);
    house.virsh(&["define", &house.write_xml("alpha", &domain.xml())]).success();
    let line = house.serial_line(&domain);
    house.virsh(&["start", "alpha"]).success();
    let mut guest = line.ready();
    assert_eq!(guest.address(), "10.9.0.99", "{}", guest.said());
    assert!(guest.reaches("gateway"), "{}", guest.said());
    assert_eq!(guest.resolve("web").get("address"), "10.9.0.99", "{}", guest.said());
    assert_eq!(guest.sh("httpd -p 80 -h /tmp"), 0, "{}", guest.said());
    let open = || house.run(&opening("127.0.0.1", "8080")).code() == 0;
    assert!(house.wait_until(rig::guest::ANSWER, open), "{}\n{}", wishes(&house), guest.said());
    house.assert_up("lab");

    house.virsh(&["save", "alpha", "/tmp/house/saved"]).success();
    assert_eq!(wishes(&house), nothing, "a domain that is saved is gone");
    let _line = house.serial_line(&domain);
    house.virsh(&["restore", "/tmp/house/saved"]).success();
    assert!(wishes(&house).contains("10.9.0.99"), "{}", wishes(&house));
    assert!(house.wait_until(rig::guest::ANSWER, open), "{}", wishes(&house));
    house.virsh(&["destroy", "alpha"]).success();
    assert_eq!(wishes(&house), nothing);
    house.down("lab");
    drop(libvirtd);
}

#[test]
fn a_guest_of_libvirts_network_that_names_our_bridge_has_them_too() {
    let Some(house) = house("a_guest_of_libvirts_network_that_names_our_bridge_has_them_too") else { return };
    let _libvirtd = house.start_libvirt();
    let network = "<network><name>ours</name><forward mode='bridge'/><bridge name='lab'/></network>";
    house.virsh(&["net-create", &house.write_xml("ours", network)]).success();
    assert!(!house.outside_path("/sys/class/net/lab").exists(), "nobody has asked for it");
    let nothing = wishes(&house);
    let domain = Domain::new("alpha").on_network("ours").with_metadata(WEB);
    let line = house.serial_line(&domain);
    house.virsh(&["create", &house.write_xml("alpha", &domain.xml())]).success();
    let guest = line.ready();
    assert_eq!(guest.address(), "10.9.0.99", "{}", guest.said());
    guest.power_off();
    assert!(house.wait_until(rig::guest::ANSWER, || wishes(&house) == nothing), "{}", wishes(&house));
}

#[test]
fn the_command_of_our_page_gives_a_domain_its_name_and_its_forward() {
    let Some(house) = house("the_command_of_our_page_gives_a_domain_its_name_and_its_forward") else {
        return;
    };
    let _libvirtd = house.start_libvirt();
    let domain = Domain::new("web").on_bridge("brmgr0", "virtio");
    house.virsh(&["define", &house.write_xml("web", &domain.xml())]).success();
    let command = blocks("libvirt.md", "sh").swap_remove(0);
    assert!(command.starts_with("sudo virsh metadata web "), "{command}");
    house.sh(&command.replace("sudo ", ""));
    let _line = house.serial_line(&domain);
    house.virsh(&["start", "web"]).success();
    house.assert_up("brmgr0");
    let hosts = house.vmnet(&["host", "list", "brmgr0"]).success().to_owned();
    assert!(hosts.contains("web") && hosts.contains(&domain.mac()), "{hosts}");
    let forwards = house.vmnet(&["forward", "list", "brmgr0"]).success().to_owned();
    assert!(forwards.contains("8080") && forwards.contains("web:80"), "{forwards}");
    house.virsh(&["destroy", "web"]).success();
    assert_eq!(house.vmnet(&["forward", "list", "brmgr0"]).success().lines().count(), 1);
}

#[test]
fn virsh_says_why_a_domain_does_not_start() {
    let Some(house) = house("virsh_says_why_a_domain_does_not_start") else { return };
    let _libvirtd = house.start_libvirt();
    let _holder = house.spawn(As::Root, &["busybox", "nc", "-l", "-p", "8080"]);
    let listens = || !house.run(&["ss", "-Hltn", "sport = :8080"]).stdout.is_empty();
    assert!(house.wait_until(rig::guest::ANSWER, listens));
    let nothing = wishes(&house);
    let domain = Domain::new("alpha").on_bridge("lab", "virtio").with_metadata(WEB);
    let refused = house.virsh(&["create", &house.write_xml("alpha", &domain.xml())]);
    let said = refused.failure(1);
    assert!(said.contains("vmnet: cannot forward tcp 8080 to web:80: busybox"), "{refused}");
    assert_eq!(wishes(&house), nothing);
    // A domain that asks nothing of us has its own troubles, not ours.
    let elsewhere = Domain::new("beta").on_bridge("br0", "virtio");
    let refused = house.virsh(&["create", &house.write_xml("beta", &elsewhere.xml())]);
    assert!(!refused.failure(1).contains("vmnet"), "{refused}");
    assert!(refused.stderr.contains("br0"), "{refused}");
}
