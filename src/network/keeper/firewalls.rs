//! The keeper's part about firewalls: our own tables come back when somebody flushed them, and
//! other people's are opened when they close.

use super::{Keeper, Orders};
use vmnet_host::ipv6;
use vmnet_model::keeper::KeeperEvent;
use vmnet_model::other_firewalls::Guests;

impl<O: Orders> Keeper<'_, O> {
    /// Whether what was heard shuts guests out. What cannot be found out is repaired: a repair finds out for
    /// itself, and tells why where it cannot.
    pub(super) fn check_firewalls(&mut self) -> Option<KeeperEvent> {
        let heard = std::mem::take(&mut self.heard);
        let guests = Guests::of(&self.network, ipv6::is_there());
        heard.needs_repair(&guests).unwrap_or(true).then_some(KeeperEvent::FirewallsShut)
    }
}
