//! The processes of a network's VDE switch, on a real `vde_switch`: what each is left with, what it
//! outlives, and what goes through.

use std::time::Duration;

use rig::command::Outcome;
use rig::house::{As, House, VMNET};
use rig::process::Process;
use rig::skip::have;
use rig::unit::Unit;

const SOON: Duration = Duration::from_secs(10);
/// A user in no database. Of one with more digits a switch cannot say the name.
const NOBODY_ELSE: &str = "65537";
const ROOM: &str = "/run/vmnet/lab";
const DIRECTORY: &str = "/run/vmnet/lab/vde";

fn wired_house(test: &str) -> Option<House> {
    if !have(test, &["vde_switch", "vde_plug2tap"]) {
        return None;
    }
    let house = House::with_companion(test)?;
    house.sh(&format!(
        "ip link add lab type bridge
         ip address add 10.9.0.1/24 dev lab
         ip link set lab up
         mkdir -p {ROOM}
         install -d -o {NOBODY_ELSE} -g 2001 -m 2770 {DIRECTORY}
         install -d -o {NOBODY_ELSE} -g {NOBODY_ELSE} -m 700 {ROOM}/console"
    ));
    house.write_file(
        &format!("{ROOM}/switch"),
        format!(
            "directory {DIRECTORY}\nowner {NOBODY_ELSE}\ngroup 2001\npump {NOBODY_ELSE}\n\
             console {ROOM}/console/mgmt\nrun 660 8 false false\n"
        ),
    );
    Some(house)
}

fn listens(house: &House) -> bool {
    let list = house.sh("cat /proc/net/unix");
    list.lines().any(|line| line.contains(" 00010000 ") && line.ends_with("/vde/ctl"))
}

/// Its starter is gone when this is back.
fn start_switch(house: &House) -> u32 {
    house.sh(&format!("{VMNET} wire switch --record {ROOM}/switch </dev/null >/dev/null 2>&1 &"));
    assert!(house.wait_until(SOON, || listens(house)), "no switch");
    house.sh(&format!("cat {ROOM}/switch.pid")).trim().parse().expect("a number")
}

/// Its starter is gone when this is back.
fn start_pump(house: &House) -> u32 {
    let pump = house.spawn(As::Root, &[VMNET, "wire", "pump", "lab", "--record", &format!("{ROOM}/switch")]);
    assert_eq!(pump.line(SOON, |_| true).as_deref(), Ok("ready"));
    house.sh(&format!("cat {ROOM}/pump")).trim().parse().expect("a number")
}

/// A namespace on the switch by Debian's own program.
fn plug_in_far(house: &House, name: &str, directory: &str, address: &str) -> Process {
    house.sh(&format!("ip netns add {name}"));
    let words = ["ip", "netns", "exec", name, "vde_plug2tap", "-s", directory, "eth0"];
    let plug = house.spawn(As::Root, &words);
    let there = || house.run(&["ip", "-n", name, "link", "show", "eth0"]).code() == 0;
    assert!(house.wait_until(SOON, there), "{}", plug.said());
    // Its MAC is another each time.
    house.sh(&format!(
        "ip -n {name} address add {address}/24 dev eth0; ip -n {name} link set eth0 up; ip neigh flush dev lab"
    ));
    plug
}

fn reaches(house: &House, address: &str) -> bool {
    house.wait_until(SOON, || house.run(&["ping", "-n", "-c", "1", "-W", "1", address]).code() == 0)
}

/// A line of /proc/PID/status.
fn status(house: &House, pid: u32, key: &str) -> String {
    let text = house.sh(&format!("cat /proc/{pid}/status"));
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{key}:")));
    line.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// It is nobody else, and can do nothing that nobody can.
fn assert_without_rights(house: &House, pid: u32, groups: &str) {
    let four = [NOBODY_ELSE; 4].join(" ");
    assert_eq!(status(house, pid, "Uid"), four);
    assert_eq!(status(house, pid, "Gid"), four);
    assert_eq!(status(house, pid, "Groups"), groups);
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(status(house, pid, set), "0000000000000000", "{set}");
    }
    assert_eq!(status(house, pid, "NoNewPrivs"), "1");
    let limits = house.sh(&format!("grep 'Max core' /proc/{pid}/limits"));
    assert!(limits.starts_with("Max core file size        0                    0 "), "{limits}");
    assert_eq!(house.sh(&format!("ps -o sid= -p {pid}")).trim(), pid.to_string(), "a session of its own");
    assert_eq!(house.sh(&format!("readlink /proc/{pid}/cwd")).trim(), "/");
}

#[test]
fn a_switch_needs_nobody_and_has_no_rights() {
    let Some(house) = wired_house("a_switch_needs_nobody_and_has_no_rights") else { return };
    let switch = start_switch(&house);
    assert_without_rights(&house, switch, "2001");
    assert_eq!(house.sh(&format!("cat /proc/{switch}/comm")), "vde_switch\n");
    assert_eq!(
        house.sh(&format!("tr '\\0' '\\n' </proc/{switch}/environ")),
        "PATH=/usr/sbin:/usr/bin:/sbin:/bin\n"
    );
    // Both ends of one pipe, and its own sockets.
    let held = house.sh(&format!("find /proc/{switch}/fd -mindepth 1 -printf '%f %l\\n' | sort -n"));
    let pipe = held.lines().find_map(|line| line.strip_prefix("0 ")).expect("a standard input").to_owned();
    assert_eq!(held.matches(&pipe).count(), 2, "{held}");
    let strange = held.lines().filter(|line| !line.ends_with(&pipe) && !line.contains("socket:"));
    assert_eq!(strange.collect::<Vec<_>>(), ["1 /dev/null", "2 /dev/null"], "{held}");
    let modes = format!("stat -c '%a %u %g' {DIRECTORY} {DIRECTORY}/ctl {ROOM}/console/mgmt");
    let expected =
        format!("2770 {NOBODY_ELSE} 2001\n660 {NOBODY_ELSE} 2001\n600 {NOBODY_ELSE} {NOBODY_ELSE}\n");
    assert_eq!(house.sh(&modes), expected);
    // Those of the group come in by themselves, others do not. Its input is at an end, so it leaves again.
    let plug = |user: &str| house.run_as(user, &["timeout", "5", "vde_plug", DIRECTORY]);
    plug("alice").success();
    assert_eq!(plug("bob").code(), 1, "{}", plug("bob"));
}

#[test]
fn a_pump_carries_frames_without_any_right_and_ends_with_its_bridge() {
    let name = "a_pump_carries_frames_without_any_right_and_ends_with_its_bridge";
    let Some(house) = wired_house(name) else { return };
    start_switch(&house);
    let pump = start_pump(&house);
    assert_without_rights(&house, pump, "");
    let _far = plug_in_far(&house, "far", DIRECTORY, "10.9.0.2");
    assert!(reaches(&house, "10.9.0.2"), "no answer through the pump");
    let port = house.sh("ip -d -o link show master lab");
    assert!(port.contains(&format!(" vmwire{pump}:")) && port.contains("vmnet lab switch"), "{port}");
    assert!(port.contains("link/ether fe:") && port.contains(" mtu 1500 "), "{port}");
    // A second one is refused, and takes nothing from the first.
    let again = house.run(&[VMNET, "wire", "pump", "lab", "--record", &format!("{ROOM}/switch")]);
    assert!(again.complaint(1).contains("another pump is at work"), "{again}");
    assert!(reaches(&house, "10.9.0.2"));
    house.sh("ip link delete lab");
    let ended = || house.run(&["kill", "-0", &pump.to_string()]).code() != 0;
    assert!(house.wait_until(SOON, ended), "it goes on without its bridge");
    assert_eq!(house.sh("ip -o link show type tun"), "");
}

#[test]
fn a_pump_that_has_no_switch_says_so_in_one_line_and_leaves_nothing() {
    let name = "a_pump_that_has_no_switch_says_so_in_one_line_and_leaves_nothing";
    let Some(house) = wired_house(name) else { return };
    let record = format!("{ROOM}/switch");
    let pump = || house.run(&[VMNET, "wire", "pump", "lab", "--record", &record]);
    let nothing = || {
        assert_eq!(house.sh(&format!("ls {ROOM}/plugs; ip -o link show type tun")), "");
        assert!(house.run(&["pgrep", "-f", "wire pump"]).code() == 1);
    };
    let no_switch = pump();
    let cause = "cannot join network 'lab' and switch '/run/vmnet/lab/vde': no switch answers there";
    assert!(no_switch.complaint(1).contains(cause), "{no_switch}");
    nothing();
    start_switch(&house);
    house.sh("ip link delete lab");
    let no_bridge = pump();
    assert!(no_bridge.complaint(1).contains("there is no bridge 'lab'"), "{no_bridge}");
    nothing();
}

/// One who holds sockets as if a port had been lost with its switch; by the first word, whose socket the switch
/// cannot write to, who has filled the queue with descriptors, or shut it.
const HOLDER: &str = r#"
import os, socket, sys
kind, plugs, uid = sys.argv[1], sys.argv[2], int(sys.argv[3])
data, hold = (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(2))
name = f"{plugs}/{uid}-{os.getpid()}-0000000a"
data.bind(name + ".data")
os.chown(name + ".data", uid, uid if kind == "closed" else 2001)
os.chmod(name + ".data", 0o600 if kind == "closed" else 0o660)
hold.bind(name + ".hold")
hold.connect(name + ".hold")
hold.setblocking(False)
hold.send(b"c")
if kind == "full":
    try:
        while True:
            socket.send_fds(hold, [b"x"], [0, 1, hold.fileno()])
    except BlockingIOError:
        pass
if kind == "shut":
    hold.shutdown(socket.SHUT_RDWR)
os.setresuid(uid, uid, uid)
print(os.getpid(), flush=True)
sys.stdin.read()
"#;

/// Such a one, and his number.
#[track_caller]
fn hold(house: &House, kind: &str, uid: u32) -> (Process, String) {
    let plugs = format!("{ROOM}/plugs");
    let words = ["python3", "-c", HOLDER, kind, &plugs, &uid.to_string()];
    let process = house.spawn(As::Root, &words);
    let pid = process.line(SOON, |_| true).expect("its number");
    (process, pid)
}

fn plug_all(house: &House) -> Outcome {
    let (record, plugs) = (format!("{ROOM}/switch"), format!("{ROOM}/plugs"));
    house.run(&[VMNET, "wire", "plug", "--record", &record, "--plugs", &plugs])
}

/// The sockets for ports in the switch's directory.
fn ports(house: &House) -> Vec<String> {
    let found = house.sh(&format!("ls {DIRECTORY} | grep '^[0-9]' || true"));
    found.lines().map(str::to_owned).collect()
}

/// Its end, and another one in its place.
fn replace_switch(house: &House, switch: u32) -> u32 {
    house.sh(&format!("kill -9 {switch}"));
    assert!(house.wait_until(SOON, || !listens(house)));
    start_switch(house)
}

#[test]
fn after_the_switchs_death_everybody_is_plugged_in_again_and_notices_nothing() {
    let name = "after_the_switchs_death_everybody_is_plugged_in_again_and_notices_nothing";
    let Some(house) = wired_house(name) else { return };
    let switch = start_switch(&house);
    let pump = start_pump(&house);
    let far = plug_in_far(&house, "far", DIRECTORY, "10.9.0.2");
    assert!(reaches(&house, "10.9.0.2"));
    drop(far);
    house.sh("ip netns del far");
    let again = replace_switch(&house, switch);
    assert_ne!(again, switch);
    let _far = plug_in_far(&house, "far", DIRECTORY, "10.9.0.2");
    let lost = house.run(&["ping", "-n", "-c", "1", "-W", "1", "10.9.0.2"]);
    assert_eq!(lost.code(), 1, "nobody has plugged the pump in again: {lost}");
    let plugged = plug_all(&house);
    assert_eq!((plugged.success(), plugged.stderr.as_str()), ("", ""), "{plugged}");
    assert!(reaches(&house, "10.9.0.2"), "the pump is still off the switch");
    assert_eq!(house.sh(&format!("cat {ROOM}/pump")).trim(), pump.to_string());
    // Once more, with the port it has: that stays.
    let before = ports(&house);
    plug_all(&house).success();
    assert_eq!((ports(&house), before.len()), (before, 2));
    assert!(reaches(&house, "10.9.0.2"));
}

#[test]
fn one_that_cannot_be_plugged_in_again_does_not_keep_the_others_from_it() {
    let name = "one_that_cannot_be_plugged_in_again_does_not_keep_the_others_from_it";
    if !have(name, &["python3"]) {
        return;
    }
    let Some(house) = wired_house(name) else { return };
    let switch = start_switch(&house);
    start_pump(&house);
    let (_closed, closed) = hold(&house, "closed", 1000);
    let (_shut, shut) = hold(&house, "shut", 1001);
    let _others = [hold(&house, "full", 1002), hold(&house, "plain", 1003)];
    replace_switch(&house, switch);
    let plugged = plug_all(&house);
    let cause = format!(
        "vmnet: cannot plug in the port of process {closed} (uid 1000): it refused the port\n\
         vmnet: cannot plug in the port of process {shut} (uid 1001): broken pipe\n"
    );
    assert_eq!(plugged.code(), 1, "{plugged}");
    assert_eq!(plugged.stderr, cause);
    let three = || ports(&house).len() == 3;
    assert!(house.wait_until(SOON, three), "the pump and two more: {:?}", ports(&house));
    let _far = plug_in_far(&house, "far", DIRECTORY, "10.9.0.2");
    assert!(reaches(&house, "10.9.0.2"), "the pump was not plugged in");
}

#[test]
fn a_switch_that_hangs_keeps_nobody_for_long_and_everybody_is_plugged_in_when_it_goes_on() {
    let name = "a_switch_that_hangs_keeps_nobody_for_long_and_everybody_is_plugged_in_when_it_goes_on";
    if !have(name, &["python3"]) {
        return;
    }
    let Some(house) = wired_house(name) else { return };
    let switch = start_switch(&house);
    start_pump(&house);
    let _holders = [hold(&house, "plain", 1000), hold(&house, "plain", 1001)];
    let again = replace_switch(&house, switch);
    house.sh(&format!("kill -STOP {again}"));
    let hangs = plug_all(&house);
    assert_eq!(hangs.code(), 1, "{hangs}");
    assert_eq!(hangs.stderr.matches("it did not answer within 2 s").count(), 2, "{hangs}");
    assert!(hangs.stderr.ends_with("vmnet: cannot plug in 1 more: the switch does not answer\n"), "{hangs}");
    assert!(hangs.took < SOON, "{:?}", hangs.took);
    house.sh(&format!("kill -CONT {again}"));
    plug_all(&house).success();
    let _far = plug_in_far(&house, "far", DIRECTORY, "10.9.0.2");
    assert!(reaches(&house, "10.9.0.2"), "the pump was not plugged in");
}

#[test]
fn a_pump_serves_a_switch_of_somebody_elses_as_its_owner_and_with_no_right_of_roots() {
    let name = "a_pump_serves_a_switch_of_somebody_elses_as_its_owner_and_with_no_right_of_roots";
    for (who, directory, mode) in
        [(As::User("bob"), "/run/their/bobs", "0700"), (As::Root, "/run/their/roots", "0700")]
    {
        let Some(house) = wired_house(name) else { return };
        house.sh("install -d -m 1777 /run/their");
        let listens = || {
            let list = house.sh("cat /proc/net/unix");
            list.lines()
                .any(|line| line.contains(" 00010000 ") && line.ends_with(&format!("{directory}/ctl")))
        };
        let start = || {
            let words = ["vde_switch", "-s", directory, "-m", mode, "-f", "/dev/null"];
            let switch = house.spawn(who, &words);
            assert!(house.wait_until(SOON, listens), "{}", switch.said());
            switch
        };
        let switch = start();
        house.sh(&format!("chmod 700 {directory}"));
        let (owner, group) = if matches!(who, As::Root) { (0, 0) } else { (1001, 1001) };
        let record = format!("directory {directory}\nowner {owner}\ngroup {group}\npump {NOBODY_ELSE}\n");
        house.write_file(&format!("{ROOM}/switch"), record);
        let pump = start_pump(&house);
        assert_without_rights(&house, pump, "");
        let far = plug_in_far(&house, "far", directory, "10.9.0.2");
        assert!(reaches(&house, "10.9.0.2"), "no answer through the pump");
        drop((far, switch));
        assert!(house.wait_until(SOON, || !listens()));
        let _switch = start();
        plug_all(&house).success();
        let _far = plug_in_far(&house, "far2", directory, "10.9.0.3");
        assert!(reaches(&house, "10.9.0.3"), "the pump was not plugged in");
        assert_eq!(house.sh(&format!("cat {ROOM}/pump")).trim(), pump.to_string());
    }
}

#[test]
fn a_switch_and_its_pump_need_no_more_rights_than_the_unit_leaves_them() {
    let name = "a_switch_and_its_pump_need_no_more_rights_than_the_unit_leaves_them";
    if !have(name, &["setpriv", "unshare", "mountpoint"]) {
        return;
    }
    let Some(house) = wired_house(name) else { return };
    let record = format!("{ROOM}/switch");
    let confined = |words: &[&str]| {
        let confinement = Unit::read("vmnet@.service.in").confinement();
        let argv: Vec<&str> = confinement.iter().map(String::as_str).chain(words.iter().copied()).collect();
        house.spawn(As::Root, &argv)
    };
    let switch = confined(&[VMNET, "wire", "switch", "--record", &record]);
    assert!(house.wait_until(SOON, || listens(&house)), "{}", switch.said());
    let pump = confined(&[VMNET, "wire", "pump", "lab", "--record", &record]);
    assert_eq!(pump.line(SOON, |_| true).as_deref(), Ok("ready"));
    house.sh(&format!("kill -9 $(cat {ROOM}/switch.pid)"));
    assert!(house.wait_until(SOON, || !listens(&house)));
    let switch = confined(&[VMNET, "wire", "switch", "--record", &record]);
    assert!(house.wait_until(SOON, || listens(&house)), "{}", switch.said());
    let plugs = format!("{ROOM}/plugs");
    let mut plug = confined(&[VMNET, "wire", "plug", "--record", &record, "--plugs", &plugs]);
    assert!(plug.wait(SOON).success(), "{}", plug.said());
    let _far = plug_in_far(&house, "far", DIRECTORY, "10.9.0.2");
    assert!(reaches(&house, "10.9.0.2"), "the pump was not plugged in");
    let seen = house.sh(&format!("cat /proc/$(cat {ROOM}/switch.pid)/uid_map"));
    assert_eq!(seen.split_whitespace().collect::<Vec<_>>(), ["1", "1", "99999"], "the users it sees");
}
