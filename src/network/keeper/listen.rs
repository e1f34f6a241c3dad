//! The keeper's part about events: it looks whether something is lost, and else waits for whatever comes
//! first.

use super::cables::Lines;
use super::event::{ended, next_event};
use super::{Keeper, Orders};
use crate::keeper::resolved::Registration;
use crate::lease_watch::listen_to;
use crate::server;
use crate::store::run_record::Record;
use tokio::time::{Instant, sleep_until};
use vmnet_model::dns_delegation::Delegation;
use vmnet_model::error::{Error, network};
use vmnet_model::keeper::{KeeperEvent, Moment, Wait};
use vmnet_sys::process::Process;
use vmnet_sys::trust::plain;

/// What is there of a network beside its bridge.
#[derive(Default)]
struct Watched {
    server: Option<Process>,
    wires: Lines,
    lines: Lines,
}

impl<O: Orders> Keeper<'_, O> {
    /// The next event. What cannot be told is one too: the network goes on, and so does its keeper, because
    /// a kernel that is too busy now will answer later.
    pub(super) async fn next_event(&mut self) -> KeeperEvent {
        match self.state.wait() {
            Wait::ForAll { idle, owed } => match self.look(idle, owed).await {
                Ok(event) => event,
                Err(failure) => KeeperEvent::LookFailed(failure.to_string()),
            },
            Wait::ForSignals { until } => tokio::select! {
                event = self.orders.next() => event,
                () = sleep_until(self.began + until) => KeeperEvent::RestOver,
            },
            // Each action that brings an event has brought it.
            Wait::ForResults => KeeperEvent::Leave,
        }
    }

    async fn look(&mut self, idle: Option<Moment>, owed: Option<Moment>) -> Result<KeeperEvent, Error> {
        // A network without one is down, and needs nothing.
        let Some(record) = Record::read(&self.run_dir).ok().flatten() else {
            return self.wait(None, Watched::default(), idle, owed).await;
        };
        let server = server::find(&self.run_dir);
        if server.is_none() && self.run_dir.dnsmasq().exists() {
            return Ok(KeeperEvent::Lost("dnsmasq"));
        }
        let wires = match self.wires().map_err(|error| self.failed(plain(&error)))? {
            Ok(wires) => wires,
            Err(lost) => return Ok(lost),
        };
        match self.lines()? {
            Ok(lines) => self.wait(Some(record), Watched { server, wires, lines }, idle, owed).await,
            Err(lost) => Ok(lost),
        }
    }

    async fn wait(
        &mut self,
        record: Option<Record>,
        watched: Watched,
        idle: Option<Moment>,
        owed: Option<Moment>,
    ) -> Result<KeeperEvent, Error> {
        let name = self.name;
        let failed = |cause: &dyn std::fmt::Display| Error::new("keep", network(name), cause);
        let found = self.links.find(&name.bridge()).map_err(|error| failed(&error))?;
        let Some(link) = found else {
            // Without a record the network is down on purpose.
            return Ok(if record.is_some() { KeeperEvent::Lost("the bridge") } else { KeeperEvent::Leave });
        };
        let index = link.index;
        self.registrar.want(record.filter(|_| link.running).and_then(|record| {
            let delegation = Delegation::of(&self.network, record.address, &record.given())?;
            Some(Registration { index, delegation })
        }));
        let Watched { server, wires, lines } = watched;
        let server = server.map(listen_to).transpose().map_err(|error| failed(&plain(&error)))?;
        self.feed.tend(self.dirs, &self.run_dir);
        let began = self.began;
        let at = |moment: Option<Moment>| reached(moment.map(|moment| began + moment));
        let heard = tokio::select! {
            event = self.orders.next() => return Ok(event),
            event = next_event(&mut self.watch, index) => return event.map_err(|error| failed(&error)),
            changed = self.leases.changed() => {
                return changed.map(|()| KeeperEvent::LeasesChanged).map_err(|error| failed(&plain(&error)));
            }
            heard = self.firewalls.changed() => {
                self.heard = heard;
                return Ok(KeeperEvent::FirewallChanged);
            }
            heard = self.feed.heard() => heard,
            () = ended(server.as_ref()) => return Ok(KeeperEvent::Stirred),
            () = wires.stirred() => return Ok(KeeperEvent::Stirred),
            () = lines.stirred() => return Ok(KeeperEvent::Stirred),
            () = at(idle) => return Ok(KeeperEvent::IdleOver),
            () = at(owed) => return Ok(KeeperEvent::RepairDue),
        };
        Ok(self.of_clients(heard))
    }
}

/// Pending until then; for ever where there is no such moment.
pub(super) async fn reached(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
