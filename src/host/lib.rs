//! The host's own network as it is, and the few things about it that a network changes: links, forwarding,
//! IPv6, who listens, other firewalls.
//!
//! Every call is synchronous, may come from any thread, and changes nothing of the calling process.
//!
//! | file | knows |
//! |---|---|
//! | [`links`] | links, addresses and routes |
//! | [`firewalls`] | other people's firewalls: which are closed to guests, and opening them |
//! | [`facts`] | its identity, its resolver, which subnets other managers claim |
//! | [`runtime`] | where a future is waited for |
//! | [`files`] | files of ours: read up to a limit, written whole |
//! | [`sysctl`] | the switches under /proc/sys |
//! | [`forwarding`] | the host's IPv4 forwarding |
//! | [`ipv6`] | the host's IPv6: whether there is any, its part on a bridge, its forwarding |
//! | [`log`] | a line in the log of a service |
//! | [`listeners`] | who waits for others to speak |

#![forbid(unsafe_code)]

pub mod facts;
pub mod files;
pub mod firewalls;
pub mod forwarding;
pub mod ipv6;
pub mod links;
pub mod listeners;
pub mod log;
pub mod runtime;
pub mod sysctl;
