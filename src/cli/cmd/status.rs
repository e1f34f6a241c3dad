//! `vmnet status [NAME]`

use crate::exit::Exit;
use crate::say;
use serde_json::{Value, json};
use vmnet_access::name::NetName;
use vmnet_model::error::{Error, ErrorKind};
use vmnet_model::plan::Aspect;
use vmnet_network::Networks;
use vmnet_network::status::{State, Status};

/// Wanted beside actual.
pub fn run(networks: &Networks, name: Option<&NetName>, json: bool) -> Result<Exit, Error> {
    let names = match name {
        Some(name) => vec![name.clone()],
        None => networks.running()?,
    };
    let mut all = Vec::new();
    for name in &names {
        match networks.get(name).status() {
            // Something of that name is there, and it is not the network.
            Err(error) if error.kind == ErrorKind::Conflict => {
                say::error(&error.to_string(), error.hint.as_deref());
                return Ok(Exit::Drifted);
            }
            status => all.push(status?),
        }
    }
    let exit = all.iter().map(|status| exit(status.state)).max_by_key(|exit| *exit as u8);
    if json {
        say::json(&json!({ "networks": all.iter().map(as_json).collect::<Vec<_>>() }));
    } else if all.is_empty() {
        say::line("no network is up");
    } else {
        all.iter().for_each(print);
    }
    Ok(exit.unwrap_or(Exit::NotUp))
}

fn exit(state: State) -> Exit {
    match state {
        State::Up => Exit::Done,
        State::NotUp => Exit::NotUp,
        State::Drifted => Exit::Drifted,
    }
}

fn word(state: State) -> &'static str {
    match state {
        State::Up => "up",
        State::NotUp => "not up",
        State::Drifted => "drifted",
    }
}

fn print(status: &Status) {
    say::line(&format!("{}: {}", status.name, word(status.state)));
    if status.aspects.is_empty() {
        return;
    }
    let row = |a: &Aspect| {
        let drift = if a.wanted == a.actual { "" } else { "drifted" };
        vec![a.what.clone(), a.wanted.clone(), a.actual.clone(), drift.to_owned()]
    };
    say::table(&["", "WANTED", "ACTUAL", "DRIFT"], status.aspects.iter().map(row));
}

fn as_json(status: &Status) -> Value {
    let aspect = |a: &Aspect| json!({ "what": a.what, "wanted": a.wanted, "actual": a.actual, "drifted": a.wanted != a.actual });
    json!({
        "name": status.name.as_str(),
        "bridge": status.name.bridge().to_string(),
        "state": word(status.state),
        "aspects": status.aspects.iter().map(aspect).collect::<Vec<_>>(),
    })
}
