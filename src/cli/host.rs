//! What must be known of the host besides its links: its identity, its resolver, the account a
//! server may run as, its IPv6 switches, and which subnets other managers lay claim to.

use crate::places::read_file;
use std::path::Path;
use vmnet_model::dnsmasq::Place;
use vmnet_model::managers;
use vmnet_model::search::Taken;
use vmnet_model::subnet::Subnet;
use vmnet_sys::caller;

use crate::failure::{Failure, io};
use crate::places::Room;

/// The machine's identity (machine-id(5)); empty where it has none.
pub fn machine() -> Vec<u8> {
    text("/etc/machine-id").unwrap_or_default().trim().as_bytes().to_vec()
}

/// Where and as whom a network's server runs: Debian's `dnsmasq` user, or nobody.
pub fn place(room: &Room) -> Place {
    let account =
        ["dnsmasq", "nobody"].into_iter().find_map(|user| Some((user, caller::primary_group(user)?)));
    let (user, group) = account.unwrap_or(("root", "root".to_owned()));
    let resolver = "/etc/resolv.conf";
    Place {
        run_dir: room.path().display().to_string(),
        user: user.to_owned(),
        group,
        resolver: Path::new(resolver).exists().then(|| resolver.to_owned()),
    }
}

/// Is the host's IPv6 off on this link? True also where the kernel has none.
pub fn ipv6_off(link: &vmnet_model::name::IfName) -> bool {
    text(&ipv6_switch(link)).is_none_or(|value| value.trim() == "1")
}

/// Turn the host's IPv6 off on a link.
pub fn turn_ipv6_off(link: &vmnet_model::name::IfName) -> Result<(), Failure> {
    let switch = ipv6_switch(link);
    if Path::new(&switch).exists() { write_sysctl(&switch, "1") } else { Ok(()) }
}

fn ipv6_switch(link: &vmnet_model::name::IfName) -> String {
    format!("/proc/sys/net/ipv6/conf/{}/disable_ipv6", String::from_utf8_lossy(link.as_bytes()))
}

/// Compared first: a read-only /proc/sys is no trouble where the value is right already.
fn write_sysctl(path: &str, value: &str) -> Result<(), Failure> {
    if text(path).is_some_and(|now| now.trim() == value) {
        return Ok(());
    }
    std::fs::write(path, value).map_err(|error| Failure::new("set", path, io(&error)))
}

/// The subnets that other managers' files name, up or down. A file we may not read says nothing.
pub fn claimed() -> Vec<Taken> {
    let mut taken = Vec::new();
    let mut claim = |subnets: Vec<Subnet>, by: &str| {
        taken.extend(subnets.into_iter().map(|subnet| Taken { subnet, reason: by.to_owned() }));
    };
    for directory in ["/etc/libvirt/qemu/networks", "/run/libvirt/network"] {
        let Ok(entries) = std::fs::read_dir(directory) else { continue };
        for entry in entries.flatten().filter(|entry| entry.path().extension().is_some_and(|e| e == "xml")) {
            let xml = text(&entry.path().display().to_string()).unwrap_or_default();
            claim(managers::libvirt_network(&xml), "a libvirt network");
        }
    }
    for file in ["/etc/default/lxc-net", "/etc/default/lxc"] {
        claim(text(file).and_then(|text| managers::lxc_net(&text)).into_iter().collect(), "lxc-net");
    }
    claim(text("/etc/docker/daemon.json").map(|t| managers::docker_daemon(&t)).unwrap_or_default(), "Docker");
    taken
}

fn text(path: &str) -> Option<String> {
    let bytes = read_file(Path::new(path)).ok().flatten()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
