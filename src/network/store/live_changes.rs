//! What is remembered of a network across reboots: the subnet that was chosen, and the reservations
//! and forwards that were added while it ran. Kept in the words of the network's file.

use crate::dirs::{Dirs, STATE_ENDING};
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, Ipv6Addr};
use vmnet_access::name::NetName;
use vmnet_host::files::{gone, make_directory, read_json, write_json};
use vmnet_model::cable::End;
use vmnet_model::error::Error;
use vmnet_model::forward::Forward;
use vmnet_model::guest::{Reservation, is_host_name};
use vmnet_model::network::Network;
use vmnet_model::subnet::Subnet;
use vmnet_sys::trust::plain;

/// The memory of one network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveChanges {
    /// The subnet that was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subnet: Option<String>,
    /// Reservations added live.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<SavedReservation>,
    /// Forwards added live.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forwards: Vec<SavedForward>,
    /// Where its cables lead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cables: Vec<String>,
}

/// A reservation as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedReservation {
    name: String,
    mac: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<Ipv4Addr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address6: Option<Ipv6Addr>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<String>,
}

/// A forward as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedForward {
    listen: String,
    to: String,
    protocol: String,
}

impl From<&Reservation> for SavedReservation {
    fn from(host: &Reservation) -> Self {
        Self {
            name: host.name.clone(),
            mac: host.mac.to_string(),
            address: host.address,
            address6: host.address6,
            aliases: host.aliases.clone(),
        }
    }
}

impl SavedReservation {
    /// Read back; none if somebody wrote something else there.
    pub fn host(&self) -> Option<Reservation> {
        let legal = is_host_name(&self.name) && self.aliases.iter().all(|alias| is_host_name(alias));
        Some(Reservation {
            name: Some(self.name.clone()).filter(|_| legal)?,
            mac: self.mac.parse().ok()?,
            address: self.address,
            address6: self.address6,
            aliases: self.aliases.clone(),
        })
    }
}

impl From<&Forward> for SavedForward {
    fn from(forward: &Forward) -> Self {
        Self {
            listen: forward.listen.to_string(),
            to: forward.to.to_string(),
            protocol: forward.protocol.as_str().to_owned(),
        }
    }
}

impl SavedForward {
    /// Read back; none if somebody wrote something else there.
    pub fn forward(&self) -> Option<Forward> {
        let (listen, to) = (self.listen.parse().ok()?, self.to.parse().ok()?);
        Forward::new(listen, to, self.protocol.parse().ok()?).ok()
    }
}

impl LiveChanges {
    /// What is remembered; nothing of a network that was never up.
    pub fn of(dirs: &Dirs, name: &NetName) -> Result<Self, Error> {
        Ok(read_json(&dirs.memory(name))?.unwrap_or_default())
    }

    /// Write the live changes of a network down. Call it under the lock.
    pub fn keep(&self, dirs: &Dirs, name: &NetName) -> Result<(), Error> {
        make_directory(&dirs.state)?;
        write_json(&dirs.memory(name), self)
    }

    /// Forget all that is remembered of a network, and at the other networks the cables that lead to it.
    /// Call it under the lock, while the network is down. What another network remembers illegibly counts
    /// for nothing, and stays.
    pub fn forget(dirs: &Dirs, name: &NetName) -> Result<(), Error> {
        let end = End::Network(name.clone()).to_string();
        for other in Self::names(dirs).into_iter().filter(|other| other != name) {
            let Ok(mut memory) = Self::of(dirs, &other) else { continue };
            let before = memory.cables.len();
            memory.cables.retain(|cable| *cable != end);
            if memory.cables.len() < before {
                memory.keep(dirs, &other)?;
            }
        }
        let path = dirs.memory(name);
        gone(std::fs::remove_file(&path)).map_err(|error| Error::new("remove", path.display(), plain(&error)))
    }

    /// The subnet remembered for a network.
    pub fn subnet_of(dirs: &Dirs, name: &NetName) -> Result<Option<Subnet>, Error> {
        Ok(Self::of(dirs, name)?.subnet.and_then(|subnet| subnet.parse().ok()))
    }

    /// Remember one.
    pub fn remember(dirs: &Dirs, name: &NetName, subnet: Subnet) -> Result<(), Error> {
        let mut memory = Self::of(dirs, name)?;
        memory.subnet = Some(subnet.to_string());
        memory.keep(dirs, name)
    }

    /// The network as its file has it, with what was added live. Where the two contradict each
    /// other the file counts.
    pub fn add_to(&self, network: &Network) -> Network {
        let mut network = network.clone();
        for host in self.hosts.iter().filter_map(SavedReservation::host) {
            let same = |other: &Reservation| {
                other.mac == host.mac
                    || other.names().any(|name| host.names().any(|own| own == name))
                    || (other.address.is_some() && other.address == host.address)
                    || (other.address6.is_some() && other.address6 == host.address6)
            };
            if !network.hosts.iter().any(same) {
                network.hosts.push(host);
            }
        }
        for forward in self.forwards.iter().filter_map(SavedForward::forward) {
            if !network.forwards.iter().any(|other| other.overlaps(&forward)) {
                network.forwards.push(forward);
            }
        }
        network
    }

    /// Where its cables lead; what somebody else wrote there is passed over.
    pub fn cables(&self) -> impl Iterator<Item = End> {
        self.cables.iter().filter_map(|text| text.parse().ok())
    }

    /// The networks of which something is remembered.
    pub fn names(dirs: &Dirs) -> Vec<NetName> {
        let Ok(entries) = std::fs::read_dir(&dirs.state) else { return Vec::new() };
        let name = |entry: std::fs::DirEntry| {
            let file = entry.file_name();
            NetName::new(file.to_str()?.strip_suffix(STATE_ENDING)?).ok()
        };
        entries.flatten().filter_map(name).collect()
    }
}
