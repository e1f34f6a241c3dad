//! One safe function per kernel verb. All `unsafe` of the project is here, and every name from
//! libc. This room never decides, never prints, and never chooses a program to start.
//!
//! | file | verb |
//! |---|---|
//! | [`harden`] | begin life as a privileged program that strangers call |
//! | [`fds`] | take over an inherited descriptor, close the rest, send one away |
//! | `inherited` | signals as our caller had them |
//! | [`caller`] | who calls; the user database |
//! | [`privilege`] | what we may do; give it up and look whether it is gone |
//! | [`trust`] | read a rule file as its caller could, judged on the open descriptor |
//! | [`tun`] | make a TAP |
//! | [`netlink`] | one request, its answers; knows no meaning |
//! | [`namespace`] | whose a network namespace is; sockets from within |
//! | [`link`] | look links up, attach a TAP |
//! | [`address`] | addresses and default routes |
//! | [`open_sockets`] | what sockets another process has open, and who is at their other ends |
//! | [`packet`] | frames on one link |
//! | [`claim`] | who has claimed a file, and ending that process |
//! | [`daemon`] | our own program in the background |
//! | [`child`] | run one program as root in a clean child |
//! | [`worker`] | a child for one piece of privileged work |
//! | [`lock`] | wait for one's turn |
//! | [`checksum`] | a server's socket sends without checksums |
//! | [`process`] | watch and signal a process without racing its number |
//! | [`random`] | random bytes |
//! | [`ready`] | wait until a descriptor has something for us |
//! | [`rights`] | what a program's file gives whoever starts it |
//! | [`batch`] | many datagrams in one call |
//! | [`datagram`] | a datagram socket hears others again |
//! | [`seqpacket`] | whole messages, and who sent them |
//! | [`sockopt`] | questions to a socket |
//! | [`sockets`] | which sockets wait for others to speak |
//! | [`stream`] | connect to a stream socket, but not for ever |
//! | [`syslog`] | one line to the system log |
//! | [`user_namespace`] | which users a process can ever see |

pub mod address;
pub mod batch;
pub mod caller;
pub mod checksum;
pub mod child;
pub mod claim;
pub mod daemon;
pub mod datagram;
pub mod fds;
pub mod harden;
#[cfg(feature = "inherited")]
pub mod inherited;
pub mod link;
pub mod lock;
pub mod namespace;
pub mod netlink;
pub mod open_sockets;
pub mod packet;
pub mod privilege;
pub mod process;
pub mod random;
pub mod ready;
pub mod rights;
pub mod seqpacket;
pub mod sockets;
pub mod sockopt;
pub mod stream;
pub mod syslog;
pub mod trust;
pub mod tun;
pub mod user_namespace;
pub mod worker;
