//! The keeper: watches a network's server, bridge, ports and leases and makes good what somebody or
//! something took away, until it is told to stop. When it is killed, all it made goes on; the
//! next keeper takes over.
//!
//! Its states, what moves it from one to another and what it then does are drawn and decided in
//! [`vmnet_model::keeper`]. Here is a loop: an event comes ([`listen`]), [`KeeperState::step`] answers what is
//! to be done, each action is done by the function of its name, and what that brings is an event again.
//!
//! | file | does |
//! |---|---|
//! | `listen` | looks at the host, and waits for whatever comes first |
//! | `event` | the kernel's announcements, the end of a process |
//! | `repair` | repairs, by the same steps as `up` |
//! | `ports` | looks at ports, and holds their holders to the grant |
//! | `forget_ports` | forgets ports that went |
//! | `firewall_watch`, `firewalls` | hear of changed firewalls, and ask whether one shuts guests out |
//! | `switch_clients` | asks the VDE switch who is plugged in, and stops one that mislaid a port |
//! | `switch`, `cables` | tell what of the VDE switch and of cables is lost |
//! | `resolved` | tells systemd-resolved which names the network's server knows |
//! | `idle` | counts who uses the network, and takes it down unless somebody does |

mod cables;
mod event;
pub mod firewall_watch;
mod firewalls;
mod forget_ports;
mod idle;
mod listen;
mod ports;
mod repair;
pub mod resolved;
mod switch;
mod switch_clients;

use crate::dirs::{Dirs, RunDir};
use crate::keeper::firewall_watch::Watch as FirewallWatch;
use crate::keeper::resolved::Registrar;
use crate::lease_watch::LeaseWatch;
use std::collections::{BTreeMap, VecDeque};
use switch_clients::Feed;
use tokio::time::Instant;
use vmnet_access::name::NetName;
use vmnet_host::links::{Links, Watch};
use vmnet_host::log::Log;
use vmnet_model::error::{Error, network};
use vmnet_model::guest::Guest;
use vmnet_model::keeper::{Ending, KeeperAction, KeeperEvent, KeeperState, Moment, Offence, Trouble, User};
use vmnet_model::network::Network;
use vmnet_sys::lock::Claim;
use vmnet_sys::trust::plain;

/// What a process that keeps a network is told from outside, and what it does as a process: signals and
/// children belong to it, not to this room.
pub trait Orders {
    /// Pending until the next order: [`KeeperEvent::Stop`], [`KeeperEvent::Leave`], [`KeeperEvent::Reload`], or
    /// [`KeeperEvent::ChildEnded`]. May be dropped while it waits, without losing one.
    fn next(&mut self) -> impl Future<Output = KeeperEvent>;

    /// Before each turn of the keeper, when nothing that it started is at work: the time to reap children. The
    /// server becomes a daemon under the keeper's eyes, and is its process' child if that adopts orphans.
    fn reap(&mut self);
}

/// One network's keeper.
pub struct Keeper<'a, O> {
    /// First, so that it is the first to be given back.
    claim: Claim,
    dirs: &'a Dirs,
    name: &'a NetName,
    run_dir: RunDir,
    log: Log,
    links: Links,
    watch: Watch,
    leases: LeaseWatch,
    orders: O,
    firewalls: FirewallWatch,
    registrar: Registrar,
    /// When it began: the moments of [`KeeperState`] count from here.
    began: Instant,
    state: KeeperState,
    /// The network with what was added live, as it was last brought up.
    network: Network,
    /// Its guests as they were then.
    guests: Vec<Guest>,
    /// What was heard of firewalls and is not yet looked into.
    heard: crate::keeper::firewall_watch::Heard,
    /// What holders of TAPs did beyond the grant, by interface index.
    offences: BTreeMap<u32, Offence>,
    /// Who is plugged into its switch.
    feed: Feed,
}

/// The file that says who keeps a network; none if somebody does.
pub fn claim(run_dir: &RunDir) -> Result<Option<Claim>, Error> {
    run_dir.make()?;
    let path = run_dir.keeper();
    vmnet_sys::claim::claim(&path).map_err(|error| Error::new("lock", path.display(), plain(&error)))
}

impl<'a, O: Orders> Keeper<'a, O> {
    /// Take over a network. From here on changes are noticed.
    pub fn new(dirs: &'a Dirs, name: &'a NetName, log: Log, claim: Claim, orders: O) -> Result<Self, Error> {
        let failed = |cause: &dyn std::fmt::Display| Error::new("keep", network(name), cause);
        let run_dir = dirs.run_dir(&name.bridge());
        let mut keeper = Self {
            dirs,
            name,
            log,
            links: Links::open().map_err(|error| failed(&error))?,
            watch: Watch::open().map_err(|error| failed(&error))?,
            leases: LeaseWatch::open(&run_dir).map_err(|error| failed(&plain(&error)))?,
            firewalls: FirewallWatch::open(name, dirs.run_dir(&name.bridge()), log)?,
            orders,
            registrar: Registrar::start(log),
            began: Instant::now(),
            state: KeeperState::default(),
            network: Network::with_defaults(name.clone()),
            guests: Vec::new(),
            heard: crate::keeper::firewall_watch::Heard::default(),
            offences: BTreeMap::new(),
            feed: Feed::default(),
            run_dir,
            claim,
        };
        keeper.read_again();
        Ok(keeper)
    }

    /// Keep the network until told otherwise.
    pub async fn keep(mut self) -> Result<(), Error> {
        let mut events = VecDeque::from([KeeperEvent::Began]);
        loop {
            // What we start is waited for while it runs.
            self.orders.reap();
            let event = match events.pop_front() {
                Some(event) => event,
                None => self.next_event().await,
            };
            for action in self.state.step(event, self.now()) {
                if let KeeperAction::End(ending) = action {
                    self.tell_ending(&ending);
                    return Ok(());
                }
                events.extend(self.handle(action)?);
            }
        }
    }

    /// The moment that it is.
    fn now(&self) -> Moment {
        self.began.elapsed()
    }

    /// Do what an action says, and answer the event that it brings.
    fn handle(&mut self, action: KeeperAction) -> Result<Option<KeeperEvent>, Error> {
        match action {
            KeeperAction::Repair(cause) => return Ok(Some(self.repair(cause))),
            KeeperAction::FollowLeases => return Ok(Some(self.follow_leases())),
            KeeperAction::LookAtPorts => return Ok(self.look_at_ports()),
            KeeperAction::LookAtPort { bridge, port } => return Ok(self.look_at_port(bridge, port)),
            KeeperAction::CountPorts => return Ok(self.count_ports()),
            KeeperAction::CheckFirewalls => return Ok(self.check_firewalls()),
            KeeperAction::StopSwitch => return Ok(self.stop_switch()),
            KeeperAction::TakeDownUnlessUsed => return self.take_down_unless_used().map(Some),
            KeeperAction::ForgetPort { port } => self.forget_port(port),
            KeeperAction::ForgetPorts => self.forget_ports(),
            KeeperAction::TidyPlugs => self.tidy_plugs(),
            KeeperAction::Tell(trouble) => self.tell(&trouble),
            KeeperAction::End(ending) => self.tell_ending(&ending),
        }
        Ok(None)
    }

    fn tell(&self, trouble: &Trouble) {
        match trouble {
            Trouble::Said(sentence) => self.log.trouble(sentence),
            Trouble::LostAgain | Trouble::NotStoppedUnder(_) => {
                self.log.trouble(&self.failed(trouble).to_string());
            }
        }
    }

    fn tell_ending(&self, ending: &Ending) {
        let network = network(self.name);
        match ending {
            Ending::Left | Ending::Stopped => {}
            Ending::Idle => self.log.info(&format!("{network} is down: it had no port any more")),
            Ending::GoesOn(User::Attached(names)) => {
                self.log.info(&format!("{network} goes on: {} attached", names.join(" ")));
            }
            Ending::GoesOn(User::OnTheWayIn) => {
                self.log.info(&format!("{network} goes on: a guest is being attached"));
            }
        }
    }

    fn failed(&self, cause: impl std::fmt::Display) -> Error {
        Error::new("keep", network(self.name), cause)
    }
}
