//! `vmnet cable NAME TO`

use crate::args::CableEnd;
use crate::failure::{Exit, Failure, network};
use crate::places::Places;
use vmnet_model::name::NetName;

/// Join two wires, or part them again.
pub fn run(_places: &Places, name: &NetName, _to: &CableEnd, _remove: bool) -> Result<Exit, Failure> {
    Err(Failure::new("join", network(name), "not built yet"))
}
