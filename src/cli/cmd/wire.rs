//! `vmnet wire …`: the processes of a switch.

use crate::args::WireVerb;
use crate::failure::{Exit, Failure};
use crate::places::Places;

/// Be one of them.
pub fn run(_places: &Places, _verb: &WireVerb) -> Result<Exit, Failure> {
    Err(Failure::new("be", "a process of a switch", "not built yet"))
}
