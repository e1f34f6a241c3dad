//! The processes of a network's VDE switch: the switch itself, the pump between it and the bridge, and the one
//! that plugs everybody in again after the switch was started again. Each is `vmnet wire …`, none needs
//! whoever started it, and none of them runs with a right that it does not need.

pub mod clients;
pub mod console;
pub mod console_text;
pub mod dir;
mod directory;
mod held_sockets;
mod join_for;
mod process;
pub mod process_pump;
pub mod process_rejoin;
pub mod process_switch;
pub mod pump;
pub mod queue;
pub mod settings;
mod start;

pub use directory::{is_plugged, join_check, life, remember};
pub use process::switch;
pub use start::{plug_again, pump, start_pump, start_switch, stop_pump, stop_switch};

use crate::dir::SwitchDir;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use vmnet_model::error::Error;
use vmnet_model::vde_switch::Switch;

/// The user and group of a switch and its pump, which are in no database, have the same number.
fn group_of_user(user: u32) -> u32 {
    user
}

/// The switch of a record, which must be there.
fn recorded(path: &Path) -> Result<Switch, Error> {
    settings::of_record(path)?.ok_or_else(|| Error::new("read", path.display(), "no such file"))
}

/// Make the queues between a pump and the switch of this record fit. Without it there is more loss, and no
/// more than that.
fn fit_queues(path: &Path, wanted: &Switch, data: &UnixDatagram) {
    let ours = wanted.run.and_then(|_| switch(&SwitchDir::of_file(path)));
    let _ = queue::fit(ours.as_ref(), data);
}

/// Have the network's switch, if it is ours, let frames wait for those who were granted a port. Without it there
/// is more loss, and no more than that.
pub fn widen_queues(dir: &SwitchDir) {
    let _ = switch(dir).map(|switch| queue::widen_all(&switch, &dir.plugs()));
}

/// A switch as an object of a sentence.
fn named(switch: impl std::fmt::Display) -> String {
    format!("switch '{switch}'")
}
