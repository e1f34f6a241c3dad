//! Reservations added and taken away live: remembered, and told to the server of a network that is
//! up. What the network's file reserves is its own; it counts more, and is changed there.

use crate::apply::Work;
use crate::dirs::Dirs;
use crate::leases;
use crate::resolve::settle;
use crate::store::definitions;
use crate::store::live_changes::{LiveChanges, SavedReservation};
use crate::store::run_record::{Phase, Record};
use crate::up::{PlanInput, look};
use std::net::{Ipv4Addr, Ipv6Addr};
use vmnet_access::mac::MacAddr;
use vmnet_access::name::NetName;
use vmnet_host::links::Links;
use vmnet_model::error::{Error, ErrorKind, network};
use vmnet_model::guest::{Reservation, Who};
use vmnet_model::lease::Lease;
use vmnet_model::network::{Mode, Network};
use vmnet_model::plan;
use vmnet_model::reservation::{self, Refusal};

/// What is asked for; all names in lower case.
pub struct Asked {
    /// The guest's name.
    pub name: String,
    /// Its MAC.
    pub mac: MacAddr,
    /// Its address; none: vmnet chooses.
    pub address: Option<Ipv4Addr>,
    /// Its IPv6 address.
    pub address6: Option<Ipv6Addr>,
    /// Its further names.
    pub aliases: Vec<String>,
}

/// What came of adding a reservation.
pub struct Added {
    /// The reservation, its address chosen.
    pub host: Reservation,
    /// The reservation was there before.
    pub already: bool,
    /// The guest's lease, if that is on another address.
    pub holds: Option<Lease>,
    /// What whoever asked should hear besides, a sentence each.
    pub notes: Vec<String>,
}

/// A reservation as it counts.
pub struct Reserved {
    /// The reservation.
    pub host: Reservation,
    /// Added live, or from the file.
    pub live: bool,
}

/// All that count.
pub fn all(dirs: &Dirs, name: &NetName) -> Result<Vec<Reserved>, Error> {
    let file = definitions::read(dirs, name).map_err(|why| why.failure("list the hosts of", name))?;
    let hosts = LiveChanges::of(dirs, name)?.add_to(&file).hosts;
    Ok(hosts.into_iter().map(|host| Reserved { live: !file.hosts.contains(&host), host }).collect())
}

/// Reserve an address and name for a guest.
pub fn add(dirs: &Dirs, name: &NetName, asked: &Asked) -> Result<Added, Error> {
    let file = definitions::read(dirs, name).map_err(|why| why.failure("reserve a host of", name))?;
    let lock = dirs.lock()?;
    let result = add_locked(dirs, &file, asked);
    dirs.tidy(lock);
    result
}

fn add_locked(dirs: &Dirs, file: &Network, asked: &Asked) -> Result<Added, Error> {
    let object = format!("'{}' on {}", asked.name, network(&file.name));
    let failed = |cause: &dyn std::fmt::Display| Error::new("reserve", &object, cause);
    if file.mode == Mode::Vde {
        return Err(failed(&"it is a wire without the host, which gives out no addresses there")
            .kind(ErrorKind::Invalid));
    }
    let run_dir = dirs.run_dir(&file.name.bridge());
    let leases = leases::leases(&run_dir)?;
    let elsewhere = |host: &Reservation| {
        let lease = leases.iter().find(|lease| lease.mac == host.mac);
        lease.filter(|lease| host.address.is_some_and(|address| address != lease.address)).cloned()
    };
    let links = Links::open().map_err(|error| failed(&error))?;
    let seen = links.snapshot().map_err(|error| failed(&error))?;
    // Where the subnet is open, one is chosen and remembered: the address must be of it.
    let mut notes = Vec::new();
    let wanted = settle(dirs, file, &seen, Record::read(&run_dir)?.as_ref(), false, &mut notes)?;
    if let Some(host) = wanted.network.hosts.iter().find(|host| asked.is(host)) {
        return Ok(Added { host: host.clone(), already: true, holds: elsewhere(host), notes });
    }
    let refused = |why: Refusal| explain(failed(&why).kind(why.kind()), &why, dirs, file);
    let with = |address| Reservation {
        name: asked.name.clone(),
        mac: asked.mac,
        address,
        address6: asked.address6,
        aliases: asked.aliases.clone(),
    };
    // First without, so that a name or MAC that is taken is told before an address is looked for.
    reservation::check(&with(asked.address), &wanted, &leases).map_err(refused)?;
    let chosen = || reservation::choose(asked.mac, &wanted, &leases).map_err(refused);
    let host = with(Some(asked.address.map_or_else(chosen, Ok)?));
    let mut memory = LiveChanges::of(dirs, &file.name)?;
    // What a file claimed meanwhile does not count any more, and would come back after it.
    memory.hosts.retain(|note| note.host().is_some_and(|old| wanted.network.hosts.contains(&old)));
    memory.hosts.push(SavedReservation::from(&host));
    keep(dirs, file, &memory)?;
    Ok(Added { already: false, holds: elsewhere(&host), host, notes })
}

impl Asked {
    /// Is it this one?
    fn is(&self, host: &Reservation) -> bool {
        self.name == host.name
            && self.mac == host.mac
            && (self.address.is_none() || self.address == host.address)
            && self.address6 == host.address6
            && self.aliases == host.aliases
    }
}

fn explain(failure: Error, why: &Refusal, dirs: &Dirs, file: &Network) -> Error {
    let name = &file.name;
    match why {
        Refusal::Name(_, holder) | Refusal::Mac(_, holder) | Refusal::Address(_, holder) => {
            if file.hosts.iter().any(|host| host.name == *holder) {
                failure.hint(format!("'{holder}' stands in {}", definitions::place(dirs, name).display()))
            } else {
                failure.hint(format!("'vmnet host rm {name} {holder}' takes that back"))
            }
        }
        Refusal::Leased(..) => failure.hint("leave the address out, and vmnet chooses a free one"),
        _ => failure,
    }
}

/// Take a reservation back. Answers it.
pub fn remove(dirs: &Dirs, name: &NetName, who: &Who) -> Result<Reservation, Error> {
    let file = definitions::read(dirs, name).map_err(|why| why.failure("remove a host of", name))?;
    let lock = dirs.lock()?;
    let result = remove_locked(dirs, &file, who);
    dirs.tidy(lock);
    result
}

fn remove_locked(dirs: &Dirs, file: &Network, who: &Who) -> Result<Reservation, Error> {
    let failed =
        |cause: String| Error::new("remove", format!("host '{who}' of {}", network(&file.name)), cause);
    let mut memory = LiveChanges::of(dirs, &file.name)?;
    let gone = memory.hosts.iter().filter_map(SavedReservation::host).find(|host| host.is(who));
    let Some(gone) = gone else {
        if file.hosts.iter().any(|host| host.is(who)) {
            let path = definitions::place(dirs, &file.name);
            return Err(failed(format!("it stands in {}", path.display()))
                .kind(ErrorKind::Invalid)
                .hint(format!("take it out there; then 'vmnet up {}' forgets it", file.name)));
        }
        let hint = format!("'vmnet host list {}' shows what there is", file.name);
        return Err(failed("nothing is reserved for it".to_owned()).kind(ErrorKind::Invalid).hint(hint));
    };
    memory.hosts.retain(|note| note.host().is_some_and(|host| host != gone));
    keep(dirs, file, &memory)?;
    Ok(gone)
}

/// Remember, and have a network that is up follow. Call it under the lock.
fn keep(dirs: &Dirs, file: &Network, memory: &LiveChanges) -> Result<(), Error> {
    dirs.begin_changes();
    memory.keep(dirs, &file.name)?;
    let run_dir = dirs.run_dir(&file.name.bridge());
    if !Record::read(&run_dir)?.is_some_and(|record| record.phase == Phase::Up) {
        return Ok(());
    }
    let links = Links::open().map_err(|error| Error::new("change", network(&file.name), error))?;
    let PlanInput { goal, run_dir, record, host, seen, .. } = look(dirs, &links, file, false)?;
    let Some(mut record) = record else { return Ok(()) };
    let index = host.links.iter().find(|link| link.name == goal.wanted.bridge).map(|link| link.index);
    let steps = plan::live(&goal, &seen);
    let mut work =
        Work { links: &links, goal: &goal, run_dir: &run_dir, record: &mut record, index, loading: None };
    let done = work.apply(&steps);
    record.write(&run_dir)?;
    done
}
