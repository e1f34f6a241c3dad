//! The keeper's part about firewalls: our own tables come back when somebody flushed them, and
//! other people's are opened when they close.

use super::Keeper;
use crate::firewall_watch::Heard;
use vmnet_host::ipv6;
use vmnet_model::foreign::Guests;

impl Keeper<'_> {
    /// True if there was something to do.
    pub(super) async fn see_to_firewalls(&mut self, heard: &Heard) -> bool {
        match heard.needs_repair(&Guests::of(&self.network, ipv6::is_there())) {
            Ok(needed) => needed && self.repair("a firewall changed").await,
            Err(failure) => {
                self.log.trouble(&failure.to_string());
                true
            }
        }
    }
}
