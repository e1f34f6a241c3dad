//! One safe function per kernel verb. All `unsafe` of the project is here, and every name from
//! libc. This room never decides, never prints, and never chooses a program to start.
//!
//! | file | verb |
//! |---|---|
//! | [`harden`] | begin life as a privileged program that strangers call |
//! | [`fds`] | take over an inherited descriptor, close the rest, send one away |
//! | [`caller`] | who calls; the user database |
//! | [`privilege`] | what we may do; give it up and look whether it is gone |
//! | [`trust`] | read a rule file as its caller could, judged on the open descriptor |
//! | [`tun`] | make a TAP |
//! | [`netlink`] | one request, its answers; knows no meaning |
//! | [`link`] | look links up, attach a TAP |
//! | [`child`] | run one program as root in a clean child |
//! | [`lock`] | wait for one's turn |
//! | [`process`] | watch and signal a process without racing its number |
//! | [`random`] | random bytes |
//! | [`syslog`] | one line to the system log |

pub mod caller;
pub mod child;
pub mod fds;
pub mod harden;
pub mod link;
pub mod lock;
pub mod netlink;
pub mod privilege;
pub mod process;
pub mod random;
pub mod syslog;
pub mod trust;
pub mod tun;
