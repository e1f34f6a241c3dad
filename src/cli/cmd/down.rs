//! `vmnet down NAME`

use super::need_root;
use crate::exit::Exit;
use crate::say;
use vmnet_access::name::NetName;
use vmnet_model::error::{Error, network};
use vmnet_network::{Down, Networks};

/// Take it down.
pub fn run(networks: &Networks, name: &NetName, force: bool) -> Result<Exit, Error> {
    need_root("take down", network(name))?;
    networks.get(name).down(if force { Down::Force } else { Down::UnlessUsed })?;
    say::line(&format!("{name} is down"));
    Ok(Exit::Done)
}
