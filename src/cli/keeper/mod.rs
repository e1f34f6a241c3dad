//! The keeper: watches a network's server, bridge, ports and leases and makes good what somebody or
//! something took away, until it is told to stop. When it is killed, all it made goes on; the
//! next keeper takes over.

mod wake;

use crate::failure::{Failure, io, network};
use crate::links::{Links, Port, Watch};
use crate::look;
use crate::networks;
use crate::places::{Places, Room, read_file};
use crate::process;
use crate::record::Record;
use crate::say::Log;
use crate::take_down::take_down;
use crate::up::raise;
use crate::view;
use std::io::{Seek, Write};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use vmnet_model::guest::{self, Guest};
use vmnet_model::name::NetName;
use vmnet_model::network::{Idle, Network};
use vmnet_model::port::PortRecord;
use vmnet_sys::lock::Claim;
use vmnet_sys::process::{Process, adopt_orphans, reap_all};
use wake::{LeaseWatch, Signals, Turn, ended, listen_to, next_event};

/// So many repairs in a row, one after the other at once; then one each [`PAUSE`], so that a
/// fight with another program costs little.
const REPAIRS_AT_ONCE: u32 = 5;
/// And this long without trouble makes a new row.
const PAUSE: Duration = Duration::from_secs(5);

/// One network's keeper.
pub struct Keeper<'a> {
    places: &'a Places,
    name: &'a NetName,
    room: Room,
    log: Log,
    links: Links,
    watch: Watch,
    leases: LeaseWatch,
    signals: Signals,
    /// The network with what was added live, as it was last brought up.
    network: Network,
    /// Its guests as they were then.
    guests: Vec<Guest>,
    /// When a network without ports is to go down.
    idle: Option<Instant>,
    _claim: Claim,
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
pub fn claim(room: &Room) -> Result<Option<Claim>, Failure> {
    room.make()?;
    let path = room.keeper();
    let failed = |error: std::io::Error| Failure::new("lock", path.display(), io(&error));
    let Some(claim) = Claim::try_now(&path).map_err(failed)? else { return Ok(None) };
    let mut file = claim.file();
    file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
    file.write_all(format!("{}\n", std::process::id()).as_bytes()).map_err(failed)?;
    Ok(Some(claim))
}

impl<'a> Keeper<'a> {
    /// Take over a network. From here on signals are heeded and changes noticed.
    pub fn new(places: &'a Places, name: &'a NetName, log: Log, claim: Claim) -> Result<Self, Failure> {
        let failed = |cause: &dyn std::fmt::Display| Failure::new("keep", network(name), cause);
        // dnsmasq becomes a daemon under our eyes; without this its end would never be reaped.
        adopt_orphans().map_err(|error| failed(&io(&error)))?;
        let room = places.room(&name.bridge());
        let mut keeper = Self {
            places,
            name,
            log,
            links: Links::open().map_err(|error| failed(&error))?,
            watch: Watch::open().map_err(|error| failed(&error))?,
            leases: LeaseWatch::open(&room).map_err(|error| failed(&io(&error)))?,
            signals: Signals::heed().map_err(|error| failed(&io(&error)))?,
            network: Network::with_defaults(name.clone()),
            guests: Vec::new(),
            idle: None,
            room,
            _claim: claim,
        };
        if let Ok(network) = networks::with_live(places, name) {
            keeper.guests = keeper.guests_of(&network);
            keeper.network = network;
        }
        Ok(keeper)
    }

    /// Keep the network until told otherwise.
    pub async fn keep(mut self) -> Result<(), Failure> {
        let mut repairs = Repairs::default();
        loop {
            // Nobody waits for a child of ours here: what we start is waited for while it runs.
            reap_all();
            let turn = match self.turn().await {
                Ok(turn) => turn,
                // The network goes on, and so do we: a kernel that is too busy now will answer later.
                Err(failure) => {
                    self.log.trouble(&failure.to_string());
                    self.rest(Instant::now() + PAUSE).await
                }
            };
            match turn {
                Turn::Leave => return Ok(()),
                Turn::Stop => return self.stop().await,
                Turn::Idle if self.ports().await? == 0 => {
                    self.log.info(&format!("{} has no port any more", network(self.name)));
                    return take_down(self.places, self.name).await;
                }
                Turn::Reload => self.repair("its file is read again").await,
                Turn::Port(port) => self.see_to_port(port).await,
                Turn::PortGone => self.see_to_idleness().await,
                Turn::Leases => self.see_to_leases().await,
                Turn::Nothing | Turn::Idle => self.idle = None,
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
                    self.repair(&format!("{what} is gone")).await;
                }
            }
        }
    }

    /// What is next to be done.
    async fn turn(&mut self) -> Result<Turn, Failure> {
        match (process::server(&self.room), self.wants_server()) {
            (None, true) => Ok(Turn::Lost("dnsmasq")),
            (server, _) => self.wait(server).await,
        }
    }

    /// A network that is down, or whose server was never written, needs none.
    fn wants_server(&self) -> bool {
        self.room.dnsmasq().exists() && matches!(Record::read(&self.room), Ok(Some(_)))
    }

    async fn wait(&mut self, server: Option<Process>) -> Result<Turn, Failure> {
        let failed = |cause: &dyn std::fmt::Display| Failure::new("keep", network(self.name), cause);
        let bridge = self.name.bridge();
        let found = self.links.find(&bridge).await.map_err(|error| failed(&error))?;
        let Some(index) = found.map(|link| link.index) else {
            // Without a record the network is down on purpose.
            let up = matches!(Record::read(&self.room), Ok(Some(_)));
            return if up { Ok(Turn::Lost("the bridge")) } else { Ok(Turn::Leave) };
        };
        let server = server.map(listen_to).transpose().map_err(|error| failed(&io(&error)))?;
        tokio::select! {
            turn = self.signals.next() => Ok(turn),
            turn = next_event(&mut self.watch, index) => turn.map_err(|error| failed(&error)),
            changed = self.leases.changed() => {
                changed.map(|()| Turn::Leases).map_err(|error| failed(&io(&error)))
            }
            () = ended(server.as_ref()) => Ok(Turn::Nothing),
            () = reached(self.idle) => Ok(Turn::Idle),
        }
    }

    /// Wait, but heed signals.
    async fn rest(&mut self, until: Instant) -> Turn {
        tokio::select! {
            () = sleep_until(until) => Turn::Nothing,
            turn = self.signals.next() => turn,
        }
    }

    async fn repair(&mut self, why: &str) {
        // Somebody may have taken the network down, or up again, while we waited for our turn.
        if !self.room.record().exists() {
            return;
        }
        match raise(self.places, self.name).await {
            Ok(raised) => {
                self.network = raised.wanted.network;
                self.guests = self.guests_of(&self.network);
                if !raised.steps.is_empty() {
                    let steps: Vec<String> = raised.steps.iter().map(ToString::to_string).collect();
                    self.log.info(&format!("{}: {why}: {}", network(self.name), steps.join(", ")));
                }
            }
            Err(failure) => self.log.trouble(&failure.to_string()),
        }
    }

    /// A port that the helper did not make (a container's, say) gets what the helper gives.
    async fn see_to_port(&mut self, index: u32) {
        self.idle = None;
        let record = read_file(&self.room.port()).ok().flatten();
        let Some(record) = record.and_then(|text| PortRecord::parse(&text).ok()) else { return };
        let done = match self.links.at(index).await {
            Ok(Some(link)) => match link.master {
                Some(bridge) => {
                    let PortRecord { group, isolated, hairpin, .. } = record;
                    // Its MTU is its owner's affair, until the network's changes.
                    let port = Port { mtu: link.mtu, group, isolated, hairpin };
                    let has = Port {
                        mtu: link.mtu,
                        group: link.group,
                        isolated: link.isolated,
                        hairpin: link.hairpin,
                    };
                    if has == port { Ok(()) } else { self.links.set_port(index, bridge, &port).await }
                }
                None => Ok(()),
            },
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        match done {
            Err(error) if !error.cause.is_absent() => self.log.trouble(&self.failed(error).to_string()),
            _ => {}
        }
    }

    /// After the last port went.
    async fn see_to_idleness(&mut self) {
        let Idle::After(seconds) = self.network.idle else { return };
        if self.ports().await.is_ok_and(|ports| ports == 0) {
            self.idle = Some(Instant::now() + Duration::from_secs(seconds.into()));
        }
    }

    /// Forwards and rules that name guests follow their leases.
    async fn see_to_leases(&mut self) {
        let follows = !self.network.forwards.is_empty() || self.network.is_filtered();
        if follows && self.guests_of(&self.network) != self.guests {
            self.repair("a lease changed").await;
        }
    }

    fn guests_of(&self, network: &Network) -> Vec<Guest> {
        guest::known(&network.hosts, &view::leases(&self.room).unwrap_or_default())
    }

    async fn ports(&self) -> Result<usize, Failure> {
        Ok(look::ports(&self.links, &self.name.bridge()).await?.len())
    }

    /// Told to stop: as `down` does, and like it not under attached guests.
    async fn stop(&mut self) -> Result<(), Failure> {
        let ports = look::ports(&self.links, &self.name.bridge()).await?;
        if !ports.is_empty() {
            let names: Vec<String> = ports.iter().map(|port| port.name.to_string()).collect();
            self.log.info(&format!("{} goes on: {} attached", network(self.name), names.join(" ")));
            return Ok(());
        }
        take_down(self.places, self.name).await
    }

    fn failed(&self, cause: impl std::fmt::Display) -> Failure {
        Failure::new("keep", network(self.name), cause)
    }
}

/// Pending until then; for ever where there is no such moment.
async fn reached(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
