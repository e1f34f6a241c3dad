//! `vmnet wire …`: the processes of a switch.

use super::need_root;
use crate::args::WireVerb;
use crate::exit::Exit;
use crate::wire;
use vmnet_model::error::Error;

/// Be one of them.
pub fn run(verb: &WireVerb) -> Result<Exit, Error> {
    need_root("be", "a process of a switch".to_owned())?;
    match verb {
        WireVerb::Switch { record } => wire::switch::run(record),
        WireVerb::Pump { name, record, cable } => wire::pump::run(name, record, cable.as_deref()),
        WireVerb::Plug { record, plugs } => wire::plug::run(record, plugs),
    }
}
