//! The processes of a network's VDE switch: the switch itself, the pump between it and the bridge, and the one
//! that plugs everybody in again after the switch was started again. Each is `vmnet wire …`, none needs
//! whoever started it, and none of them runs with a right that it does not need.

mod descriptors;
mod door;
mod handshake;
pub mod plug;
pub mod pump;
mod start;
pub mod switch;

pub use crate::process::switch;
pub use door::{is_plugged, join_check, life, remember};
pub use start::{plug_again, pump, start_pump, start_switch, stop_pump, stop_switch};

use crate::failure::Failure;
use crate::places::{Room, read_file};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use vmnet_model::vde::switch::{BadSwitch, Switch};
use vmnet_vde::queue;

/// The user and group of a switch and its pump, which are in no database, have the same number.
fn group_of_user(user: u32) -> u32 {
    user
}

/// The record of a switch.
fn record(path: &Path) -> Result<Switch, Failure> {
    let failed = |cause: &dyn std::fmt::Display| Failure::new("read", path.display(), cause);
    let bytes = read_file(path)?.ok_or_else(|| failed(&"no such file"))?;
    let text = String::from_utf8(bytes).map_err(|_| failed(&BadSwitch(0)))?;
    Switch::parse(&text).map_err(|error| failed(&error))
}

/// Make the queues between a pump and the switch of this record fit. Without it there is more loss, and no
/// more than that.
fn fit_queues(record: &Path, wanted: &Switch, data: &UnixDatagram) {
    let ours = wanted.run.and_then(|_| switch(&Room::holding(record)));
    let _ = queue::fit(ours.as_ref(), data);
}

/// A switch as an object of a sentence.
fn named(switch: impl std::fmt::Display) -> String {
    format!("switch '{switch}'")
}
