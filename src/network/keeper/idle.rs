//! When a network goes down by itself: some time after its last port went, or when its keeper is told
//! to stop; never under a guest, nor under one that is just being attached.

use super::{Keeper, Orders};
use crate::down::take_down_under;
use crate::observe;
use crate::ports;
use vmnet_host::links::SeenLink;
use vmnet_model::error::Error;
use vmnet_model::keeper::{KeeperEvent, User};
use vmnet_sys::trust::plain;

impl<O: Orders> Keeper<'_, O> {
    /// Who uses the network. Where that cannot be found out, nothing changes.
    pub(super) fn count_ports(&mut self) -> Option<KeeperEvent> {
        self.read_again();
        let ports = observe::ports(&self.links, &self.name.bridge()).ok()?;
        Some(KeeperEvent::PortsCounted {
            attached: ports.iter().any(|port| port.wire().is_none()),
            // A TAP that stays and that nobody holds goes with the network.
            held: !ports.iter().all(SeenLink::is_vacant) || self.feed.guests > 0,
            idle: self.network.idle,
        })
    }

    /// Whoever comes to plug in while it goes down waits for that, and then starts it again.
    pub(super) fn take_down_unless_used(&self) -> Result<KeeperEvent, Error> {
        let lock = self.dirs.lock()?;
        let failed = |error: std::io::Error| self.failed(plain(&error));
        if !self.claim.close_door().map_err(failed)? {
            return Ok(KeeperEvent::InUse(User::OnTheWayIn));
        }
        let name = |port: &SeenLink| port.name.to_string();
        let held = ports::attached(self.dirs, &self.links, &self.name.bridge(), name)?;
        if held.is_empty() {
            return take_down_under(lock, self.dirs, self.name).map(|()| KeeperEvent::TakenDown);
        }
        self.claim.open_door().map_err(failed)?;
        Ok(KeeperEvent::InUse(User::Attached(held)))
    }
}
