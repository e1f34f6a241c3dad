//! A small world in which things break and a repair makes all right, and the keeper's loop in it. What an
//! action brings is told as the keeper would tell it. The world knows what was heard and what is wrong; it
//! knows nothing of how [`KeeperState`] decides.

use super::*;
use std::collections::{BTreeMap, VecDeque};

pub(super) const MS: Duration = Duration::from_millis(1);
const IDLE_SECONDS: u32 = 7;
const IDLE: Duration = Duration::from_secs(IDLE_SECONDS as u64);
/// What is told is heard so long afterwards at most: the actions of some steps come before it.
pub(super) const AT_ONCE: Duration = Duration::from_millis(200);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PortKind {
    Guest,
    KeptTap,
    Uplink,
}

/// What happens to the world.
#[derive(Clone, Debug)]
pub(super) enum Happening {
    /// Announced once.
    AddressLost,
    /// Found by each look until it is there again.
    ServerLost,
    FirewallShut,
    FirewallTouched,
    LeaseChanged {
        named: bool,
    },
    Reload,
    Attach(PortKind),
    Detach,
    Plugged(usize),
    PortMislaid,
    KnockAtTheDoor,
    RepairsFail(u8),
    LooksFail(u8),
    ChildEnded,
    Stop,
    Leave,
}

/// What may be wrong, each with the moment since when.
pub(super) type Wrong = BTreeMap<&'static str, Moment>;

#[derive(Default)]
pub(super) struct World {
    now: Moment,
    script: VecDeque<(Moment, Happening)>,
    signals: VecDeque<(Moment, KeeperEvent)>,
    announced: VecDeque<KeeperEvent>,
    pub(super) wrong: Wrong,
    ports: BTreeMap<u32, PortKind>,
    next_port: u32,
    guests: usize,
    knocks: bool,
    is_down: bool,
    failing_repairs: u8,
    failing_looks: u8,
    /// All that failed, ever.
    failed: u32,
    /// What the keeper was told that asks for a repair, since the last one that succeeded.
    asked: Vec<Cause>,
    /// When it was last told that somebody uses the network.
    held: Option<Moment>,
    pub(super) was_used: bool,
    /// An uplink went, perhaps before it was looked at: it may have been a guest's port.
    was_perhaps_used: bool,
    stop: bool,
    mended: Option<Moment>,
    /// When what was lost was repaired.
    pub(super) repairs: Vec<Moment>,
    /// The same of those for firewalls.
    pub(super) openings: Vec<Moment>,
}

impl World {
    pub(super) fn of(script: &[(u16, Happening)], has_server: bool) -> Self {
        let mut world = Self::default();
        let mut at = Moment::ZERO;
        for (gap, happening) in script {
            at += MS * u32::from(*gap);
            world.script.push_back((at, happening.clone()));
        }
        if !has_server {
            world.wrong.insert("server", Moment::ZERO);
        }
        world
    }

    /// Time passes, and what is in the script happens.
    fn pass(&mut self, until: Moment) {
        self.now = self.now.max(until);
        while self.script.front().is_some_and(|(at, _)| *at <= self.now) {
            if let Some((at, happening)) = self.script.pop_front() {
                self.happen(at, &happening);
            }
        }
    }

    fn happen(&mut self, at: Moment, happening: &Happening) {
        let mut wrong = |what| _ = self.wrong.entry(what).or_insert(at);
        match *happening {
            Happening::AddressLost => {
                wrong("address");
                self.announced.push_back(KeeperEvent::Lost("address"));
            }
            Happening::ServerLost => wrong("server"),
            Happening::FirewallShut => {
                wrong("firewall");
                self.announced.push_back(KeeperEvent::FirewallChanged);
            }
            Happening::FirewallTouched => self.announced.push_back(KeeperEvent::FirewallChanged),
            Happening::LeaseChanged { named } => {
                if named {
                    wrong("lease");
                }
                self.announced.push_back(KeeperEvent::LeasesChanged);
            }
            Happening::Reload => {
                wrong("file");
                self.signals.push_back((at, KeeperEvent::Reload));
            }
            Happening::Attach(kind) => {
                self.next_port += 1;
                self.ports.insert(self.next_port, kind);
                self.was_used |= kind != PortKind::Uplink;
                let changed = KeeperEvent::PortChanged { bridge: 1, port: self.next_port };
                self.announced.push_back(changed);
            }
            Happening::Detach => {
                if let Some((port, _)) = self.ports.pop_first() {
                    self.was_perhaps_used = true;
                    self.announced.push_back(KeeperEvent::PortGone { port });
                }
            }
            Happening::Plugged(guests) => {
                self.guests = guests;
                self.was_used |= guests > 0;
                self.announced.push_back(KeeperEvent::ClientsCounted { guests, switch: SwitchHealth::Sound });
            }
            Happening::PortMislaid => {
                let switch = SwitchHealth::Mislaid { under: None };
                self.announced.push_back(KeeperEvent::ClientsCounted { guests: self.guests, switch });
            }
            Happening::KnockAtTheDoor => self.knocks = true,
            Happening::RepairsFail(times) => self.failing_repairs = times,
            Happening::LooksFail(times) => self.failing_looks = times,
            Happening::ChildEnded => self.signals.push_back((at, KeeperEvent::ChildEnded)),
            Happening::Stop => self.signals.push_back((at, KeeperEvent::Stop)),
            Happening::Leave => self.signals.push_back((at, KeeperEvent::Leave)),
        }
    }

    fn signal(&mut self) -> Option<KeeperEvent> {
        let (at, signal) = self.signals.pop_front()?;
        assert!(self.now - at <= AT_ONCE, "{signal:?} of {at:?} is heeded at {:?}", self.now);
        Some(signal)
    }

    /// The next event, or none if nothing more will happen.
    fn next(&mut self, wait: Wait) -> Option<KeeperEvent> {
        match wait {
            Wait::ForResults => panic!("nothing was asked of the world"),
            Wait::ForSignals { until } => loop {
                if let Some(signal) = self.signal() {
                    return Some(signal);
                }
                match self.script.front() {
                    Some((at, _)) if *at < until => self.pass(*at),
                    _ => {
                        self.pass(until);
                        return Some(KeeperEvent::RestOver);
                    }
                }
            },
            Wait::ForAll { idle, owed } => loop {
                if self.failing_looks > 0 {
                    (self.failing_looks, self.failed) = (self.failing_looks - 1, self.failed + 1);
                    return Some(KeeperEvent::LookFailed("busy".into()));
                }
                if self.is_down {
                    return Some(KeeperEvent::Leave);
                }
                if let Some(what) = ["server", "switch"].into_iter().find(|it| self.wrong.contains_key(it)) {
                    return Some(KeeperEvent::Lost(what));
                }
                if let Some(heard) = self.signal().or_else(|| self.announced.pop_front()) {
                    return Some(heard);
                }
                let first = [idle, owed].into_iter().flatten().min();
                match (self.script.front(), first) {
                    (Some((at, _)), first) if first.is_none_or(|first| *at < first) => self.pass(*at),
                    (_, Some(first)) => {
                        self.pass(first);
                        let is_idle = idle == Some(first);
                        return Some(if is_idle { KeeperEvent::IdleOver } else { KeeperEvent::RepairDue });
                    }
                    (_, None) => return None,
                }
            },
        }
    }

    /// What the keeper is told now.
    fn hear(&mut self, event: &KeeperEvent) {
        match event {
            KeeperEvent::Lost(what) => self.asked.push(Cause::Lost(what)),
            KeeperEvent::FirewallsShut => self.asked.push(Cause::Firewall),
            KeeperEvent::Reload => self.asked.push(Cause::Reload),
            KeeperEvent::SwitchStopped => self.asked.push(Cause::SwitchStopped),
            KeeperEvent::LeasesChanged | KeeperEvent::Began => self.asked.push(Cause::Lease),
            KeeperEvent::Stop => self.stop = true,
            KeeperEvent::PortsCounted { held: true, .. } => self.held = Some(self.now),
            KeeperEvent::PortsSeen(ports) if ports.iter().any(|seen| !seen.is_vacant) => {
                self.held = Some(self.now);
            }
            _ => {}
        }
    }

    /// The keeper does it; what it brings.
    fn act(&mut self, action: &KeeperAction) -> Option<KeeperEvent> {
        self.pass(self.now + MS);
        match action {
            KeeperAction::Repair(cause) => Some(self.repair(*cause)),
            KeeperAction::FollowLeases if self.wrong.contains_key("lease") => Some(self.repair(Cause::Lease)),
            KeeperAction::FollowLeases => {
                self.asked.retain(|cause| *cause != Cause::Lease);
                Some(KeeperEvent::LeasesFollowed)
            }
            KeeperAction::LookAtPorts => {
                Some(KeeperEvent::PortsSeen(self.ports.keys().map(|port| self.port(*port)).collect()))
            }
            KeeperAction::LookAtPort { port, .. } => {
                let there = self.ports.contains_key(port).then(|| self.port(*port));
                Some(KeeperEvent::PortsSeen(there.into_iter().collect()))
            }
            KeeperAction::CountPorts => Some(KeeperEvent::PortsCounted {
                attached: self.ports.values().any(|kind| *kind != PortKind::Uplink),
                held: self.is_held(),
                idle: Idle::After(IDLE_SECONDS),
            }),
            KeeperAction::CheckFirewalls => {
                self.wrong.contains_key("firewall").then_some(KeeperEvent::FirewallsShut)
            }
            KeeperAction::StopSwitch => {
                assert!(self.mended.is_none_or(|mended| self.now >= mended + BETWEEN_MENDS));
                self.mended = Some(self.now);
                self.wrong.insert("switch", self.now);
                Some(KeeperEvent::SwitchStopped)
            }
            KeeperAction::TakeDownUnlessUsed => Some(self.take_down()),
            KeeperAction::ForgetPort { .. }
            | KeeperAction::ForgetPorts
            | KeeperAction::TidyPlugs
            | KeeperAction::Tell(_)
            | KeeperAction::End(_) => None,
        }
    }

    fn port(&self, port: u32) -> SeenPort {
        let kind = self.ports[&port];
        SeenPort { port, is_uplink: kind == PortKind::Uplink, is_vacant: kind != PortKind::Guest }
    }

    pub(super) fn is_held(&self) -> bool {
        self.guests > 0 || self.ports.values().any(|kind| *kind == PortKind::Guest)
    }

    fn repair(&mut self, cause: Cause) -> KeeperEvent {
        assert!(self.asked.contains(&cause), "{cause:?} is repaired, but only {:?} was told", self.asked);
        let is_lost = matches!(cause, Cause::Lost(_));
        self.repairs.extend(is_lost.then_some(self.now));
        if self.failing_repairs > 0 {
            (self.failing_repairs, self.failed) = (self.failing_repairs - 1, self.failed + 1);
            self.openings.extend((cause == Cause::Firewall).then_some(self.now));
            // One who has the file read again is told that it failed.
            self.asked.retain(|asked| *asked != Cause::Reload);
            if cause == Cause::Reload {
                self.wrong.remove("file");
            }
            return KeeperEvent::RepairFailed { cause, trouble: "busy".into() };
        }
        let changed = !self.wrong.is_empty();
        self.openings.extend((cause == Cause::Firewall && changed).then_some(self.now));
        // A row of repairs, rests after looks that failed, and repairs that failed: each costs a pause.
        let patience = PAUSE * (2 + self.failed) + AT_ONCE;
        for (what, since) in std::mem::take(&mut self.wrong) {
            assert!(self.now - since <= patience, "{what} of {since:?} is made good at {:?}", self.now);
        }
        self.asked.clear();
        if changed {
            // Our own changes are announced too.
            self.announced.push_back(KeeperEvent::FirewallChanged);
        }
        KeeperEvent::Repaired { cause, changed }
    }

    fn take_down(&mut self) -> KeeperEvent {
        if !self.stop {
            assert!(self.was_used || self.was_perhaps_used, "nobody ever used it");
            let held = self.held.unwrap_or_default();
            assert!(self.now >= held + IDLE, "it was in use at {held:?}, and is to go at {:?}", self.now);
        }
        if std::mem::take(&mut self.knocks) {
            KeeperEvent::InUse(User::OnTheWayIn)
        } else if self.is_held() {
            KeeperEvent::InUse(User::Attached(vec!["vmtap0".into()]))
        } else {
            self.is_down = true;
            KeeperEvent::TakenDown
        }
    }
}

/// The keeper's loop.
pub(super) fn live(world: &mut World) -> Option<Ending> {
    let mut state = KeeperState::default();
    let mut events = VecDeque::from([KeeperEvent::Began]);
    for _ in 0..100_000 {
        let event = events.pop_front().or_else(|| world.next(state.wait()))?;
        world.hear(&event);
        let actions = state.step(event.clone(), world.now);
        match event {
            KeeperEvent::Leave => assert_eq!(actions, [KeeperAction::End(Ending::Left)]),
            KeeperEvent::Stop => assert_eq!(actions, [KeeperAction::TakeDownUnlessUsed]),
            KeeperEvent::Reload => assert!(actions.contains(&KeeperAction::Repair(Cause::Reload))),
            _ => {}
        }
        for action in actions {
            if let KeeperAction::End(ending) = action {
                return Some(ending);
            }
            events.extend(world.act(&action));
        }
    }
    panic!("it never comes to rest")
}
