//! Who is served when: many users ask one service, and none may hold up another. Each user has so many
//! places, so many requests at work and so many in a second; between users it goes round. The
//! clock is the caller's: every moment is the time since some beginning.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// How much of everything there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Visitors at one time.
    pub visitors: usize,
    /// Visitors of one user at one time.
    pub visitors_each: usize,
    /// Requests at work at one time.
    pub at_work: usize,
    /// Requests of one user at work at one time.
    pub at_work_each: usize,
    /// Of the places at work so many are for users who have none.
    pub at_work_spare: usize,
    /// What one request costs of a user's time: the pause between two of them in the long run.
    pub pause: Duration,
    /// So many requests of one user may come at once before the rate holds.
    pub burst: u32,
    /// How long a visitor may say nothing.
    pub silence: Duration,
    /// How long everything may take, from the visitor's coming.
    pub patience: Duration,
}

impl Limits {
    /// The broker's. A hundred VMs of one user may start at once, and take turns.
    pub const BROKER: Self = Self {
        visitors: 2048,
        visitors_each: 128,
        at_work: 16,
        at_work_each: 4,
        at_work_spare: 4,
        pause: Duration::from_millis(10),
        burst: 200,
        silence: Duration::from_secs(2),
        // Less than the helper's own fifteen, so that it hears why.
        patience: Duration::from_secs(14),
    };
}

/// One visitor. A later one's is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(u64);

impl RequestId {
    /// The request's number, never used again.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }

    /// The ticket of this number.
    #[must_use]
    pub fn of(number: u64) -> Self {
        Self(number)
    }
}

/// What becomes of somebody who comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// They have a place.
    Welcome(RequestId),
    /// They have the place of another, who has said nothing and must go.
    InPlaceOf(RequestId, RequestId),
    /// Their user has all the places that one user may have.
    TooMany,
    /// There is no place.
    Full,
}

/// How far a visitor has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// They have said nothing.
    Silent,
    /// They have asked and stand in line.
    Waiting,
    /// They are being served.
    AtWork,
}

#[derive(Debug)]
struct Client {
    uid: u32,
    since: Duration,
    stage: Stage,
    /// It was told that it took too long.
    is_late: bool,
}

/// One user's visitors.
#[derive(Debug, Default)]
struct User {
    silent: BTreeSet<RequestId>,
    waiting: VecDeque<RequestId>,
    at_work: usize,
    /// The moment at which the whole burst will be theirs again (the virtual scheduling algorithm of ITU-T I.371).
    rested: Duration,
}

impl User {
    fn visitors(&self) -> usize {
        self.silent.len() + self.waiting.len() + self.at_work
    }

    /// From when on the next request may be served.
    fn ready_from(&self, limits: &Limits) -> Duration {
        let spared = limits.pause.saturating_mul(limits.burst.saturating_sub(1));
        self.rested.saturating_sub(spared)
    }
}

/// All visitors.
#[derive(Debug)]
pub struct FairQueue {
    limits: Limits,
    next: u64,
    visits: BTreeMap<RequestId, Client>,
    silent: BTreeSet<RequestId>,
    users: BTreeMap<u32, User>,
    /// Users with somebody in line, whose turn it is first.
    line: VecDeque<u32>,
    at_work: usize,
}

impl FairQueue {
    /// Nobody is there.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            next: 0,
            visits: BTreeMap::new(),
            silent: BTreeSet::new(),
            users: BTreeMap::new(),
            line: VecDeque::new(),
            at_work: 0,
        }
    }

    /// A visitor of this user comes, and gets a place, perhaps that of another, or none.
    pub fn enter(&mut self, uid: u32, now: Duration) -> Entry {
        if self.users.get(&uid).is_some_and(|user| user.visitors() >= self.limits.visitors_each) {
            return Entry::TooMany;
        }
        let mut instead = None;
        if self.visits.len() >= self.limits.visitors {
            let Some(out) = self.least_missed() else { return Entry::Full };
            self.leave(out, now);
            instead = Some(out);
        }
        let ticket = RequestId(self.next);
        self.next += 1;
        self.visits.insert(ticket, Client { uid, since: now, stage: Stage::Silent, is_late: false });
        self.silent.insert(ticket);
        self.users.entry(uid).or_default().silent.insert(ticket);
        instead.map_or(Entry::Welcome(ticket), |out| Entry::InPlaceOf(ticket, out))
    }

    /// Whoever has waited longest of those who say nothing, of the user who has the most visitors.
    fn least_missed(&self) -> Option<RequestId> {
        let with_silent = self.users.values().filter(|user| !user.silent.is_empty());
        with_silent.max_by_key(|user| user.visitors())?.silent.first().copied()
    }

    /// The visitor has asked, and stands in line from now on.
    pub fn ask(&mut self, ticket: RequestId) {
        let Some(visit) = self.visits.get_mut(&ticket).filter(|visit| visit.stage == Stage::Silent) else {
            return;
        };
        visit.stage = Stage::Waiting;
        let uid = visit.uid;
        self.silent.remove(&ticket);
        let user = self.users.entry(uid).or_default();
        user.silent.remove(&ticket);
        user.waiting.push_back(ticket);
        if user.waiting.len() == 1 {
            self.line.push_back(uid);
        }
    }

    /// Whoever is to be served now; they are at work from now on. Again, until there is none.
    pub fn next(&mut self, now: Duration) -> Option<RequestId> {
        if self.at_work >= self.limits.at_work {
            return None;
        }
        let is_next = |uid: &u32| self.has_room(*uid) && self.ready_from(*uid) <= now;
        let at = self.line.iter().position(is_next)?;
        let uid = self.line.remove(at)?;
        let user = self.users.get_mut(&uid)?;
        let ticket = user.waiting.pop_front()?;
        user.at_work += 1;
        user.rested = user.rested.max(now) + self.limits.pause;
        if !user.waiting.is_empty() {
            self.line.push_back(uid);
        }
        self.at_work += 1;
        if let Some(visit) = self.visits.get_mut(&ticket) {
            visit.stage = Stage::AtWork;
        }
        Some(ticket)
    }

    /// May one more request of this user be at work?
    fn has_room(&self, uid: u32) -> bool {
        let own = self.users.get(&uid).map_or(0, |user| user.at_work);
        let spare = if own == 0 { 0 } else { self.limits.at_work_spare };
        own < self.limits.at_work_each && self.at_work + spare < self.limits.at_work
    }

    fn ready_from(&self, uid: u32) -> Duration {
        self.users.get(&uid).map_or(Duration::ZERO, |user| user.ready_from(&self.limits))
    }

    /// The visitor is gone, or was served.
    pub fn leave(&mut self, ticket: RequestId, now: Duration) {
        let Some(visit) = self.visits.remove(&ticket) else { return };
        self.silent.remove(&ticket);
        let Some(user) = self.users.get_mut(&visit.uid) else { return };
        match visit.stage {
            Stage::Silent => drop(user.silent.remove(&ticket)),
            Stage::Waiting => {
                user.waiting.retain(|other| *other != ticket);
                if user.waiting.is_empty() {
                    self.line.retain(|other| *other != visit.uid);
                }
            }
            Stage::AtWork => {
                user.at_work -= 1;
                self.at_work -= 1;
            }
        }
        if user.visitors() == 0 && user.rested <= now {
            self.users.remove(&visit.uid);
        }
        self.forget(now);
    }

    /// Users of whom nothing need be remembered, when there are many.
    fn forget(&mut self, now: Duration) {
        if self.users.len() > self.limits.visitors.saturating_mul(2) {
            self.users.retain(|_, user| user.visitors() > 0 || user.rested > now);
        }
    }

    /// Everybody who has waited too long, each once. They are still there until they leave.
    pub fn late(&mut self, now: Duration) -> Vec<(RequestId, Stage)> {
        let Limits { silence, patience, .. } = self.limits;
        let silent = self.silent.iter().filter_map(|ticket| Some((ticket, self.visits.get(ticket)?)));
        let silent = silent.take_while(|(_, visit)| visit.since + silence <= now);
        let all = self.visits.iter().take_while(|(_, visit)| visit.since + patience <= now);
        let late: BTreeSet<RequestId> =
            silent.chain(all).filter(|(_, visit)| !visit.is_late).map(|(ticket, _)| *ticket).collect();
        let mut told = Vec::new();
        for ticket in late {
            if let Some(visit) = self.visits.get_mut(&ticket) {
                visit.is_late = true;
                told.push((ticket, visit.stage));
            }
        }
        told
    }

    /// When to look again even if nothing happens; none: never.
    #[must_use]
    pub fn alarm(&self) -> Option<Duration> {
        let Limits { silence, patience, .. } = self.limits;
        let timely = |ticket: &&RequestId| self.visits.get(ticket).is_some_and(|visit| !visit.is_late);
        let since = |ticket: &RequestId| self.visits.get(ticket).map(|visit| visit.since);
        let silent = self.silent.iter().find(timely).and_then(since).map(|since| since + silence);
        let all = self.visits.values().find(|visit| !visit.is_late).map(|visit| visit.since + patience);
        // Who waits for a place hears of it from whoever leaves one; who waits for the clock does not.
        let run_dir = self.at_work < self.limits.at_work;
        let resting = self.line.iter().filter(|uid| run_dir && self.has_room(**uid));
        let rested = resting.map(|uid| self.ready_from(*uid)).min();
        [silent, all, rested].into_iter().flatten().min()
    }

    /// Is the visitor here, and has said nothing?
    #[must_use]
    pub fn is_silent(&self, ticket: RequestId) -> bool {
        self.silent.contains(&ticket)
    }

    /// How many visitors there are.
    #[cfg(test)]
    fn visitors(&self) -> usize {
        self.visits.len()
    }
}
