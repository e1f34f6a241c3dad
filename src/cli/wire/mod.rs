//! The processes of a switch. (Stub of the lead's: "wire" replaces this file, and keeps these signatures.)
#![allow(unused, missing_docs, clippy::needless_pass_by_value)]

use crate::failure::Failure;
use crate::places::Room;
use std::path::Path;
use vmnet_model::name::NetName;
use vmnet_model::port::SwitchDoor;
use vmnet_model::vde::Directory;
use vmnet_model::vde::switch::Switch;
use vmnet_sys::process::Process;

fn stub<T>() -> Result<T, Failure> {
    Err(Failure::new("be", "a process of a switch", "not built yet"))
}
pub fn start_switch(room: &Room, switch: &Switch) -> Result<(), Failure> {
    stub()
}
pub fn stop_switch(room: &Room) -> Result<(), Failure> {
    Ok(())
}
pub fn switch(room: &Room) -> Option<Process> {
    None
}
pub fn start_pump(name: &NetName, record: &Path, cable: Option<&str>) -> Result<(), Failure> {
    stub()
}
pub fn stop_pump(claim: &Path) -> Result<(), Failure> {
    Ok(())
}
pub fn pump(claim: &Path) -> Option<Process> {
    None
}
pub fn plug_again(record: &Path, plugs: &Path) -> Result<(), Failure> {
    stub()
}
pub fn life(directory: &Directory) -> Option<String> {
    None
}
pub fn join_check(directory: &Directory) -> Result<SwitchDoor, Failure> {
    stub()
}
