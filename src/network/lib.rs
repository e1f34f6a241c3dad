//! The life of networks: what describes them, bringing them up, keeping them so, taking them down, and what
//! changes while they run.

#![forbid(unsafe_code)]

pub mod apply;
pub mod cables;
pub mod dirs;
pub mod down;
pub mod forwards;
pub mod keeper;
pub mod keeper_handle;
pub mod lease_watch;
pub mod leases;
pub mod observe;
pub mod ports;
pub mod reservations;
pub mod resolve;
pub mod server;
pub mod status;
pub mod store;
pub mod up;
