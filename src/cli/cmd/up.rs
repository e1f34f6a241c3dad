//! `vmnet up NAME`

use super::need_root;
use crate::background;
use crate::exit::Exit;
use crate::networks;
use crate::places::Places;
use crate::process;
use crate::record::{Phase, Record};
use crate::say;
use crate::take_down::take_down;
use crate::up::{Raised, raise, rehearse};
use crate::view::with_length;
use vmnet_access::name::NetName;
use vmnet_model::error::{Error, network};
use vmnet_model::prefix6::PREFIX6_LENGTH;

/// Bring it up, or only say how.
pub fn run(places: &Places, name: &NetName, dry_run: bool, on_demand: bool) -> Result<Exit, Error> {
    if dry_run {
        return Ok(show_plan(&rehearse(places, name)?));
    }
    need_root("start", network(name))?;
    if let Some(raised) = bring_up(places, name, on_demand)? {
        say_up(&raised);
    }
    Ok(Exit::Done)
}

/// Bring it up and see to it that it has a keeper. On demand: only where its file allows that; none if
/// somebody else was quicker.
pub fn bring_up(places: &Places, name: &NetName, on_demand: bool) -> Result<Option<Raised>, Error> {
    if on_demand {
        let file = networks::read(places, name).map_err(|why| why.failure("start", name))?;
        if !file.on_demand {
            return Err(Error::new("start", network(name), "its file says on_demand = false"));
        }
        // A caller who is first in line for the kernel's killer must not make root's servers so.
        let _ = std::fs::write("/proc/self/oom_score_adj", "0");
        if came_up_meanwhile(places, name)? {
            return Ok(None);
        }
    }
    let mut done = Vec::new();
    if background::is_unit(places) && process::keeper(&places.room(&name.bridge())).is_none() {
        // What can be seen to be wrong is told here, and not in the unit's log.
        done = rehearse(places, name)?.steps;
        background::start_unit(name)?;
    }
    let mut raised = raise(places, name)?;
    // The unit's are ours.
    raised.steps.extend(done);
    if let Err(failure) = background::ensure_keeper(places, name) {
        if raised.was_down {
            take_down(places, name)?;
        }
        return Err(failure);
    }
    Ok(Some(raised))
}

/// Of many helpers that ask at once, the first starts the network and the others find it up when
/// their turn comes.
fn came_up_meanwhile(places: &Places, name: &NetName) -> Result<bool, Error> {
    let lock = places.lock()?;
    let record = Record::read(&places.room(&name.bridge()))?;
    drop(lock);
    let up = record.is_some_and(|record| record.phase == Phase::Up);
    Ok(up && process::keeper(&places.room(&name.bridge())).is_some())
}

fn show_plan(raised: &Raised) -> Exit {
    if raised.steps.is_empty() {
        say::line("nothing to do");
    }
    for step in &raised.steps {
        say::line(&step.to_string());
    }
    Exit::Done
}

fn say_up(raised: &Raised) {
    let wanted = &raised.wanted;
    let state = if raised.steps.is_empty() { "is up already" } else { "is up" };
    let bridge = if wanted.bridge.as_bytes() == wanted.network.name.as_str().as_bytes() {
        String::new()
    } else {
        format!(" on bridge {}", wanted.bridge)
    };
    let address = wanted.addresses().first().map(|(address, length)| with_length(*address, *length));
    let address6 = wanted.address6().map(|address| format!("{address}/{PREFIX6_LENGTH}"));
    let mode = wanted.network.mode.as_str().to_owned();
    let facts: Vec<String> = address.into_iter().chain(address6).chain([mode]).collect();
    say::line(&format!("{} {state}{bridge}: {}", wanted.name(), facts.join(", ")));
    if !raised.advertised.is_empty() {
        let links = raised.advertised.join(", ");
        say::line(&format!("note: {links}: goes on taking router advertisements (accept_ra 2)"));
    }
    if raised.outdated {
        say::line("note: guests learn of the change when they renew their leases");
    }
}
