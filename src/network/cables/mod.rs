//! Cables added and taken away live: remembered with both ends, plugged in as soon as both are there.
//!
//! | file | knows |
//! |---|---|
//! | `graph` | which wires of this host are one, and which cables must not be |
//! | `observe` | the cables a network is to have, and those it has |
//! | `apply` | plugging in and out |

mod apply;
mod graph;
mod observe;

pub use apply::{Site, apply, pumps, remove_pairs, stop, switches};
pub use observe::{goals, seen};

use crate::dirs::Dirs;
use crate::store::definitions;
use crate::store::live_changes::LiveChanges;
use crate::store::run_record::{Phase, Record};
use vmnet_access::name::NetName;
use vmnet_access::vde::Directory;
use vmnet_host::links::Links;
use vmnet_model::cable::{Edge, End, unfit};
use vmnet_model::error::{Error, ErrorKind, network};
use vmnet_model::network::Network;
use vmnet_model::plan::{self, Aspect};

/// What came of adding a cable.
pub struct Added {
    /// Where it leads, by the name that it is remembered by.
    pub to: End,
    /// How it is now; none where the network is down.
    pub now: Option<Aspect>,
    /// Both networks hand out addresses.
    pub two_servers: bool,
}

/// Join two wires.
pub fn add(dirs: &Dirs, name: &NetName, to: &End) -> Result<Added, Error> {
    let failed = |cause: &dyn std::fmt::Display| Error::new("join", words(name, to), cause);
    let own = fit(dirs, name)?;
    let to = resolve(to).map_err(|cause| failed(&cause).kind(ErrorKind::Invalid))?;
    let far = match &to {
        End::Network(other) => Some(fit(dirs, other)?),
        End::Switch(_) => {
            observe::too_wide(&own).map_or(Ok(()), |why| Err(failed(&why).kind(ErrorKind::Invalid)))?;
            None
        }
    };
    let lock = dirs.lock()?;
    dirs.begin_changes();
    let result = add_locked(dirs, name, &to);
    dirs.tidy(lock);
    let two_servers = far.is_some_and(|far| far.dhcp.enabled && own.dhcp.enabled);
    result.map(|now| Added { to, now, two_servers })
}

fn add_locked(dirs: &Dirs, name: &NetName, to: &End) -> Result<Option<Aspect>, Error> {
    let failed = |cause: String| Error::new("join", words(name, to), cause);
    if own_end(name) == *to {
        return Err(failed("both ends are one".to_owned()).kind(ErrorKind::Invalid));
    }
    let joined = graph::of(dirs)?.join(Edge(own_end(name), to.clone()));
    let joined = joined
        .map_err(|circle| failed(format!("they are joined already: {circle}")).kind(ErrorKind::Conflict));
    // Whoever did it before may have been killed half-way.
    let half = joined.is_err() && is_remembered(dirs, name, to)?;
    if !half {
        joined.clone()?;
    }
    let wrote = remember(dirs, name, to)?;
    let followed = follow(dirs, name, to)?;
    if half && !wrote && !followed.changed {
        joined.map_err(|failure| failure.kind(ErrorKind::Exists))?;
    }
    Ok(followed.row)
}

/// Part them again.
pub fn remove(dirs: &Dirs, name: &NetName, to: &End) -> Result<End, Error> {
    let lock = dirs.lock()?;
    dirs.begin_changes();
    let result = remove_locked(dirs, name, to);
    dirs.tidy(lock);
    result
}

fn remove_locked(dirs: &Dirs, name: &NetName, to: &End) -> Result<End, Error> {
    let failed = |cause: &dyn std::fmt::Display| Error::new("part", words(name, to), cause);
    let memory = LiveChanges::of(dirs, name)?;
    // Its path may lead elsewhere by now.
    let written = if memory.cables().any(|cable| cable == *to) { Ok(to.clone()) } else { resolve(to) };
    let to = written.map_err(|cause| failed(&cause).kind(ErrorKind::Invalid))?;
    let mut gone = forget(dirs, name, &to)?;
    if let End::Network(other) = &to {
        gone |= forget(dirs, other, &own_end(name))?;
    }
    // Also one that is forgotten: whoever did that may have been killed half-way.
    gone |= follow(dirs, name, &to)?.changed;
    if let End::Network(other) = &to {
        gone |= follow(dirs, other, &own_end(name))?.changed;
    }
    if gone { Ok(to) } else { Err(failed(&"there is no cable between them").kind(ErrorKind::Invalid)) }
}

fn own_end(name: &NetName) -> End {
    End::Network(name.clone())
}

/// `network 'a' with network 'b'`
fn words(name: &NetName, to: &End) -> String {
    match to {
        End::Network(other) => format!("{} with {}", network(name), network(other)),
        End::Switch(_) => format!("{} with switch '{to}'", network(name)),
    }
}

/// The network, which must be one that can have cables.
fn fit(dirs: &Dirs, name: &NetName) -> Result<Network, Error> {
    let wanted = definitions::read(dirs, name).map_err(|why| why.failure("join", name))?;
    match unfit(&wanted) {
        Some(why) => Err(Error::new("join", network(name), why)
            .kind(ErrorKind::Invalid)
            .hint("guests behind a cable share one port")),
        None => Ok(wanted),
    }
}

/// A switch by the path that all others lead to, if it is there.
fn resolve(end: &End) -> Result<End, String> {
    let End::Switch(directory) = end else { return Ok(end.clone()) };
    let real = match std::fs::canonicalize(directory.as_str()) {
        Ok(path) => path,
        Err(_) => return Ok(end.clone()),
    };
    let text = real.to_str().ok_or("its path is not UTF-8")?;
    Directory::new(text).map(End::Switch).map_err(|why| format!("{text}: {why}"))
}

/// Does one of its ends know of it?
fn is_remembered(dirs: &Dirs, name: &NetName, to: &End) -> Result<bool, Error> {
    let knows = |of: &NetName, end: &End| Ok(LiveChanges::of(dirs, of)?.cables().any(|cable| cable == *end));
    match to {
        End::Network(other) if knows(other, &own_end(name))? => Ok(true),
        _ => knows(name, to),
    }
}

/// Write it down for both ends; true if that was new to one.
fn remember(dirs: &Dirs, name: &NetName, to: &End) -> Result<bool, Error> {
    let note = |of: &NetName, end: &End| {
        let mut memory = LiveChanges::of(dirs, of)?;
        let new = !memory.cables().any(|cable| cable == *end);
        if new {
            memory.cables.push(end.to_string());
            memory.keep(dirs, of)?;
        }
        Ok(new)
    };
    let far = match to {
        End::Network(other) => note(other, &own_end(name))?,
        End::Switch(_) => false,
    };
    Ok(note(name, to)? || far)
}

/// True if there was one.
fn forget(dirs: &Dirs, of: &NetName, to: &End) -> Result<bool, Error> {
    let mut memory = LiveChanges::of(dirs, of)?;
    let before = memory.cables.len();
    memory.cables.retain(|text| *text != to.to_string());
    let gone = memory.cables.len() < before;
    if gone {
        memory.keep(dirs, of)?;
    }
    Ok(gone)
}

/// What came of a change.
#[derive(Default)]
struct Followed {
    /// Something was to be done.
    changed: bool,
    /// How the cable is now; none where the network is down.
    row: Option<Aspect>,
}

/// Have a network that is up follow. Call it under the lock.
fn follow(dirs: &Dirs, name: &NetName, to: &End) -> Result<Followed, Error> {
    let failed = |cause: &dyn std::fmt::Display| Error::new("change the cables of", network(name), cause);
    let run_dir = dirs.run_dir(&name.bridge());
    if !Record::read(&run_dir)?
        .is_some_and(|record| record.network == name.as_str() && record.phase == Phase::Up)
    {
        return Ok(Followed::default());
    }
    let links = Links::open().map_err(|error| failed(&error))?;
    let site = Site { name, links: &links, run_dir: &run_dir };
    let steps = site.steps(dirs)?;
    for step in &steps {
        apply(&site, step)?;
    }
    let host = links.snapshot().map_err(|error| failed(&error))?;
    let goals = goals(dirs, name, None, &host)?;
    let rows = plan::cable_rows(&goals, &seen(&run_dir, name, &goals, &host)?);
    let row = rows.into_iter().find(|row| row.what.ends_with(&format!(" {to}")));
    Ok(Followed { changed: !steps.is_empty(), row })
}
