//! How the program leaves: its exit codes, and which failure leaves with which.

use std::process::ExitCode;
use vmnet_model::error::{Error, ErrorKind};

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

/// A failure, and the exit code that it leaves with.
#[derive(Debug)]
pub struct Leave {
    /// What failed.
    pub failure: Box<Error>,
    /// How to leave.
    pub exit: Exit,
}

impl From<Error> for Leave {
    fn from(failure: Error) -> Self {
        let exit = match failure.kind {
            ErrorKind::NotUp => Exit::NotUp,
            ErrorKind::NoSuchNetwork
            | ErrorKind::InUse
            | ErrorKind::Exists
            | ErrorKind::Conflict
            | ErrorKind::Invalid
            | ErrorKind::Denied
            | ErrorKind::Host => Exit::Failed,
        };
        Self { failure: Box::new(failure), exit }
    }
}

impl Exit {
    /// A failure that leaves so, whatever its kind.
    pub fn with(self, failure: Error) -> Leave {
        Leave { failure: Box::new(failure), exit: self }
    }
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
    fn a_network_that_is_not_up_leaves_with_a_code_of_its_own() {
        let leave = |failure| Leave::from(failure).exit;
        assert_eq!(leave(Error::not_up("list", "lab")), Exit::NotUp);
        assert_eq!(leave(Error::new("list", "lab", "no such network")), Exit::Failed);
    }
}
