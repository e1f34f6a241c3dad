//! The steps about the bridge: by netlink, and by the switches that the kernel keeps for a link.

use super::Work;
use vmnet_host::{facts as host, ipv6};
use vmnet_model::error::Error;
use vmnet_model::plan::BridgeStep;

impl Work<'_> {
    pub(super) fn bridge(&mut self, step: &BridgeStep) -> Result<(), Error> {
        let (links, name) = (self.links, &self.goal.wanted.bridge);
        let done = match step {
            BridgeStep::Create(mac) => {
                links.create_bridge(name, *mac).map(|number| self.index = Some(number))
            }
            BridgeStep::DisableIpv6 => return ipv6::turn_off(name),
            BridgeStep::PrepareIpv6 => return ipv6::make_router(name),
            BridgeStep::AllowLoopback => return host::allow_loopback(name),
            BridgeStep::Set { mtu, mac, alias } => {
                self.number().and_then(|bridge| links.set_bridge(bridge, *mtu, *mac, alias))
            }
            BridgeStep::Raise => self.number().and_then(|bridge| links.raise(bridge)),
            BridgeStep::RemoveAddress(address, length) => {
                self.number().and_then(|bridge| links.remove_address(bridge, *address, *length))
            }
            BridgeStep::AddAddress(address, length) => {
                self.number().and_then(|bridge| links.add_address(bridge, *address, *length))
            }
        };
        done.map_err(|error| self.failed(error))
    }
}
