//! Forwards as `forward list` shows them: where each leads now, whether it is open, and how many
//! connections it took.

use super::settled;
use crate::memory::Memory;
use crate::networks;
use crate::places::Places;
use crate::record::{Phase, Record};
use crate::view;
use serde_json::Value;
use std::net::IpAddr;
use vmnet_access::name::NetName;
use vmnet_model::error::Error;
use vmnet_model::firewall::forwards::{self, Opened};
use vmnet_model::firewall::{forwards_shown, hits};
use vmnet_model::guest;
use vmnet_tools::nft;

/// One forward.
pub struct Row {
    network: NetName,
    opened: Opened,
    /// Added live, or from the file.
    live: bool,
    state: &'static str,
    hits: Option<u64>,
}

/// Those of a network, up or down. Only root sees what the firewall counts.
pub fn rows(places: &Places, name: &NetName) -> Result<Vec<Row>, Error> {
    let file = networks::read(places, name).map_err(|why| why.failure("list the forwards of", name))?;
    let network = Memory::of(places, name)?.add_to(&file);
    if network.forwards.is_empty() {
        return Ok(Vec::new());
    }
    let room = places.room(&name.bridge());
    let record = Record::read(&room)?.filter(|r| r.phase == Phase::Up && r.network == name.as_str());
    let subnet = record.as_ref().and_then(|record| Some((record, record.subnet()?)));
    let opened = match subnet {
        Some((record, subnet)) => {
            let known = guest::known(&network.hosts, &view::leases(&room)?);
            forwards::open(&settled(&network, subnet, Some(record)), &known)
        }
        None => {
            let down = |forward| Opened { forward, address: None, address6: None };
            network.forwards.iter().cloned().map(down).collect()
        }
    };
    let listing = if record.is_some() { listing(name)? } else { Some(String::new()) };
    let shown = listing.as_deref().map(forwards_shown);
    let counted = listing.as_deref().map(hits).unwrap_or_default();
    let row = |opened: Opened| {
        let counter = opened.counter();
        let is = |comment: &String| shown.as_ref().is_none_or(|shown| shown.contains(comment));
        Row {
            network: name.clone(),
            live: !file.forwards.contains(&opened.forward),
            state: match (&record, opened.leads()) {
                (None, _) => "closed",
                (Some(_), false) => "waits",
                (Some(_), true) if forwards::shown(std::slice::from_ref(&opened)).iter().all(is) => "open",
                (Some(_), true) => "closed",
            },
            hits: counted.iter().find(|(name, _)| *name == counter).map(|(_, hits)| *hits),
            opened,
        }
    };
    Ok(opened.into_iter().map(row).collect())
}

/// None for all but root.
fn listing(name: &NetName) -> Result<Option<String>, Error> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(None);
    }
    let listing = nft::list_counted("inet", &name.table());
    listing.map(|text| Some(text.unwrap_or_default())).map_err(|e| Error::new("list", "the firewall", e))
}

impl Row {
    /// Column heads of [`Row::cells`].
    pub const HEAD: [&'static str; 7] = ["NETWORK", "LISTEN", "PROTOCOL", "TO", "ADDRESS", "HITS", "STATE"];

    /// As a row of a table.
    pub fn cells(&self) -> Vec<String> {
        let forward = &self.opened.forward;
        vec![
            self.network.to_string(),
            forward.listen.to_string(),
            forward.protocol.as_str().to_owned(),
            forward.to.to_string(),
            addresses(&self.opened).unwrap_or_else(|| "-".to_owned()),
            self.hits.map_or_else(|| "-".to_owned(), |hits| hits.to_string()),
            self.state.to_owned(),
        ]
    }

    /// As JSON. `hits` counts connections; null where it is not known.
    pub fn json(&self) -> Value {
        let more = [("hits", self.hits.into()), ("live", self.live.into())];
        describe(&self.network, &self.opened, self.state, more)
    }
}

/// A forward as JSON.
pub fn describe<const N: usize>(
    network: &NetName,
    opened: &Opened,
    state: &str,
    more: [(&str, Value); N],
) -> Value {
    let forward = &opened.forward;
    let pairs = [
        ("network", network.as_str().into()),
        ("listen", forward.listen.to_string().into()),
        ("port", forward.listen.ports.first.into()),
        ("protocol", forward.protocol.as_str().into()),
        ("to", forward.to.to_string().into()),
        ("address", opened.address.map(|address| address.to_string()).into()),
        ("address6", opened.address6.map(|address| address.to_string()).into()),
        ("state", state.into()),
    ];
    pairs.into_iter().chain(more).map(|(key, value): (&str, Value)| (key.to_owned(), value)).collect()
}

/// Where it leads, in words; none where nowhere yet.
pub fn addresses(opened: &Opened) -> Option<String> {
    let v4 = opened.address.map(IpAddr::V4);
    let all: Vec<String> =
        v4.into_iter().chain(opened.address6.map(IpAddr::V6)).map(|address| address.to_string()).collect();
    (!all.is_empty()).then(|| all.join(" "))
}
