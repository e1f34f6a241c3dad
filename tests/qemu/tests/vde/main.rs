//! VDE: a network's switch, its ports, and whoever is on it.

mod endurance;
mod guests;
mod hotplug;
mod joined;
mod mode;
mod places;
mod port_guests;
mod ports;
mod revoke;
mod views;
mod wire;
