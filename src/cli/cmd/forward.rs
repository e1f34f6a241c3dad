//! `vmnet forward add`, `rm` and `list`

use super::need_root;
use crate::args::ForwardVerb;
use crate::exit::Exit;
use crate::say;
use crate::show::forwards::{HEAD, addresses, cells, describe, json as row_json};
use serde_json::json;
use vmnet_access::name::NetName;
use vmnet_model::error::{Error, network};
use vmnet_network::Networks;
use vmnet_network::forwards::{Added, Row, State};
use vmnet_network::store::live_changes::LiveChanges;

/// Do what is asked.
pub fn run(networks: &Networks, verb: &ForwardVerb) -> Result<Exit, Error> {
    match verb {
        ForwardVerb::Add { name, listen, to, protocol, json } => {
            need_root("forward a port to", network(name))?;
            say_added(name, &networks.get(name).forward(*listen, to.clone(), *protocol)?, *json);
        }
        ForwardVerb::Rm { name, listen, protocol } => {
            need_root("close a forward of", network(name))?;
            for gone in networks.get(name).unforward(*listen, *protocol)? {
                say::line(&format!("{gone}: closed"));
            }
        }
        ForwardVerb::List { name, json } => list(networks, name.as_ref(), *json)?,
    }
    Ok(Exit::Done)
}

fn say_added(name: &NetName, added: &Added, json: bool) {
    if json {
        let state = match (added.up, added.opened.leads()) {
            (false, _) => State::Closed,
            (true, false) => State::Waits,
            (true, true) => State::Open,
        };
        return say::json(&json!({ "forward": describe(name, &added.opened, state, []) }));
    }
    let forward = &added.opened.forward;
    let already = if added.already { " already" } else { "" };
    say::line(&match (added.up, addresses(&added.opened)) {
        (false, _) => format!("{forward}: remembered{already}; {} is not up", network(name)),
        (true, None) => format!("{forward}: waits{already} for {}", forward.to.who),
        (true, Some(to)) => format!("{forward}: open{already}, at {to}"),
    });
}

fn list(networks: &Networks, name: Option<&NetName>, json: bool) -> Result<(), Error> {
    let mut rows: Vec<Row> = Vec::new();
    match name {
        Some(name) => rows.extend(networks.get(name).forwards()?),
        None => {
            let mut names = networks.list()?;
            names.extend(LiveChanges::names(networks.dirs()));
            names.sort();
            names.dedup();
            // One file with mistakes must not hide the others.
            rows.extend(names.iter().filter_map(|name| networks.get(name).forwards().ok()).flatten());
        }
    }
    if json {
        say::json(&json!({ "forwards": rows.iter().map(row_json).collect::<Vec<_>>() }));
    } else {
        say::table(&HEAD, rows.iter().map(cells));
    }
    Ok(())
}
