//! `vmnet ports NAME`

use super::in_runtime;
use crate::failure::{Exit, Failure, network};
use crate::links::Links;
use crate::places::Places;
use crate::record::Record;
use crate::say;
use crate::view::{self, Port, not_up};
use serde_json::json;
use vmnet_model::name::NetName;

/// Who is plugged in.
pub fn run(places: &Places, name: &NetName, json: bool) -> Result<Exit, Failure> {
    in_runtime(async {
        let bridge = name.bridge();
        let room = places.room(&bridge);
        if Record::read(&room)?.is_none() {
            return Err(not_up("show the ports of", name));
        }
        let links = Links::open().map_err(|error| Failure::new("show the ports of", network(name), error))?;
        let ports = view::ports(&links, &bridge, &room).await?;
        if json {
            say::json(&json!({ "ports": ports.iter().map(Port::json).collect::<Vec<_>>() }));
        } else {
            say::table(&Port::HEAD, ports.iter().map(Port::row));
        }
        Ok(Exit::Done)
    })
}
