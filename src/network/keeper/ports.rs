//! The keeper's part about ports: each has what the network gives to its ports, and no holder of a
//! TAP goes further than the grant.

use super::{Keeper, Orders};
use crate::observe;
use vmnet_access::port_record::PortRecord;
use vmnet_host::files::read_file;
use vmnet_host::links::{LinkError, Port, SeenLink};
use vmnet_model::error::network;
use vmnet_model::keeper::{KeeperEvent, SeenPort, Verdict};
use vmnet_model::tap_policy::{Enforcement, GrantViolation, GrantedTap};
use vmnet_port::audit;
use vmnet_sys::caller::name_of;

impl<O: Orders> Keeper<'_, O> {
    /// All of them: some came before we listened.
    pub(super) fn look_at_ports(&mut self) -> Option<KeeperEvent> {
        let record = self.port_record()?;
        let mut seen = Vec::new();
        for link in observe::ports(&self.links, &self.name.bridge()).unwrap_or_default() {
            if let Some(bridge) = link.master {
                let done = self.handle_link(bridge, &link, &record, &mut seen);
                self.note(done);
            }
        }
        Some(KeeperEvent::PortsSeen(seen))
    }

    /// One that came, or that is not as it was.
    pub(super) fn look_at_port(&mut self, bridge: u32, index: u32) -> Option<KeeperEvent> {
        let record = self.port_record()?;
        let mut seen = Vec::new();
        let done = match self.links.at(index) {
            // Not one that went on to another bridge meanwhile.
            Ok(Some(link)) if link.master == Some(bridge) => {
                self.handle_link(bridge, &link, &record, &mut seen)
            }
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        self.note(done);
        Some(KeeperEvent::PortsSeen(seen))
    }

    /// What ports must have; none while the network comes up.
    fn port_record(&self) -> Option<PortRecord> {
        PortRecord::parse(&read_file(&self.run_dir.port()).ok().flatten()?).ok()
    }

    /// Ports come and go as they like.
    fn note(&self, done: Result<(), LinkError>) {
        match done {
            Err(error) if !error.cause.is_absent() => self.log.trouble(&self.failed(error).to_string()),
            _ => {}
        }
    }

    /// One that stays is seen, even where it cannot be given what it lacks.
    fn handle_link(
        &mut self,
        bridge: u32,
        link: &SeenLink,
        record: &PortRecord,
        seen: &mut Vec<SeenPort>,
    ) -> Result<(), LinkError> {
        if let Some(tap) = link.tethered()
            && self.hold_to_grant(link.index, &tap)? == Enforcement::Delete
        {
            return Ok(());
        }
        let is_uplink = link.wire().is_some();
        seen.push(SeenPort { port: link.index, is_uplink, is_vacant: link.is_vacant() });
        // A port that the helper did not make (a container's, say) gets what the helper gives. Its
        // MTU is its owner's affair, until the network's changes.
        let PortRecord { group, isolated, hairpin, .. } = *record;
        let port = Port { mtu: link.mtu, group, isolated, hairpin: hairpin && !is_uplink };
        let has = Port { group: link.group, isolated: link.isolated, hairpin: link.hairpin, ..port };
        if has == port { Ok(()) } else { self.links.set_port(link.index, bridge, &port) }
    }

    /// A TAP that is not as it was granted is made so again, or goes.
    fn hold_to_grant(&mut self, index: u32, tap: &GrantedTap) -> Result<Enforcement, LinkError> {
        if tap.breaches().is_empty() && !self.offences.contains_key(&index) {
            return Ok(Enforcement::Nothing);
        }
        let Verdict { act, breaches, news } =
            self.offences.entry(index).or_default().judge(tap, self.network.guard);
        match act {
            Enforcement::PutBack(mac) => {
                self.links.set_mac(index, mac)?;
            }
            Enforcement::Delete => {
                self.links.delete(index)?;
                self.tell_of(tap, &breaches, "it is deleted");
                return Ok(act);
            }
            Enforcement::Wait | Enforcement::Nothing => {}
        }
        let (moved, lasting): (Vec<GrantViolation>, Vec<GrantViolation>) =
            news.into_iter().partition(|breach| *breach == GrantViolation::Mac);
        self.tell_of(tap, &moved, "it is put back");
        self.tell_of(tap, &lasting, "it goes when nobody holds it");
        Ok(act)
    }

    /// In the network's log, and also where it stands what was granted.
    fn tell_of(&self, tap: &GrantedTap, breaches: &[GrantViolation], end: &str) {
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
