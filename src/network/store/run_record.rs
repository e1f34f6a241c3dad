//! The record of a running network, from which `down` works.

use crate::dirs::{Dirs, RunDir};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};
use vmnet_access::name::{IfName, fnv1a};
use vmnet_host::files::{read_json, write_json};
use vmnet_host::forwarding::Forwarding;
use vmnet_host::ipv6::Forwarding6;
use vmnet_model::error::Error;
use vmnet_model::firewall;
use vmnet_model::firewall::forwards::Opened;
use vmnet_model::plan::DesiredState;
use vmnet_model::subnet::Subnet;

/// In place of a subnet.
pub const NO_SUBNET: &str = "none";

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
    /// `ADDRESS/LENGTH` of the subnet; [`NO_SUBNET`] on a bare wire.
    pub subnet: String,
    /// The bridge's address, the guests' gateway.
    pub address: Ipv4Addr,
    /// All addresses that were given to it.
    #[serde(default)]
    pub addresses: Vec<(IpAddr, u8)>,
    /// The bridge's MAC, by which it is known before it has its alias.
    pub mac: String,
    /// The network needs the host to forward.
    pub forwards: bool,
    /// The host's forwarding as it was, if we changed it.
    pub forwarding_was: Option<Forwarding>,
    /// The host's IPv6 forwarding as it was before.
    #[serde(default)]
    pub forwarding6_was: Option<Forwarding6>,
    /// What was loaded, and how the kernel then showed it.
    pub ruleset: Option<Loaded>,
    /// A hash of what the tables know of guests.
    #[serde(default)]
    pub known: Option<String>,
    /// There may be a table for frames too.
    #[serde(default)]
    pub filtered: bool,
    /// The forwards' counters: of those that are loaded, and of those that wait.
    #[serde(default)]
    pub counters: Vec<String>,
}

/// Hashes of the text that was loaded and of the kernel's listing right afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loaded {
    text: String,
    listing: String,
}

impl Loaded {
    /// The mark of a network's tables, without what comes and goes in them, and of their
    /// listing (`observe::list`).
    pub fn new(goal: &DesiredState, listing: &str) -> Self {
        Self { text: mark(&firewall::essence(&goal.ruleset)), listing: mark(&firewall::essence(listing)) }
    }
}

fn mark(text: &str) -> String {
    format!("{:016x}", fnv1a(text.as_bytes()))
}

impl Record {
    /// The record of a network that is about to come up; what an earlier one knows is kept.
    pub fn begin(goal: &DesiredState, earlier: Option<&Self>) -> Self {
        let wanted = &goal.wanted;
        Self {
            network: wanted.name().to_string(),
            phase: earlier.map_or(Phase::Starting, |record| record.phase),
            subnet: wanted.subnets().first().map_or_else(|| NO_SUBNET.to_owned(), Subnet::to_string),
            address: wanted.address,
            addresses: goal.addresses(),
            mac: wanted.mac.to_string(),
            forwards: goal.forwards(),
            forwarding_was: earlier.and_then(|record| record.forwarding_was.clone()),
            forwarding6_was: earlier.and_then(|record| record.forwarding6_was.clone()),
            ruleset: earlier.and_then(|record| record.ruleset.clone()),
            known: earlier.and_then(|record| record.known.clone()),
            filtered: wanted.network.is_filtered() || earlier.is_some_and(|record| record.filtered),
            counters: earlier.map(|record| record.counters.clone()).unwrap_or_default(),
        }
    }

    /// The addresses that were given to the bridge, also as an earlier version noted them.
    pub fn given(&self) -> Vec<(IpAddr, u8)> {
        match (self.addresses.is_empty(), self.subnet()) {
            (true, Some(subnet)) => vec![(self.address.into(), subnet.length())],
            _ => self.addresses.clone(),
        }
    }

    /// Note the forwards that are loaded now, and those that wait for their guests.
    pub fn count(&mut self, forwards: &[Opened]) {
        self.counters = forwards.iter().map(Opened::counter).collect();
    }

    /// Does the record name exactly these forwards?
    pub fn counts(&self, forwards: &[Opened]) -> bool {
        self.counters.iter().eq(&forwards.iter().map(Opened::counter).collect::<Vec<_>>())
    }

    /// Note that the tables know of the guests what they should.
    pub fn learn(&mut self, goal: &DesiredState) {
        self.known = goal.known.as_deref().map(mark);
    }

    /// Do the tables, by this record, know of the guests what they should?
    pub fn knows(&self, goal: &DesiredState) -> bool {
        self.known == goal.known.as_deref().map(mark)
    }

    /// The subnet it holds; none on a bare wire.
    pub fn subnet(&self) -> Option<Subnet> {
        self.subnet.parse().ok()
    }

    /// Read a network's record; none if the network is down.
    pub fn read(run_dir: &RunDir) -> Result<Option<Self>, Error> {
        read_json(&run_dir.record())
    }

    /// Write the record, whole.
    pub fn write(&self, run_dir: &RunDir) -> Result<(), Error> {
        run_dir.make()?;
        write_json(&run_dir.record(), self)
    }
}

/// Every running network's bridge and record.
pub fn all(dirs: &Dirs) -> Result<Vec<(IfName, Record)>, Error> {
    let Ok(entries) = std::fs::read_dir(&dirs.run) else { return Ok(Vec::new()) };
    let mut records = Vec::new();
    for entry in entries.flatten() {
        let Ok(bridge) = IfName::new(entry.file_name().as_encoded_bytes()) else { continue };
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if let Some(record) = Record::read(&dirs.run_dir(&bridge))? {
            records.push((bridge, record));
        }
    }
    records.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(records)
}
