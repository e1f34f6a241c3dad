//! `vmnet doctor`: what it finds wrong, and that its cures cure.

mod firewalls;
mod host;
mod networks;
mod vde;
