//! Doing: one call per step of a plan. It decides nothing.

use crate::failure::{Failure, io, network};
use crate::host;
use crate::links::Links;
use crate::places::{Room, write_file};
use crate::process;
use crate::record::{Loaded, Record};
use vmnet_model::plan::{Goal, Step};
use vmnet_tools::{ToolError, dnsmasq, nft};

/// What the steps of one network work on.
pub struct Work<'a> {
    /// The kernel's links.
    pub links: &'a Links,
    /// The network.
    pub goal: &'a Goal,
    /// Its run directory.
    pub room: &'a Room,
    /// Its record, which learns what was done.
    pub record: &'a mut Record,
    /// The bridge's number, once it is known.
    pub index: Option<u32>,
}

impl Work<'_> {
    /// Do the steps in order, up to the first that fails.
    pub async fn apply(&mut self, steps: &[Step]) -> Result<(), Failure> {
        for step in steps {
            self.step(step).await?;
        }
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> Result<(), Failure> {
        match step {
            Step::CreateBridge(mac) => {
                let made = self.links.create_bridge(&self.goal.wanted.bridge, *mac).await;
                self.index = Some(made.map_err(|error| self.failed(error))?);
            }
            Step::SetBridge { mtu, mac, alias } => {
                let index = self.index()?;
                self.links.set_bridge(index, *mtu, *mac, alias).await.map_err(|e| self.failed(e))?;
            }
            Step::DisableIpv6 => host::turn_ipv6_off(&self.goal.wanted.bridge)?,
            Step::RemoveAddress(address, length) => {
                let index = self.index()?;
                self.links.remove_address(index, *address, *length).await.map_err(|e| self.failed(e))?;
            }
            Step::AddAddress(address, length) => {
                let index = self.index()?;
                self.links.add_address(index, *address, *length).await.map_err(|e| self.failed(e))?;
            }
            Step::Raise => self.links.raise(self.index()?).await.map_err(|error| self.failed(error))?,
            Step::EnableForwarding => host::set_forwarding("1")?,
            Step::LoadRuleset => self.load_ruleset()?,
            Step::StopDnsmasq(_) => {
                process::stop_server(self.room).map_err(|error| self.failed(io(&error)))?
            }
            Step::WriteDnsmasq => {
                let text = self.goal.dnsmasq.as_deref().unwrap_or_default();
                write_file(&self.room.dnsmasq(), text, 0o644)?;
            }
            Step::RemoveDnsmasq => {
                std::fs::remove_file(self.room.dnsmasq()).map_err(|error| self.failed(io(&error)))?;
            }
            Step::StartDnsmasq => {
                dnsmasq::start(&self.room.dnsmasq()).map_err(|error| self.no_server(&error))?
            }
            Step::WritePort => write_file(&self.room.port(), &self.goal.port, 0o644)?,
        }
        Ok(())
    }

    /// Load the table and keep how nft shows it, by which a later look knows it again.
    fn load_ruleset(&mut self) -> Result<(), Failure> {
        nft::load(&self.goal.ruleset).map_err(|error| self.failed(error))?;
        // From here on there is something to remove, whether or not nft will show it.
        self.record.ruleset = Some(Loaded::new(&self.goal.ruleset, ""));
        let table = self.goal.wanted.network.name.table();
        let listing = nft::list_table("inet", &table).map_err(|error| self.failed(error))?;
        self.record.ruleset = Some(Loaded::new(&self.goal.ruleset, &listing.unwrap_or_default()));
        Ok(())
    }

    fn no_server(&self, error: &ToolError) -> Failure {
        let failure = self.failed(error);
        if error.to_string().contains("Address already in use") {
            return failure
                .hint("another DNS or DHCP server listens on every address of this host; see vmnet(8)");
        }
        failure
    }

    fn index(&self) -> Result<u32, Failure> {
        self.index.ok_or_else(|| self.failed("its bridge vanished"))
    }

    fn failed(&self, cause: impl std::fmt::Display) -> Failure {
        Failure::new("start", network(&self.goal.wanted.network.name), cause)
    }
}
