//! `vmnet host add | rm | list NAME`

use super::need_root;
use crate::args::HostVerb;
use crate::exit::Exit;
use crate::say;
use crate::show::leases::time_left;
use serde_json::{Value, json};
use vmnet_access::name::NetName;
use vmnet_model::error::{Error, network};
use vmnet_model::guest::{Reservation, Who};
use vmnet_network::Networks;
use vmnet_network::reservations::{Added, Asked, Reserved};

/// Whatever of the three is asked for.
pub fn run(networks: &Networks, verb: &HostVerb) -> Result<Exit, Error> {
    match verb {
        HostVerb::Add { name, host, mac, address, address6, alias } => {
            let asked = Asked {
                name: host.clone(),
                mac: *mac,
                address: *address,
                address6: *address6,
                aliases: alias.clone(),
            };
            add(networks, name, &asked)
        }
        HostVerb::Rm { name, host } => remove(networks, name, host),
        HostVerb::List { name, json } => list(networks, name, *json),
    }
}

fn add(networks: &Networks, name: &NetName, asked: &Asked) -> Result<Exit, Error> {
    need_root("reserve", format!("'{}' on {}", asked.name, network(name)))?;
    let Added { host, already, holds, notes } = networks.get(name).reserve(asked)?;
    notes.iter().for_each(|note| say::error(note, None));
    let state = if already { "is reserved already" } else { "is reserved" };
    say::line(&format!("{} {state}: {}", host.name, phrase(&host)));
    if let Some(lease) = holds {
        let (address, left) = (lease.address, time_left(&lease));
        say::line(&format!("note: it holds {address} until it renews its lease ({left} left)"));
    }
    Ok(Exit::Done)
}

fn remove(networks: &Networks, name: &NetName, who: &Who) -> Result<Exit, Error> {
    need_root("remove", format!("host '{who}' of {}", network(name)))?;
    let host = networks.get(name).release(who)?;
    say::line(&format!("{} is not reserved any more: {}", host.name, phrase(&host)));
    Ok(Exit::Done)
}

/// `10.0.1.9 for 52:54:00:12:34:56`
fn phrase(host: &Reservation) -> String {
    let address = host.address.map_or_else(|| "any address".to_owned(), |address| address.to_string());
    let address6 = host.address6.map_or_else(String::new, |address| format!(", {address}"));
    format!("{address}{address6} for {}", host.mac)
}

fn list(networks: &Networks, name: &NetName, json: bool) -> Result<Exit, Error> {
    let all = networks.get(name).reservations()?;
    if json {
        say::json(&json!({ "hosts": all.iter().map(as_json).collect::<Vec<_>>() }));
    } else {
        say::table(&["NAME", "MAC", "ADDRESS", "IPV6", "ALIASES", "FROM"], all.iter().map(row));
    }
    Ok(Exit::Done)
}

/// Where a reservation comes from, in a word.
fn origin(reserved: &Reserved) -> &'static str {
    if reserved.live { "live" } else { "file" }
}

fn row(reserved: &Reserved) -> Vec<String> {
    let dash = || "-".to_owned();
    let host = &reserved.host;
    vec![
        host.name.clone(),
        host.mac.to_string(),
        host.address.map_or_else(dash, |address| address.to_string()),
        host.address6.map_or_else(dash, |address| address.to_string()),
        if host.aliases.is_empty() { dash() } else { host.aliases.join(" ") },
        origin(reserved).to_owned(),
    ]
}

fn as_json(reserved: &Reserved) -> Value {
    let host = &reserved.host;
    json!({
        "name": host.name,
        "mac": host.mac.to_string(),
        "address": host.address,
        "address6": host.address6,
        "aliases": host.aliases,
        "from": origin(reserved),
    })
}
