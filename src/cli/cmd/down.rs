//! `vmnet down NAME`

use super::{in_runtime, need_root};
use crate::clients::{self, Client};
use crate::failure::{Exit, Failure, io, network};
use crate::links::Links;
use crate::places::Places;
use crate::process;
use crate::record::Record;
use crate::say;
use crate::take_down::{sweep, take_down};
use crate::view::{self, not_up};
use nix::sys::signal::Signal;
use std::time::Duration;
use vmnet_model::name::NetName;
use vmnet_sys::lock::Claim;

/// How long a keeper may take to let go.
const PATIENCE: Duration = Duration::from_secs(5);
/// Somebody may start another keeper meanwhile; so often is it asked to leave.
const TRIES: usize = 5;

/// Take it down.
pub fn run(places: &Places, name: &NetName, force: bool) -> Result<Exit, Failure> {
    need_root("take down", network(name))?;
    in_runtime(async {
        let room = places.room(&name.bridge());
        if Record::read(&room)?.is_none() {
            sweep(places, &room)?;
            return Err(not_up("take down", name));
        }
        let links = Links::open().map_err(|error| Failure::new("take down", network(name), error))?;
        if !force {
            refuse_under_guests(places, &links, name).await?;
        }
        send_keeper_away(places, name)?;
        take_down(places, name).await?;
        say::line(&format!("{name} is down"));
        Ok(Exit::Done)
    })
}

async fn refuse_under_guests(places: &Places, links: &Links, name: &NetName) -> Result<(), Failure> {
    let bridge = name.bridge();
    let mut ports = view::ports(links, &bridge, &places.room(&bridge)).await?;
    ports.retain(|port| !port.link.is_vacant());
    let clients = clients::look(places, &places.room(&bridge))?;
    let on_bridge = ports.iter().map(view::Port::phrase);
    let who: Vec<String> = on_bridge.chain(clients.guests().map(Client::phrase)).collect();
    if who.is_empty() {
        return Ok(());
    }
    let cause = format!("{} attached: {}", who.len(), who.join(", "));
    Err(Failure::new("take down", network(name), cause).hint("--force takes it down under them"))
}

/// Before the lock is taken: a keeper that waits for the lock itself could not hear us.
fn send_keeper_away(places: &Places, name: &NetName) -> Result<(), Failure> {
    let failed = |cause: String| Failure::new("stop the keeper of", network(name), cause);
    let room = places.room(&name.bridge());
    for _ in 0..TRIES {
        let Some(keeper) = process::keeper(&room) else { return Ok(()) };
        // It may have ended between the two calls.
        let _ = keeper.signal(Signal::SIGUSR2);
        // Not for its end: what it watched takes the kernel tens of milliseconds to put away.
        if !Claim::wait_until_free(&room.keeper(), PATIENCE).map_err(|error| failed(io(&error)))? {
            return Err(failed(format!("process {} does not end", keeper.pid())));
        }
    }
    Err(failed("it is started again and again".to_owned()))
}
