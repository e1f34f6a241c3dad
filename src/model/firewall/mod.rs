//! A network's nftables text: one table of its own, replaced whole in one transaction, and a second
//! one for frames between its ports where guard, links or limits ask for it.
//!
//! A table can only refuse what another lets through, never the other way round, so nothing here
//! opens a way through the host's own firewall; that is for [`crate::other_firewalls`].
//!
//! | file | knows |
//! |---|---|
//! | `host` | what guests may ask of the host |
//! | `pass` | what passes through it |
//! | `nat` | what guests look like outside |
//! | [`forwards`] | the ports of the host that lead to guests |
//! | `listing` | what nft shows of all this |
//! | [`text`] | nft's language |

pub mod forwards;
mod host;
mod listing;
mod nat;
mod pass;
pub mod text;

pub use listing::{essence, forwards_shown, hits};
pub use text::can_name;

use crate::bridge_filter;
use crate::network::Mode;
use crate::settle::NetworkSpec;
use forwards::Opened;

/// The tables, for a host that has none of them.
#[must_use]
pub fn ruleset(wanted: &NetworkSpec, forwards: &[Opened], guests: &[crate::guest::Guest]) -> String {
    let table = wanted.name().table();
    let leading = match wanted.network.mode {
        Mode::Nat | Mode::Routed => forwards::chains(forwards),
        Mode::Isolated | Mode::Vde => Vec::new(),
    };
    let chains = [host::chains(wanted), pass::chains(wanted), nat::chains(wanted), leading];
    let counters = forwards::counters(forwards);
    let chains = chains.concat().join("\n");
    let frames = bridge_filter::table(wanted, guests).unwrap_or_default();
    format!("table inet {table} {{\n{counters}{chains}}}\n{frames}")
}

/// The text that removes the tables, there or not: nft 1.0.6 knows no `destroy`.
#[must_use]
pub fn removal(table: &str, filtered: bool) -> String {
    let remove = |family: &str| format!("table {family} {table}\ndelete table {family} {table}\n");
    format!("{}{}", remove("inet"), if filtered { remove("bridge") } else { String::new() })
}

/// In front of a ruleset: nft refuses it, whole, where the table is there already. Removing what is
/// not there costs the kernel more than everything else in the transaction.
#[must_use]
pub fn creation(table: &str) -> String {
    format!("create table inet {table}\n")
}

#[cfg(test)]
mod tests;
