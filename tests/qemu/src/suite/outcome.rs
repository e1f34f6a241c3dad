//! How a test went, by its exit status and by its words. Both must say so: a program that ends in the
//! middle of a test, with whatever status, has not passed.

/// How a test went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It held; so many tests did, where more than one was asked for.
    Passed(usize),
    /// It did not run, which libtest or the test itself says (`skip::skip`).
    Skipped,
    /// It failed, crashed or hung, and how.
    Failed(String),
}

/// What was asked for, and so what an answer looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// One test by its name: one result line, and nothing after it.
    One,
    /// As many as there are, in several programs: the examples in the documentation.
    All,
}

/// What a result line counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: usize,
    failed: usize,
    ignored: usize,
}

/// How it went. `end` is `None` where the exit status was 0, else what the status was.
pub fn outcome(asked: Asked, end: Option<&str>, words: &str) -> Outcome {
    let lines = words.lines().filter(|line| !line.trim().is_empty());
    let results: Vec<Counts> = match asked {
        Asked::One => lines.clone().next_back().and_then(counts).into_iter().collect(),
        Asked::All => lines.clone().filter_map(counts).collect(),
    };
    let sum = |count: fn(&Counts) -> usize| results.iter().map(count).sum::<usize>();
    let (passed, failed, ignored) =
        (sum(|counts| counts.passed), sum(|counts| counts.failed), sum(|counts| counts.ignored));
    match end {
        Some(end) => Outcome::Failed(end.to_owned()),
        None if results.is_empty() => Outcome::Failed("ended without a result".to_owned()),
        None if failed > 0 => Outcome::Failed(format!("{failed} failed, but its status says otherwise")),
        None if ignored > 0 || lines.clone().any(says_skipped) => Outcome::Skipped,
        None if asked == Asked::One && passed != 1 => Outcome::Failed(format!("{passed} tests of that name")),
        None => Outcome::Passed(passed),
    }
}

/// Whether a test says in this line that it did not run. libtest's words may stand before its own.
fn says_skipped(line: &str) -> bool {
    let after_name = line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... "));
    after_name.map_or(line, |(_, words)| words).starts_with("SKIPPED")
}

/// Reads `… test result: ok. 1 passed; 0 failed; 0 ignored; …`. Words that a test left without a line's
/// end may stand before it.
fn counts(line: &str) -> Option<Counts> {
    let (_, result) = line.split_once("test result: ")?;
    let (_, numbers) = result.split_once(". ")?;
    let number = |what: &str| {
        let part = numbers.split(';').find_map(|part| part.trim().strip_suffix(what))?;
        part.trim().parse().ok()
    };
    Some(Counts { passed: number("passed")?, failed: number("failed")?, ignored: number("ignored")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(passed: usize, failed: usize, ignored: usize) -> String {
        let word = if failed == 0 { "ok" } else { "FAILED" };
        format!(
            "test result: {word}. {passed} passed; {failed} failed; {ignored} ignored; 0 measured; 9 filtered \
             out; finished in 1.02s"
        )
    }

    fn one(end: Option<&str>, words: &str) -> Outcome {
        outcome(Asked::One, end, words)
    }

    fn fails(outcome: &Outcome) -> bool {
        matches!(outcome, Outcome::Failed(_))
    }

    #[test]
    fn a_test_that_says_so_and_ends_so_has_passed() {
        let words = format!("\nrunning 1 test\ntest up::works ... a word\nok\n\n{}\n\n", result(1, 0, 0));
        assert_eq!(one(None, &words), Outcome::Passed(1));
        assert_eq!(one(None, &format!("no end of line {}", result(1, 0, 0))), Outcome::Passed(1));
    }

    #[test]
    fn a_program_that_ends_without_a_result_has_failed_whatever_its_status() {
        for words in ["", "running 1 test\n", "running 1 test\ntest up::works ... "] {
            assert!(fails(&one(None, words)), "{words}");
        }
        let early = format!("{}\nand then it went on\n", result(1, 0, 0));
        assert!(fails(&one(None, &early)));
    }

    #[test]
    fn a_status_and_words_that_disagree_are_a_failure() {
        assert_eq!(one(Some("signal 11"), &result(1, 0, 0)), Outcome::Failed("signal 11".to_owned()));
        assert!(fails(&one(None, &result(0, 1, 0))));
    }

    #[test]
    fn a_name_that_no_test_or_two_have_has_failed() {
        assert!(fails(&one(None, &result(0, 0, 0))));
        assert!(fails(&one(None, &result(2, 0, 0))));
    }

    #[test]
    fn a_test_that_did_not_run_is_skipped_and_has_not_passed() {
        assert_eq!(one(None, &result(0, 0, 1)), Outcome::Skipped);
        for said in [
            "SKIPPED up::works: nft is missing\ntest up::works ... ok",
            "test up ... SKIPPED: needs root\nok",
        ] {
            assert_eq!(one(None, &format!("{said}\n{}", result(1, 0, 0))), Outcome::Skipped, "{said}");
        }
        let told = format!("the list says SKIPPED here\n{}", result(1, 0, 0));
        assert_eq!(one(None, &told), Outcome::Passed(1));
    }

    #[test]
    fn examples_are_counted_over_all_crates() {
        let words = format!("   Doc-tests a\n{}\n   Doc-tests b\n{}\n", result(2, 0, 0), result(0, 0, 0));
        assert_eq!(outcome(Asked::All, None, &words), Outcome::Passed(2));
        assert!(fails(&outcome(Asked::All, Some("exit status 101"), &words)));
        assert!(fails(&outcome(Asked::All, None, "")));
    }
}
