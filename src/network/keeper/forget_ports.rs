//! After a port went: what the kernel learned of it goes too, so that its guest may come back at once
//! by another port, with the same MAC.

use super::{Keeper, Orders};
use crate::observe;
use vmnet_access::name::IfName;
use vmnet_model::bridge_filter;
use vmnet_tools::{ToolError, nft};

impl<O: Orders> Keeper<'_, O> {
    /// Forget one that went; another may get its number.
    pub(super) fn forget_port(&mut self, port: u32) {
        self.offences.remove(&port);
        self.forget_ports();
    }

    /// Forget every port that is not there.
    pub(super) fn forget_ports(&self) {
        if !self.network.guard {
            return;
        }
        if let Err(cause) = self.forget_gone() {
            self.log.trouble(&self.failed(cause).to_string());
        }
    }

    fn forget_gone(&self) -> Result<(), String> {
        let failed = |error: ToolError| error.to_string();
        let table = self.name.table();
        // The ports after it: one that comes meanwhile must not seem to be gone.
        let Some(listing) = nft::list_elements("bridge", &table).map_err(failed)? else { return Ok(()) };
        let ports = observe::ports(&self.links, &self.name.bridge()).map_err(|error| error.to_string())?;
        let ports: Vec<IfName> = ports.into_iter().map(|port| port.name).collect();
        bridge_filter::forget(&table, &listing, &ports)
            .map_or(Ok(()), |text| nft::load(&text).map_err(failed))
    }
}
