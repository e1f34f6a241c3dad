//! What must be remembered: the record of a running network, from which `down` works, and the
//! subnet that was chosen, which outlives a reboot.

use crate::failure::Failure;
use crate::forwarding::Forwarding;
use crate::places::{Places, Room, make_directory, read_file, write_file};
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;
use std::path::Path;
use vmnet_model::name::{IfName, NetName, fnv1a};
use vmnet_model::network::Wanted;
use vmnet_model::subnet::Subnet;

/// How far `up` came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It began; whatever it may have made is ours to remove.
    Starting,
    /// It finished.
    Up,
}

/// The record. Written before the first change, so that a kill at any moment leaves enough to
/// clean up by, and again after the last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The network.
    pub network: String,
    /// How far it came.
    pub phase: Phase,
    /// `ADDRESS/LENGTH` of the subnet.
    pub subnet: String,
    /// The bridge's address.
    pub address: Ipv4Addr,
    /// The bridge's MAC, by which it is known before it has its alias.
    pub mac: String,
    /// It needs the host to forward.
    pub forwards: bool,
    /// The host's forwarding as it was, if we changed it.
    pub forwarding_was: Option<Forwarding>,
    /// What was loaded, and how nft then listed it.
    pub ruleset: Option<Loaded>,
}

/// Hashes of the text that was loaded and of nft's listing right afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loaded {
    text: String,
    listing: String,
}

impl Loaded {
    /// The mark of a text and its listing.
    pub fn new(text: &str, listing: &str) -> Self {
        Self { text: mark(text), listing: mark(listing) }
    }
}

fn mark(text: &str) -> String {
    format!("{:016x}", fnv1a(text.as_bytes()))
}

impl Record {
    /// The record of a network that is about to come up; what an earlier one knows is kept.
    pub fn begin(wanted: &Wanted, forwards: bool, earlier: Option<&Self>) -> Self {
        Self {
            network: wanted.network.name.to_string(),
            phase: earlier.map_or(Phase::Starting, |record| record.phase),
            subnet: wanted.subnet.to_string(),
            address: wanted.address,
            mac: wanted.mac.to_string(),
            forwards,
            forwarding_was: earlier.and_then(|record| record.forwarding_was.clone()),
            ruleset: earlier.and_then(|record| record.ruleset.clone()),
        }
    }

    /// The subnet it holds.
    pub fn subnet(&self) -> Option<Subnet> {
        self.subnet.parse().ok()
    }

    /// Read it; none if the network is down.
    pub fn read(room: &Room) -> Result<Option<Self>, Failure> {
        read_json(&room.record())
    }

    /// Write it.
    pub fn write(&self, room: &Room) -> Result<(), Failure> {
        room.make()?;
        write_json(&room.record(), self)
    }
}

/// Every running network's bridge and record.
pub fn all(places: &Places) -> Result<Vec<(IfName, Record)>, Failure> {
    let Ok(entries) = std::fs::read_dir(&places.run) else { return Ok(Vec::new()) };
    let mut records = Vec::new();
    for entry in entries.flatten() {
        let Ok(bridge) = IfName::new(entry.file_name().as_encoded_bytes()) else { continue };
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if let Some(record) = Record::read(&places.room(&bridge))? {
            records.push((bridge, record));
        }
    }
    records.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(records)
}

/// What outlives a reboot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// The subnet that was chosen.
    pub subnet: String,
}

impl Memory {
    /// The subnet remembered for a network.
    pub fn subnet_of(places: &Places, name: &NetName) -> Result<Option<Subnet>, Failure> {
        let memory: Option<Self> = read_json(&places.memory(name))?;
        Ok(memory.and_then(|memory| memory.subnet.parse().ok()))
    }

    /// Remember one.
    pub fn remember(places: &Places, name: &NetName, subnet: Subnet) -> Result<(), Failure> {
        make_directory(&places.state)?;
        write_json(&places.memory(name), &Self { subnet: subnet.to_string() })
    }

    /// The networks of which something is remembered.
    pub fn names(places: &Places) -> Vec<NetName> {
        let Ok(entries) = std::fs::read_dir(&places.state) else { return Vec::new() };
        let name = |entry: std::fs::DirEntry| {
            let file = entry.file_name();
            NetName::new(file.to_str()?.strip_suffix(".json")?).ok()
        };
        entries.flatten().filter_map(name).collect()
    }
}

fn read_json<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<Option<T>, Failure> {
    let Some(bytes) = read_file(path)? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| Failure::new("read", path.display(), error))
}

fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), Failure> {
    let text =
        serde_json::to_string_pretty(value).map_err(|error| Failure::new("write", path.display(), error))?;
    write_file(path, &(text + "\n"), 0o644)
}
