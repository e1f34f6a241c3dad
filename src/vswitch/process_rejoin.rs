//! `vmnet wire plug`: after a switch was started again, everybody who held a port on it gets one again. QEMU
//! and the pump notice nothing: it is their own sockets that are connected anew.

use crate::dir::SwitchDir;
use crate::fit_queues;
use crate::held_sockets::Descriptors;
use crate::join_for::{self, Kind, Refused};
use crate::recorded;
use crate::widen_queues;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use vmnet_access::port_record::SwitchAccess;
use vmnet_access::vde_port_tag::Held;
use vmnet_model::error::Error;
use vmnet_sys::trust::plain;
use vmnet_vde::held_port::{self, ControlSocket, VdePort};

/// After so many that the switch did not answer, it is full or hangs, and no more are tried.
const SILENCES_MAX: u32 = 2;
/// After this time no more are tried.
pub const LIMIT: Duration = Duration::from_secs(25);

/// Plug them all in: one that cannot be does not keep the others from it, and is told at once. Answers whether
/// all are.
pub fn run(path: &Path, plugs: &Path, tell: &mut dyn FnMut(&Error)) -> Result<bool, Error> {
    let switch = recorded(path)?;
    let mut holders = holders(plugs)?;
    let found = Descriptors::of(&holders);
    take_turns(&mut holders, switch.pump);
    let (mut silences, mut all, end) = (0, true, Instant::now() + LIMIT);
    let mut waiting = holders.into_iter();
    while let Some(holder) = waiting.next() {
        let refused = match again(&switch.door, &holder, &found, plugs) {
            Err(refused) => refused,
            Ok(plug) => {
                if let Some(pump) = plug.filter(|_| holder.tag.uid == switch.pump) {
                    fit_queues(path, &switch, pump.data());
                }
                continue;
            }
        };
        all = false;
        tell(&failed(&holder, &refused.cause));
        match refused.kind {
            Kind::Once => {}
            Kind::Silent => silences += 1,
            Kind::Stuck => {
                // Each of theirs could take as long.
                let of = |other: &Held| other.tag.uid == holder.tag.uid;
                let (theirs, others): (Vec<_>, Vec<_>) = waiting.partition(of);
                waiting = others.into_iter();
                let cause = format!("one of the same uid {} did not finish", holder.tag.uid);
                give_up(theirs.len(), &cause, tell);
            }
        }
        if silences == SILENCES_MAX || Instant::now() > end {
            give_up(waiting.len(), "the switch does not answer", tell);
            break;
        }
    }
    widen_queues(&SwitchDir::of_file(path));
    Ok(all)
}

fn give_up(count: usize, cause: &str, tell: &mut dyn FnMut(&Error)) {
    if count > 0 {
        tell(&Error::new("plug in", format!("{count} more"), cause));
    }
}

/// The network's own pump first, then one of each user, then the next of each: nobody is kept waiting by the
/// number of another's.
fn take_turns(holders: &mut [Held], pump: u32) {
    let (mut turns, mut at) = (BTreeMap::new(), BTreeMap::new());
    for holder in holders.iter() {
        let next: &mut u32 = at.entry(holder.tag.uid).or_default();
        turns.insert(holder.tag, (holder.tag.uid != pump, *next));
        *next += 1;
    }
    holders.sort_by_key(|holder| turns.get(&holder.tag).copied());
}

fn holders(plugs: &Path) -> Result<Vec<Held>, Error> {
    held_port::holders(plugs).map_err(|error| Error::new("list", plugs.display(), plain(&error)))
}

fn failed(holder: &Held, cause: &str) -> Error {
    let tag = holder.tag;
    Error::new("plug in", format!("the port of process {} (uid {})", tag.pid, tag.uid), cause)
}

/// None: there is nobody to be plugged in any more.
fn again(
    door: &SwitchAccess,
    holder: &Held,
    found: &Descriptors,
    plugs: &Path,
) -> Result<Option<VdePort>, Refused> {
    let (data, hold) = (found.copy(holder.data)?, found.copy(holder.hold)?);
    let (Some(data), Some(hold)) = (data, hold) else {
        // One that has ended meanwhile needs no port.
        let is_there = held_port::holders(plugs)?.contains(holder);
        let cause = "its sockets are on their way from one process to another".to_owned();
        return if is_there { Err(Refused { cause, kind: Kind::Once }) } else { Ok(None) };
    };
    let line = ControlSocket::bind(plugs, holder.tag)?;
    let plug = VdePort::of(data, hold)?;
    join_for::join_again(door, &plug, line, holder.tag)?;
    Ok(Some(plug))
}

#[cfg(test)]
mod tests {
    use super::*;
    use vmnet_access::vde_port_tag::VdePortTag;

    #[test]
    fn the_pump_is_first_and_nobody_waits_for_all_of_anothers() {
        let held = |uid, pid| Held { tag: VdePortTag { uid, pid, token: 0 }, data: 0, hold: 0 };
        let mut holders = [held(1, 1), held(1, 2), held(1, 3), held(2, 1), held(2, 2), held(9, 1)];
        take_turns(&mut holders, 9);
        let order = [held(9, 1), held(1, 1), held(2, 1), held(1, 2), held(2, 2), held(1, 3)];
        assert_eq!(holders, order);
    }
}
