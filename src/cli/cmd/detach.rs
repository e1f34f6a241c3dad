//! `vmnet detach NAME`

use super::attach::namespace;
use crate::args::SpaceWords;
use crate::exit::Exit;
use crate::say;
use vmnet_access::name::IfName;
use vmnet_attach;
use vmnet_attach::Detached;
use vmnet_model::error::Error;
use vmnet_network::dirs::Dirs;

/// Take a namespace's interface away.
pub fn run(dirs: &Dirs, name: &IfName, space: &SpaceWords, ifname: &IfName) -> Result<Exit, Error> {
    match vmnet_attach::detach(dirs, name, &namespace(space), ifname)? {
        Detached::Gone(label) => say::line(&format!("{ifname} of {label} is detached from {name}")),
        Detached::Absent(what) => say::line(&format!("nothing to detach: {what}")),
    }
    Ok(Exit::Done)
}
