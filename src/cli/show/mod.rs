//! What the rooms below answer, as tables and JSON show it.

pub mod clients;
pub mod forwards;
pub mod leases;
pub mod ports;
