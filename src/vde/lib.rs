//! VDE switches from outside: ports on them. Everything here is done with the rights of whoever asks, and
//! never with root's on a path that a user named: a switch answers with a path of its choice.
//!
//! | file | knows |
//! |---|---|
//! | [`port`] | joining a switch, leaving it, joining again under a running VM |
//! | [`held_port`] | a port in somebody else's hands, which follows its switch from life to life |

#![forbid(unsafe_code)]

pub mod held_port;
pub mod port;
