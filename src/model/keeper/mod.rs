//! What a network's keeper does about what happens: its states, the events that reach it, and the actions
//! that answer them. Nothing is done here and no clock is read: a moment comes in with each event, and the
//! moments that the keeper must wait for go out as [`Wait`].
//!
//! ```text
//!              Began: look at ports, forget those that went, follow leases
//!                │
//!                ▼       Lost and the row of repairs is full, or LookFailed
//!          ┌───────────┐ ────────────────────────────────────────────────► ┌───────────┐
//!          │  Serving  │                                                   │  Resting  │
//!          │  (looks,  │ ◄──────────────────────────────────────────────── │ (signals  │
//!          │  listens) │       RestOver: what is owed is repaired;         │   alone)  │
//!          └───────────┘       Reload: a repair at once                    └───────────┘
//!             │  ▲   │                                                       │       │
//!    IdleOver │  │   │ Leave ──────────────────► ┌─────────┐ ◄─────────────── Leave  │
//!    or Stop  │  │   └─────────────────────────► │  Ended  │                         │
//!             ▼  │ InUse, and not told to stop   └─────────┘                         │
//!          ┌──────────────┐                           ▲                              │
//!          │  TakingDown  │ ──────────────────────────┘                         Stop │
//!          │ (unless used)│   TakenDown, or InUse and told to stop                   │
//!          └──────────────┘ ◄────────────────────────────────────────────────────────┘
//! ```
//!
//! In `Serving` and `Resting` alike:
//!
//! | event | actions |
//! |---|---|
//! | `Lost` | look at all ports, repair, count ports; at once while the row of repairs has room |
//! | `Reload` | repair and count ports, at once; ports are looked at first where something was lost |
//! | `FirewallChanged` | ask whether it shuts guests out; only then repair, and count that repair in a row of its own |
//! | `LeasesChanged` | follow them: a repair where a rule or forward names guests |
//! | `PortChanged` | look at it; then count ports if nobody uses it, or else the network is used |
//! | `PortGone` | forget it, count ports |
//! | `ClientsCounted` | count ports; a switch that mislaid a port is stopped, and then repaired |
//! | `RepairFailed` | tell it once; what was lost is owed, and tried again after [`PAUSE`] |
//! | `PortsCounted` | none; the time of a network that is used no more begins to run |
//!
//! What was lost and not yet made good is *owed* from the moment it is heard until a repair succeeded. It
//! survives each state, and each wait has a moment at which it is tried again.

mod offence;
#[cfg(test)]
mod properties;
mod repairs;
#[cfg(test)]
mod tests;
mod transitions;
#[cfg(test)]
mod world;

pub use offence::{Offence, Verdict};
pub use repairs::{OPENINGS_AT_ONCE, PAUSE, REPAIRS_AT_ONCE};

use crate::network::Idle;
use repairs::{Owed, Row};
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// How long a network that is to go down waits for a guest that is just being attached.
pub const ATTACH_PATIENCE: Duration = Duration::from_secs(1);
/// A switch is not stopped for what it mislays more often than once in this time.
pub const BETWEEN_MENDS: Duration = Duration::from_secs(60);

/// A moment of the keeper's life: the time since it began, by a clock that never goes back.
pub type Moment = Duration;

/// What reaches the keeper: something that happened, a moment that came, or what an action brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeeperEvent {
    /// The keeper began to listen; what came before that was not heard.
    Began,
    /// SIGTERM or SIGINT: take the network down unless it is in use, and end.
    Stop,
    /// SIGUSR2, or the network is down: end, and touch nothing.
    Leave,
    /// SIGHUP: the network's file may have changed.
    Reload,
    /// SIGCHLD: a child process ended.
    ChildEnded,
    /// Something without which the network does not work is gone, such as its server or an address.
    Lost(&'static str),
    /// A link became a port of the bridge, or a port changed.
    PortChanged {
        /// The bridge's interface index.
        bridge: u32,
        /// The port's interface index.
        port: u32,
    },
    /// A link is no longer a port of the bridge.
    PortGone {
        /// The port's interface index.
        port: u32,
    },
    /// The lease file changed.
    LeasesChanged,
    /// A table or rule of the host's firewalls changed, the network's own among them.
    FirewallChanged,
    /// The VDE switch told that somebody came or went, or it is time to ask it.
    ClientsStirred,
    /// The VDE switch was asked who is plugged in.
    ClientsCounted {
        /// How many guests are plugged in.
        guests: usize,
        /// How the switch is.
        switch: SwitchHealth,
    },
    /// The VDE switch could not be asked who is plugged in, for this reason.
    ClientsUnknown(String),
    /// Something changed that needs another look at the host.
    Stirred,
    /// The host could not be looked at, for this reason.
    LookFailed(String),
    /// The moment [`Wait::ForAll::idle`] has come.
    IdleOver,
    /// The moment [`Wait::ForAll::owed`] has come.
    RepairDue,
    /// The moment [`Wait::ForSignals::until`] has come.
    RestOver,
    /// Of [`KeeperAction::LookAtPorts`] and [`KeeperAction::LookAtPort`]: the ports that are there and stay.
    PortsSeen(Vec<SeenPort>),
    /// Of [`KeeperAction::CountPorts`].
    PortsCounted {
        /// A port is there that is no uplink to another wire, in use or not.
        attached: bool,
        /// Somebody uses a port, or is plugged into the VDE switch.
        held: bool,
        /// When the network goes down by itself, as its file says now.
        idle: Idle,
    },
    /// Of [`KeeperAction::CheckFirewalls`]: guests are shut out, or that could not be found out.
    FirewallsShut,
    /// Of [`KeeperAction::FollowLeases`]: nothing names a guest whose lease changed.
    LeasesFollowed,
    /// Of [`KeeperAction::Repair`] and [`KeeperAction::FollowLeases`]: the network is as its file says, or down.
    Repaired {
        /// Why it was repaired.
        cause: Cause,
        /// There was something to do.
        changed: bool,
    },
    /// Of [`KeeperAction::Repair`] and [`KeeperAction::FollowLeases`]: it could not be repaired.
    RepairFailed {
        /// Why it was to be repaired.
        cause: Cause,
        /// The whole sentence for the log.
        trouble: String,
    },
    /// Of [`KeeperAction::StopSwitch`].
    SwitchStopped,
    /// Of [`KeeperAction::TakeDownUnlessUsed`]: the network is down.
    TakenDown,
    /// Of [`KeeperAction::TakeDownUnlessUsed`]: the network is up, because of this user.
    InUse(User),
}

/// One port as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenPort {
    /// Its interface index.
    pub port: u32,
    /// It leads to another wire, such as a VDE switch or a cable, and is no guest's.
    pub is_uplink: bool,
    /// Nobody uses it. An uplink is used by nobody.
    pub is_vacant: bool,
}

/// How a VDE switch is that was asked for its ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SwitchHealth {
    /// It knows all its ports, or is not ours to mend.
    Sound,
    /// It gave no answer but this one.
    Unclear(String),
    /// It lost track of a port, and sooner or later closes another's.
    Mislaid {
        /// Who would not come back after a restart: plugged in by himself, or a cable.
        under: Option<String>,
    },
}

/// Why a network cannot be taken down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum User {
    /// These guests are attached, by the names of their ports.
    Attached(Vec<String>),
    /// The setuid helper is attaching a guest just now; it may yet be refused.
    OnTheWayIn,
}

/// Why a network is repaired, the least important cause first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A guest's lease changed that a rule or a forward names.
    Lease,
    /// Its file may have changed.
    Reload,
    /// The keeper stopped its VDE switch.
    SwitchStopped,
    /// A firewall shuts its guests out.
    Firewall,
    /// This of it is gone.
    Lost(&'static str),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lease => f.write_str("a lease changed"),
            Self::Reload => f.write_str("its file is read again"),
            Self::SwitchStopped => f.write_str("its switch is stopped"),
            Self::Firewall => f.write_str("a firewall changed"),
            Self::Lost(what) => write!(f, "{what} is gone"),
        }
    }
}

/// What the keeper does next. All actions of one step are done in their order, and their events are
/// handled before anything else is heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeeperAction {
    /// Make the network as its file says; answered by `Repaired` or `RepairFailed`.
    Repair(Cause),
    /// Look at each port, and hold its holder to the grant; answered by `PortsSeen`.
    LookAtPorts,
    /// The same for one port, unless it left this bridge; answered by `PortsSeen`.
    LookAtPort {
        /// The bridge's interface index.
        bridge: u32,
        /// The port's interface index.
        port: u32,
    },
    /// Count who uses the network; answered by `PortsCounted`.
    CountPorts,
    /// Forget what is known of this port, and what the kernel learned of it and of others that went.
    ForgetPort {
        /// The port's interface index.
        port: u32,
    },
    /// Have the kernel forget what it learned of ports that are not there.
    ForgetPorts,
    /// Where a forward or a rule names guests, repair if their leases changed; answered by `LeasesFollowed`,
    /// `Repaired` or `RepairFailed`.
    FollowLeases,
    /// Find out whether a firewall shuts guests out; answered by `FirewallsShut` if so.
    CheckFirewalls,
    /// Remove what clients of the VDE switch left behind.
    TidyPlugs,
    /// Stop the VDE switch, which mislaid a port; answered by `SwitchStopped`.
    StopSwitch,
    /// Take the network down unless somebody uses it; answered by `TakenDown` or `InUse`.
    TakeDownUnlessUsed,
    /// Write this trouble to the log.
    Tell(Trouble),
    /// End the keeper.
    End(Ending),
}

/// What the log is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// This sentence.
    Said(String),
    /// What is lost was made good several times already.
    LostAgain,
    /// The VDE switch mislaid a port and is not stopped, because of this client.
    NotStoppedUnder(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said(sentence) => f.write_str(sentence),
            Self::LostAgain => f.write_str("it is lost again and again"),
            Self::NotStoppedUnder(who) => {
                write!(f, "its switch has mislaid a port, and is not started again under {who}")
            }
        }
    }
}

/// How the keeper ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was told to leave the network alone, or the network is down.
    Left,
    /// It was told to stop, and the network is down.
    Stopped,
    /// The network is down, because nobody used it any more.
    Idle,
    /// It was told to stop, and the network goes on without it under this user.
    GoesOn(User),
}

/// What the keeper is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It looks at the host, and listens to everything.
    Serving,
    /// It listens to signals alone, so that a fight with another program costs little.
    Resting {
        /// Until then.
        until: Moment,
    },
    /// It takes the network down unless somebody uses it.
    TakingDown {
        /// It was told to stop, and ends in any case.
        told: bool,
    },
    /// It does nothing any more.
    Ended,
}

/// What the keeper waits for next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Look at the host; if nothing is lost, wait for whatever comes first.
    ForAll {
        /// At this moment [`KeeperEvent::IdleOver`] comes.
        idle: Option<Moment>,
        /// At this moment [`KeeperEvent::RepairDue`] comes.
        owed: Option<Moment>,
    },
    /// Wait for a signal; look at nothing.
    ForSignals {
        /// At this moment [`KeeperEvent::RestOver`] comes.
        until: Moment,
    },
    /// Wait for nothing but what the last actions bring.
    ForResults,
}

/// All that the keeper remembers between two events.
#[derive(Clone, Debug)]
pub struct KeeperState {
    phase: Phase,
    /// Repairs of what was lost.
    losses: Row,
    /// Repairs for firewalls.
    openings: Row,
    /// What was lost and is not yet made good.
    owed: Option<Owed>,
    /// Somebody used the network since it is kept.
    used: bool,
    /// When the network goes down by itself.
    idle: Option<Moment>,
    /// The ports that lead to other wires, by interface index.
    uplinks: BTreeSet<u32>,
    /// When the VDE switch was last stopped for what it mislaid.
    mended: Option<Moment>,
    /// What the log was last told of the VDE switch.
    told: Option<Trouble>,
    /// What the log was told of the last repair, if that failed.
    failure: Option<String>,
}

impl Default for KeeperState {
    fn default() -> Self {
        Self {
            phase: Phase::Serving,
            losses: Row::of(REPAIRS_AT_ONCE),
            openings: Row::of(OPENINGS_AT_ONCE),
            owed: None,
            used: false,
            idle: None,
            uplinks: BTreeSet::new(),
            mended: None,
            told: None,
            failure: None,
        }
    }
}

impl KeeperState {
    /// What the keeper waits for, once the events of the last actions are handled.
    #[must_use]
    pub fn wait(&self) -> Wait {
        match self.phase {
            Phase::Serving => Wait::ForAll { idle: self.idle, owed: self.owed.map(|owed| owed.at) },
            Phase::Resting { until } => Wait::ForSignals { until },
            Phase::TakingDown { .. } | Phase::Ended => Wait::ForResults,
        }
    }
}
