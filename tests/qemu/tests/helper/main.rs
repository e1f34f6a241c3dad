//! The setuid helper and the broker: who gets a port, and who is refused, in QEMU's words and ours.

mod access;
mod broker;
mod broker_hostile;
mod broker_service;
mod contract;
mod holders;
mod hostile_caller;
mod log;
mod on_demand;
mod past_holes;
mod quota;
