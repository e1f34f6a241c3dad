//! How often a pump looks at its switch. Whoever is woken for each frame of a stream gets them one by one, and
//! waking costs more than carrying. So while many frames pass, it lets some gather first; while few
//! do, it looks at once, and nobody waits.

use std::time::{Duration, Instant};

/// Frames are counted for so long.
const WINDOW: Duration = Duration::from_millis(1);
/// As many frames in a window are a stream. A request and its answer at a time, through two pumps and a
/// switch, are fewer.
const MANY: usize = 40;
/// So long frames gather, and until the kernel's timer fires, which by itself may be 50 µs late
/// (PR_SET_TIMERSLACK of prctl(2)). In that time no switch fills a queue of 92 frames.
const REST: Duration = Duration::from_micros(60);
/// Where as many frames gather by themselves, nothing is won by a rest.
const ENOUGH: usize = 48;

/// What passed, and when to look again.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    since: Instant,
    passed: usize,
    is_stream: bool,
    until: Option<Instant>,
}

impl Pace {
    /// The pace of a pump through which nothing passed yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { since: now, passed: 0, is_stream: false, until: None }
    }

    /// Many frames pass.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        self.is_stream
    }

    /// How long not to look yet; none: look.
    #[must_use]
    pub fn rest(&self, now: Instant) -> Option<Duration> {
        let rest = self.until?.saturating_duration_since(now);
        (!rest.is_zero()).then_some(rest)
    }

    /// Note that so many frames went to the switch.
    pub fn sent(&mut self, frames: usize) {
        self.passed += frames;
    }

    /// We looked, and so many frames were there.
    pub fn took(&mut self, frames: usize, now: Instant) {
        self.passed += frames;
        let elapsed = now.saturating_duration_since(self.since);
        if elapsed >= WINDOW {
            // As many in the same time, however long it was.
            let windows = usize::try_from(elapsed.as_micros() / WINDOW.as_micros()).unwrap_or(usize::MAX);
            self.is_stream = self.passed / windows.max(1) >= MANY;
            (self.since, self.passed) = (now, 0);
        }
        self.until = (self.is_stream && frames < ENOUGH).then(|| now + REST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After so many rounds of so many frames each, that far apart: is there a rest?
    fn rests(rounds: u32, frames: usize, apart: Duration) -> bool {
        let begin = Instant::now();
        let mut pace = Pace::new(begin);
        let mut now = begin;
        for _ in 0..rounds {
            now += apart;
            pace.took(frames, now);
        }
        pace.rest(now).is_some()
    }

    #[test]
    fn a_stream_lets_frames_gather_and_a_word_now_and_then_does_not() {
        let us = Duration::from_micros;
        assert!(rests(100, 10, us(60)));
        assert!(!rests(100, 2, us(75)));
        assert!(!rests(100, 1, us(100)));
        // Nobody knows yet.
        assert!(!rests(2, 10, us(60)));
        // Much at a time but seldom is no stream, and many at a time need no rest.
        assert!(!rests(100, 10, us(5000)));
        assert!(!rests(100, ENOUGH, us(300)));
    }

    #[test]
    fn a_rest_ends_and_so_does_a_stream() {
        let begin = Instant::now();
        let mut pace = Pace::new(begin);
        pace.sent(1000);
        let now = begin + WINDOW;
        pace.took(1, now);
        assert_eq!(pace.rest(now), Some(REST));
        assert_eq!(pace.rest(now + REST), None);
        pace.took(1, now + Duration::from_secs(1));
        assert_eq!(pace.rest(now + Duration::from_secs(1)), None);
    }
}
