//! `vmnet schema`

use crate::failure::{Exit, Failure};
use crate::say;

/// Print it.
pub fn run() -> Result<Exit, Failure> {
    say::json(&vmnet_config::schema());
    Ok(Exit::Done)
}
