//! When a network goes down by itself: some time after its last port went, or when its keeper is told
//! to stop; never under a guest, nor under one that is just being attached.

use super::Keeper;
use crate::clients::{self, Client};
use crate::look;
use crate::take_down::take_down_under;
use std::time::Duration;
use tokio::time::Instant;
use vmnet_host::links::SeenLink;
use vmnet_model::error::{Error, network};
use vmnet_model::network::Idle;
use vmnet_sys::trust::plain;

/// How long to wait for one who is being attached.
const A_MOMENT: Duration = Duration::from_secs(1);

/// Why a network cannot be taken down.
enum User {
    /// These are attached.
    Ports(Vec<String>),
    /// The helper is about to attach one.
    OnTheWayIn,
}

impl Keeper<'_> {
    /// After the last port went its time runs. A network that never had one was meant to be there.
    pub(super) async fn see_to_idleness(&mut self) {
        self.read_again();
        let Ok(ports) = look::ports(&self.links, &self.name.bridge()) else { return };
        self.used |= ports.iter().any(|port| port.wire().is_none());
        // A TAP that stays and that nobody holds goes with the network.
        let vacant = ports.iter().all(SeenLink::is_vacant) && self.feed.guests == 0;
        self.idle = match self.network.idle {
            Idle::After(seconds) if self.used && vacant => {
                let end = Instant::now() + Duration::from_secs(seconds.into());
                Some(self.idle.unwrap_or(end))
            }
            _ => None,
        };
    }

    /// The time is over: down, unless somebody came.
    pub(super) async fn leave_idle(&mut self) -> Result<bool, Error> {
        let Some(user) = self.take_down_unless_used().await? else {
            self.log.info(&format!("{} is down: it had no port any more", network(self.name)));
            return Ok(true);
        };
        self.idle = match user {
            User::Ports(_) => None,
            // It may yet be refused its port.
            User::OnTheWayIn => Some(Instant::now() + A_MOMENT),
        };
        Ok(false)
    }

    /// Whoever comes to plug in while it goes down waits for that, and then starts it again.
    async fn take_down_unless_used(&self) -> Result<Option<User>, Error> {
        let lock = self.places.lock()?;
        let failed = |error: std::io::Error| self.failed(plain(&error));
        if !self.claim.close_door().map_err(failed)? {
            return Ok(Some(User::OnTheWayIn));
        }
        let ports = look::ports(&self.links, &self.name.bridge())?;
        let clients = clients::look(self.places, &self.room)?;
        let held = ports.iter().filter(|port| !port.is_vacant()).map(|port| port.name.to_string());
        let held: Vec<String> = held.chain(clients.guests().map(Client::phrase)).collect();
        if held.is_empty() {
            return take_down_under(lock, self.places, self.name).map(|()| None);
        }
        self.claim.open_door().map_err(failed)?;
        Ok(Some(User::Ports(held)))
    }

    /// Told to stop: as `down` does, and like it not under attached guests.
    pub(super) async fn stop(&mut self) -> Result<(), Error> {
        let who = match self.take_down_unless_used().await? {
            None => return Ok(()),
            Some(User::Ports(names)) => format!("{} attached", names.join(" ")),
            Some(User::OnTheWayIn) => "a guest is being attached".to_owned(),
        };
        self.log.info(&format!("{} goes on: {who}", network(self.name)));
        Ok(())
    }
}
