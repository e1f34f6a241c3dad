//! How many repairs follow each other, and which are owed.

use super::{Cause, Moment};
use std::time::Duration;

/// So many repairs of what was lost follow each other at once; then one each [`PAUSE`], so that a fight
/// with another program costs little.
pub const REPAIRS_AT_ONCE: u32 = 5;
/// So many repairs for a firewall follow each other at once, then one each [`PAUSE`]. More than of what was
/// lost, because one reload changes rules step by step (`ufw reload` for seconds on a busy host), and each step
/// may shut guests out.
pub const OPENINGS_AT_ONCE: u32 = 20;
/// The time between two repairs of a full row, after a repair that failed, and after a look that failed. So
/// long without trouble, and a new row begins.
pub const PAUSE: Duration = Duration::from_secs(5);

/// Repairs that follow each other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// So many make it full.
    at_once: u32,
    count: u32,
    last: Option<Moment>,
    /// The next repair had to wait: whatever time that took was not without trouble.
    is_held_up: bool,
}

impl Row {
    pub(super) fn of(at_once: u32) -> Self {
        Self { at_once, count: 0, last: None, is_held_up: false }
    }

    /// Until when the next repair must wait; none if it need not.
    pub(super) fn room(&self, now: Moment) -> Option<Moment> {
        let until = self.last? + PAUSE;
        (self.count >= self.at_once && now < until).then_some(until)
    }

    /// The next repair waits.
    pub(super) fn hold_up(&mut self) {
        self.is_held_up = true;
    }

    /// Nothing waits any more.
    pub(super) fn settle(&mut self) {
        self.is_held_up = false;
    }

    /// One more repair.
    pub(super) fn add(&mut self, now: Moment) {
        let is_new = self.last.is_none_or(|last| now >= last + PAUSE) && !self.is_held_up;
        self.count = if is_new { 1 } else { (self.count + 1).min(self.at_once) };
        (self.last, self.is_held_up) = (Some(now), false);
    }
}

/// What was lost and is not yet made good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owed {
    pub(super) cause: Cause,
    /// When it is tried, or tried again.
    pub(super) at: Moment,
}

impl Owed {
    /// Of two the more important one: its repair makes the other good as well. The later one of equals.
    pub(super) fn or(self, earlier: Option<Self>) -> Self {
        earlier.filter(|earlier| earlier.cause.rank() > self.cause.rank()).unwrap_or(self)
    }
}

impl Cause {
    fn rank(self) -> u8 {
        match self {
            Self::Lease => 0,
            Self::Reload => 1,
            Self::SwitchStopped => 2,
            Self::Firewall => 3,
            Self::Lost(_) => 4,
        }
    }
}
