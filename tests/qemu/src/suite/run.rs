//! One test run to its end. What it says goes to an unnamed file, so that a daemon which keeps that open
//! cannot hold the suite up.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use super::outcome::{Asked, Outcome, outcome};

/// How long a test may take. The longest needs a minute and a half on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// How one test went.
#[derive(Debug)]
pub struct Report {
    /// Whether it held.
    pub outcome: Outcome,
    /// All that it said, on both outputs in turn.
    pub words: String,
    /// From start to end.
    pub took: Duration,
    /// Processor time of the test and of whatever it started and waited for.
    pub burnt: Duration,
}

/// Runs a test's program to its end.
pub fn run(mut command: Command, asked: Asked, patience: Duration) -> Report {
    let started = Instant::now();
    let mut said = tempfile::tempfile().expect("a file for what a test says");
    let both = || said.try_clone().map(Stdio::from);
    let child = both().and_then(|out| command.stdin(Stdio::null()).stdout(out).stderr(both()?).spawn());
    let (end, burnt) = match child {
        Ok(child) => wait(child, started + patience),
        Err(error) => (Some(format!("cannot start: {error}")), Duration::ZERO),
    };
    let words = text(&mut said);
    Report { outcome: outcome(asked, end.as_deref(), &words), words, took: started.elapsed(), burnt }
}

/// How it ended, unless by exit status 0, and what processor time it took.
fn wait(mut child: Child, until: Instant) -> (Option<String>, Duration) {
    let id = Pid::from_raw(child.id().cast_signed());
    let ended = || waitid(Id::Pid(id), WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT);
    // Hundreds of units take a millisecond each.
    let mut step = Duration::from_millis(1);
    while ended().is_ok_and(|status| status == WaitStatus::StillAlive) && Instant::now() < until {
        std::thread::sleep(step);
        step = (step * 2).min(Duration::from_millis(50));
    }
    let late = ended().is_ok_and(|status| status == WaitStatus::StillAlive);
    if late {
        // Its houses end with it, and with them all that it started.
        let _ = child.kill();
    }
    let burnt = burnt(child.id());
    let status = child.wait().map_or_else(|error| Some(error.to_string()), words);
    (if late { Some("took too long".to_owned()) } else { status }, burnt)
}

fn words(status: ExitStatus) -> Option<String> {
    match (status.code(), status.signal()) {
        (Some(0), _) => None,
        (Some(code), _) => Some(format!("exit status {code}")),
        (_, signal) => Some(format!("signal {}", signal.unwrap_or_default())),
    }
}

/// The processor time in an ended process's `stat`: its own and its children's, in hundredths (`proc(5)`).
fn burnt(id: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    // utime is field 14; the first after the name is the third.
    let ticks = after_name.split_whitespace().skip(11).take(4).filter_map(|ticks| ticks.parse::<u64>().ok());
    Duration::from_millis(ticks.sum::<u64>() * 10)
}

fn text(file: &mut File) -> String {
    let mut bytes = Vec::new();
    let _ = file.rewind().and_then(|()| file.read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, patience: Duration) -> Report {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run(command, Asked::One, patience)
    }

    const RESULT: &str = "echo 'test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured'";
    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_program_says_that_it_passed_and_ends_well() {
        let report = sh(&format!("echo a word >&2; {RESULT}"), LONG);
        assert_eq!(report.outcome, Outcome::Passed(1), "{report:?}");
        assert!(report.words.starts_with("a word\n"), "{report:?}");
    }

    #[test]
    fn a_program_that_crashes_has_failed_whatever_it_said() {
        let report = sh(&format!("{RESULT}; kill -SEGV $$"), LONG);
        assert_eq!(report.outcome, Outcome::Failed("signal 11".to_owned()), "{report:?}");
    }

    #[test]
    fn a_program_that_hangs_is_ended_and_its_words_are_kept() {
        let report = sh("echo a word; exec sleep 1000", Duration::from_millis(300));
        assert_eq!(report.outcome, Outcome::Failed("took too long".to_owned()));
        assert_eq!(report.words, "a word\n");
    }

    #[test]
    fn a_daemon_that_keeps_the_output_open_holds_nobody_up() {
        let report = sh(&format!("sleep 30 & {RESULT}"), LONG);
        assert_eq!(report.outcome, Outcome::Passed(1));
        assert!(report.took < Duration::from_secs(20), "{report:?}");
    }

    #[test]
    fn a_program_that_is_not_there_has_failed() {
        let report = run(Command::new("/nonexistent"), Asked::One, LONG);
        assert!(matches!(report.outcome, Outcome::Failed(_)), "{report:?}");
    }
}
