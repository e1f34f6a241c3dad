//! Doing: one call per step of a plan. It decides nothing.

use crate::cables::{self, Site};
use crate::look;
use crate::places::Room;
use crate::process;
use crate::record::{Loaded, Record};
use crate::say::Log;
use crate::switch;
use std::thread::{self, JoinHandle};
use vmnet_access::port_record::PortRecord;
use vmnet_host::facts as host;
use vmnet_host::files::{make_directory, write_file};
use vmnet_host::firewalls as foreign;
use vmnet_host::forwarding;
use vmnet_host::ipv6::{self, Forwarding6};
use vmnet_host::links::{Cause, LinkError, Links, Port};
use vmnet_model::error::{Error, network};
use vmnet_model::firewall::{self, forwards};
use vmnet_model::plan::{Goal, SeenPort, Step};
use vmnet_sys::checksum;
use vmnet_sys::trust::plain;
use vmnet_tools::{ToolError, dnsmasq, nft};

/// Where a DHCP server listens and answers from (RFC 2131, 4.1).
const DHCP_PORT: u16 = 67;

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
        let bridge = &self.goal.wanted.bridge;
        match step {
            Step::CreateBridge(mac) => {
                let made = self.links.create_bridge(bridge, *mac);
                self.index = Some(made.map_err(|error| self.failed(error))?);
            }
            Step::DisableIpv6 => ipv6::turn_off(bridge)?,
            Step::PrepareIpv6 => ipv6::make_router(bridge)?,
            Step::EnableForwarding => forwarding::enable()?,
            Step::EnableForwarding6 => match &self.record.forwarding6_was {
                Some(was) => was.enable()?,
                None => Forwarding6::now()?.enable()?,
            },
            Step::AllowLoopback => host::allow_loopback(bridge)?,
            Step::LoadRuleset => self.load_ruleset()?,
            Step::LoadForwards => self.load_forwards()?,
            Step::LoadGuests => self.load_guests()?,
            Step::OpenFirewalls => self.open_firewalls()?,
            Step::WritePort => {
                // It lets the helper in, so the firewall must be there.
                self.finish()?;
                write_file(&self.room.port(), &self.goal.port.render(), 0o644)?;
            }
            Step::StopDnsmasq(_)
            | Step::WriteDnsmasq
            | Step::RemoveDnsmasq
            | Step::WriteNames
            | Step::WriteReservations
            | Step::RereadDnsmasq(_)
            | Step::StartDnsmasq => self.serve(step)?,
            Step::WriteSwitch
            | Step::RemoveSwitch
            | Step::StopSwitch(_)
            | Step::StartSwitch
            | Step::PlugAgain
            | Step::StopPump(_)
            | Step::StartPump => switch::apply(step, self.goal, self.room)?,
            Step::MakeCable(..)
            | Step::RemoveCable(..)
            | Step::StartCable(..)
            | Step::PlugCable(_)
            | Step::StopCable(_) => self.plug(step),
            link => self.change_link(link).map_err(|error| self.failed(error))?,
        }
        Ok(())
    }

    /// A network is worth having even where it cannot be joined with another; `status` shows it.
    fn plug(&self, step: &Step) {
        let site = Site { name: self.goal.wanted.name(), links: self.links, room: self.room };
        if let Err(failure) = cables::apply(&site, step) {
            Log::Background.trouble(&failure.to_string());
        }
    }

    /// The steps by netlink, on links that are there.
    fn change_link(&self, step: &Step) -> Result<(), LinkError> {
        let gone =
            || LinkError { act: "find", object: self.goal.wanted.bridge.to_string(), cause: Cause::Closed };
        let bridge = self.index.ok_or_else(gone)?;
        let PortRecord { group, isolated, hairpin, .. } = self.goal.port;
        let port = Port { mtu: self.goal.wanted.mtu, group, isolated, hairpin };
        match step {
            Step::SetBridge { mtu, mac, alias } => self.links.set_bridge(bridge, *mtu, *mac, alias),
            Step::RemoveAddress(address, length) => self.links.remove_address(bridge, *address, *length),
            Step::AddAddress(address, length) => self.links.add_address(bridge, *address, *length),
            Step::Raise => self.links.raise(bridge),
            Step::SetPort(SeenPort { index, mtu, hairpin, .. }) => {
                let port = Port { mtu: *mtu, hairpin: *hairpin, ..port };
                present(self.links.set_port(*index, bridge, &port))
            }
            Step::AttachPort(index, _) => present(self.links.set_port(*index, bridge, &port)),
            Step::SetMac(index, _, mac) => present(self.links.set_mac(*index, *mac)),
            Step::DeletePort(index, _) => self.links.delete(*index),
            _ => Ok(()),
        }
    }

    /// The steps about dnsmasq.
    fn serve(&mut self, step: &Step) -> Result<(), Error> {
        let Goal { names, reservations, .. } = self.goal;
        match step {
            Step::StopDnsmasq(_) => {
                process::stop_server(self.room).map_err(|error| self.failed(plain(&error)))
            }
            Step::WriteDnsmasq => {
                let text = self.goal.dnsmasq.as_deref().unwrap_or_default();
                write_file(&self.room.dnsmasq(), text, 0o644)
            }
            Step::RemoveDnsmasq => {
                std::fs::remove_file(self.room.dnsmasq()).map_err(|error| self.failed(plain(&error)))
            }
            Step::WriteNames => make_directory(&self.room.names_directory())
                .and_then(|()| write_file(&self.room.names(), names, 0o644)),
            Step::WriteReservations => make_directory(&self.room.reservations_directory())
                .and_then(|()| write_file(&self.room.reservations(), reservations, 0o644)),
            Step::RereadDnsmasq(_) => {
                process::reread_server(self.room).map_err(|error| self.failed(plain(&error)))
            }
            _ => self.start_dnsmasq(),
        }
    }

    /// Load the tables beside the other steps: most of nft's time is spent waiting for the kernel.
    /// [`Work::finish`] waits for it.
    fn load_ruleset(&mut self) -> Result<(), Error> {
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
    fn finish(&mut self) -> Result<(), Error> {
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

    fn start_dnsmasq(&mut self) -> Result<(), Error> {
        let file = self.room.dnsmasq();
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

    /// A network is worth having even where somebody else's firewall cannot be opened; `status`
    /// shows it.
    fn open_firewalls(&self) -> Result<(), Error> {
        let guests = self.goal.guests();
        for trouble in foreign::open(&guests, foreign::look(&guests)?) {
            Log::Background.trouble(&trouble);
        }
        Ok(())
    }

    /// Only guests that look at raw packets miss it, so a kernel that refuses is no reason to have
    /// no server.
    fn leave_checksums_out(&self) {
        let left_out = match process::server(self.room) {
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

    fn failed(&self, cause: impl std::fmt::Display) -> Error {
        Error::new("start", network(self.goal.wanted.name()), cause)
    }
}

/// A port may go meanwhile, as ports do.
fn present(done: Result<(), LinkError>) -> Result<(), LinkError> {
    match done {
        Err(error) if error.cause.is_absent() => Ok(()),
        done => done,
    }
}

/// Why a table is not known to be loaded.
pub enum Unloaded {
    /// It is not.
    Nothing(ToolError),
    /// It may be, but the kernel does not show it.
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
    fn new(goal: &Goal, record: &Record) -> Self {
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
        let listing = look::list(&self.table, self.filtered).map_err(Unloaded::Unseen)?;
        Ok(listing.unwrap_or_default())
    }
}
