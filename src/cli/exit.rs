//! Exit codes, as vmnet(8) lists them.

use std::process::ExitCode;
use vmnet_model::error::{Error, ErrorKind};

/// How `vmnet` leaves.
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

impl From<&Error> for Exit {
    fn from(error: &Error) -> Self {
        match error.kind {
            ErrorKind::NotUp => Self::NotUp,
            ErrorKind::NoSuchNetwork
            | ErrorKind::InUse
            | ErrorKind::Exists
            | ErrorKind::Conflict
            | ErrorKind::Invalid
            | ErrorKind::Denied
            | ErrorKind::Host => Self::Failed,
        }
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
}
