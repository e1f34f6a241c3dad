//! `vmnet down NAME`

use super::need_root;
use crate::background;
use crate::clients::{self, Client};
use crate::exit::Exit;
use crate::places::Places;
use crate::record::Record;
use crate::say;
use crate::take_down::{sweep, take_down};
use crate::view;
use vmnet_access::name::NetName;
use vmnet_host::links::Links;
use vmnet_model::error::{Error, network};

/// Take it down.
pub fn run(places: &Places, name: &NetName, force: bool) -> Result<Exit, Error> {
    need_root("take down", network(name))?;
    let room = places.room(&name.bridge());
    if Record::read(&room)?.is_none() {
        sweep(places, &room)?;
        return Err(Error::not_up("take down", name));
    }
    let links = Links::open().map_err(|error| Error::new("take down", network(name), error))?;
    if !force {
        refuse_under_guests(places, &links, name)?;
    }
    // Before the lock is taken: a keeper that waits for the lock itself could not hear us.
    background::send_keeper_away(places, name)?;
    take_down(places, name)?;
    say::line(&format!("{name} is down"));
    Ok(Exit::Done)
}

fn refuse_under_guests(places: &Places, links: &Links, name: &NetName) -> Result<(), Error> {
    let bridge = name.bridge();
    let mut ports = view::ports(links, &bridge, &places.room(&bridge))?;
    ports.retain(|port| !port.link.is_vacant());
    let clients = clients::look(places, &places.room(&bridge))?;
    let on_bridge = ports.iter().map(view::Port::phrase);
    let who: Vec<String> = on_bridge.chain(clients.guests().map(Client::phrase)).collect();
    if who.is_empty() {
        return Ok(());
    }
    let cause = format!("{} attached: {}", who.len(), who.join(", "));
    Err(Error::new("take down", network(name), cause).hint("--force takes it down under them"))
}
