//! Those who are plugged into a switch, in the tables of those on the bridge.

use super::leases::lease_json;
use serde_json::{Value, json};
use vmnet_model::lease::Lease;
use vmnet_sys::process::program;
use vmnet_vswitch::clients::{Client, Who};
use vmnet_vswitch::console_text::{PortView, Traffic};

/// Column heads of [`counters`]: frames from there, frames to there, the VLAN of those without a tag.
pub const COUNTERS: [&str; 3] = ["IN", "OUT", "VLAN"];

/// The leases of the MACs seen there.
fn leases_of<'a>(client: &Client, leases: &'a [Lease]) -> impl Iterator<Item = &'a Lease> {
    leases.iter().filter(|lease| client.macs.contains(&lease.mac))
}

fn program_of(client: &Client) -> Option<String> {
    client.holder().1.and_then(program)
}

/// What it is, where no program is known.
fn kind(client: &Client) -> String {
    match client.who {
        Who::Pump => "switch".to_owned(),
        Who::Cable => "cable".to_owned(),
        Who::Granted(_) | Who::Joined => "-".to_owned(),
    }
}

/// As a row beside those of [`super::ports::row`]; `leases` are those of the network.
pub fn row(client: &Client, leases: &[Lease]) -> Vec<String> {
    let dash = || "-".to_owned();
    let list = |words: Vec<String>| if words.is_empty() { dash() } else { words.join(" ") };
    vec![
        client.name().unwrap_or_else(|| "vde".to_owned()),
        client.user().unwrap_or_else(dash),
        client.holder().1.map_or_else(dash, |pid| pid.to_string()),
        program_of(client).unwrap_or_else(|| kind(client)),
        list(client.macs.iter().map(ToString::to_string).collect()),
        list(leases_of(client, leases).map(|lease| lease.address.to_string()).collect()),
        list(leases_of(client, leases).filter_map(|lease| lease.name.clone()).collect()),
    ]
}

/// Cells beside those of [`row`], under [`COUNTERS`].
pub fn counters(client: &Client) -> Vec<String> {
    let cell = |of: fn(&PortView) -> u64| {
        client.view.as_ref().map_or_else(|| "-".to_owned(), |view| of(view).to_string())
    };
    vec![cell(|view| view.came.frames), cell(|view| view.went.frames), cell(|view| view.vlan.into())]
}

/// As JSON. `in` is what came from there, `out` what was sent there; null where the switch could not be
/// asked.
pub fn json(client: &Client, leases: &[Lease]) -> Value {
    let view = client.view.as_ref();
    json!({
        "port": client.name(),
        "kind": "vde",
        "uid": client.holder().0,
        "user": client.user(),
        "pid": client.holder().1,
        "program": program_of(client),
        "kept": false,
        "macs": client.macs.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "leases": leases_of(client, leases).map(lease_json).collect::<Vec<_>>(),
        "granted": matches!(client.who, Who::Granted(_)),
        "cable": client.who == Who::Cable,
        "in": view.map(|view| traffic(view.came)),
        "out": view.map(|view| traffic(view.went)),
        "vlan": view.map(|view| view.vlan),
        "socket_user": view.and_then(|view| view.user.as_deref()),
    })
}

fn traffic(of: Traffic) -> Value {
    json!({ "frames": of.frames, "bytes": of.bytes })
}
