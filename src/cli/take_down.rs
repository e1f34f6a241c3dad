//! Taking a network down, from its record: servers first, then rules, sysctl, bridge and files.
//! It goes on after an error and tells them all.

use crate::failure::{Failure, io, network};
use crate::host;
use crate::links::Links;
use crate::places::{Places, Room};
use crate::process;
use crate::record::{self, Record};
use crate::up::finish_what_is_begun;
use vmnet_model::firewall;
use vmnet_model::name::{IfName, NetName};
use vmnet_model::plan::bridge_alias;
use vmnet_tools::nft;

/// How much a record tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traces {
    /// All that was done: it was kept step by step by the run that failed.
    Exact,
    /// What was about to be done: that run may have been killed anywhere.
    OnDisk,
}

/// Undo everything the record tells of. Call it under the lock. What could not be undone is
/// answered, and the record is then kept, so that `down` can be tried again.
pub async fn undo(
    places: &Places,
    links: &Links,
    bridge: &IfName,
    record: &Record,
    traces: Traces,
) -> Vec<String> {
    let room = places.room(bridge);
    let mut left = Vec::new();
    let mut note = |result: Result<(), String>| left.extend(result.err());
    note(process::stop_server(&room).map_err(|error| format!("cannot stop dnsmasq: {}", io(&error))));
    if traces == Traces::OnDisk || record.ruleset.is_some() {
        note(remove_table(&record.network));
    }
    note(restore_forwarding(places, bridge, record).map_err(|failure| failure.to_string()));
    note(remove_bridge(links, bridge, record).await);
    if left.is_empty() {
        left.extend(remove_room(&room).err());
    }
    left
}

fn remove_table(name: &str) -> Result<(), String> {
    let name = NetName::new(name).map_err(|error| error.to_string())?;
    nft::load(&firewall::removal(&name.table()))
        .map_err(|error| format!("cannot remove the firewall table: {error}"))
}

/// The host forwards as long as any network needs it; the last one puts the old value back. Until
/// then the value is handed on.
fn restore_forwarding(places: &Places, bridge: &IfName, record: &Record) -> Result<(), Failure> {
    let Some(was) = &record.forwarding_was else { return Ok(()) };
    for (other_bridge, mut other) in record::all(places)? {
        if other_bridge != *bridge && other.forwards {
            other.forwarding_was.get_or_insert_with(|| was.clone());
            return other.write(&places.room(&other_bridge));
        }
    }
    host::set_forwarding(was)
}

/// Only a bridge of ours goes: somebody may have made another one of that name meanwhile.
async fn remove_bridge(links: &Links, bridge: &IfName, record: &Record) -> Result<(), String> {
    let Some(link) = links.find(bridge).await.map_err(|error| error.to_string())? else { return Ok(()) };
    let ours = match &link.alias {
        Some(alias) => *alias == bridge_alias(&record.network),
        None => link.mac.is_some_and(|mac| mac.to_string() == record.mac),
    };
    if !ours || link.kind.as_deref() != Some("bridge") {
        return Ok(());
    }
    links.delete(link.index).await.map_err(|error| error.to_string())
}

fn remove_room(room: &Room) -> Result<(), String> {
    match std::fs::remove_dir_all(room.path()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("cannot remove {}: {}", room.path().display(), io(&error)))
        }
        _ => Ok(()),
    }
}

/// Remove what a keeper leaves that took over a network just as it went down: a directory with
/// nothing but its own file in it.
pub fn sweep(places: &Places, room: &Room) -> Result<(), Failure> {
    if !room.path().exists() || room.record().exists() {
        return Ok(());
    }
    let lock = places.lock()?;
    if !room.record().exists() {
        remove_room(room).map_err(|cause| Failure::new("tidy", room.path().display(), cause))?;
    }
    places.tidy(lock);
    Ok(())
}

/// Take it down under the lock, whoever asks.
pub async fn take_down(places: &Places, links: &Links, name: &NetName) -> Result<(), Failure> {
    let bridge = name.bridge();
    let lock = places.lock()?;
    let Some(record) = Record::read(&places.room(&bridge))? else {
        places.tidy(lock);
        return Ok(());
    };
    finish_what_is_begun();
    let left = undo(places, links, &bridge, &record, Traces::OnDisk).await;
    places.tidy(lock);
    match left.split_first() {
        None => Ok(()),
        Some((first, rest)) => Err(Failure::new("take down", network(name), first).and(rest)),
    }
}
