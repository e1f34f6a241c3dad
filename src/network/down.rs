//! Taking a network down, from its record, one part after the other. It goes on after an error and tells
//! them all.

use crate::cables;
use crate::dirs::{Dirs, RunDir};
use crate::keeper_handle;
use crate::ports;
use crate::server;
use crate::store::run_record::{self, Phase, Record};
use std::thread;
use vmnet_access::name::{IfName, NetName};
use vmnet_host::files::gone;
use vmnet_host::firewalls as foreign;
use vmnet_host::links::{LinkError, Links, SeenLink};
use vmnet_model::error::{Error, network};
use vmnet_model::firewall;
use vmnet_model::plan::{Part, TAKING_DOWN, bridge_alias};
use vmnet_sys::lock::Lock;
use vmnet_sys::trust::plain;
use vmnet_tools::nft;
use vmnet_vswitch::settings;

/// How much a record tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traces {
    /// All that was done: it was kept step by step by the run that failed.
    Exact,
    /// What was about to be done: that run may have been killed anywhere.
    OnDisk,
}

/// Undo everything the record tells of, in its turns ([`TAKING_DOWN`]). Call it under the lock. What
/// could not be undone is answered, and the record is then kept, so that `down` can be tried again.
pub fn undo(dirs: &Dirs, bridge: &IfName, record: &Record, traces: Traces) -> Vec<String> {
    let going = Going { dirs, bridge, run_dir: dirs.run_dir(bridge), record, traces };
    let mut left = Vec::new();
    for turn in TAKING_DOWN {
        let is_last = turn.contains(&Part::RunDirectory);
        if left.is_empty() || !is_last {
            left.extend(going.turn(turn));
        }
    }
    left
}

/// A network that goes down.
struct Going<'a> {
    dirs: &'a Dirs,
    bridge: &'a IfName,
    run_dir: RunDir,
    record: &'a Record,
    traces: Traces,
}

impl Going<'_> {
    /// Undo these parts at the same time, the first of them on this thread. What is left of each is
    /// answered in their order.
    fn turn(&self, parts: &[Part]) -> Vec<String> {
        let Some((first, others)) = parts.split_first() else { return Vec::new() };
        thread::scope(|scope| {
            let begin = |part: Part| {
                let thread = thread::Builder::new().name("undo".to_owned());
                (part, thread.spawn_scoped(scope, move || self.undo(part)))
            };
            let begun: Vec<_> = others.iter().copied().map(begin).collect();
            let mut left = self.undo(*first);
            for (part, thread) in begun {
                left.extend(match thread {
                    Ok(thread) => thread
                        .join()
                        .unwrap_or_else(|_| vec!["a part of it could not be waited for".to_owned()]),
                    // No thread to be had: then one after the other.
                    Err(_) => self.undo(part),
                });
            }
            left
        })
    }

    /// Undo one part, and answer what is left of it.
    fn undo(&self, part: Part) -> Vec<String> {
        let words = |failure: Error| failure.to_string();
        let done = match part {
            Part::CablePumps => cables::stop(&self.run_dir).map_err(words),
            Part::Switch => settings::stop(&self.run_dir.switch()).map_err(words),
            Part::Server => return self.stop_server(),
            Part::Links => remove_links(self.bridge, self.record),
            Part::Tables => self.remove_tables(),
            Part::OtherFirewalls => {
                return foreign::close(&self.record.network, self.bridge, &self.run_dir.firewalld());
            }
            Part::Forwarding => restore_forwarding(self.dirs, self.bridge, self.record).map_err(words),
            Part::Forwarding6 => restore_forwarding6(self.dirs, self.bridge, self.record).map_err(words),
            Part::RunDirectory => remove_room(&self.run_dir),
        };
        done.err().into_iter().collect()
    }

    fn stop_server(&self) -> Vec<String> {
        let stopped = |error: std::io::Error| format!("cannot stop dnsmasq: {}", plain(&error));
        let starting = self.record.phase == Phase::Starting;
        let strays = starting.then(|| server::stop_strays(&self.run_dir, None).map_err(stopped));
        let own = server::stop(&self.run_dir).map_err(stopped);
        strays.into_iter().chain([own]).filter_map(Result::err).collect()
    }

    fn remove_tables(&self) -> Result<(), String> {
        if self.traces == Traces::Exact && self.record.ruleset.is_none() {
            return Ok(());
        }
        let name = NetName::new(&self.record.network).map_err(|error| error.to_string())?;
        nft::load(&firewall::removal(&name.table(), self.record.filtered))
            .map_err(|error| format!("cannot remove the firewall table: {error}"))
    }
}

/// The host forwards as long as any network needs it; the last one puts the old value back. Until
/// then the value is handed on.
fn restore_forwarding(dirs: &Dirs, bridge: &IfName, record: &Record) -> Result<(), Error> {
    let Some(was) = &record.forwarding_was else { return Ok(()) };
    match next_forwarder(dirs, bridge, |other| other.forwards)? {
        None => was.restore(),
        Some((run_dir, mut other)) => {
            other.forwarding_was.get_or_insert_with(|| was.clone());
            other.write(&run_dir)
        }
    }
}

fn restore_forwarding6(dirs: &Dirs, bridge: &IfName, record: &Record) -> Result<(), Error> {
    let Some(was) = &record.forwarding6_was else { return Ok(()) };
    let has_ipv6 = |other: &Record| other.addresses.iter().any(|(address, _)| address.is_ipv6());
    match next_forwarder(dirs, bridge, |other| other.forwards && has_ipv6(other))? {
        None => was.restore(),
        Some((run_dir, mut other)) => {
            other.forwarding6_was.get_or_insert_with(|| was.clone());
            other.write(&run_dir)
        }
    }
}

/// Another running network that still needs what this one turned on.
fn next_forwarder(
    dirs: &Dirs,
    bridge: &IfName,
    needs: impl Fn(&Record) -> bool,
) -> Result<Option<(RunDir, Record)>, Error> {
    let mut others = run_record::all(dirs)?.into_iter();
    let found = others.find(|(other_bridge, other)| other_bridge != bridge && needs(other));
    Ok(found.map(|(other_bridge, other)| (dirs.run_dir(&other_bridge), other)))
}

/// The bridge, and what stays and is held by nobody. By a connection of its own: the one that a
/// failed `up` had may be what failed.
fn remove_links(bridge: &IfName, record: &Record) -> Result<(), String> {
    let links = Links::open().map_err(|error| error.to_string())?;
    let parted = cables::remove_pairs(&links, bridge);
    let removed = remove_bridge(&links, bridge, record);
    parted.and(removed).and(remove_vacant(&links, bridge)).map_err(|error| error.to_string())
}

/// Only a bridge of ours goes: somebody may have made another one of that name meanwhile.
fn remove_bridge(links: &Links, bridge: &IfName, record: &Record) -> Result<(), LinkError> {
    let Some(link) = links.find(bridge)? else { return Ok(()) };
    let ours = match &link.alias {
        Some(alias) => *alias == bridge_alias(&record.network),
        None => link.mac.is_some_and(|mac| mac.to_string() == record.mac),
    };
    if !ours || link.kind.as_deref() != Some("bridge") {
        return Ok(());
    }
    links.delete(link.index)
}

/// TAPs of this bridge that stay and that nobody holds go with it. Those that are held are left to
/// their holders, and the next `up` takes them back.
fn remove_vacant(links: &Links, bridge: &IfName) -> Result<(), LinkError> {
    let is_left = |link: &SeenLink| {
        link.master.is_none() && link.is_vacant() && link.tag().is_some_and(|tag| tag.bridge == *bridge)
    };
    let all = links.links()?;
    for link in all.iter().filter(|link| is_left(link)) {
        links.delete(link.index)?;
    }
    Ok(())
}

/// The record goes last: as long as it is there, `down` knows what is left to do.
fn remove_room(run_dir: &RunDir) -> Result<(), String> {
    let attempt = || -> std::io::Result<()> {
        for entry in std::fs::read_dir(run_dir.path())? {
            let entry = entry?;
            if entry.path() == run_dir.record() {
                continue;
            }
            let is_dir = entry.file_type()?.is_dir();
            gone(if is_dir {
                std::fs::remove_dir_all(entry.path())
            } else {
                std::fs::remove_file(entry.path())
            })?;
        }
        gone(std::fs::remove_file(run_dir.record()))?;
        std::fs::remove_dir(run_dir.path())
    };
    gone(attempt()).map_err(|error| format!("cannot remove {}: {}", run_dir.path().display(), plain(&error)))
}

/// Remove what is left of a network without a record: an `up` that was killed before it wrote
/// one, a `down` that was killed after it removed it, or a keeper that took over just then.
pub fn sweep(dirs: &Dirs, run_dir: &RunDir) -> Result<(), Error> {
    if !dirs.run.exists() || run_dir.record().exists() {
        return Ok(());
    }
    let lock = dirs.lock()?;
    if !run_dir.record().exists() {
        remove_room(run_dir).map_err(|cause| Error::new("tidy", run_dir.path().display(), cause))?;
    }
    dirs.tidy(lock);
    Ok(())
}

/// Under whom a network may go down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Down {
    /// Under nobody.
    UnlessUsed,
    /// Under guests too.
    Force,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is down.
    Down,
    /// It was not up. What was left of it is gone.
    NotUp,
    /// These are attached, each in a few words, and it stays up.
    Used(Vec<String>),
}

/// Take a network down, and have its keeper leave it first.
///
/// # Errors
/// Its keeper does not leave, or something of it could not be undone: then it is half down, with a record, and
/// this can be tried again.
pub fn down(dirs: &Dirs, name: &NetName, how: Down) -> Result<Outcome, Error> {
    let run_dir = dirs.run_dir(&name.bridge());
    if Record::read(&run_dir)?.is_none() {
        sweep(dirs, &run_dir)?;
        return Ok(Outcome::NotUp);
    }
    if how == Down::UnlessUsed {
        let links = Links::open().map_err(|error| Error::new("take down", network(name), error))?;
        let who = ports::attached(dirs, &links, &name.bridge(), ports::phrase)?;
        if !who.is_empty() {
            return Ok(Outcome::Used(who));
        }
    }
    // Before the lock is taken: a keeper that waits for the lock itself could not hear us.
    keeper_handle::send_keeper_away(dirs, name)?;
    take_down(dirs, name)?;
    Ok(Outcome::Down)
}

/// Take it down under the lock, whoever asks.
pub fn take_down(dirs: &Dirs, name: &NetName) -> Result<(), Error> {
    let lock = dirs.lock()?;
    take_down_under(lock, dirs, name)
}

/// Take it down under a lock that is held already.
pub fn take_down_under(lock: Lock, dirs: &Dirs, name: &NetName) -> Result<(), Error> {
    let bridge = name.bridge();
    let Some(record) = Record::read(&dirs.run_dir(&bridge))? else {
        dirs.tidy(lock);
        return Ok(());
    };
    dirs.begin_changes();
    let left = undo(dirs, &bridge, &record, Traces::OnDisk);
    dirs.tidy(lock);
    match left.split_first() {
        None => Ok(()),
        Some((first, rest)) => Err(Error::new("take down", network(name), first).and(rest)),
    }
}
