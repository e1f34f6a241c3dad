//! The host's IPv6: whether there is any, its part on a bridge, and its forwarding.
//!
//! A host that forwards takes no more router advertisements, and forgets the routes it had from
//! them, unless `accept_ra` is 2 (`rt6_purge_dflt_routers` and `ipv6_accept_ra` in net/ipv6): so
//! every link that takes them is told to go on before forwarding is turned on.

use crate::failure::{Failure, io};
use crate::sysctl::{read, write};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use vmnet_model::name::IfName;
use vmnet_model::plan::Ipv6Role;

const LINKS: &str = "/proc/sys/net/ipv6/conf";
const SWITCH: &str = "/proc/sys/net/ipv6/conf/all/forwarding";

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
pub fn turn_off(link: &IfName) -> Result<(), Failure> {
    let path = switch(link, "disable_ipv6");
    if path.exists() { write(&path, "1") } else { Ok(()) }
}

/// Make the host a router on a link.
pub fn make_router(link: &IfName) -> Result<(), Failure> {
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
    pub fn now() -> Result<Self, Failure> {
        let mut was = Self {
            all: read(Path::new(SWITCH))?,
            forwarding: BTreeMap::new(),
            accept_ra: BTreeMap::new(),
        };
        let entries = std::fs::read_dir(LINKS).map_err(|e| Failure::new("list", LINKS, io(&e)))?;
        for entry in entries.flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            // A link may go while we look.
            let (true, Ok(forwards)) = (name != "all", read(&entry.path().join("forwarding"))) else { continue };
            let takes = |ra: &String| ra == "1" && forwards == "0" && !matches!(name.as_str(), "default" | "lo");
            if let Some(ra) = read(&entry.path().join("accept_ra")).ok().filter(takes) {
                was.accept_ra.insert(name.clone(), ra);
            }
            was.forwarding.insert(name, forwards);
        }
        Ok(was)
    }

    /// The links that go on taking router advertisements because we say so.
    pub fn advertised(&self) -> impl Iterator<Item = &str> {
        self.accept_ra.keys().map(String::as_str)
    }

    /// Turn it on, and keep the host's own routes.
    pub fn enable(&self) -> Result<(), Failure> {
        for name in self.accept_ra.keys() {
            let path = Path::new(LINKS).join(name).join("accept_ra");
            if path.exists() {
                write(&path, "2")?;
            }
        }
        write(Path::new(SWITCH), "1")
    }

    /// As it was: the switch first, because it moves the others.
    pub fn restore(&self) -> Result<(), Failure> {
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
