//! What must be known of the host besides its links: its identity, its resolver, the account a
//! server may run as, its switches, and which subnets other managers lay claim to.

use crate::files::read_file;
use crate::links::{HostSnapshot, SeenRoute};
use crate::sysctl::{read, write};
use std::path::{Path, PathBuf};
use vmnet_access::name::IfName;
use vmnet_model::claimed_subnets;
use vmnet_model::dnsmasq::Place;
use vmnet_model::error::Error;
use vmnet_model::free_subnet::Taken;
use vmnet_model::subnet::Subnet;
use vmnet_sys::caller;

/// The machine's identity (machine-id(5)); empty where it has none.
pub fn machine() -> Vec<u8> {
    text("/etc/machine-id").unwrap_or_default().trim().as_bytes().to_vec()
}

/// Where and as whom the server of the network with this run directory runs: Debian's `dnsmasq` user, or nobody.
pub fn place(run_dir: &Path) -> Place {
    let account =
        ["dnsmasq", "nobody"].into_iter().find_map(|user| Some((user, caller::primary_group(user)?)));
    let (user, group) = account.unwrap_or(("root", "root".to_owned()));
    let resolver = "/etc/resolv.conf";
    Place {
        run_dir: run_dir.display().to_string(),
        user: user.to_owned(),
        group,
        resolver: Path::new(resolver).exists().then(|| resolver.to_owned()),
    }
}

/// Does the host translate frames on their way between ports of a bridge? Docker turns it on.
pub fn translates_frames() -> bool {
    text("/proc/sys/net/bridge/bridge-nf-call-iptables").is_some_and(|value| value.trim() == "1")
}

/// May what is for 127.0.0.1 be translated to addresses behind this link?
pub fn has_loopback(link: &IfName) -> bool {
    read(&loopback_switch(link)).is_ok_and(|value| value == "1")
}

/// Let what is for 127.0.0.1 be translated to addresses behind this link (`route_localnet`).
pub fn allow_loopback(link: &IfName) -> Result<(), Error> {
    write(&loopback_switch(link), "1")
}

fn loopback_switch(link: &IfName) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    Path::new("/proc/sys/net/ipv4/conf")
        .join(std::ffi::OsStr::from_bytes(link.as_bytes()))
        .join("route_localnet")
}

/// The MTU of the link that the default route goes by, the narrowest of several.
pub fn uplink_mtu(seen: &HostSnapshot) -> Option<u32> {
    let main = |route: &&SeenRoute| route.table == MAIN && route.destination.length() == 0;
    let links = seen.routes.iter().filter(main).filter_map(|route| route.interface);
    links.filter_map(|index| seen.links.iter().find(|link| link.index == index)).map(|link| link.mtu).min()
}

/// RT_TABLE_MAIN (include/uapi/linux/rtnetlink.h).
const MAIN: u32 = 254;

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
            claim(claimed_subnets::libvirt_network(&xml), "a libvirt network");
        }
    }
    for file in ["/etc/default/lxc-net", "/etc/default/lxc"] {
        claim(text(file).and_then(|text| claimed_subnets::lxc_net(&text)).into_iter().collect(), "lxc-net");
    }
    claim(
        text("/etc/docker/daemon.json").map(|t| claimed_subnets::docker_daemon(&t)).unwrap_or_default(),
        "Docker",
    );
    taken
}

fn text(path: &str) -> Option<String> {
    let bytes = read_file(Path::new(path)).ok().flatten()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
