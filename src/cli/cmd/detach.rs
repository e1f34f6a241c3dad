//! `vmnet detach NAME`

use super::attach::namespace;
use crate::args::SpaceWords;
use crate::attach;
use crate::attach::Detached;
use crate::exit::Exit;
use crate::places::Places;
use crate::say;
use vmnet_access::name::IfName;
use vmnet_model::error::Error;

/// Take a namespace's interface away.
pub fn run(places: &Places, name: &IfName, space: &SpaceWords, ifname: &IfName) -> Result<Exit, Error> {
    match attach::detach(places, name, &namespace(space), ifname)? {
        Detached::Gone(label) => say::line(&format!("{ifname} of {label} is detached from {name}")),
        Detached::Absent(what) => say::line(&format!("nothing to detach: {what}")),
    }
    Ok(Exit::Done)
}
