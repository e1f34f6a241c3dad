//! `vmnet tap add|rm`

use crate::args::TapVerb;
use crate::exit::Exit;
use crate::say;
use vmnet_access::name::IfName;
use vmnet_access::request::{KeptTap, PortKind, PortRequest};
use vmnet_model::error::{Error, ErrorKind};
use vmnet_network::ports;
use vmnet_sys::caller;
use vmnet_sys::trust::plain;

/// Make a TAP that stays, or remove one.
pub fn run(verb: &TapVerb) -> Result<Exit, Error> {
    match verb {
        TapVerb::Add { name, owner, interface, queues } => {
            let owner = owner.as_deref().map(number_of).transpose()?;
            let kept = KeptTap { name: interface.clone(), owner, many_queues: *queues };
            let plugged = ports::acquire(&ask(name.clone(), PortKind::Kept(kept)), None)?;
            say::line(&plugged.port.to_string());
        }
        TapVerb::Rm { tap } => {
            // Where it is a port does not matter.
            ports::acquire(&ask(tap.clone(), PortKind::Remove { tap: tap.clone() }), None)?;
        }
    }
    Ok(Exit::Done)
}

fn ask(bridge: IfName, wish: PortKind) -> PortRequest {
    PortRequest { bridge, for_itself: false, wish }
}

/// The number of a user who may have no account: jailers take numbers that are nobody's.
fn number_of(user: &str) -> Result<u32, Error> {
    let failed = |cause: String| Error::new("look up", format!("user '{user}'"), cause);
    match caller::named(user).map_err(|error| failed(plain(&error)))? {
        Some(found) => Ok(found.uid),
        // The largest number stands for none (chown(2)).
        None => user
            .parse()
            .ok()
            .filter(|number| *number != u32::MAX)
            .ok_or_else(|| failed("no such user".to_owned()).kind(ErrorKind::Invalid)),
    }
}
