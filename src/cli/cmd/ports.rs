//! `vmnet ports NAME`, and `--revoke` of one

use super::{in_runtime, need_root};
use crate::failure::{Exit, Failure, io, network};
use crate::links::Links;
use crate::places::Places;
use crate::record::Record;
use crate::say;
use crate::view::{self, Port, not_up};
use serde_json::json;
use vmnet_model::name::{IfName, NetName};
use vmnet_port::audit;
use vmnet_sys::caller::name_of;

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

/// Take a port away from whoever holds it: deleting the link ends what its descriptor is good for.
pub fn revoke(places: &Places, name: &NetName, port: &IfName) -> Result<Exit, Failure> {
    let object = format!("port '{port}'");
    need_root("revoke", object.clone())?;
    let failed = |cause: &dyn std::fmt::Display| Failure::new("revoke", &object, cause);
    in_runtime(async {
        let bridge = name.bridge();
        let links = Links::open().map_err(|error| failed(&error))?;
        if links.find(&bridge).await.map_err(|error| failed(&error))?.is_none() {
            return Err(not_up("revoke a port of", name));
        }
        let ports = view::ports(&links, &bridge, &places.room(&bridge)).await?;
        let Some(found) = ports.iter().find(|found| found.link.name == *port) else {
            return Err(failed(&format!("it is no port of {}", network(name))));
        };
        links.delete(found.link.index).await.map_err(|error| failed(&error.cause))?;
        let user = found.tag.as_ref().map_or_else(|| "-".to_owned(), |tag| name_of(tag.uid));
        let why = format!("by uid {}", nix::unistd::getuid());
        if let Err(error) =
            audit::revoked(env!("CARGO_PKG_NAME"), &user, &bridge, &found.link.name.to_string(), &why)
        {
            say::error(&format!("cannot write to the system log: {}", io(&error)), None);
        }
        say::line(&format!("{} is gone", found.phrase()));
        Ok(Exit::Done)
    })
}
