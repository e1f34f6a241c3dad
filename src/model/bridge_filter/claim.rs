//! The rules by which one address is somebody's: a known guest's for good, anybody else's who used
//! it first and goes on using it.

use super::sets::{self, ADDRESSES, PORTS};
use crate::firewall::text::rule;
use crate::guest::Guest;
use crate::prefix6::Prefix6;
use crate::settle::NetworkSpec;
use std::collections::BTreeSet;
use std::net::Ipv6Addr;

/// So long is an address that nobody leased kept for who used it last: as long as a bridge
/// remembers where a MAC is (net/bridge/br_device.c), several times over.
const KEPT_SECONDS: u32 = 1800;
/// New addresses that one guest may take: at once, and each minute.
const NEW_AT_ONCE: u32 = 32;
const NEW_PER_MINUTE: u32 = 8;

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Addresses as nft knows them.
    V4,
    /// Addresses as numbers.
    V6,
}

impl Family {
    fn digit(self) -> char {
        match self {
            Self::V4 => '4',
            Self::V6 => '6',
        }
    }

    fn typed(self) -> &'static str {
        match self {
            Self::V4 => "type ipv4_addr",
            Self::V6 => "typeof @nh,64,128",
        }
    }

    fn typed_with_mac(self) -> &'static str {
        match self {
            Self::V4 => "type ipv4_addr . ether_addr",
            Self::V6 => "typeof @nh,64,128 . ether saddr",
        }
    }
}

/// The sets that the rules fill.
pub fn sets(family: Family) -> [String; 2] {
    let digit = family.digit();
    [
        sets::learned(&format!("held{digit}"), family.typed_with_mac(), ADDRESSES, KEPT_SECONDS),
        sets::learned(&format!("used{digit}"), family.typed(), ADDRESSES, KEPT_SECONDS),
    ]
}

/// The set that counts new addresses.
pub fn newcomers() -> String {
    sets::learned("newcomers", "type ether_addr", PORTS, 600)
}

/// The names of the sets of [`known`].
pub const KNOWN: [&str; 4] = ["owners4", "owned4", "owners6", "owned6"];

/// The sets of what is known.
pub fn known(wanted: &NetworkSpec, guests: &[Guest]) -> Vec<String> {
    let v4 = guests.iter().filter_map(|guest| Some((guest.address?.to_string(), guest)));
    let v6 = guests.iter().flat_map(|guest| {
        let prefixes = [Some(link_local()), wanted.subnet6].into_iter().flatten();
        let made = prefixes.map(|prefix| prefix.of_mac(guest.mac));
        made.chain(guest.address6).map(move |address| (sets::number(address), guest))
    });
    [of_known(Family::V4, v4), of_known(Family::V6, v6)].concat()
}

fn link_local() -> Prefix6 {
    Prefix6::around(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0))
}

/// The bridge's own link-local address, which the kernel makes of its MAC.
pub fn own_link_local(wanted: &NetworkSpec) -> Ipv6Addr {
    link_local().of_mac(wanted.mac)
}

fn of_known<'a>(family: Family, pairs: impl Iterator<Item = (String, &'a Guest)>) -> Vec<String> {
    let (mut owners, mut owned) = (BTreeSet::new(), BTreeSet::new());
    for (address, guest) in pairs {
        owners.insert(format!("{address} . {}", guest.mac));
        owned.insert(address);
    }
    let digit = family.digit();
    vec![
        sets::known(&format!("owners{digit}"), family.typed_with_mac(), &owners),
        sets::known(&format!("owned{digit}"), family.typed(), &owned),
    ]
}

/// The rules of a chain in which a frame's sender claims an address, which stands at `place`. They
/// return if it may.
pub fn rules(family: Family, place: &str, hosts_own: &str) -> Vec<String> {
    let digit = family.digit();
    let pair = format!("{place} . ether saddr");
    vec![
        rule(format!("{place} {hosts_own} drop"), "keep the host's addresses"),
        rule(format!("{pair} @owners{digit} return"), "allow what is leased or reserved to it"),
        rule(format!("{place} @owned{digit} drop"), "keep what is leased or reserved to others"),
        rule(
            format!(
                "{pair} @held{digit} update @held{digit} {{ {pair} }} update @used{digit} {{ {place} }} return"
            ),
            "allow what it used before",
        ),
        rule(format!("{place} @used{digit} drop"), "keep what others use"),
        rule(
            format!(
                "update @newcomers {{ ether saddr limit rate over {NEW_PER_MINUTE}/minute burst {NEW_AT_ONCE} packets }} drop"
            ),
            "leave addresses for others",
        ),
        rule(format!("add @held{digit} {{ {pair} }} add @used{digit} {{ {place} }} return"), "first come"),
        rule("drop", "no room to remember it"),
    ]
}
