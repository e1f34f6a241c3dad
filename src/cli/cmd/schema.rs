//! `vmnet schema`

use crate::exit::Exit;
use crate::say;
use vmnet_model::error::Error;

/// Print it.
pub fn run() -> Result<Exit, Error> {
    say::json(&vmnet_config::schema());
    Ok(Exit::Done)
}
