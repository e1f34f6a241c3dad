//! The steps about what the whole host has once.

use super::Work;
use vmnet_host::forwarding;
use vmnet_host::ipv6::Forwarding6;
use vmnet_model::error::Error;
use vmnet_model::plan::HostStep;

impl Work<'_> {
    pub(super) fn host(&self, step: HostStep) -> Result<(), Error> {
        match step {
            HostStep::EnableForwarding => forwarding::enable(),
            HostStep::EnableForwarding6 => match &self.record.forwarding6_was {
                Some(was) => was.enable(),
                None => Forwarding6::now()?.enable(),
            },
        }
    }
}
