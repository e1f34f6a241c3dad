//! One interface's wishes fulfilled as `vmnet host add` and `vmnet forward add` would, and taken back. What
//! is about to be done is noted first, so that a kill leaves nothing behind that nobody knows of.

use super::domain::{DomainId, Want};
use super::notes::{Applied, Note};
use std::net::Ipv4Addr;
use vmnet_access::name::NetName;
use vmnet_host::log::Log;
use vmnet_model::error::Error;
use vmnet_model::forward::Forward;
use vmnet_model::guest::{Reservation, Who};
use vmnet_model::network::Network;
use vmnet_network::dirs::Dirs;
use vmnet_network::reservations::Asked;
use vmnet_network::store::definitions;
use vmnet_network::store::live_changes::{LiveChanges, SavedForward, SavedReservation};
use vmnet_network::{forwards, reservations};

/// Do what is wanted and not there yet.
///
/// # Errors
/// Something of it cannot be done; what was done till then is noted.
pub fn apply(dirs: &Dirs, id: &DomainId, note: &mut Note, want: &Want) -> Result<(), Error> {
    let (network, mac) = (want.network.to_string(), want.mac.to_string());
    if note.applied.iter().any(|applied| applied.network == network && applied.mac == mac) {
        return Ok(());
    }
    let name = &want.network;
    let now = definitions::with_live(dirs, name).map_err(|why| why.failure("prepare", name))?;
    let host = want.host.as_ref().map(|(name, address)| host(want, name, *address));
    let host = host.filter(|host| !now.hosts.iter().any(|other| is_as_asked(other, host)));
    let missing: Vec<&Forward> = want.forwards.iter().filter(|one| !now.forwards.contains(one)).collect();
    let at = note.applied.len();
    note.applied.push(Applied {
        network,
        mac,
        host: host.as_ref().map(SavedReservation::from),
        forwards: missing.iter().map(|forward| SavedForward::from(*forward)).collect(),
    });
    note.keep(dirs, id)?;
    let done = fulfil(dirs, name, host, &missing)?;
    // The address that was chosen.
    if let Some(applied) = note.applied.get_mut(at) {
        (applied.host, applied.forwards) = done;
    }
    note.keep(dirs, id)
}

fn fulfil(
    dirs: &Dirs,
    name: &NetName,
    host: Option<Reservation>,
    missing: &[&Forward],
) -> Result<(Option<SavedReservation>, Vec<SavedForward>), Error> {
    let reserve = |host: Reservation| {
        let asked =
            Asked { name: host.name, mac: host.mac, address: host.address, address6: None, aliases: vec![] };
        let added = reservations::add(dirs, name, &asked)?;
        added.notes.iter().for_each(|note| Log::Foreground.info(note));
        Ok(SavedReservation::from(&added.host))
    };
    let host = host.map(reserve).transpose()?;
    let open = |forward: &&Forward| {
        forwards::add(dirs, name, forward.listen, forward.to.clone(), forward.protocol)
            .map(|added| SavedForward::from(&added.opened.forward))
    };
    Ok((host, missing.iter().map(open).collect::<Result<_, _>>()?))
}

fn host(want: &Want, name: &str, address: Option<Ipv4Addr>) -> Reservation {
    Reservation { name: name.to_owned(), mac: want.mac, address, address6: None, aliases: vec![] }
}

/// Is this reservation one that fulfils what was asked for, whatever else it says?
fn is_as_asked(host: &Reservation, asked: &Reservation) -> bool {
    host.name == asked.name
        && host.mac == asked.mac
        && (asked.address.is_none() || host.address == asked.address)
}

/// Is this the very reservation that was noted? Of one that was only begun no address is known.
fn is_noted(host: &Reservation, noted: &Reservation) -> bool {
    *host == Reservation { address: noted.address.or(host.address), ..noted.clone() }
}

/// Take back what was done for one interface, and only that: what was changed since is its changer's.
///
/// # Errors
/// Something of it is still there.
pub fn undo(dirs: &Dirs, applied: &Applied) -> Result<(), Error> {
    // Neither a name that is none any more nor a network that is gone has anything of ours.
    let Ok(name) = NetName::new(&applied.network) else { return Ok(()) };
    let live = live(dirs, &name)?;
    for forward in applied.forwards.iter().filter_map(SavedForward::forward) {
        if live.forwards.contains(&forward) {
            forwards::remove(dirs, &name, forward.listen, Some(forward.protocol))?;
        }
    }
    if let Some(host) = applied.host.as_ref().and_then(SavedReservation::host)
        && live.hosts.iter().any(|other| is_noted(other, &host))
    {
        reservations::remove(dirs, &name, &Who::Mac(host.mac))?;
    }
    Ok(())
}

/// What was added to a network live.
fn live(dirs: &Dirs, name: &NetName) -> Result<Network, Error> {
    Ok(LiveChanges::of(dirs, name)?.add_to(&Network::with_defaults(name.clone())))
}
