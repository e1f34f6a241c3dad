//! Under service managers, as far as that shows without one: with the rights, the file system and the
//! system calls that the systemd unit leaves it, the keeper does all its work; runit's scripts run it.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use rig::house::{As, House, VMNET, ours_built};
use rig::outside::{Outside, SERVER, SERVER_NAME};
use rig::process::Process;
use rig::skip::{have, skip};
use rig::unit::Unit;

const PATIENCE: Duration = Duration::from_secs(20);

fn house(test: &str, needed: &[&str]) -> Option<(House, Outside)> {
    if !ours_built() {
        skip(test, "our programs are not built");
        return None;
    }
    if !have(test, needed) {
        return None;
    }
    let house = House::new();
    house.install();
    let outside = house.with_outside();
    Some((house, outside))
}

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Starts a keeper of brmgr0 below other programs and waits for its READY, as systemd does.
#[track_caller]
fn start(house: &House, before: &[&str]) -> Process {
    let socket = UnixDatagram::bind(house.outside_path("/run/notify")).expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    let run = ["env", "NOTIFY_SOCKET=/run/notify", VMNET, "run", "brmgr0"];
    let keeper = house.spawn(As::Root, &[before, &run].concat());
    let mut buffer = [0; 1024];
    let size = socket.recv(&mut buffer).unwrap_or_else(|e| panic!("not READY: {e}\n{}", keeper.said()));
    assert_eq!(String::from_utf8_lossy(&buffer[..size]).trim(), "READY=1");
    keeper
}

/// A guest is served, a server that dies is replaced, SIGTERM ends it all.
#[track_caller]
fn assert_it_keeps(house: &House, mut keeper: Process) {
    let (alpha, answer) = house.leased_station("alpha", "brmgr0");
    let resolves = || alpha.resolve(SERVER_NAME, answer.get("dns")).as_deref() == Some(SERVER);
    assert!(resolves() && alpha.reaches(SERVER), "{}", keeper.said());
    house.sh("kill -KILL $(cat /run/vmnet/brmgr0/dnsmasq.pid)");
    assert!(house.wait_until(PATIENCE, resolves), "{}", keeper.said());
    house.run(&[VMNET, "status", "brmgr0"]).success();
    house.sh("ip link delete port-alpha");
    terminate(house);
    let status = keeper.wait(PATIENCE);
    assert!(status.success(), "{status}\n{}", keeper.said());
    assert!(!house.outside_path("/sys/class/net/brmgr0").exists(), "{}", keeper.said());
}

/// The signal of a service manager.
#[track_caller]
fn terminate(house: &House) {
    let pid = house.read_file("/run/vmnet/brmgr0/keeper").unwrap_or_default();
    house.run(&["kill", "-TERM", pid.trim()]).success();
}

#[test]
fn the_keeper_needs_no_more_rights_than_the_unit_leaves_it() {
    let name = "the_keeper_needs_no_more_rights_than_the_unit_leaves_it";
    let Some((house, _outside)) = house(name, &["setpriv", "unshare", "mountpoint"]) else { return };
    house.start_syslog();
    let before = Unit::read("vmnet@.service.in").confinement();
    let before: Vec<&str> = before.iter().map(String::as_str).collect();
    let keeper = start(&house, &before);
    assert_it_keeps(&house, keeper);
    // Some trouble is only logged.
    let complains = |line: &str| line.contains("vmnet[") && line.contains("cannot ");
    assert!(!house.log().lines().any(complains), "{}", house.log());
}

#[test]
fn the_keeper_and_its_programs_make_no_system_call_that_the_unit_forbids() {
    let name = "the_keeper_and_its_programs_make_no_system_call_that_the_unit_forbids";
    let Some((house, _outside)) = house(name, &["strace", "systemd-analyze"]) else { return };
    let keeper = start(&house, &["strace", "-f", "-qq", "-o", "/tmp/house/calls"]);
    assert_it_keeps(&house, keeper);
    let forbidden = Unit::read("vmnet@.service.in").forbidden_calls(&house, "/tmp/house/calls");
    assert!(forbidden.is_empty(), "{forbidden:?}");
}

#[test]
fn runits_scripts_run_the_network_that_their_folder_names() {
    let name = "runits_scripts_run_the_network_that_their_folder_names";
    let Some((house, _outside)) = house(name, &[]) else { return };
    let run = read("conf/vmnet.runit-run.in").replace("@PREFIX@", "/usr/local");
    house.write_file_for("/etc/sv/vmnet-brmgr0/run", 0o755, (0, 0), run);
    house.write_file_for("/etc/sv/vmnet-brmgr0/finish", 0o755, (0, 0), read("conf/vmnet.runit-finish"));
    let mut keeper = house.spawn(As::Root, &["sh", "-c", "cd /etc/sv/vmnet-brmgr0 && exec ./run"]);
    let up = || house.run(&[VMNET, "status", "brmgr0"]).code() == 0;
    assert!(house.wait_until(PATIENCE, up), "{}", keeper.said());
    terminate(&house);
    let status = keeper.wait(PATIENCE);
    assert!(status.success(), "{status}\n{}", keeper.said());
    assert!(!house.outside_path("/sys/class/net/brmgr0").exists());
    // Where trying again cannot help, the service is set down; otherwise runsv starts it again.
    house.write_file_for("/usr/local/bin/sv", 0o755, (0, 0), "#!/bin/sh\necho \"sv $*\"\n");
    for (status, said) in [("2", "sv down .\n"), ("1", ""), ("0", "")] {
        let finish = house.run(&["/etc/sv/vmnet-brmgr0/finish", status, "0"]);
        assert_eq!(finish.success(), said, "{status}");
    }
}
