//! `vmnet broker`: the service that the helper asks where it has no rights of its own.

use super::need_root;
use crate::exit::Exit;
use sd_notify::NotifyState;
use vmnet_broker::{Broker, Socket};
use vmnet_model::error::Error;
use vmnet_network::dirs::Dirs;

/// Serve until SIGTERM.
pub fn run(dirs: &Dirs) -> Result<Exit, Error> {
    need_root("serve", "requests".to_owned())?;
    let socket = Socket::open(dirs)?;
    let broker = Broker::new(socket)?;
    let _ = sd_notify::notify(&[NotifyState::Ready]);
    broker.serve().map(|()| Exit::Done)
}
