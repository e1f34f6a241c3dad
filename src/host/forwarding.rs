//! The host's IPv4 forwarding. Writing `ip_forward` does more than it says: it also sets every
//! interface's `forwarding` and turns `accept_redirects` round (`inet_forward_change` in
//! net/ipv4/devinet.c), so a hardened host gets back all of that, not the one number.

use crate::sysctl::{read, write};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use vmnet_model::error::Error;
use vmnet_sys::trust::plain;

const SWITCH: &str = "/proc/sys/net/ipv4/ip_forward";
const REDIRECTS: &str = "/proc/sys/net/ipv4/conf/all/accept_redirects";
const INTERFACES: &str = "/proc/sys/net/ipv4/conf";

/// Forwarding as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forwarding {
    ip_forward: String,
    accept_redirects: String,
    /// `forwarding` of each interface, and of `default`.
    interfaces: BTreeMap<String, String>,
}

/// Does the host forward?
pub fn is_on() -> Result<bool, Error> {
    Ok(read(Path::new(SWITCH))? == "1")
}

/// Let the host forward IPv4.
pub fn enable() -> Result<(), Error> {
    write(Path::new(SWITCH), "1")
}

impl Forwarding {
    /// As it is now.
    pub fn now() -> Result<Self, Error> {
        let mut interfaces = BTreeMap::new();
        let entries = std::fs::read_dir(INTERFACES).map_err(|e| Error::new("list", INTERFACES, plain(&e)))?;
        for entry in entries.flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            // An interface may go while we look.
            if let (true, Ok(value)) = (name != "all", read(&switch_of(&name))) {
                interfaces.insert(name, value);
            }
        }
        let (ip_forward, accept_redirects) = (read(Path::new(SWITCH))?, read(Path::new(REDIRECTS))?);
        Ok(Self { ip_forward, accept_redirects, interfaces })
    }

    /// As it was: the switch first, because it moves the others.
    pub fn restore(&self) -> Result<(), Error> {
        write(Path::new(SWITCH), &self.ip_forward)?;
        for (name, value) in &self.interfaces {
            let path = switch_of(name);
            if path.exists() {
                write(&path, value)?;
            }
        }
        write(Path::new(REDIRECTS), &self.accept_redirects)
    }
}

fn switch_of(interface: &str) -> PathBuf {
    Path::new(INTERFACES).join(interface).join("forwarding")
}
