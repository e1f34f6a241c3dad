//! VDE switches from outside: ports on them, and their consoles. Everything here is done with the rights of whoever asks, and
//! never with root's on a path that a user named: a switch answers with a path of its choice.
//!
//! | file | knows |
//! |---|---|
//! | [`port`] | joining a switch, leaving it, joining again under a running VM |
//! | [`plug`] | a port in somebody else's hands, which follows its switch from life to life |
//! | [`console`] | what a switch says of its ports |
//! | [`queue`] | how many frames wait for whom at a switch |
//! | [`pump`] | frames between a TAP and a port |

#![forbid(unsafe_code)]

pub mod console;
pub mod plug;
pub mod port;
pub mod pump;
pub mod queue;
