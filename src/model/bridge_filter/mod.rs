//! Frames between the ports of one bridge: who may be who, who may reach whom, and how fast. All of
//! it is decided in the kernel, from a port's first frame on; what changes with leases can be made
//! anew alone.
//!
//! Ports are known by their group, because not every kernel knows a frame's bridge (`meta ibrname`)
//! or connections on one (nf_conntrack_bridge).
//!
//! | file | knows |
//! |---|---|
//! | `guard` | whose MAC and addresses are whose |
//! | `claim` | the rules by which one address is somebody's |
//! | `links` | which guests of an isolated network reach each other |
//! | `limits` | how much a port may send and get |
//! | `learned` | what the kernel learned of a port that is gone |
//! | `sets` | nft's sets |

mod claim;
mod guard;
mod learned;
mod limits;
mod links;
mod sets;

pub use learned::{BOUND, forget};

use crate::guest::Guest;
use crate::settle::NetworkSpec;

/// The chain that changes with what is known of guests; every set does too.
pub const GUESTS_CHAIN: &str = "linked";

/// The table in nft's bridge family; none where nothing asks for it.
#[must_use]
pub fn table(wanted: &NetworkSpec, guests: &[Guest]) -> Option<String> {
    if !wanted.network.is_filtered() {
        return None;
    }
    let sets = [guard::sets(wanted), links::sets(wanted), limits::sets(wanted)].concat();
    let chains = [guard::chains(wanted), links::chains(wanted), limits::chains(wanted)].concat();
    let parts = [sets, known(wanted, guests), chains].concat();
    Some(format!("table bridge {} {{\n{}}}\n", wanted.name().table(), parts.join("\n")))
}

/// One transaction that tells a loaded table what is known of the guests now; none where that makes
/// no difference.
#[must_use]
pub fn owners(wanted: &NetworkSpec, guests: &[Guest]) -> Option<String> {
    let (table, known) = (wanted.name().table(), known(wanted, guests));
    if known.is_empty() {
        return None;
    }
    let sets = [guard::known_sets(wanted), links::known_sets(wanted)].concat();
    let mut text: String = sets.iter().map(|set| format!("flush set bridge {table} {set}\n")).collect();
    if !wanted.network.links.is_empty() {
        text.push_str(&format!("flush chain bridge {table} {GUESTS_CHAIN}\n"));
    }
    text.push_str(&format!("table bridge {table} {{\n{}}}\n", known.join("\n")));
    Some(text)
}

fn known(wanted: &NetworkSpec, guests: &[Guest]) -> Vec<String> {
    [guard::known(wanted, guests), links::known(wanted, guests)].concat()
}

#[cfg(test)]
mod tests;
