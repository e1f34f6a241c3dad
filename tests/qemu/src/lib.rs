//! The rig that tests the built programs as a whole: throw-away hosts, callers that behave like QEMU
//! or worse, and real guests. Table of contents:
//!
//! - [`house`]: a throw-away host, its users, devices and files
//! - [`command`]: one program run in a house, with a time limit
//! - [`process`]: a program that goes on running in a house while the test looks
//! - [`snapshot`]: everything a network tool could leave behind, as comparable text
//! - [`outside`]: an uplink, and "the Internet" at its other end
//! - [`catch`]: the caller that gets a TAP from a helper, as QEMU would
//! - [`broker`]: the broker, and callers whose helper has no rights
//! - [`companion`]: `vmnet` itself, and what its failures must look like
//! - [`helper`]: the two helpers, and what each says about a request
//! - [`difference`]: everything in which ours is meant to differ from QEMU's
//! - [`firewalls`]: other people's firewalls, and guests that are served beside them
//! - [`doctor`]: `vmnet doctor`, what it finds and its cures
//! - [`golden`]: what an earlier commit's programs left, and those programs
//! - [`guest`]: a small Linux under QEMU that reports what its network is like
//! - [`libvirt`]: a real libvirt in a house, of a plain user or of the system
//! - [`tap`]: a TAP in the hands of somebody who does to it what a test says
//! - [`page`]: the blocks that the pages in docs/ show
//! - [`station`]: a guest that is only a namespace, for traffic by the second instead of by the boot
//! - [`attach`]: namespaces that got an interface
//! - [`frame`]: frames that a guest forges
//! - [`forwards`]: forwards from the side of their users
//! - [`mod@unit`]: what a systemd unit of ours leaves its program
//! - [`skip`]: what a test says when it cannot run
//! - [`suite`]: every test of the project, run many side by side

pub mod attach;
pub mod broker;
pub mod catch;
pub mod command;
pub mod companion;
pub mod difference;
pub mod doctor;
pub mod firewalls;
pub mod forwards;
pub mod frame;
pub mod golden;
pub mod guest;
pub mod helper;
pub mod house;
pub mod libvirt;
pub mod outside;
pub mod page;
pub mod process;
pub mod skip;
pub mod snapshot;
pub mod station;
pub mod suite;
pub mod tap;
pub mod unit;
