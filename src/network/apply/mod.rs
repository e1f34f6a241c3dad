//! Doing: one call per step of a plan. It decides nothing.
//!
//! | file | does |
//! |---|---|
//! | `bridge` | the steps about the bridge |
//! | `host` | those about what the whole host has once |
//! | `firewall` | those about firewalls |
//! | `server` | those about dnsmasq |
//! | `port` | those about the bridge's ports |
//!
//! Those about the switch are done in [`vmnet_vswitch::settings`], those about cables in [`crate::cables`].

mod bridge;
mod firewall;
mod host;
mod port;
mod server;

use crate::cables::{self, Site};
use crate::dirs::RunDir;
use crate::store::run_record::Record;
use firewall::Unloaded;
use std::thread::JoinHandle;
use vmnet_host::links::{Cause, LinkError, Links};
use vmnet_host::log::Log;
use vmnet_model::error::{Error, network};
use vmnet_model::plan::{CableStep, DesiredState, Step};
use vmnet_vswitch::settings;

/// What the steps of one network work on.
pub struct Work<'a> {
    /// The kernel's links.
    pub links: &'a Links,
    /// The network.
    pub goal: &'a DesiredState,
    /// Its run directory.
    pub run_dir: &'a RunDir,
    /// Its record, which learns what was done.
    pub record: &'a mut Record,
    /// The bridge's number, once it is known.
    pub index: Option<u32>,
    /// nft, while it loads the tables on a thread of its own.
    pub loading: Option<JoinHandle<Result<String, Unloaded>>>,
}

impl Work<'_> {
    /// Do the steps in order, up to the first that fails.
    pub fn apply(&mut self, steps: &[Step]) -> Result<(), Error> {
        let mut done = Ok(());
        for step in steps {
            done = self.step(step);
            if done.is_err() {
                break;
            }
        }
        let finished = self.finish();
        done.and(finished)
    }

    fn step(&mut self, step: &Step) -> Result<(), Error> {
        match step {
            Step::Bridge(step) => self.bridge(step),
            Step::Host(step) => self.host(*step),
            Step::Firewall(step) => self.firewall(*step),
            Step::Server(step) => self.server(*step),
            Step::Switch(step) => settings::apply(*step, self.goal, &self.run_dir.switch()),
            Step::Cable(step) => {
                self.plug(step);
                Ok(())
            }
            Step::Port(step) => self.port(step),
        }
    }

    /// A network is worth having even where it cannot be joined with another; `status` shows it.
    fn plug(&self, step: &CableStep) {
        let site = Site { name: self.goal.wanted.name(), links: self.links, run_dir: self.run_dir };
        if let Err(failure) = cables::apply(&site, step) {
            Log::Background.trouble(&failure.to_string());
        }
    }

    /// The bridge's number.
    fn number(&self) -> Result<u32, LinkError> {
        let gone =
            || LinkError { act: "find", object: self.goal.wanted.bridge.to_string(), cause: Cause::Closed };
        self.index.ok_or_else(gone)
    }

    fn failed(&self, cause: impl std::fmt::Display) -> Error {
        Error::new("start", network(self.goal.wanted.name()), cause)
    }
}
