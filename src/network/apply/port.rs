//! The steps about the bridge's ports.

use super::Work;
use vmnet_access::port_record::PortRecord;
use vmnet_host::files::write_file;
use vmnet_host::links::{LinkError, Port};
use vmnet_model::error::Error;
use vmnet_model::plan::{PortStep, SeenPort};

impl Work<'_> {
    pub(super) fn port(&mut self, step: &PortStep) -> Result<(), Error> {
        let links = self.links;
        let done = match step {
            PortStep::WriteRecord => return self.let_the_helper_in(),
            PortStep::Set(SeenPort { index, mtu, hairpin, .. }) => {
                present(self.set(*index, &Port { mtu: *mtu, hairpin: *hairpin, ..self.new_port() }))
            }
            PortStep::Attach(index, _) => present(self.set(*index, &self.new_port())),
            PortStep::SetMac(index, _, mac) => present(links.set_mac(*index, *mac)),
            PortStep::Delete(index, _) => links.delete(*index),
        };
        done.map_err(|error| self.failed(error))
    }

    /// The firewall must be there before.
    fn let_the_helper_in(&mut self) -> Result<(), Error> {
        self.finish()?;
        write_file(&self.run_dir.port(), &self.goal.port.render(), 0o644)
    }

    fn set(&self, index: u32, port: &Port) -> Result<(), LinkError> {
        self.links.set_port(index, self.number()?, port)
    }

    /// As the helper makes them.
    fn new_port(&self) -> Port {
        let PortRecord { group, isolated, hairpin, .. } = self.goal.port;
        Port { mtu: self.goal.wanted.mtu, group, isolated, hairpin }
    }
}

/// A port may go meanwhile, as ports do.
fn present(done: Result<(), LinkError>) -> Result<(), LinkError> {
    match done {
        Err(error) if error.cause.is_absent() => Ok(()),
        done => done,
    }
}
