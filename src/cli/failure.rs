//! How a command fails: one sentence, perhaps a hint, and the exit code.

use std::fmt;
use std::process::ExitCode;

/// Exit codes, as vmnet(8) lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, or as wanted.
    Done = 0,
    /// Failed, or refused.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// The network is not up.
    NotUp = 3,
    /// The network is up, but not as wanted.
    Drifted = 4,
    /// The program that was to be run cannot be, as shells say it.
    NotRunnable = 126,
    /// There is no such program.
    NotFound = 127,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// `cannot VERB OBJECT: cause`
#[derive(Clone, Debug)]
pub struct Failure {
    /// `cannot VERB OBJECT`, or none where another program said the whole sentence.
    what: Option<String>,
    cause: String,
    /// A second line.
    pub hint: Option<String>,
    /// How to leave.
    pub exit: Exit,
}

impl Failure {
    /// A failure without a hint, exit 1.
    pub fn new(act: &'static str, object: impl fmt::Display, cause: impl fmt::Display) -> Self {
        let what = Some(format!("cannot {act} {object}"));
        Self { what, cause: cause.to_string(), hint: None, exit: Exit::Failed }
    }

    /// The sentence of another program of ours, with its hint.
    pub fn told(sentence: String, hint: Option<String>) -> Self {
        Self { what: None, cause: sentence, hint, exit: Exit::Failed }
    }

    /// The same with a hint.
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// The same with another exit code.
    pub fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// More causes, for a way down that went on after the first error.
    pub fn and(mut self, more: &[String]) -> Self {
        for cause in more {
            self.cause.push_str("; ");
            self.cause.push_str(cause);
        }
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            Some(what) => write!(f, "{what}: {}", self.cause),
            None => f.write_str(&self.cause),
        }
    }
}

/// A network as an object of a sentence.
pub fn network(name: impl fmt::Display) -> String {
    format!("network '{name}'")
}

/// An I/O error in the kernel's own words.
pub fn io(error: &std::io::Error) -> String {
    vmnet_sys::trust::plain(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_the_manual() {
        let codes = [Exit::Done, Exit::Failed, Exit::Usage, Exit::NotUp, Exit::Drifted];
        assert_eq!(codes.map(|exit| exit as u8), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_failure_is_one_sentence() {
        let failure = Failure::new("start", network("lab"), "no such network").and(&["and more".into()]);
        assert_eq!(failure.to_string(), "cannot start network 'lab': no such network; and more");
    }
}
