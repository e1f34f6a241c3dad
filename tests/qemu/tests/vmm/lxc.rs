//! Debian's LXC: a container that includes our file is on brmgr0, which comes up with it.

use std::path::Path;
use std::time::Duration;

use rig::house::House;
use rig::page::blocks;
use rig::skip::have;
use serde_json::json;

/// As the page has it.
const MAC: &str = "02:00:00:00:00:01";

/// A house with our file for LXC, and a container `web` of busybox with the lines that our page shows.
fn house(test: &str) -> Option<House> {
    if !have(test, &["lxc-create", "lxc-start", "lxc-attach", "/usr/share/lxc/templates/lxc-busybox"]) {
        return None;
    }
    let house = House::with_companion(test)?;
    let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conf/lxc.container.conf.in");
    let text = std::fs::read_to_string(template).expect("our file for LXC");
    let place = "/usr/local/share/vmnet/lxc.container.conf";
    house.write_file(place, text.replace("@PREFIX@", "/usr/local"));
    let page = blocks("lxc.md", "").swap_remove(0);
    house.write_file("/tmp/house/config", &page);
    // LXC's log is the machine's own directory.
    house.sh("mount -t tmpfs log /var/log
         lxc-create -n web -t busybox >/dev/null
         cat /tmp/house/config >>/var/lib/lxc/web/config");
    Some(house)
}

#[test]
fn a_container_is_on_brmgr0_which_comes_up_with_it() {
    let Some(house) = house("a_container_is_on_brmgr0_which_comes_up_with_it") else { return };
    let _outside = house.with_outside();
    let links = house.sh("ip -o link | wc -l");
    house.vmnet(&["host", "add", "brmgr0", "web", MAC]).success();
    house.run(&["lxc-start", "-n", "web", "-d"]).success();
    house.assert_up("brmgr0");
    let port = || house.json(&["ports", "brmgr0"]).1["ports"][0].clone();
    let leased = || port()["leases"][0]["name"] == "web";
    assert!(house.wait_until(Duration::from_secs(60), leased), "{}", port());
    assert_eq!((&port()["port"], &port()["macs"][0]), (&json!("web-eth0"), &json!(MAC)), "{}", port());
    let address = port()["leases"][0]["address"].as_str().expect("its address").to_owned();
    let inside = |words: &[&str]| {
        let mut argv = vec!["lxc-attach", "-n", "web", "--", "/bin/busybox"];
        argv.extend(words);
        house.run(&argv)
    };
    // The server notes a lease before the client hears of it.
    let shown = || inside(&["ip", "-4", "addr", "show", "eth0"]);
    let has = || shown().success().contains(&address);
    assert!(house.wait_until(Duration::from_secs(20), has), "{}", shown());
    inside(&["ping", "-c", "1", "-w", "10", "10.0.1.1"]).success();
    let named = || inside(&["nslookup", "-type=a", "web.brmgr0.internal", "10.0.1.1"]);
    assert!(named().success().contains(&address), "{}", named());
    let refused = house.vmnet(&["down", "brmgr0"]);
    assert!(refused.complaint(1).contains("web-eth0"), "it must name who is attached: {refused}");
    house.run(&["lxc-stop", "-k", "-n", "web"]).success();
    house.vmnet(&["host", "rm", "brmgr0", "web"]).success();
    house.down("brmgr0");
    let gone = || house.sh("ip -o link | wc -l") == links;
    assert!(house.wait_until(Duration::from_secs(20), gone), "{}", house.sh("ip link"));
}

#[test]
fn a_container_whose_network_cannot_come_up_does_not_start() {
    let Some(house) = house("a_container_whose_network_cannot_come_up_does_not_start") else { return };
    house.describe("brmgr0", "mode = \"nut\"\n");
    let refused = house.run(&["lxc-start", "-n", "web", "-F", "-l", "DEBUG", "-o", "/tmp/house/lxc"]);
    assert_ne!(refused.code(), 0, "{refused}");
    let log = house.read_file("/tmp/house/lxc").unwrap_or_default();
    assert!(log.contains("vmnet: cannot start network 'brmgr0'"), "{log}");
}
