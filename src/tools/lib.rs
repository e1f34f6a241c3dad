//! Starts other people's programs: text in, text out. Knows nothing of networks.
//!
//! Every program is started by an absolute path from a fixed list, with an environment of two
//! variables, a time limit and a limit on what it may say, so that neither the caller's
//! environment nor a program that hangs or floods can disturb a command of ours.
//!
//! | file | knows |
//! |---|---|
//! | [`find`] | where a program may lie |
//! | [`run`] | how one is started, fed, heard and ended |
//! | [`error`] | what can go wrong, in one line |
//! | [`iptables`] | the older iptables: say and change its rules |
//! | [`nft`] | nftables: load, check, list |
//! | [`dnsmasq`] | dnsmasq: start, test, version |

#![forbid(unsafe_code)]

pub mod dnsmasq;
pub mod error;
pub mod find;
pub mod iptables;
pub mod nft;
pub mod run;

pub use error::ToolError;
pub use run::{Output, Started, Tool, prepare_each_by};
