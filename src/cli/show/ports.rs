//! The ports of a bridge, as `ports` shows them.

use super::leases::lease_json;
use serde_json::{Value, json};
use vmnet_network::ports::Port;
use vmnet_sys::caller::name_of;
use vmnet_sys::process::program;

/// Column heads of [`row`].
pub const HEAD: [&str; 7] = ["PORT", "USER", "PID", "PROGRAM", "MAC", "ADDRESS", "NAME"];

/// As a row of a table.
pub fn row(port: &Port) -> Vec<String> {
    let dash = || "-".to_owned();
    let tag = port.tag.as_ref();
    let list = |words: Vec<String>| if words.is_empty() { dash() } else { words.join(" ") };
    vec![
        port.link.name.to_string(),
        tag.map_or_else(dash, |tag| name_of(tag.uid)),
        port.pid().map_or_else(dash, |pid| pid.to_string()),
        program_of(port).or_else(|| wire(port)).or_else(|| port.link.kind.clone()).unwrap_or_else(dash),
        list(port.macs.iter().map(ToString::to_string).collect()),
        list(port.leases.iter().map(|lease| lease.address.to_string()).collect()),
        list(port.leases.iter().filter_map(|lease| lease.name.clone()).collect()),
    ]
}

/// A port as JSON.
pub fn json(port: &Port) -> Value {
    let tag = port.tag.as_ref();
    json!({
        "port": port.link.name.to_string(),
        "kind": port.link.kind,
        "uid": tag.map(|tag| tag.uid),
        "user": tag.map(|tag| name_of(tag.uid)),
        "pid": port.pid(),
        "program": program_of(port).or_else(|| wire(port)),
        "kept": tag.is_some_and(|tag| tag.kept),
        "macs": port.macs.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "leases": port.leases.iter().map(lease_json).collect::<Vec<_>>(),
    })
}

fn program_of(port: &Port) -> Option<String> {
    port.pid().and_then(program)
}

/// Where it leads, if to another wire.
fn wire(port: &Port) -> Option<String> {
    port.link.wire().map(|tag| tag.cable.map_or_else(|| "switch".to_owned(), |name| format!("cable {name}")))
}
