//! Taking somebody off the switch: by the switch's own closing of their end, where it is certain which that is.

use super::facts::Facts;
use super::{Client, Who, begin, console, holders_of, look_closely};
use crate::console::ConsoleError;
use crate::dir::SwitchDir;
use crate::settings;
use std::path::Path;
use vmnet_model::error::{Error, ErrorKind};
use vmnet_model::vde_switch::Switch;
use vmnet_sys::trust::plain;
use vmnet_vde::held_port;

/// Why somebody stays plugged in, and what sort of failure that is.
pub type Cause = (ErrorKind, String);

fn host(cause: String) -> Cause {
    (ErrorKind::Host, cause)
}

/// Close a port of the switch, by its name, for good: what its holder has is not plugged in again. Answers
/// the user and a phrase for what is gone.
///
/// # Errors
/// Why not; none where there is no such port.
pub fn revoke(run_dir: &Path, dir: &SwitchDir, name: &str) -> Result<(String, String), Option<Cause>> {
    let failed = |failure: Error| Some((failure.kind, failure.to_string()));
    let clients = look_closely(run_dir, dir).map_err(failed)?;
    let found = clients.list.iter().find(|client| client.name().as_deref() == Some(name));
    let (Some(client), Some(switch)) = (found, settings::recorded(dir).map_err(failed)?) else {
        return Err(clients.trouble.map(host));
    };
    // While they are there.
    let told = (client.user().unwrap_or_else(|| "-".to_owned()), client.phrase());
    match client.who {
        Who::Pump | Who::Cable => return Err(Some((ErrorKind::InUse, "it is the network's own".to_owned()))),
        Who::Joined if clients.is_anothers => {
            return Err(Some((ErrorKind::Denied, "the switch is somebody else's".to_owned())));
        }
        Who::Joined | Who::Granted(_) => close(client, &switch, dir)?,
    }
    Ok(told)
}

fn close(client: &Client, switch: &Switch, dir: &SwitchDir) -> Result<(), Option<Cause>> {
    let asked = |error: ConsoleError| Some(host(error.to_string()));
    let (number, console) = (client.port.ok_or(None)?, console(switch).ok_or(None)?);
    let held = holders_of(dir).map_err(|failure| Some((failure.kind, failure.to_string())))?;
    let (mut talk, process) = begin(&console, switch, dir).map_err(asked)?;
    let mut facts = Facts::ask(&mut talk, &process).map_err(asked)?;
    facts.ask_ports(&mut talk, &process, &dir.plugs(), &held).map_err(asked)?;
    let connection = facts.connection_of(number);
    // By now it could be another's.
    let Some((id, _)) = connection.filter(|(_, connected)| client.connected == Some(*connected)) else {
        return Err(Some(host("it is not certain who is there".to_owned())));
    };
    // Before: else it could be plugged in again.
    if let Who::Granted(tag) = client.who {
        held_port::disown(&dir.plugs(), tag).map_err(|error| Some(host(plain(&error))))?;
    }
    talk.close_endpoint(number, id).map_err(asked)
}
