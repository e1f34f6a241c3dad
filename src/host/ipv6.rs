//! The host's IPv6: whether there is any, its part on a bridge, and its forwarding.
//!
//! A host that forwards takes no more router advertisements, and forgets the routes it had from
//! them, unless `accept_ra` is 2 (`rt6_purge_dflt_routers` and `ipv6_accept_ra` in net/ipv6): so
//! every link that takes them is told to go on before forwarding is turned on.

use crate::sysctl::{read, write};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use vmnet_access::name::IfName;
use vmnet_model::error::Error;
use vmnet_model::plan::Ipv6Role;
use vmnet_sys::trust::plain;

const LINKS: &str = "/proc/sys/net/ipv6/conf";
const SWITCH: &str = "/proc/sys/net/ipv6/conf/all/forwarding";
const ROUTES: &str = "/proc/net/ipv6_route";
/// The flag of a route that a router advertised (include/uapi/linux/ipv6_route.h).
const RTF_ADDRCONF: u32 = 0x0004_0000;

/// Has the kernel IPv6 at all?
pub fn is_there() -> bool {
    Path::new(SWITCH).exists()
}

/// What a router's link has: nothing taken from others, and addresses that count at once.
const ROUTER: [(&str, &str); 4] =
    [("accept_ra", "0"), ("autoconf", "0"), ("accept_dad", "0"), ("disable_ipv6", "0")];

/// The host's part on a link.
pub fn role(link: &IfName) -> Ipv6Role {
    let is = |(key, value): &(&str, &str)| read(&switch(link, key)).is_ok_and(|now| now == *value);
    match read(&switch(link, "disable_ipv6")) {
        Ok(off) if off == "0" => {
            if ROUTER.iter().all(is) {
                Ipv6Role::Router
            } else {
                Ipv6Role::Host
            }
        }
        _ => Ipv6Role::Off,
    }
}

/// Turn IPv6 off on a link.
pub fn turn_off(link: &IfName) -> Result<(), Error> {
    let path = switch(link, "disable_ipv6");
    if path.exists() { write(&path, "1") } else { Ok(()) }
}

/// Make the host a router on a link.
pub fn make_router(link: &IfName) -> Result<(), Error> {
    ROUTER.iter().try_for_each(|(key, value)| write(&switch(link, key), value))
}

fn switch(link: &IfName, key: &str) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    Path::new(LINKS).join(std::ffi::OsStr::from_bytes(link.as_bytes())).join(key)
}

/// Forwarding as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forwarding6 {
    all: String,
    /// `forwarding` of each link, and of `default`.
    forwarding: BTreeMap<String, String>,
    /// `accept_ra` of the links that are told to go on.
    accept_ra: BTreeMap<String, String>,
}

/// Does the host forward?
pub fn forwards() -> bool {
    read(Path::new(SWITCH)).is_ok_and(|now| now == "1")
}

impl Forwarding6 {
    /// As it is now.
    pub fn now() -> Result<Self, Error> {
        let mut was =
            Self { all: read(Path::new(SWITCH))?, forwarding: BTreeMap::new(), accept_ra: BTreeMap::new() };
        let entries = std::fs::read_dir(LINKS).map_err(|e| Error::new("list", LINKS, plain(&e)))?;
        for entry in entries.flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            // A link may go while we look.
            let (true, Ok(forwards)) = (name != "all", read(&entry.path().join("forwarding"))) else {
                continue;
            };
            let is_off = read(&entry.path().join("disable_ipv6")).is_ok_and(|off| off == "1");
            let counts = forwards == "0" && !is_off && !matches!(name.as_str(), "default" | "lo");
            let takes = |ra: &String| ra == "1" && counts;
            if let Some(ra) = read(&entry.path().join("accept_ra")).ok().filter(takes) {
                was.accept_ra.insert(name.clone(), ra);
            }
            was.forwarding.insert(name, forwards);
        }
        Ok(was)
    }

    /// The links that have routes from router advertisements and keep them because we say so.
    pub fn advertised(&self) -> impl Iterator<Item = &str> {
        let routes = std::fs::read_to_string(ROUTES).unwrap_or_default();
        let has_route = move |name: &&str| routes.lines().any(|line| is_advertised(line, name));
        self.accept_ra.keys().map(String::as_str).filter(has_route)
    }

    /// Turn it on, and keep the host's own routes.
    pub fn enable(&self) -> Result<(), Error> {
        for name in self.accept_ra.keys() {
            let path = Path::new(LINKS).join(name).join("accept_ra");
            if path.exists() {
                write(&path, "2")?;
            }
        }
        write(Path::new(SWITCH), "1")
    }

    /// As it was: the switch first, because it moves the others.
    pub fn restore(&self) -> Result<(), Error> {
        write(Path::new(SWITCH), &self.all)?;
        let forwarding = self.forwarding.iter().map(|(name, value)| (name, "forwarding", value));
        let accept_ra = self.accept_ra.iter().map(|(name, value)| (name, "accept_ra", value));
        for (name, key, value) in forwarding.chain(accept_ra) {
            let path = Path::new(LINKS).join(name).join(key);
            if path.exists() {
                write(&path, value)?;
            }
        }
        Ok(())
    }
}

/// Is this line of [`ROUTES`] a route by this link that a router advertised? Its last two words are
/// flags and link (rt6_info_route in net/ipv6/route.c).
fn is_advertised(line: &str, link: &str) -> bool {
    let mut words = line.split_whitespace().rev();
    let (name, flags) = (words.next(), words.next().and_then(|word| u32::from_str_radix(word, 16).ok()));
    name == Some(link) && flags.is_some_and(|flags| flags & RTF_ADDRCONF != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_advertised_route_is_known_by_its_flag() {
        let zero = "00000000000000000000000000000000";
        let line =
            |flags, link| format!("{zero} 00 {zero} 00 {zero} 00000400 00000001 00000000 {flags} {link:>8}");
        assert!(is_advertised(&line("00450003", "eth0"), "eth0"));
        assert!(!is_advertised(&line("00450003", "eth0"), "eth1"));
        assert!(!is_advertised(&line("00000003", "eth0"), "eth0"), "an administrator's");
        assert!(!is_advertised("", ""));
    }
}
