//! What a network is, who may use it, and what must be done: every type and every decision.
//!
//! Nothing here reads a file, a clock or the environment, and nothing here depends on another
//! room or another crate, because the setuid helper links it. A host is described to this
//! crate as plain data; it answers with verdicts, plans and texts.
//!
//! | file | knows |
//! |---|---|
//! | [`accounts`] | the lines of /etc/passwd and /etc/group |
//! | [`name`] | legal interface and network names, and how one becomes the other |
//! | [`mac`] | MAC addresses and the stable one of a bridge |
//! | [`subnet`] | an IPv4 network and its arithmetic |
//! | [`paths`] | where things live, fixed when the program is built |
//! | [`rules`] | the access rules: grammar, and one verdict |
//! | [`port`] | what a port on a bridge must look like, and the record the helper reads |
//! | [`network`] | one network as its file describes it |
//! | [`search`] | which subnet is free |
//! | [`managers`] | which subnets other managers' files claim |
//! | [`firewall`] | a network's nftables text |
//! | [`dnsmasq`] | a network's dnsmasq file |
//! | [`lease`] | dnsmasq's lease file, read back |
//! | [`plan`] | the steps from the host as it is to the network as it should be |

#![forbid(unsafe_code)]

pub mod accounts;
pub mod dnsmasq;
pub mod firewall;
#[cfg(test)]
mod golden;
pub mod lease;
pub mod mac;
pub mod managers;
pub mod name;
pub mod network;
pub mod paths;
pub mod plan;
pub mod port;
pub mod rules;
pub mod search;
pub mod subnet;
