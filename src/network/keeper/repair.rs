//! The keeper's part about repairs: by the same steps as `up`, which plans nothing where all is right.

use super::{Keeper, Orders};
use crate::leases;
use crate::store::definitions;
use crate::up::raise;
use vmnet_model::error::network;
use vmnet_model::guest;
use vmnet_model::keeper::{Cause, KeeperEvent};

impl<O: Orders> Keeper<'_, O> {
    /// Make the network as its file says.
    pub(super) fn repair(&mut self, cause: Cause) -> KeeperEvent {
        // Somebody may have taken the network down, or up again, while we waited for our turn.
        if !self.run_dir.record().exists() {
            return KeeperEvent::Repaired { cause, changed: false };
        }
        // Those before it: a lease that is given meanwhile is another reason.
        let leases = leases::leases(&self.run_dir).unwrap_or_default();
        match raise(self.dirs, self.name) {
            Ok(raised) => {
                self.network = raised.wanted.network;
                self.guests = guest::known(&self.network.hosts, &leases);
                let changed = !raised.steps.is_empty();
                if changed {
                    let steps: Vec<String> = raised.steps.iter().map(ToString::to_string).collect();
                    self.log.info(&format!("{}: {cause}: {}", network(self.name), steps.join(", ")));
                }
                KeeperEvent::Repaired { cause, changed }
            }
            Err(failure) => KeeperEvent::RepairFailed { cause, trouble: failure.to_string() },
        }
    }

    /// Forwards and rules that name guests follow their leases.
    pub(super) fn follow_leases(&mut self) -> KeeperEvent {
        self.read_again();
        let follows = !self.network.forwards.is_empty() || self.network.is_filtered();
        let leases = leases::leases(&self.run_dir).unwrap_or_default();
        let guests = guest::known(&self.network.hosts, &leases);
        if follows && guests != self.guests {
            return self.repair(Cause::Lease);
        }
        // What is added live later starts from here.
        self.guests = guests;
        KeeperEvent::LeasesFollowed
    }

    /// The file may say something else than when the network was brought up.
    pub(super) fn read_again(&mut self) {
        if let Ok(network) = definitions::with_live(self.dirs, self.name) {
            self.network = network;
        }
    }
}
