//! `vmnet wire …`: the processes of a switch.

use super::need_root;
use crate::args::WireVerb;
use crate::exit::Exit;
use crate::say;
use vmnet_model::error::Error;

/// Be one of them.
pub fn run(verb: &WireVerb) -> Result<Exit, Error> {
    need_root("be", "a process of a switch".to_owned())?;
    match verb {
        WireVerb::Switch { record } => match vmnet_vswitch::process_switch::run(record)? {},
        WireVerb::Pump { name, record, cable } => {
            vmnet_vswitch::process_pump::run(name, record, cable.as_deref()).map(|()| Exit::Done)
        }
        WireVerb::Plug { record, plugs } => {
            let mut tell = |failure: &Error| say::error(&failure.to_string(), None);
            let all = vmnet_vswitch::process_rejoin::run(record, plugs, &mut tell)?;
            Ok(if all { Exit::Done } else { Exit::Failed })
        }
    }
}
