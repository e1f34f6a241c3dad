//! One file per verb. Each reads what it needs, asks the rooms below, and says what came of it.

use crate::failure::Failure;
use std::future::Future;

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

/// Run the part of a verb that talks to the kernel.
pub fn in_runtime<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new("begin", "work", crate::failure::io(&error)))?;
    runtime.block_on(work)
}

/// Only root may change the host's network.
fn need_root(act: &'static str, object: String) -> Result<(), Failure> {
    if nix::unistd::geteuid().is_root() { Ok(()) } else { Err(Failure::new(act, object, "only root can")) }
}
