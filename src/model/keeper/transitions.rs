//! From state and event to the next state and its actions.

use super::repairs::{Owed, PAUSE};
use super::{
    ATTACH_PATIENCE, BETWEEN_MENDS, Cause, Ending, KeeperAction, KeeperEvent, KeeperState, Moment, Phase,
    SeenPort, SwitchHealth, Trouble, User,
};
use crate::network::Idle;
use std::time::Duration;

type Actions = Vec<KeeperAction>;

impl KeeperState {
    /// What the keeper does about an event that reaches it now. `now` never goes back.
    #[must_use]
    pub fn step(&mut self, event: KeeperEvent, now: Moment) -> Vec<KeeperAction> {
        if self.phase == Phase::Ended {
            return Vec::new();
        }
        match event {
            KeeperEvent::Began => {
                vec![KeeperAction::LookAtPorts, KeeperAction::ForgetPorts, KeeperAction::FollowLeases]
            }
            KeeperEvent::Stop => self.stop(),
            KeeperEvent::Leave => self.end(Ending::Left),
            KeeperEvent::Reload => self.ask(Cause::Reload, now),
            KeeperEvent::Lost(what) => self.ask(Cause::Lost(what), now),
            KeeperEvent::FirewallsShut => self.ask(Cause::Firewall, now),
            KeeperEvent::SwitchStopped => self.ask(Cause::SwitchStopped, now),
            KeeperEvent::LeasesChanged => self.ask(Cause::Lease, now),
            KeeperEvent::FirewallChanged => vec![KeeperAction::CheckFirewalls],
            KeeperEvent::ChildEnded | KeeperEvent::Stirred => Vec::new(),
            KeeperEvent::LookFailed(trouble) => self.rest_from_looking(trouble, now),
            KeeperEvent::RestOver => self.end_rest(now),
            KeeperEvent::RepairDue => self.repay(now),
            KeeperEvent::IdleOver => self.go_idle(now),
            KeeperEvent::PortChanged { bridge, port } => vec![KeeperAction::LookAtPort { bridge, port }],
            KeeperEvent::PortGone { port } => {
                // A guest's may have come and gone before it could be looked at.
                self.used |= !self.uplinks.remove(&port);
                vec![KeeperAction::ForgetPort { port }, KeeperAction::CountPorts]
            }
            KeeperEvent::PortsSeen(ports) => self.note_ports(&ports),
            KeeperEvent::PortsCounted { attached, held, idle } => {
                self.used |= attached;
                self.idle = self.idle_from(held, idle, now);
                Vec::new()
            }
            KeeperEvent::ClientsStirred => vec![KeeperAction::TidyPlugs],
            KeeperEvent::ClientsUnknown(trouble) => self.tell_once(Trouble::Said(trouble)),
            KeeperEvent::ClientsCounted { guests, switch } => self.note_clients(guests, switch, now),
            KeeperEvent::LeasesFollowed => {
                self.owed = self.owed.filter(|owed| owed.cause != Cause::Lease);
                Vec::new()
            }
            KeeperEvent::Repaired { cause, changed } => self.note_repair(cause, changed, now),
            KeeperEvent::RepairFailed { cause, trouble } => self.note_failure(cause, trouble, now),
            KeeperEvent::TakenDown => {
                let is_told = self.phase == Phase::TakingDown { told: true };
                self.end(if is_told { Ending::Stopped } else { Ending::Idle })
            }
            KeeperEvent::InUse(user) => self.stay_up(user, now),
        }
    }

    fn end(&mut self, ending: Ending) -> Actions {
        self.phase = Phase::Ended;
        vec![KeeperAction::End(ending)]
    }

    /// A repair is asked for.
    fn ask(&mut self, cause: Cause, now: Moment) -> Actions {
        match (self.phase, cause) {
            (Phase::Ended, _) => Vec::new(),
            (Phase::TakingDown { .. }, _) => {
                // If it stays up, then.
                self.owe(cause, now);
                Vec::new()
            }
            (Phase::Serving | Phase::Resting { .. }, Cause::Reload) => {
                self.phase = Phase::Serving;
                self.repair(cause, now)
            }
            (Phase::Serving | Phase::Resting { .. }, Cause::Lease | Cause::SwitchStopped) => {
                self.repair(cause, now)
            }
            (Phase::Serving, Cause::Firewall) => match self.openings.room(now) {
                None => self.repair(cause, now),
                Some(until) => {
                    self.openings.hold_up();
                    self.owe(cause, until);
                    Vec::new()
                }
            },
            (Phase::Serving, Cause::Lost(_)) => match self.losses.room(now) {
                None => self.repair(cause, now),
                Some(until) => {
                    self.losses.hold_up();
                    self.owe(cause, until);
                    // The next look would find it lost again.
                    self.phase = Phase::Resting { until };
                    vec![KeeperAction::Tell(Trouble::LostAgain)]
                }
            },
            (Phase::Resting { until }, Cause::Firewall | Cause::Lost(_)) => {
                self.owe(cause, until);
                Vec::new()
            }
        }
    }

    fn owe(&mut self, cause: Cause, at: Moment) {
        self.owed = Some(Owed { cause, at }.or(self.owed));
    }

    /// The repair itself. It is owed until it succeeded; but whoever has the file read again is told what
    /// came of it, and asks again.
    fn repair(&mut self, cause: Cause, now: Moment) -> Actions {
        let earlier = self.owed.filter(|owed| owed.cause != Cause::Reload);
        self.owed = match cause {
            Cause::Reload => earlier,
            Cause::Lease | Cause::SwitchStopped | Cause::Firewall | Cause::Lost(_) => {
                Some(Owed { cause, at: now + PAUSE }.or(earlier))
            }
        };
        let repair = KeeperAction::Repair(cause);
        match cause {
            Cause::Lease => vec![KeeperAction::FollowLeases],
            // One for a firewall is counted when something came of it: most of what is heard is no trouble.
            Cause::SwitchStopped | Cause::Firewall => vec![repair],
            Cause::Lost(_) => {
                self.losses.add(now);
                // Ports first: a repair puts right without counting what holders did.
                vec![KeeperAction::LookAtPorts, repair, KeeperAction::CountPorts]
            }
            Cause::Reload => match earlier.map(|owed| owed.cause) {
                Some(Cause::Lost(_)) => vec![KeeperAction::LookAtPorts, repair, KeeperAction::CountPorts],
                Some(Cause::Lease | Cause::Reload | Cause::SwitchStopped | Cause::Firewall) | None => {
                    vec![repair, KeeperAction::CountPorts]
                }
            },
        }
    }

    fn note_repair(&mut self, cause: Cause, changed: bool, now: Moment) -> Actions {
        (self.owed, self.failure) = (None, None);
        self.losses.settle();
        self.openings.settle();
        if changed {
            self.count_firewall(cause, now);
        }
        Vec::new()
    }

    fn note_failure(&mut self, cause: Cause, trouble: String, now: Moment) -> Actions {
        self.count_firewall(cause, now);
        // Whoever sent a signal is answered each time.
        if cause != Cause::Reload && self.failure.as_ref() == Some(&trouble) {
            return Vec::new();
        }
        self.failure = Some(trouble.clone());
        vec![KeeperAction::Tell(Trouble::Said(trouble))]
    }

    fn count_firewall(&mut self, cause: Cause, now: Moment) {
        if cause == Cause::Firewall {
            self.openings.add(now);
        }
    }

    /// The moment has come at which what is owed is tried.
    fn repay(&mut self, now: Moment) -> Actions {
        match (self.phase, self.owed) {
            (Phase::Serving, Some(owed)) if owed.at <= now => self.ask(owed.cause, now),
            (Phase::Serving | Phase::Resting { .. } | Phase::TakingDown { .. } | Phase::Ended, _) => {
                Vec::new()
            }
        }
    }

    fn rest_from_looking(&mut self, trouble: String, now: Moment) -> Actions {
        match self.phase {
            Phase::Serving => self.phase = Phase::Resting { until: now + PAUSE },
            Phase::Resting { until } => self.phase = Phase::Resting { until: until.max(now + PAUSE) },
            Phase::TakingDown { .. } | Phase::Ended => {}
        }
        vec![KeeperAction::Tell(Trouble::Said(trouble))]
    }

    fn end_rest(&mut self, now: Moment) -> Actions {
        match self.phase {
            Phase::Resting { until } if until <= now => {
                self.phase = Phase::Serving;
                self.repay(now)
            }
            Phase::Serving | Phase::Resting { .. } | Phase::TakingDown { .. } | Phase::Ended => Vec::new(),
        }
    }

    fn stop(&mut self) -> Actions {
        let is_begun = matches!(self.phase, Phase::TakingDown { .. });
        self.phase = Phase::TakingDown { told: true };
        if is_begun { Vec::new() } else { vec![KeeperAction::TakeDownUnlessUsed] }
    }

    fn go_idle(&mut self, now: Moment) -> Actions {
        let is_due = self.idle.is_some_and(|idle| idle <= now);
        if self.phase != Phase::Serving || !is_due {
            return Vec::new();
        }
        self.phase = Phase::TakingDown { told: false };
        vec![KeeperAction::TakeDownUnlessUsed]
    }

    fn stay_up(&mut self, user: User, now: Moment) -> Actions {
        if self.phase == (Phase::TakingDown { told: true }) {
            return self.end(Ending::GoesOn(user));
        }
        self.phase = Phase::Serving;
        self.idle = match user {
            User::Attached(_) => None,
            User::OnTheWayIn => Some(now + ATTACH_PATIENCE),
        };
        Vec::new()
    }

    fn note_ports(&mut self, ports: &[SeenPort]) -> Actions {
        self.uplinks.extend(ports.iter().filter(|seen| seen.is_uplink).map(|seen| seen.port));
        if ports.iter().any(|seen| !seen.is_vacant) {
            (self.used, self.idle) = (true, None);
        }
        let is_any_vacant = ports.iter().any(|seen| seen.is_vacant);
        is_any_vacant.then_some(KeeperAction::CountPorts).into_iter().collect()
    }

    /// After the last user left, the time runs. A network that nobody ever used was meant to be there.
    fn idle_from(&self, held: bool, idle: Idle, now: Moment) -> Option<Moment> {
        match idle {
            Idle::After(seconds) if self.used && !held => {
                Some(self.idle.unwrap_or(now + Duration::from_secs(seconds.into())))
            }
            Idle::After(_) | Idle::Keep => None,
        }
    }

    fn note_clients(&mut self, guests: usize, switch: SwitchHealth, now: Moment) -> Actions {
        self.used |= guests > 0;
        let mut actions = vec![KeeperAction::CountPorts, KeeperAction::TidyPlugs];
        match switch {
            SwitchHealth::Sound => self.told = None,
            SwitchHealth::Unclear(trouble) => actions.extend(self.tell_once(Trouble::Said(trouble))),
            SwitchHealth::Mislaid { under: Some(who) } => {
                actions.extend(self.tell_once(Trouble::NotStoppedUnder(who)));
            }
            SwitchHealth::Mislaid { under: None } => {
                if self.mended.is_none_or(|mended| now >= mended + BETWEEN_MENDS) {
                    self.mended = Some(now);
                    actions.push(KeeperAction::StopSwitch);
                }
            }
        }
        actions
    }

    fn tell_once(&mut self, trouble: Trouble) -> Actions {
        if self.told.as_ref() == Some(&trouble) {
            return Vec::new();
        }
        self.told = Some(trouble.clone());
        vec![KeeperAction::Tell(trouble)]
    }
}
