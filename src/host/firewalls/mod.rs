//! The host's other firewalls on behalf of one network: which of them are closed to its guests,
//! opening them, closing them again, and hearing when somebody changes them. What is decided is
//! decided in [`vmnet_model::other_firewalls`]; firewalld is told by D-Bus, in [`firewalld`].
//!
//! How the rest calls it:
//!
//! | who, in vmnet-network | what |
//! |---|---|
//! | `observe` | [`look`]: an `Opening` for each chain that needs accepts of ours or has some |
//! | `apply` | [`open`], last of all steps; what it answers is trouble to be told, not a failure of `up` |
//! | `down` | [`close`], which goes by what is there and not by the record |
//! | `keeper` | hears of changes, and looks again |
//! | `status` | `vmnet_model::other_firewalls::{wanted, actual}`: one row "host's firewall" |

pub mod firewalld;
pub mod nftables;
pub mod xtables;

use nftables::Nftables;
use std::path::Path;
use vmnet_access::name::{IfName, NetName};
use vmnet_model::error::Error;
use vmnet_model::other_firewalls::{
    Family, Guests, Opening, SeenChain, followed, legacy_removal, matters, nft_removal, nft_text,
    restore_text, survey,
};
use vmnet_sys::trust::plain;
use vmnet_tools::iptables::{self, Version};
use vmnet_tools::nft;

/// Somebody may change a firewall between our look and our change; so often we begin again.
const TRIES: usize = 3;
/// The most chains that are looked at: far more than any firewall has on the way of a packet.
const CHAINS_MAX: usize = 4096;
const VERSIONS: [(Family, Version); 2] = [(Family::Ip, Version::V4), (Family::Ip6, Version::V6)];

/// Every chain that is closed to these guests, or has accepts of ours for them. Only root can
/// look. Takes a tenth of a millisecond where nobody else has a firewall.
pub fn look(guests: &Guests) -> Result<Vec<Opening>, Error> {
    let chains = chains().map_err(|error| Error::new("look at", "the host's firewall", plain(&error)))?;
    Ok(survey(guests, &chains))
}

fn chains() -> std::io::Result<Vec<SeenChain>> {
    let mut seen = xtables::chains()?;
    let mut tables = Nftables::open()?;
    let mut wait = Vec::new();
    let all = tables.chains()?;
    for chain in all.iter().filter(|chain| matters(chain)) {
        wait.push(chain.clone());
    }
    while let Some(chain) = wait.pop() {
        if seen.len() >= CHAINS_MAX || seen.iter().any(|other| other.place == chain.place) {
            continue;
        }
        let rules = tables.rules(&chain.place)?;
        let chain = SeenChain { place: chain.place, base: chain.base, rules };
        wait.extend(followed(&chain).filter_map(|place| all.iter().find(|c| c.place == place).cloned()));
        seen.push(chain);
    }
    Ok(seen)
}

/// Put accepts where they are missing. Answers what could not be opened, in words.
pub fn open(guests: &Guests, openings: Vec<Opening>) -> Vec<String> {
    let mut openings = openings;
    for attempt in 1.. {
        let troubles = attempt_to_open(guests, &openings);
        if troubles.is_empty() || attempt == TRIES {
            return troubles;
        }
        match look(guests) {
            Ok(now) => openings = now,
            Err(failure) => return vec![failure.to_string()],
        }
    }
    Vec::new()
}

fn attempt_to_open(guests: &Guests, openings: &[Opening]) -> Vec<String> {
    let mut troubles = Vec::new();
    // Each by itself: one that somebody keeps for himself must not keep the others closed.
    for opening in openings {
        let text = nft_text(guests, std::slice::from_ref(opening));
        if !text.is_empty()
            && let Err(error) = nft::load(&text)
        {
            troubles.push(format!("cannot open {}: {error}", opening.place));
        }
    }
    for (family, version) in VERSIONS {
        if openings.iter().any(|opening| opening.is_legacy(family) && !opening.open) {
            let text = |saved: &str| restore_text(guests, openings, family, saved);
            troubles.extend(change_legacy(version, text).err());
        }
    }
    troubles
}

/// Take away what we put into other firewalls for this network, wherever it is. Answers what could
/// not be done. `mark` is the file that says that firewalld was told.
pub fn close(network: &str, bridge: &IfName, mark: &Path) -> Vec<String> {
    let mut troubles = match NetName::new(network) {
        Ok(network) => close_tables(&network),
        Err(error) => vec![error.to_string()],
    };
    troubles.extend(firewalld::close(bridge, mark).err());
    troubles
}

fn close_tables(network: &NetName) -> Vec<String> {
    let mut troubles = Vec::new();
    for _ in 0..TRIES {
        troubles = attempt_to_close(network);
        if troubles.is_empty() {
            break;
        }
    }
    troubles
}

fn attempt_to_close(network: &NetName) -> Vec<String> {
    let has = match look(&Guests::nobody(network)) {
        Ok(openings) => openings,
        Err(failure) => return vec![failure.to_string()],
    };
    let mut troubles = Vec::new();
    let text = nft_removal(&has);
    if !text.is_empty()
        && let Err(error) = nft::load(&text)
    {
        troubles.push(format!("cannot take our rules out of the host's firewall: {error}"));
    }
    for (family, version) in VERSIONS {
        if has.iter().any(|opening| opening.is_legacy(family)) {
            troubles.extend(change_legacy(version, |saved| legacy_removal(network, saved)).err());
        }
    }
    troubles
}

fn change_legacy(version: Version, text: impl Fn(&str) -> String) -> Result<(), String> {
    let attempt = || {
        let text = text(&iptables::save(version)?);
        if text.is_empty() { Ok(()) } else { iptables::restore(version, &text) }
    };
    attempt().map_err(|error| format!("cannot change the older iptables' rules: {error}"))
}
