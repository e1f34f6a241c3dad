//! The log of a service.

use std::io::{Write, stderr};
use vmnet_sys::syslog::{self, Topic};

/// A line in the log of a service: standard error in the foreground, where systemd and runit read
/// it, the system log in the background.
#[derive(Clone, Copy, Debug)]
pub enum Log {
    /// Standard error.
    Foreground,
    /// The system log.
    Background,
}

impl Log {
    /// Something was done.
    pub fn info(self, sentence: &str) {
        match self {
            Self::Foreground => write_error(sentence),
            Self::Background => drop(syslog::send("vmnet", Topic::Service, sentence)),
        }
    }

    /// Something could not be done.
    pub fn trouble(self, sentence: &str) {
        match self {
            Self::Foreground => write_error(sentence),
            Self::Background => drop(syslog::send("vmnet", Topic::Trouble, sentence)),
        }
    }
}

/// When nobody reads any more, there is nobody to tell.
fn write_error(sentence: &str) {
    let _ = stderr().write_all(format!("vmnet: {sentence}\n").as_bytes());
}
