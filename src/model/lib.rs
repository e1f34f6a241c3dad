//! What a network is and what must be done: every type and every decision.
//!
//! Nothing here reads a file, a clock or the environment. A host is described to this crate as plain
//! data; it answers with plans and texts.
//!
//! | file | knows |
//! |---|---|
//! | [`subnet`] | an IPv4 network and its arithmetic |
//! | [`calendar`] | a moment as people write it |
//! | [`reservation`] | what a guest may be promised |
//! | [`tap_policy`] | how far whoever holds a TAP may go |
//! | [`network`] | one network as its file describes it |
//! | [`settle`] | the same with nothing left open |
//! | [`prefix6`] | an IPv6 prefix and the addresses in it |
//! | [`guest`] | guests as they are named and known |
//! | [`forward`] | port forwards as they are written |
//! | [`port_conflicts`] | who holds a port that a forward asks for, and which is free |
//! | [`keeper`] | what a network's keeper does about what happens |
//! | [`free_subnet`] | which subnet is free |
//! | [`claimed_subnets`] | which subnets other managers' files claim |
//! | [`error`] | how something fails |
//! | [`firewall`] | a network's nftables text |
//! | [`other_firewalls`] | the host's other firewalls, and what opens them for guests |
//! | [`bridge_filter`] | the nftables text for frames between ports |
//! | [`frame`] | frames between a TAP with offloads and a switch without |
//! | [`cable`] | which cables between wires there may be |
//! | [`vde_switch`] | a VDE switch that a network has, and its record |
//! | [`dns_delegation`] | what the host's own resolver asks a network's server about |
//! | [`dnsmasq`] | a network's dnsmasq file |
//! | [`attach`] | a namespace's interface: its address, name and MAC |
//! | [`dhcp`] | a DHCP client's part of the talk |
//! | [`lease`] | dnsmasq's lease file, read back |
//! | [`launch`] | what a program that is started with a port is told of it |
//! | [`snippet`] | what to copy so that a program uses a network |
//! | [`plan`] | the steps from the host as it is to the network as it should be |

#![forbid(unsafe_code)]

pub mod attach;
pub mod bridge_filter;
pub mod cable;
pub mod calendar;
pub mod claimed_subnets;
pub mod dhcp;
pub mod dns_delegation;
pub mod dnsmasq;
pub mod error;
pub mod firewall;
pub mod forward;
pub mod frame;
pub mod free_subnet;
#[cfg(test)]
mod golden;
pub mod guest;
pub mod keeper;
pub mod launch;
pub mod lease;
pub mod network;
pub mod other_firewalls;
pub mod plan;
pub mod port_conflicts;
pub mod prefix6;
pub mod reservation;
pub mod settle;
pub mod snippet;
pub mod subnet;
pub mod tap_policy;
pub mod vde_switch;
