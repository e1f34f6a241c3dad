//! The companion's eyes and hands on the kernel's links, addresses and routes (rtnetlink).
//!
//! Every request has a time limit, because a reply that the decoder does not understand is
//! dropped below us and would be waited for without end; every failure names the object and
//! carries the kernel's error number. One [`Links`] is one netlink socket, in the network
//! namespace of the thread that opened it; its verbs are ordinary functions, only [`Watch`] is
//! asynchronous.
//!
//! | file | knows |
//! |---|---|
//! | [`ask`] | one request and its answers |
//! | [`seen`] | the kernel's messages as plain values |
//! | [`look`] | what is there |
//! | [`change`] | one function for each change |
//! | [`watch`] | what changes under us |

pub mod ask;
pub mod change;
pub mod look;
pub mod seen;
#[cfg(test)]
mod tests;
pub mod watch;

pub use ask::{Cause, LinkError, Links};
pub use change::Port;
pub use seen::{HostSnapshot, SeenLink, SeenRoute};
pub use watch::{Event, Watch};
