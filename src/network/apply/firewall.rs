//! The steps about firewalls: the network's own tables by nft, and other programs' chains.

use super::Work;
use crate::observe;
use crate::store::run_record::{Loaded, Record};
use std::thread;
use vmnet_host::firewalls as foreign;
use vmnet_host::log::Log;
use vmnet_model::error::Error;
use vmnet_model::firewall::{self, forwards};
use vmnet_model::plan::{DesiredState, FirewallStep};
use vmnet_sys::trust::plain;
use vmnet_tools::{ToolError, nft};

impl Work<'_> {
    pub(super) fn firewall(&mut self, step: FirewallStep) -> Result<(), Error> {
        match step {
            FirewallStep::LoadTables => self.load_tables(),
            FirewallStep::LoadForwards => self.load_forwards(),
            FirewallStep::LoadGuests => self.load_guests(),
            FirewallStep::OpenOthers => self.open_others(),
        }
    }

    /// Load the tables beside the other steps: most of nft's time is spent waiting for the kernel.
    /// [`Work::finish`] waits for it.
    fn load_tables(&mut self) -> Result<(), Error> {
        let order = Order::new(self.goal, self.record);
        // From here on there is something to remove.
        self.record.ruleset = Some(Loaded::new(self.goal, ""));
        self.record.count(&self.goal.forwards);
        self.record.learn(self.goal);
        let thread = thread::Builder::new().name("nft".to_owned()).spawn(move || order.load());
        self.loading = Some(thread.map_err(|error| self.failed(plain(&error)))?);
        Ok(())
    }

    /// The forwards alone: one transaction, and nothing is listed.
    fn load_forwards(&mut self) -> Result<(), Error> {
        let table = self.goal.wanted.name().table();
        let text = forwards::change(&table, &self.record.counters, &self.goal.forwards);
        nft::load(&text).map_err(|error| self.failed(error))?;
        self.record.count(&self.goal.forwards);
        Ok(())
    }

    /// What rules know of guests alone: what they learned themselves lives on.
    fn load_guests(&mut self) -> Result<(), Error> {
        let text = self.goal.known.as_deref().unwrap_or_default();
        nft::load(text).map_err(|error| self.failed(error))?;
        self.record.learn(self.goal);
        Ok(())
    }

    /// Wait for what was begun. A load that failed has left nothing: it is one transaction.
    pub(super) fn finish(&mut self) -> Result<(), Error> {
        let Some(loading) = self.loading.take() else { return Ok(()) };
        let mut loaded = loading.join().map_err(|_| self.failed("nft could not be waited for"))?;
        if let Err(Unloaded::Nothing(ToolError::CannotStart { .. })) = loaded {
            // Under a small limit of descriptors there is room for one tool, not for two.
            loaded = Order::new(self.goal, self.record).load();
        }
        match loaded {
            Ok(listing) => self.record.ruleset = Some(Loaded::new(self.goal, &listing)),
            Err(Unloaded::Nothing(error)) => {
                self.record.ruleset = None;
                return Err(self.failed(error));
            }
            Err(Unloaded::Unseen(error)) => {
                return Err(self.failed(format!("cannot list the firewall: {}", plain(&error))));
            }
        }
        Ok(())
    }

    /// A network is worth having even where somebody else's firewall cannot be opened; `status`
    /// shows it.
    fn open_others(&self) -> Result<(), Error> {
        let guests = self.goal.guests();
        for trouble in foreign::open(&guests, foreign::look(&guests)?) {
            Log::Background.trouble(&trouble);
        }
        Ok(())
    }
}

/// Why a table is not known to be loaded.
pub enum Unloaded {
    /// The table is not loaded.
    Nothing(ToolError),
    /// The table may be loaded, but the kernel does not show it.
    Unseen(std::io::Error),
}

/// What nft is to load, whichever thread asks it.
struct Order {
    /// In front of the tables where nothing of ours is known of.
    first: Option<String>,
    /// In front of them where they may be there.
    removal: String,
    tables: String,
    table: String,
    filtered: bool,
}

impl Order {
    fn new(goal: &DesiredState, record: &Record) -> Self {
        let table = goal.wanted.name().table();
        Self {
            // Where nothing of ours is known of, it is worth trying to do without the removal.
            first: record.ruleset.is_none().then(|| firewall::creation(&table)),
            removal: firewall::removal(&table, record.filtered),
            tables: goal.ruleset.clone(),
            filtered: record.filtered,
            table,
        }
    }

    /// Load the tables and look at them: by that listing a later look knows them again.
    fn load(&self) -> Result<String, Unloaded> {
        let with = |head: &str| nft::load(&format!("{head}{}", self.tables));
        if self.first.as_ref().is_none_or(|first| with(first).is_err()) {
            with(&self.removal).map_err(Unloaded::Nothing)?;
        }
        let listing = observe::list(&self.table, self.filtered).map_err(Unloaded::Unseen)?;
        Ok(listing.unwrap_or_default())
    }
}
