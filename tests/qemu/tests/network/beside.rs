//! Beside the host's own dnsmasq, started as Debian starts it: with the snippet that `make install` puts
//! into `/etc/dnsmasq.d` both serve, whichever comes first. Without it they quarrel, which is what the
//! snippet is for.

use std::path::Path;
use std::time::Duration;

use rig::house::{As, House, VMNET, ours_built};
use rig::outside::{HOST, Outside, ROUTER, SERVER, SERVER_NAME};
use rig::process::Process;
use rig::skip::{have, skip};

/// A house whose own resolver is to be a dnsmasq that asks the outside.
fn house(test: &str, snippet: bool) -> Option<(House, Outside)> {
    if !ours_built() {
        skip(test, "our programs are not built");
        return None;
    }
    if !have(test, &["dnsmasq", "busybox"]) {
        return None;
    }
    let house = House::new();
    house.install();
    let outside = house.with_outside();
    house.write_file("/etc/dnsmasq.d/local.conf", format!("no-resolv\nserver={ROUTER}\n"));
    if snippet {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conf/dnsmasq.conf");
        house.copy_in(&file, "/etc/dnsmasq.d/vmnet.conf", 0o644);
    }
    Some((house, outside))
}

/// Starts it in Debian's words (`/usr/share/dnsmasq/systemd-helper`), here in the foreground.
fn start_system_dnsmasq(house: &House) -> Process {
    let argv =
        ["dnsmasq", "-k", "-x", "/run/dnsmasq.pid", "-u", "dnsmasq", "-7", "/etc/dnsmasq.d,.dpkg-dist"];
    let dnsmasq = house.spawn(As::Root, &[&argv[..], &["--local-service"]].concat());
    house.write_file("/etc/resolv.conf", "nameserver 127.0.0.1\n");
    let answers = || resolves(house, "127.0.0.1");
    assert!(house.wait_until(Duration::from_secs(10), answers), "{}", dnsmasq.said());
    dnsmasq
}

fn resolves(house: &House, server: &str) -> bool {
    let answer = house.run(&["timeout", "5", "busybox", "nslookup", "-type=a", SERVER_NAME, server]);
    answer.stdout.contains(SERVER)
}

/// The host's own serves the host, ours the guests, by way of the host's.
#[track_caller]
fn assert_both_serve(house: &House, dnsmasq: &mut Process) {
    let (alpha, answer) = house.leased_station("alpha", "brmgr0");
    assert_eq!(alpha.resolve(SERVER_NAME, answer.get("dns")).as_deref(), Some(SERVER));
    assert_eq!(alpha.resolve("alpha", answer.get("dns")).as_deref(), Some(answer.get("ip")));
    assert!(resolves(house, "127.0.0.1"), "{}", dnsmasq.said());
    assert!(resolves(house, HOST), "{}", dnsmasq.said());
    assert!(dnsmasq.is_running(), "{}", dnsmasq.said());
    house.run(&[VMNET, "status", "brmgr0"]).success();
}

#[test]
fn a_network_comes_up_beside_a_dnsmasq_that_runs() {
    let Some((house, _outside)) = house("a_network_comes_up_beside_a_dnsmasq_that_runs", true) else {
        return;
    };
    let mut dnsmasq = start_system_dnsmasq(&house);
    house.run(&[VMNET, "up", "brmgr0"]).success();
    assert_both_serve(&house, &mut dnsmasq);
    house.run(&["ip", "link", "delete", "port-alpha"]).success();
    house.run(&[VMNET, "down", "brmgr0"]).success();
    assert!(resolves(&house, "127.0.0.1"), "{}", dnsmasq.said());
}

#[test]
fn a_dnsmasq_starts_beside_a_network_that_is_up() {
    let Some((house, _outside)) = house("a_dnsmasq_starts_beside_a_network_that_is_up", true) else { return };
    house.run(&[VMNET, "up", "brmgr0"]).success();
    let mut dnsmasq = start_system_dnsmasq(&house);
    assert_both_serve(&house, &mut dnsmasq);
}

#[test]
fn without_the_snippet_up_says_who_has_the_port_and_leaves_nothing() {
    let name = "without_the_snippet_up_says_who_has_the_port_and_leaves_nothing";
    let Some((house, _outside)) = house(name, false) else { return };
    let _dnsmasq = start_system_dnsmasq(&house);
    let before = house.snapshot();
    let up = house.run(&[VMNET, "up", "brmgr0"]);
    let words = up.failure(1);
    assert!(words.starts_with("vmnet: cannot "), "{words}");
    assert!(words.contains("dnsmasq") && words.to_lowercase().contains("address already in use"), "{words}");
    assert!(words.lines().count() <= 2, "{words}");
    house.assert_as_in(&before);
}
