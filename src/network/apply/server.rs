//! The steps about dnsmasq and its files.

use super::Work;
use crate::server;
use vmnet_host::files::{make_directory, write_file};
use vmnet_host::log::Log;
use vmnet_model::error::Error;
use vmnet_model::plan::{DesiredState, ServerStep};
use vmnet_sys::checksum;
use vmnet_sys::trust::plain;
use vmnet_tools::{ToolError, dnsmasq};

/// Where a DHCP server listens and answers from (RFC 2131, 4.1).
const DHCP_PORT: u16 = 67;

impl Work<'_> {
    pub(super) fn server(&mut self, step: ServerStep) -> Result<(), Error> {
        let DesiredState { names, reservations, .. } = self.goal;
        match step {
            ServerStep::Stop(_) => server::stop(self.run_dir).map_err(|error| self.failed(plain(&error))),
            ServerStep::WriteFile => {
                let text = self.goal.dnsmasq.as_deref().unwrap_or_default();
                write_file(&self.run_dir.dnsmasq(), text, 0o644)
            }
            ServerStep::RemoveFile => {
                std::fs::remove_file(self.run_dir.dnsmasq()).map_err(|error| self.failed(plain(&error)))
            }
            ServerStep::WriteNames => make_directory(&self.run_dir.names_directory())
                .and_then(|()| write_file(&self.run_dir.names(), names, 0o644)),
            ServerStep::WriteReservations => make_directory(&self.run_dir.reservations_directory())
                .and_then(|()| write_file(&self.run_dir.reservations(), reservations, 0o644)),
            ServerStep::Reread(_) => server::reread(self.run_dir).map_err(|error| self.failed(plain(&error))),
            ServerStep::Start => self.start_server(),
        }
    }

    fn start_server(&mut self) -> Result<(), Error> {
        let file = self.run_dir.dnsmasq();
        match dnsmasq::start(&file) {
            Err(ToolError::CannotStart { .. }) if self.loading.is_some() => {
                self.finish()?;
                dnsmasq::start(&file).map_err(|error| self.no_server(&error))?;
            }
            started => started.map_err(|error| self.no_server(&error))?,
        }
        if self.goal.wanted.network.dhcp.enabled {
            self.leave_checksums_out();
        }
        Ok(())
    }

    /// Only guests that look at raw packets miss it, so a kernel that refuses is no reason to have
    /// no server.
    fn leave_checksums_out(&self) {
        let left_out = match server::find(self.run_dir) {
            Some(server) => checksum::leave_out(&server, DHCP_PORT).map(|_| ()),
            // It ended at once, which others notice.
            None => Ok(()),
        };
        if let Err(error) = left_out {
            let object = format!("the checksums of the DHCP server's replies on {}", self.goal.wanted.bridge);
            let failure = Error::new("leave out", object, plain(&error));
            Log::Background.trouble(&failure.to_string());
        }
    }

    fn no_server(&self, error: &ToolError) -> Error {
        let failure = self.failed(error);
        if error.to_string().contains("Address already in use") {
            return failure.hint(
                "another DNS or DHCP server listens on every address of this host; 'vmnet doctor' says which",
            );
        }
        failure
    }
}
