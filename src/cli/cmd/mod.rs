//! One file per verb. Each reads what it needs, asks the rooms below, and says what came of it.

use vmnet_model::error::Error;

pub mod access;
pub mod account;
pub mod attach;
pub mod broker;
pub mod cable;
pub mod check;
pub mod completions;
pub mod detach;
pub mod doctor;
pub mod down;
pub mod exec;
pub mod forward;
pub mod hook;
pub mod host;
pub mod init;
pub mod leases;
pub mod list;
pub mod ports;
pub mod run;
pub mod schema;
pub mod snippet;
pub mod status;
pub mod tap;
pub mod up;
pub mod wire;

/// Only root may change the host's network.
fn need_root(act: &'static str, object: String) -> Result<(), Error> {
    if nix::unistd::geteuid().is_root() { Ok(()) } else { Err(Error::new(act, object, "only root can")) }
}
