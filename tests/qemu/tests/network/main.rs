//! A network's life: up, kept, changed, down; its addresses, leases, names, forwards and cables.

mod beside;
mod cables;
mod checksums;
mod drift;
mod faults;
mod forwards;
mod forwards_ways;
mod host_names;
mod idle;
mod ipv6;
mod keeper;
mod killed;
mod leases;
mod leases_watch;
mod live_change;
mod mtu;
mod names;
mod reservations;
mod scale;
mod services;
mod subnets;
mod systemd;
mod up_down;
mod upgrade;
mod upgrade_files;
mod words;
