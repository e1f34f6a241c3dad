//! Which test starts next. Each lane takes its tests in order, as many at a time as it is wide; those
//! that need the machine for themselves come when all others have ended.

use std::collections::VecDeque;

use super::lanes::Lane;

/// Tests that wait for their turn, and how many run.
#[derive(Debug)]
pub struct Queue<T> {
    processors: usize,
    lanes: [(Lane, VecDeque<T>, usize); 3],
}

impl<T> Queue<T> {
    /// A queue for a machine with so many processors.
    pub fn new(processors: usize, tests: impl IntoIterator<Item = (Lane, T)>) -> Self {
        let lanes = [Lane::Busy, Lane::Waiting, Lane::Alone].map(|lane| (lane, VecDeque::new(), 0));
        let mut queue = Self { processors: processors.max(1), lanes };
        for (lane, test) in tests {
            queue.lane(lane).1.push_back(test);
        }
        queue
    }

    /// The next test that may start now; it runs until [`Queue::ended`] is told. `None` while whatever is
    /// left has to wait for one that runs, and once nothing is left.
    pub fn start(&mut self) -> Option<(Lane, T)> {
        let running: usize = self.lanes.iter().map(|(_, _, running)| running).sum();
        let waiting: usize = self.lanes.iter().map(|(_, tests, _)| tests.len()).sum();
        let alone = self.lane(Lane::Alone).1.len();
        let others_left = waiting > alone;
        for (lane, tests, runs) in &mut self.lanes {
            let free = match lane {
                Lane::Alone => running == 0 && !others_left,
                _ => *runs < lane.width(self.processors),
            };
            if free && let Some(test) = tests.pop_front() {
                *runs += 1;
                return Some((*lane, test));
            }
        }
        None
    }

    /// A test of this lane has ended.
    pub fn ended(&mut self, lane: Lane) {
        let running = &mut self.lane(lane).2;
        *running = running.saturating_sub(1);
    }

    fn lane(&mut self, lane: Lane) -> &mut (Lane, VecDeque<T>, usize) {
        self.lanes.iter_mut().find(|(its, _, _)| *its == lane).expect("every lane is there")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(queue: &mut Queue<u32>) -> Vec<u32> {
        std::iter::from_fn(|| queue.start().map(|(_, test)| test)).collect()
    }

    #[test]
    fn as_many_busy_tests_run_as_there_are_processors_in_order() {
        let mut queue = Queue::new(2, (0..4).map(|test| (Lane::Busy, test)));
        assert_eq!(started(&mut queue), [0, 1]);
        queue.ended(Lane::Busy);
        assert_eq!(started(&mut queue), [2]);
    }

    #[test]
    fn waiting_tests_run_beside_busy_ones() {
        let tests = [(Lane::Busy, 0), (Lane::Busy, 1), (Lane::Waiting, 2), (Lane::Waiting, 3)];
        assert_eq!(started(&mut Queue::new(1, tests)), [0, 2, 3]);
    }

    #[test]
    fn a_test_that_needs_the_machine_gets_it_when_all_others_have_ended() {
        let tests = [(Lane::Alone, 8), (Lane::Alone, 9), (Lane::Busy, 0), (Lane::Waiting, 1)];
        let mut queue = Queue::new(2, tests);
        assert_eq!(started(&mut queue), [0, 1]);
        queue.ended(Lane::Busy);
        assert_eq!(started(&mut queue), [0; 0]);
        queue.ended(Lane::Waiting);
        assert_eq!(started(&mut queue), [8]);
        queue.ended(Lane::Alone);
        assert_eq!(started(&mut queue), [9]);
    }

    #[test]
    fn every_test_starts_exactly_once_whatever_the_machine() {
        for processors in 0..5 {
            let lane = |test| [Lane::Busy, Lane::Waiting, Lane::Alone][test as usize % 3];
            let mut queue = Queue::new(processors, (0..30).map(|test| (lane(test), test)));
            let mut seen = Vec::new();
            while let Some((lane, test)) = queue.start() {
                queue.ended(lane);
                seen.push(test);
            }
            seen.sort_unstable();
            assert_eq!(seen, (0..30).collect::<Vec<_>>());
        }
    }
}
