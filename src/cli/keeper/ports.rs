//! The keeper's part about ports: each has what the network gives to its ports, and no holder of a
//! TAP goes further than the grant.

use super::Keeper;
use crate::look;
use vmnet_access::port_record::PortRecord;
use vmnet_host::files::read_file;
use vmnet_host::links::{LinkError, Port, SeenLink};
use vmnet_model::error::network;
use vmnet_model::tether::{Act, Breach, Tethered};
use vmnet_port::audit;
use vmnet_sys::caller::name_of;

/// What is known of a holder who went too far.
#[derive(Debug, Default)]
pub struct Offence {
    /// What was told; once is enough.
    told: Vec<Breach>,
    /// How it was when we last looked.
    last: Vec<Breach>,
    /// How often it was changed since it came.
    changes: u32,
}

impl Keeper<'_> {
    /// All of them: some came before we listened.
    pub(super) async fn see_to_ports(&mut self) {
        let Some(record) = self.port_record() else { return };
        for link in look::ports(&self.links, &self.name.bridge()).unwrap_or_default() {
            if let Some(bridge) = link.master {
                let done = self.see_to_link(bridge, &link, &record).await;
                self.note(done);
            }
        }
    }

    /// One that came, or that is not as it was.
    pub(super) async fn see_to_port(&mut self, bridge: u32, index: u32) {
        let Some(record) = self.port_record() else { return };
        let done = match self.links.at(index) {
            // Not one that went on to another bridge meanwhile.
            Ok(Some(link)) if link.master == Some(bridge) => self.see_to_link(bridge, &link, &record).await,
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        self.note(done);
    }

    /// What ports must have; none while the network comes up.
    fn port_record(&self) -> Option<PortRecord> {
        PortRecord::parse(&read_file(&self.room.port()).ok().flatten()?).ok()
    }

    /// Ports come and go as they like.
    fn note(&self, done: Result<(), LinkError>) {
        match done {
            Err(error) if !error.cause.is_absent() => self.log.trouble(&self.failed(error).to_string()),
            _ => {}
        }
    }

    async fn see_to_link(
        &mut self,
        bridge: u32,
        link: &SeenLink,
        record: &PortRecord,
    ) -> Result<(), LinkError> {
        if let Some(tap) = link.tethered()
            && self.hold_to_grant(link.index, &tap).await? == Act::Delete
        {
            return Ok(());
        }
        if link.wire().is_some() {
            self.ways_out.insert(link.index);
        }
        if link.is_vacant() {
            self.see_to_idleness().await;
        } else {
            (self.used, self.idle) = (true, None);
        }
        // A port that the helper did not make (a container's, say) gets what the helper gives. Its
        // MTU is its owner's affair, until the network's changes.
        let PortRecord { group, isolated, hairpin, .. } = *record;
        let port = Port { mtu: link.mtu, group, isolated, hairpin: hairpin && link.wire().is_none() };
        let has = Port { group: link.group, isolated: link.isolated, hairpin: link.hairpin, ..port };
        if has == port { Ok(()) } else { self.links.set_port(link.index, bridge, &port) }
    }

    /// A TAP that is not as it was granted is made so again, or goes.
    async fn hold_to_grant(&mut self, index: u32, tap: &Tethered) -> Result<Act, LinkError> {
        let breaches = tap.breaches();
        if breaches.is_empty() {
            if let Some(offence) = self.offences.get_mut(&index) {
                offence.last.clear();
            }
            return Ok(Act::Nothing);
        }
        let offence = self.offences.entry(index).or_default();
        let act = tap.act(self.network.guard, offence.changes);
        // Its MAC is put back each time, so that it was changed again.
        let changed = |breach: &Breach| *breach == Breach::Mac || !offence.last.contains(breach);
        offence.changes += u32::from(breaches.iter().any(changed));
        offence.last.clone_from(&breaches);
        let news: Vec<Breach> = breaches.iter().filter(|one| !offence.told.contains(one)).copied().collect();
        offence.told.extend(&news);
        match act {
            Act::PutBack(mac) => {
                self.links.set_mac(index, mac)?;
            }
            Act::Delete => {
                self.links.delete(index)?;
                self.tell_of(tap, &breaches, "it is deleted");
                return Ok(act);
            }
            Act::Wait | Act::Nothing => {}
        }
        let (moved, lasting): (Vec<Breach>, Vec<Breach>) =
            news.into_iter().partition(|breach| *breach == Breach::Mac);
        self.tell_of(tap, &moved, "it is put back");
        self.tell_of(tap, &lasting, "it goes when nobody holds it");
        Ok(act)
    }

    /// In the network's log, and also where it stands what was granted.
    fn tell_of(&self, tap: &Tethered, breaches: &[Breach], end: &str) {
        if breaches.is_empty() {
            return;
        }
        let (user, port) = (name_of(tap.tag.uid), tap.name.to_string());
        let why: Vec<String> = breaches.iter().map(ToString::to_string).collect();
        let why = format!("{}; {end}", why.join(", "));
        let what = format!("port {port} (user {user}, pid {})", tap.tag.pid);
        self.log.info(&format!("{}: {what}: {why}", network(self.name)));
        // Whoever has no system log has the line above.
        let _ = audit::exceeded(env!("CARGO_PKG_NAME"), &user, &self.name.bridge(), &port, &why);
    }
}
