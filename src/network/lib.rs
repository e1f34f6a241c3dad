//! The life of networks: what describes them, bringing them up, keeping them so, taking them down, and what
//! changes while they run. Every door, be it the command line or another program's plug-in, goes through
//! [`Networks`].
//!
//! Every call is synchronous and may come from any thread, also from within somebody's asynchronous runtime.
//! Nothing here prints, and nothing changes what belongs to the whole process: signals, umask, directory,
//! children are the affair of whoever's process it is ([`Dirs::before_changes`], [`Orders`]).
//!
//! ```no_run
//! use std::path::Path;
//! use vmnet_access::name::NetName;
//! use vmnet_network::{Dirs, Down, Log, Networks, Start};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dirs = Dirs::new(Path::new("/etc/vmnet"), Path::new("/var/lib/vmnet"), Path::new("/run/vmnet"));
//! let networks = Networks::open(dirs, Log::Background);
//! let lab = networks.get(&NetName::new("lab")?);
//! lab.up(Start::Always)?;
//! lab.forward("192.0.2.1:8080".parse()?, "web:80".parse()?, "tcp".parse()?)?;
//! for port in lab.ports()?.on_bridge {
//!     // Whoever is plugged in.
//!     assert!(!port.phrase().is_empty());
//! }
//! lab.down(Down::UnlessUsed)?;
//! # Ok(())
//! # }
//! ```
//!
//! | file | knows |
//! |---|---|
//! | [`networks`](Networks) | the face: all networks, and one of them |
//! | [`dirs`] | the directories, and every file in them |
//! | [`store`] | what is kept of networks |
//! | `resolve`, `observe`, `up`, `apply` | what a network is to be, how the host is, and making it so |
//! | `down` | taking it down |
//! | [`status`] | how it is beside how it should be |
//! | [`ports`], [`leases`], [`lease_watch`] | who is plugged in, and the addresses they have |
//! | [`reservations`], [`forwards`], [`cables`] | what is added and taken away while it runs |
//! | `keeper`, `keeper_handle`, [`server`] | who keeps it, from inside and from outside, and its server |

#![forbid(unsafe_code)]

mod apply;
pub mod cables;
pub mod dirs;
mod down;
pub mod forwards;
mod keeper;
mod keeper_handle;
pub mod lease_watch;
pub mod leases;
mod networks;
mod observe;
pub mod ports;
pub mod reservations;
mod resolve;
pub mod server;
pub mod status;
pub mod store;
mod up;

pub use dirs::{Dirs, RunDir};
pub use down::{Down, Outcome};
pub use keeper::Orders;
pub use networks::{Kept, Network, Networks, Ports, Start};
pub use store::definitions::{NetworkConfig, Owner};
pub use up::UpReport;
pub use vmnet_host::log::Log;
