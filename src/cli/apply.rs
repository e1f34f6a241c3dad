//! Doing: one call per step of a plan. It decides nothing.

use crate::failure::{Failure, io, network};
use crate::forwarding;
use crate::host;
use crate::links::Links;
use crate::places::{Room, write_file};
use crate::process;
use crate::record::{Loaded, Record};
use std::thread::{self, JoinHandle};
use vmnet_model::firewall;
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
    /// nft at work.
    pub loading: Option<JoinHandle<Result<String, Unloaded>>>,
}

impl Work<'_> {
    /// Do the steps in order, up to the first that fails.
    pub async fn apply(&mut self, steps: &[Step]) -> Result<(), Failure> {
        let mut done = Ok(());
        for step in steps {
            done = self.step(step).await;
            if done.is_err() {
                break;
            }
        }
        let finished = self.finish();
        done.and(finished)
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
            Step::EnableForwarding => forwarding::enable()?,
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
            Step::StartDnsmasq => self.start_dnsmasq()?,
            Step::WritePort => write_file(&self.room.port(), &self.goal.port, 0o644)?,
        }
        Ok(())
    }

    /// Load the table beside the other steps: most of nft's time is spent waiting for the kernel.
    /// [`Work::finish`] waits for it.
    fn load_ruleset(&mut self) -> Result<(), Failure> {
        let (wanted, text) = (&self.goal.wanted, self.goal.ruleset.clone());
        // Where nothing of ours is known of, it is worth trying to do without the removal.
        let first = self.record.ruleset.is_none().then(|| firewall::first_ruleset(wanted));
        let table = wanted.network.name.table();
        // From here on there is something to remove.
        self.record.ruleset = Some(Loaded::new(&text, ""));
        let work = move || load(first.as_deref(), &text, &table);
        let thread = thread::Builder::new().name("nft".to_owned()).spawn(work);
        self.loading = Some(thread.map_err(|error| self.failed(io(&error)))?);
        Ok(())
    }

    /// Wait for what was begun. A load that failed has left nothing: it is one transaction.
    fn finish(&mut self) -> Result<(), Failure> {
        let Some(loading) = self.loading.take() else { return Ok(()) };
        let mut loaded = loading.join().map_err(|_| self.failed("nft could not be waited for"))?;
        if let Err(Unloaded::Nothing(ToolError::CannotStart { .. })) = loaded {
            // Under a small limit of descriptors there is room for one tool, not for two.
            loaded = load(None, &self.goal.ruleset, &self.goal.wanted.network.name.table());
        }
        match loaded {
            Ok(listing) => self.record.ruleset = Some(Loaded::new(&self.goal.ruleset, &listing)),
            Err(Unloaded::Nothing(error)) => {
                self.record.ruleset = None;
                return Err(self.failed(error));
            }
            Err(Unloaded::Unseen(error)) => return Err(self.failed(error)),
        }
        Ok(())
    }

    fn start_dnsmasq(&mut self) -> Result<(), Failure> {
        let file = self.room.dnsmasq();
        match dnsmasq::start(&file) {
            Err(ToolError::CannotStart { .. }) if self.loading.is_some() => {
                self.finish()?;
                dnsmasq::start(&file).map_err(|error| self.no_server(&error))
            }
            started => started.map_err(|error| self.no_server(&error)),
        }
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

/// Why a table is not known to be loaded.
pub enum Unloaded {
    /// It is not.
    Nothing(ToolError),
    /// It may be, but nft does not show it.
    Unseen(ToolError),
}

/// Load the table and look at it: by that listing a later look knows it again.
fn load(first: Option<&str>, text: &str, table: &str) -> Result<String, Unloaded> {
    if first.is_none_or(|first| nft::load(first).is_err()) {
        nft::load(text).map_err(Unloaded::Nothing)?;
    }
    let listing = nft::list_table("inet", table).map_err(Unloaded::Unseen)?;
    Ok(listing.unwrap_or_default())
}
