//! `vmnet up NAME`

use super::need_root;
use crate::exit::Exit;
use crate::roles;
use crate::say;
use crate::show::leases::with_length;
use vmnet_access::name::NetName;
use vmnet_model::error::{Error, network};
use vmnet_model::prefix6::PREFIX6_LENGTH;
use vmnet_network::{Networks, Start, UpReport};

/// Bring it up, or only say how.
pub fn run(networks: &Networks, name: &NetName, dry_run: bool, on_demand: bool) -> Result<Exit, Error> {
    if dry_run {
        let raised = networks.get(name).plan()?;
        raised.notes.iter().for_each(|note| say::error(note, None));
        return Ok(show_plan(&raised));
    }
    need_root("start", network(name))?;
    if on_demand {
        roles::starter_for_others();
    }
    let start = if on_demand { Start::OnDemand } else { Start::Always };
    if let Some(raised) = networks.get(name).up(start)? {
        raised.notes.iter().for_each(|note| say::error(note, None));
        say_up(&raised);
    }
    Ok(Exit::Done)
}

fn show_plan(raised: &UpReport) -> Exit {
    if raised.steps.is_empty() {
        say::line("nothing to do");
    }
    for step in &raised.steps {
        say::line(&step.to_string());
    }
    Exit::Done
}

fn say_up(raised: &UpReport) {
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
