//! What can go wrong with a program of somebody else's, worded in one line.

use crate::find::PLACES;
use std::fmt;
use std::io;
use std::process::ExitStatus;
use std::time::Duration;

/// Why a program did not do what it was asked.
#[derive(Debug)]
pub enum ToolError {
    /// It is in none of the searched directories.
    NotInstalled {
        /// Its name.
        program: &'static str,
    },
    /// The kernel would not start it, or it could not be spoken with.
    CannotStart {
        /// Its name.
        program: &'static str,
        /// What the kernel said.
        cause: io::Error,
    },
    /// It ended with a status other than 0.
    Failed {
        /// Its name.
        program: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote on its standard error, cut at the limit of [`crate::run`].
        stderr: String,
    },
    /// It was still running when its time was over, and was killed.
    TimedOut {
        /// Its name.
        program: &'static str,
        /// The time it had.
        limit: Duration,
    },
    /// It wrote more than is taken from a program; a cut text would mislead.
    SaidTooMuch {
        /// Its name.
        program: &'static str,
    },
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInstalled { program } => {
                write!(f, "{program} is not installed: not in {}", PLACES.join(", "))
            }
            Self::CannotStart { program, cause } => write!(f, "cannot start {program}: {}", plain(cause)),
            Self::Failed { program, status, stderr } => match telling_line(program, stderr) {
                Some(line) => write!(f, "{program} failed: {line}"),
                None => write!(f, "{program} failed: {status}"),
            },
            Self::TimedOut { program, limit } => {
                write!(f, "{program} did not finish within {} s", limit.as_secs_f32())
            }
            Self::SaidTooMuch { program } => write!(f, "{program} wrote too much"),
        }
    }
}

impl std::error::Error for ToolError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::CannotStart { cause, .. } => Some(cause),
            _ => None,
        }
    }
}

/// The kernel's words without Rust's "(os error 2)" behind them.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

/// The line that says what is wrong: the first with the word "error" (nft may warn before it),
/// else the first that is not blank; without the program's own name before it, printable.
fn telling_line(program: &str, stderr: &str) -> Option<String> {
    let mut lines = stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.clone().next()?;
    let line = lines.find(|line| line.to_ascii_lowercase().contains("error")).unwrap_or(first);
    let line = line.strip_prefix(program).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(line);
    Some(line.chars().map(|c| if c.is_control() { '?' } else { c }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_says_what_is_wrong_is_the_one_shown() {
        for (program, stderr, line) in [
            ("dnsmasq", "\ndnsmasq: unknown interface x0\n", Some("unknown interface x0")),
            (
                "nft",
                "/dev/stdin:1:1-3: Error: syntax error\nfoo\n^^^\n",
                Some("/dev/stdin:1:1-3: Error: syntax error"),
            ),
            ("nft", "Warning: table is old\nError: no such table\n", Some("Error: no such table")),
            ("nft", "a\x1b[2Jb\n", Some("a?[2Jb")),
            ("nft", " \n\n", None),
        ] {
            assert_eq!(telling_line(program, stderr).as_deref(), line, "{stderr:?}");
        }
    }
}
