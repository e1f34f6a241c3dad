//! `vmnet leases NAME`

use crate::failure::{Exit, Failure};
use crate::places::Places;
use crate::record::Record;
use crate::say;
use crate::view::{self, lease_json, not_up, time_left};
use serde_json::json;
use vmnet_model::name::NetName;

/// The leases that run.
pub fn run(places: &Places, name: &NetName, json: bool) -> Result<Exit, Failure> {
    let room = places.room(&name.bridge());
    if Record::read(&room)?.is_none() {
        return Err(not_up("show the leases of", name));
    }
    let leases = view::leases(&room)?;
    if json {
        say::json(&json!({ "leases": leases.iter().map(lease_json).collect::<Vec<_>>() }));
    } else {
        let row = |lease: &vmnet_model::lease::Lease| {
            let name = lease.name.clone().unwrap_or_else(|| "-".to_owned());
            vec![lease.address.to_string(), lease.mac.to_string(), name, time_left(lease)]
        };
        say::table(&["ADDRESS", "MAC", "NAME", "LEFT"], leases.iter().map(row));
    }
    Ok(Exit::Done)
}
