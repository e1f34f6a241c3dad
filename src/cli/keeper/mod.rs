//! The keeper: watches a network's server, bridge, ports and leases and makes good what somebody or
//! something took away, until it is told to stop. When it is killed, all it made goes on; the
//! next keeper takes over.

mod cables;
mod clients;
mod firewalls;
mod gone;
mod idle;
mod ports;
mod switch;
mod wake;

use crate::firewall_watch::Watch as FirewallWatch;
use crate::lease_watch::LeaseWatch;
use crate::networks;
use crate::places::{Places, Room};
use crate::process;
use crate::record::Record;
use crate::resolved::{Registrar, Registration};
use crate::say::Log;
use crate::up::raise;
use crate::view;
use cables::Lines;
use clients::Feed;
use ports::Offence;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use vmnet_access::name::NetName;
use vmnet_host::links::{Links, Watch};
use vmnet_model::delegation::Delegation;
use vmnet_model::error::{Error, network};
use vmnet_model::guest::{self, Guest};
use vmnet_model::network::Network;
use vmnet_sys::lock::Claim;
use vmnet_sys::process::{Process, adopt_orphans, reap_all};
use vmnet_sys::trust::plain;
use wake::{Signals, Turn, ended, listen_to, next_event};

/// So many repairs in a row, one after the other at once; then one each [`PAUSE`], so that a
/// fight with another program costs little.
const REPAIRS_AT_ONCE: u32 = 5;
/// And this long without trouble makes a new row.
const PAUSE: Duration = Duration::from_secs(5);

/// One network's keeper.
pub struct Keeper<'a> {
    /// First, so that it is the first to be given back.
    claim: Claim,
    places: &'a Places,
    name: &'a NetName,
    room: Room,
    log: Log,
    links: Links,
    watch: Watch,
    leases: LeaseWatch,
    signals: Signals,
    firewalls: FirewallWatch,
    registrar: Registrar,
    /// The network with what was added live, as it was last brought up.
    network: Network,
    /// Its guests as they were then.
    guests: Vec<Guest>,
    /// It has had a port since we keep it.
    used: bool,
    /// When a network without ports is to go down.
    idle: Option<Instant>,
    /// By the number of the port.
    offences: BTreeMap<u32, Offence>,
    /// The ports that lead to other wires, and are nobody's.
    ways_out: BTreeSet<u32>,
    /// Who is plugged into its switch.
    feed: Feed,
}

/// What is there of a network beside its bridge.
#[derive(Default)]
struct Watched {
    server: Option<Process>,
    wires: Lines,
    lines: Lines,
}

/// Repairs one after the other.
#[derive(Default)]
struct Repairs {
    count: u32,
    last: Option<Instant>,
}

impl Repairs {
    /// Until when to wait before the next one.
    fn next(&mut self) -> Option<Instant> {
        let now = Instant::now();
        let since = self.last.replace(now).map_or(PAUSE, |last| now - last);
        self.count = if since >= PAUSE { 1 } else { self.count + 1 };
        (self.count > REPAIRS_AT_ONCE).then(|| now + PAUSE.saturating_sub(since))
    }
}

/// The file that says who keeps a network; none if somebody does.
pub fn claim(room: &Room) -> Result<Option<Claim>, Error> {
    room.make()?;
    process::claim(&room.keeper())
}

impl<'a> Keeper<'a> {
    /// Take over a network. From here on signals are heeded and changes noticed.
    pub fn new(places: &'a Places, name: &'a NetName, log: Log, claim: Claim) -> Result<Self, Error> {
        let failed = |cause: &dyn std::fmt::Display| Error::new("keep", network(name), cause);
        // dnsmasq becomes a daemon under our eyes; without this its end would never be reaped.
        adopt_orphans().map_err(|error| failed(&plain(&error)))?;
        let room = places.room(&name.bridge());
        let mut keeper = Self {
            places,
            name,
            log,
            links: Links::open().map_err(|error| failed(&error))?,
            watch: Watch::open().map_err(|error| failed(&error))?,
            leases: LeaseWatch::open(&room).map_err(|error| failed(&plain(&error)))?,
            firewalls: FirewallWatch::open(name, places.room(&name.bridge()), log)?,
            signals: Signals::heed().map_err(|error| failed(&plain(&error)))?,
            registrar: Registrar::start(log),
            network: Network::with_defaults(name.clone()),
            guests: Vec::new(),
            used: false,
            idle: None,
            offences: BTreeMap::new(),
            ways_out: BTreeSet::new(),
            feed: Feed::default(),
            room,
            claim,
        };
        keeper.read_again();
        Ok(keeper)
    }

    /// Keep the network until told otherwise.
    pub async fn keep(mut self) -> Result<(), Error> {
        let (mut repairs, mut next) = (Repairs::default(), None);
        self.see_to_ports().await;
        // Those that went while nobody kept it.
        self.forget_ports().await;
        self.see_to_leases().await;
        loop {
            // Nobody waits for a child of ours here: what we start is waited for while it runs.
            reap_all();
            let turn = match next.take() {
                Some(turn) => turn,
                None => self.turn_or_rest().await,
            };
            match turn {
                Turn::Leave => return Ok(()),
                Turn::Stop => return self.stop().await,
                Turn::Idle => {
                    if self.leave_idle().await? {
                        return Ok(());
                    }
                }
                Turn::Reload => {
                    self.repair("its file is read again").await;
                    self.see_to_idleness().await;
                }
                Turn::Port { bridge, port } => self.see_to_port(bridge, port).await,
                Turn::PortGone { port } => {
                    self.offences.remove(&port);
                    self.forget_ports().await;
                    // It may have come and gone before we could look.
                    self.used |= !self.ways_out.remove(&port);
                    self.see_to_idleness().await;
                }
                Turn::Leases => self.see_to_leases().await,
                Turn::Clients(heard) => self.see_to_clients(heard).await,
                Turn::Firewalls(heard) => {
                    // Counted afterwards: most of what is heard is no trouble.
                    if self.see_to_firewalls(&heard).await
                        && let Some(until) = repairs.next()
                    {
                        next = Some(self.rest(until).await);
                    }
                }
                Turn::Nothing => {}
                Turn::Lost(what) => {
                    if let Some(until) = repairs.next() {
                        let again = "it is lost again and again";
                        self.log.trouble(&self.failed(again).to_string());
                        match self.rest(until).await {
                            Turn::Leave => return Ok(()),
                            Turn::Stop => return self.stop().await,
                            _ => {}
                        }
                    }
                    // Before a repair puts right without counting what holders did.
                    self.see_to_ports().await;
                    self.repair(&format!("{what} is gone")).await;
                    self.see_to_idleness().await;
                }
            }
        }
    }

    /// What is next to be done. The network goes on where we cannot tell, and so do we: a kernel that
    /// is too busy now will answer later.
    async fn turn_or_rest(&mut self) -> Turn {
        match self.turn().await {
            Ok(turn) => turn,
            Err(failure) => {
                self.log.trouble(&failure.to_string());
                self.rest(Instant::now() + PAUSE).await
            }
        }
    }

    async fn turn(&mut self) -> Result<Turn, Error> {
        // A network without one is down, and needs nothing.
        let Some(record) = Record::read(&self.room).ok().flatten() else {
            return self.wait(None, Watched::default()).await;
        };
        let server = process::server(&self.room);
        if server.is_none() && self.room.dnsmasq().exists() {
            return Ok(Turn::Lost("dnsmasq"));
        }
        let wires = match self.wires().map_err(|error| self.failed(plain(&error)))? {
            Ok(wires) => wires,
            Err(turn) => return Ok(turn),
        };
        match self.lines().await? {
            Ok(lines) => self.wait(Some(record), Watched { server, wires, lines }).await,
            Err(turn) => Ok(turn),
        }
    }

    async fn wait(&mut self, record: Option<Record>, watched: Watched) -> Result<Turn, Error> {
        let failed = |cause: &dyn std::fmt::Display| Error::new("keep", network(self.name), cause);
        let bridge = self.name.bridge();
        let found = self.links.find(&bridge).map_err(|error| failed(&error))?;
        let Some(link) = found else {
            // Without a record the network is down on purpose.
            return Ok(if record.is_some() { Turn::Lost("the bridge") } else { Turn::Leave });
        };
        let index = link.index;
        self.registrar.want(record.filter(|_| link.running).and_then(|record| {
            let delegation = Delegation::of(&self.network, record.address, &record.given())?;
            Some(Registration { index, delegation })
        }));
        let Watched { server, wires, lines } = watched;
        let server = server.map(listen_to).transpose().map_err(|error| failed(&plain(&error)))?;
        self.feed.tend(self.places, &self.room);
        tokio::select! {
            turn = self.signals.next() => Ok(turn),
            turn = next_event(&mut self.watch, index) => turn.map_err(|error| failed(&error)),
            changed = self.leases.changed() => {
                changed.map(|()| Turn::Leases).map_err(|error| failed(&plain(&error)))
            }
            heard = self.firewalls.changed() => Ok(Turn::Firewalls(heard)),
            heard = self.feed.heard() => Ok(Turn::Clients(heard)),
            () = ended(server.as_ref()) => Ok(Turn::Nothing),
            () = wires.stirred() => Ok(Turn::Nothing),
            () = lines.stirred() => Ok(Turn::Nothing),
            () = reached(self.idle) => Ok(Turn::Idle),
        }
    }

    /// Wait, but heed signals.
    async fn rest(&mut self, until: Instant) -> Turn {
        loop {
            tokio::select! {
                () = sleep_until(until) => return Turn::Nothing,
                turn = self.signals.next() => match turn {
                    // A child's end is what we rest from.
                    Turn::Nothing => reap_all(),
                    turn => return turn,
                }
            }
        }
    }

    /// True if there was something to do.
    async fn repair(&mut self, why: &str) -> bool {
        // Somebody may have taken the network down, or up again, while we waited for our turn.
        if !self.room.record().exists() {
            return false;
        }
        // Those before it: a lease that is given meanwhile is another reason.
        let leases = view::leases(&self.room).unwrap_or_default();
        match raise(self.places, self.name) {
            Ok(raised) => {
                self.network = raised.wanted.network;
                self.guests = guest::known(&self.network.hosts, &leases);
                if raised.steps.is_empty() {
                    return false;
                }
                let steps: Vec<String> = raised.steps.iter().map(ToString::to_string).collect();
                self.log.info(&format!("{}: {why}: {}", network(self.name), steps.join(", ")));
            }
            Err(failure) => self.log.trouble(&failure.to_string()),
        }
        true
    }

    /// The file may say something else than when the network was brought up.
    fn read_again(&mut self) {
        if let Ok(network) = networks::with_live(self.places, self.name) {
            self.network = network;
        }
    }

    /// Forwards and rules that name guests follow their leases.
    async fn see_to_leases(&mut self) {
        self.read_again();
        let follows = !self.network.forwards.is_empty() || self.network.is_filtered();
        let guests = self.guests_of(&self.network);
        if follows && guests != self.guests {
            self.repair("a lease changed").await;
        } else {
            // What is added live later starts from here.
            self.guests = guests;
        }
    }

    fn guests_of(&self, network: &Network) -> Vec<Guest> {
        guest::known(&network.hosts, &view::leases(&self.room).unwrap_or_default())
    }

    fn failed(&self, cause: impl std::fmt::Display) -> Error {
        Error::new("keep", network(self.name), cause)
    }
}

/// Pending until then; for ever where there is no such moment.
async fn reached(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
