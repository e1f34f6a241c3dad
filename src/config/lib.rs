//! A network's file, `/etc/vmnet/networks/NAME.toml`, as a checked [`Network`]: all mistakes of a
//! file at once, each with its line, its column and, where one is known, the cure. Nothing here opens
//! a file; the caller reads it (and bounds its length, because root reads what others may have written).
//!
//! | file | knows |
//! |---|---|
//! | `keys` | which keys there are and what form each has, which come later |
//! | `nearest` | which word was probably meant |
//! | `syntax` | the TOML parser's complaints in an administrator's words |
//! | `section` | taking one key out of a table and noting what is wrong with it |
//! | `values`, `times`, `limits` | what a word, number, name, time or rate may be |
//! | `addresses`, `addresses6` | what a subnet, an address, a range may be |
//! | `vde` | the section of the VDE switch |
//! | `hosts`, `forwards`, `links` | the sections that there may be several of |
//! | `extent` | which addresses the network has, for all who name one |
//! | `network` | every key of the file, and how they fit together |
//! | `mistake` | a mistake and its place |
//! | `template` | the commented file that `vmnet init` writes |
//! | `schema`, `patterns` | the same keys as a JSON Schema, for editors |

#![forbid(unsafe_code)]

mod addresses;
mod addresses6;
mod extent;
mod forwards;
mod hosts;
mod keys;
mod limits;
mod links;
mod mistake;
mod nearest;
mod network;
mod patterns;
mod schema;
mod section;
mod syntax;
mod template;
mod times;
mod values;
mod vde;

#[cfg(test)]
mod edges;
#[cfg(test)]
mod generated;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod manual;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod written;

pub use mistake::Mistake;
pub use schema::schema;
pub use template::template;

use network::Entries;
use toml::de::DeTable;
use vmnet_access::name::NetName;
use vmnet_model::network::Network;

/// The network that `text` describes. `file` is only for messages.
///
/// # Errors
/// Every mistake of the text, in the order of their places. What merely follows from another mistake is
/// left out: a value on a line that is not TOML, or two keys that contradict each other while one of them
/// is wrong by itself.
pub fn read(name: NetName, file: &str, text: &str) -> Result<Network, Vec<Mistake>> {
    let (legible, mut found) = syntax::legible(text);
    let (table, errors) = DeTable::parse_recoverable(&legible);
    found.append(&mut syntax::faults(&legible, &errors));
    let well_formed = found.is_empty();
    let mut wrong = Vec::new();
    let entries = Entries::take(table.get_ref(), &mut wrong);
    if well_formed {
        entries.contradictions(&name, &mut wrong);
    } else {
        let astray = syntax::astray(text, &found);
        wrong.retain(|(at, _)| !astray.iter().any(|lines| lines.contains(at)));
    }
    found.append(&mut wrong);
    if found.is_empty() { Ok(entries.into_network(name)) } else { Err(mistake::locate(file, text, found)) }
}
