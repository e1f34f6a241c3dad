//! The forwards of a network: where each leads now, whether it is open, and how many
//! connections it took.

use super::settled;
use crate::dirs::Dirs;
use crate::leases;
use crate::store::definitions;
use crate::store::live_changes::LiveChanges;
use crate::store::run_record::{Phase, Record};
use vmnet_access::name::NetName;
use vmnet_model::error::Error;
use vmnet_model::firewall::forwards::{self, Opened};
use vmnet_model::firewall::{forwards_shown, hits};
use vmnet_model::guest;
use vmnet_tools::nft;

/// One forward as it is listed.
pub struct Row {
    /// The network that it is of.
    pub network: NetName,
    /// Where it leads now.
    pub opened: Opened,
    /// Added live, or from the file.
    pub live: bool,
    /// Whether it leads there.
    pub state: State,
    /// So many connections it took; none where that is not known.
    pub hits: Option<u64>,
}

/// How far a forward is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The firewall leads it to its guest.
    Open,
    /// Its guest has no address yet.
    Waits,
    /// The network is down, or the firewall knows nothing of it.
    Closed,
}

/// Those of a network, up or down. Only root sees what the firewall counts.
pub fn rows(dirs: &Dirs, name: &NetName) -> Result<Vec<Row>, Error> {
    let file = definitions::read(dirs, name).map_err(|why| why.failure("list the forwards of", name))?;
    let network = LiveChanges::of(dirs, name)?.add_to(&file);
    if network.forwards.is_empty() {
        return Ok(Vec::new());
    }
    let run_dir = dirs.run_dir(&name.bridge());
    let record = Record::read(&run_dir)?.filter(|r| r.phase == Phase::Up && r.network == name.as_str());
    let subnet = record.as_ref().and_then(|record| Some((record, record.subnet()?)));
    let opened = match subnet {
        Some((record, subnet)) => {
            let known = guest::known(&network.hosts, &leases::leases(&run_dir)?);
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
                (None, _) => State::Closed,
                (Some(_), false) => State::Waits,
                (Some(_), true) if forwards::shown(std::slice::from_ref(&opened)).iter().all(is) => {
                    State::Open
                }
                (Some(_), true) => State::Closed,
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
