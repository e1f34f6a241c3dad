//! How all tests went. One that fails is run again, alone; if it passes then, it is unsteady: the run may
//! still be green, but says the name.

use super::outcome::Outcome;

/// More unsteady tests than this are a failure: then it is the product or the machine, not a test.
pub const MOST_UNSTEADY: usize = 3;
/// So many are run again. A run in which more failed is red whatever comes of it: either one of them fails
/// again, or more than [`MOST_UNSTEADY`] are unsteady.
pub const MOST_RUN_AGAIN: usize = 10;

/// The count of tests so far.
#[derive(Debug, Default)]
pub struct Tally {
    passed: usize,
    skipped: usize,
    failed: Vec<String>,
    unsteady: Vec<String>,
}

impl Tally {
    /// A test ended, the first time that it was run.
    pub fn first(&mut self, name: &str, outcome: &Outcome) {
        match outcome {
            Outcome::Passed(tests) => self.passed += tests,
            Outcome::Skipped => self.skipped += 1,
            Outcome::Failed(_) => self.failed.push(name.to_owned()),
        }
    }

    /// The failed tests that are to be run again, alone.
    pub fn to_run_again(&self) -> Vec<String> {
        self.failed.iter().take(MOST_RUN_AGAIN).cloned().collect()
    }

    /// A failed test was run again.
    pub fn again(&mut self, name: &str, outcome: &Outcome) {
        if let Outcome::Passed(tests) = outcome {
            self.failed.retain(|failed| failed != name);
            self.unsteady.push(name.to_owned());
            self.passed += tests;
        }
    }

    /// The tests that passed only when they were run again.
    pub fn unsteady(&self) -> &[String] {
        &self.unsteady
    }

    /// Whether the run may pass.
    pub fn is_green(&self) -> bool {
        self.passed > 0 && self.counted_failed() == 0 && self.skipped == 0
    }

    /// What a run says at its end: each failed and each unsteady test by name, then the line that counts.
    pub fn closing(&self) -> String {
        let line = |word: &'static str| move |name: &String| format!("{word}: {name}\n");
        let mut text: String = self.failed.iter().map(line("failed")).collect();
        text.extend(self.unsteady.iter().map(line("unsteady")));
        if self.too_many() {
            text += &format!("more than {MOST_UNSTEADY} are unsteady, so they count as failed\n");
        }
        let (failed, skipped) = (self.counted_failed(), self.skipped);
        let passed = self.passed - (failed - self.failed.len());
        text + &format!("{passed} passed, {failed} failed, {skipped} skipped\n")
    }

    fn too_many(&self) -> bool {
        self.unsteady.len() > MOST_UNSTEADY
    }

    /// Whoever reads the closing line alone must see that too many are unsteady.
    fn counted_failed(&self) -> usize {
        self.failed.len() + if self.too_many() { self.unsteady.len() } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> Outcome {
        Outcome::Failed("exit status 101".to_owned())
    }

    /// Two that pass, and so many that fail first and pass when run again.
    fn with_unsteady(count: usize) -> Tally {
        let mut tally = Tally::default();
        tally.first("a", &Outcome::Passed(1));
        tally.first("b", &Outcome::Passed(1));
        let names: Vec<String> = (0..count).map(|number| format!("u{number}")).collect();
        names.iter().for_each(|name| tally.first(name, &failed()));
        assert_eq!(tally.to_run_again(), names);
        names.iter().for_each(|name| tally.again(name, &Outcome::Passed(1)));
        tally
    }

    #[test]
    fn a_run_without_failures_says_the_closing_line_alone() {
        let tally = with_unsteady(0);
        assert_eq!(tally.closing(), "2 passed, 0 failed, 0 skipped\n");
        assert!(tally.is_green());
    }

    #[test]
    fn up_to_three_unsteady_tests_are_green_and_named() {
        let tally = with_unsteady(3);
        assert!(tally.is_green());
        assert_eq!(
            tally.closing(),
            "unsteady: u0\nunsteady: u1\nunsteady: u2\n5 passed, 0 failed, 0 skipped\n"
        );
    }

    #[test]
    fn four_unsteady_tests_are_red() {
        let tally = with_unsteady(4);
        assert!(!tally.is_green());
        assert!(tally.closing().ends_with("\n2 passed, 4 failed, 0 skipped\n"), "{}", tally.closing());
    }

    #[test]
    fn a_test_that_fails_twice_has_failed() {
        let mut tally = with_unsteady(1);
        tally.first("c", &failed());
        tally.again("c", &failed());
        assert!(!tally.is_green());
        assert_eq!(tally.closing(), "failed: c\nunsteady: u0\n3 passed, 1 failed, 0 skipped\n");
    }

    #[test]
    fn a_skipped_test_and_a_run_of_nothing_are_red() {
        let mut tally = with_unsteady(0);
        tally.first("c", &Outcome::Skipped);
        assert!(!tally.is_green());
        assert_eq!(tally.closing(), "2 passed, 0 failed, 1 skipped\n");
        assert!(!Tally::default().is_green());
    }

    #[test]
    fn where_much_failed_not_all_is_run_again() {
        let mut tally = Tally::default();
        (0..50).for_each(|number| tally.first(&format!("c{number}"), &failed()));
        assert_eq!(tally.to_run_again().len(), MOST_RUN_AGAIN);
        assert!(tally.closing().ends_with("\n0 passed, 50 failed, 0 skipped\n"));
    }
}
