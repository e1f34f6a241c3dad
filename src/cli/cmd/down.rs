//! `vmnet down NAME`

use super::need_root;
use crate::exit::Exit;
use crate::say;
use vmnet_access::name::NetName;
use vmnet_model::error::{Error, network};
use vmnet_network::dirs::Dirs;
use vmnet_network::down::Down;
use vmnet_network::down::Outcome;
use vmnet_network::down::down;

/// Take it down.
pub fn run(dirs: &Dirs, name: &NetName, force: bool) -> Result<Exit, Error> {
    need_root("take down", network(name))?;
    match down(dirs, name, if force { Down::Force } else { Down::UnlessUsed })? {
        Outcome::Down => {
            say::line(&format!("{name} is down"));
            Ok(Exit::Done)
        }
        Outcome::NotUp => Err(Error::not_up("take down", name)),
        Outcome::Used(who) => {
            let cause = format!("{} attached: {}", who.len(), who.join(", "));
            Err(Error::new("take down", network(name), cause).hint("--force takes it down under them"))
        }
    }
}
