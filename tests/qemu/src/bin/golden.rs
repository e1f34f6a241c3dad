//! Makes golden files: has the programs in VMNET_BIN_DIR bring up networks of every kind, in houses, and copies
//! what is then below /run/vmnet and /var/lib/vmnet into FOLDER, with a list of modes and owners.
//! Usage: golden FOLDER; the networks' files are those in FOLDER/config, or of the newest golden files.
//! `make golden COMMIT=…` calls it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rig::golden::{GOLDEN, MACHINE};
use rig::guest::mac;
use rig::house::{As, House, Privilege, VMNET};
use rig::libvirt::Domain;
use rig::process::Process;

const ALICE: As<'_> = As::User("alice");
const SOON: Duration = Duration::from_secs(20);

/// What a domain of libvirt's asks for.
const ASKED: &str = "<vmnet:network xmlns:vmnet='urn:vmnet:domain:1' name='closed' host='alpha'/>\
    <vmnet:network xmlns:vmnet='urn:vmnet:domain:1' name='routed' host='beta'>\
    <vmnet:forward listen='8090' to='80'/></vmnet:network>";

fn main() {
    let folder = std::env::args_os().nth(1).map(PathBuf::from).expect("usage: golden FOLDER");
    if !folder.join("config").exists() {
        let newest = GOLDEN.last().expect("one that is there").folder().join("config");
        fs::create_dir_all(&folder).expect("the folder");
        let copied = Command::new("cp").arg("-r").arg(newest).arg(&folder).status();
        assert!(copied.is_ok_and(|status| status.success()), "no config");
    }
    for part in ["run", "state"] {
        let _ = fs::remove_dir_all(folder.join(part));
    }
    let mut list = everything(&folder);
    list.extend(beside_firewalld(&folder));
    list.sort_by_key(|line| line.splitn(4, ' ').last().map(str::to_owned));
    list.dedup();
    fs::write(folder.join("list"), list.join("\n") + "\n").expect("the list");
    println!("{} files, directories and sockets", list.len());
}

/// A house with the networks' files and a link to the world, on which a router's words are heeded.
fn house(folder: &Path) -> House {
    let house = House::new();
    house.install();
    let config = folder.join("config");
    house.copy_in(&config.join("bridge.conf"), "/etc/vmnet/bridge.conf", 0o644);
    house.write_file("/etc/machine-id", MACHINE);
    for network in fs::read_dir(config.join("networks")).expect("the networks' files").flatten() {
        let place = format!("/etc/vmnet/networks/{}", network.file_name().display());
        house.copy_in(&network.path(), &place, 0o644);
    }
    house.sh("ip link add uplink0 type veth peer name world; ip address add 192.0.2.2/24 dev uplink0; ip link set uplink0 up; ip link set world up
         ip route add default dev uplink0; sysctl -qw net.ipv6.conf.uplink0.accept_ra=1");
    house
}

fn everything(folder: &Path) -> Vec<String> {
    let house = house(folder);
    nat(&house);
    let mut held = switches(&house);
    for network in ["routed", "closed", "a-network-with-a-long-name"] {
        house.up(network);
    }
    house.vmnet(&["cable", "wired", "routed"]).success();
    libvirt(&house);
    // By the helper, for a user whose ports are counted.
    held.push(holder(&house, ALICE, "brmgr0", &[]));
    halfway(&house);
    let leaver = leaving(&house);
    // Without rights of its own the helper asks a broker.
    house.install_with(Privilege::None);
    held.push(house.start_broker());
    let list = copy(&house, folder, "");
    house.sh(&format!("kill -CONT {leaver}"));
    drop(held);
    list
}

/// Leases, reservations and forwards, from the file and live.
fn nat(house: &House) {
    house.up("full");
    let (_alpha, _) = house.leased_station("alpha", "full");
    house.sh("ip netns add box");
    house.vmnet(&["attach", "full", "--netns", "box"]).success();
    let host = ["host", "add", "full", "mail", &mac("mail"), "--alias", "smtp"];
    house.vmnet(&host).success();
    house.vmnet(&["forward", "add", "full", "2525", "mail:25"]).success();
    house.vmnet(&["forward", "add", "full", "5353", "alpha:53", "--protocol", "udp"]).success();
}

/// Ours, somebody's, and a cable to somebody's, with somebody on each.
fn switches(house: &House) -> Vec<Process> {
    house.sh("install -d -o bob -g bob -m 755 /tmp/bob");
    let mut held =
        Vec::from(["wire", "far"].map(|name| somebodys_switch(house, &format!("/tmp/bob/{name}"))));
    // Somebody's switch is theirs, and root's.
    for (network, who) in [("wired", ALICE), ("joined", As::Root), ("wire", ALICE)] {
        house.up(network);
        held.push(holder(house, who, network, &["--vde"]));
    }
    house.vmnet(&["cable", "wired", "vde:///tmp/bob/far"]).success();
    held
}

fn somebodys_switch(house: &House, at: &str) -> Process {
    let switch = house.spawn(As::User("bob"), &["vde_switch", "-s", at, "-f", "/dev/null"]);
    let there = || house.outside_path(&format!("{at}/ctl")).exists();
    assert!(house.wait_until(SOON, there), "{}", switch.said());
    switch
}

/// Somebody who has a port.
fn holder(house: &House, who: As<'_>, network: &str, kind: &[&str]) -> Process {
    let argv = [&[VMNET, "exec", network], kind, &["--", "sh", "-c", "echo held; read -r word"]].concat();
    let holder = house.spawn(who, &argv);
    holder.line(SOON, |line| line == "held").unwrap_or_else(|e| panic!("{e}"));
    holder
}

/// As libvirt calls its hook.
fn libvirt(house: &House) {
    let domain = Domain::new("alpha").on_bridge("closed", "virtio").on_bridge("routed", "virtio");
    let argv = [VMNET, "hook", "libvirt", "qemu", "alpha", "prepare", "begin", "-"];
    let xml = domain.with_metadata(ASKED).xml();
    house.run_with(As::Root, &argv, Some(&xml), SOON).success();
}

/// An `up` killed at its second file: the first is the record, which says how far it came.
fn halfway(house: &House) {
    let kill = "-einject=renameat:signal=KILL:when=2";
    let argv = ["strace", "-o", "/tmp/house/trace", "-etrace=renameat", kill, VMNET, "up", "halfway"];
    assert_eq!(house.run(&argv).code(), -9, "{:?}", house.read_file("/tmp/house/trace"));
}

/// A `down` killed while it waited for the keeper, whose number is answered: it is held.
fn leaving(house: &House) -> u32 {
    house.up("leaving");
    let keeper = house.keeper("leaving");
    house.sh(&format!("kill -STOP {keeper}"));
    let down = house.spawn(As::Root, &[VMNET, "down", "leaving"]);
    let told = || house.read_file("/run/vmnet/leaving/keeper").is_some_and(|text| text.ends_with("leaves\n"));
    assert!(house.wait_until(SOON, told), "{}", down.said());
    drop(down);
    keeper
}

fn beside_firewalld(folder: &Path) -> Vec<String> {
    let house = house(folder);
    let _bus = house.start_dbus();
    let _firewalld = house.start_firewalld();
    house.up("walled");
    let marked = || house.outside_path("/run/vmnet/walled/firewalld").exists();
    assert!(house.wait_until(SOON, marked), "no mark");
    copy(&house, folder, "walled")
}

/// Copies what there is, or what is of one network; answers a line for each: kind, mode, owner, path.
fn copy(house: &House, folder: &Path, network: &str) -> Vec<String> {
    let found = house.sh("mkdir -p /var/lib/vmnet
         find /run/vmnet /var/lib/vmnet -mindepth 1 -printf '%y %m %u:%g %p\\n'");
    let found = found.replace(" /run/vmnet/", " run/").replace(" /var/lib/vmnet/", " state/");
    let lines: Vec<String> = found.lines().filter(|line| line.contains(network)).map(str::to_owned).collect();
    for line in lines.iter().filter(|line| line.starts_with("f ")) {
        let path = line.splitn(4, ' ').nth(3).expect("a path");
        let place = path.replacen("run/", "/run/vmnet/", 1).replacen("state/", "/var/lib/vmnet/", 1);
        let to = folder.join(path);
        fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        fs::copy(house.outside_path(&place), &to).unwrap_or_else(|e| panic!("{place}: {e}"));
    }
    lines
}
