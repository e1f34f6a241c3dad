//! nft's sets. Addresses that are also looked up at places for which nft 1.0.6 has no word are kept
//! as plain numbers, by the place where they usually are.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

/// A frame's source MAC (IEEE 802.3, 3.2.4), as a number.
pub const MAC: &str = "@ll,48,48";
/// A packet's IPv6 source (RFC 8200, 3), as a number.
pub const SOURCE6: &str = "@nh,64,128";

/// Room for every port of a bridge, and for as many that went just now.
pub const PORTS: u32 = 4096;
/// Room for addresses that guests give themselves.
pub const ADDRESSES: u32 = 65536;

/// A set that rules fill; what no frame asks for any more goes after so many seconds.
pub fn learned(name: &str, typed: &str, size: u32, seconds: u32) -> String {
    format!(
        "\tset {name} {{\n\t\t{typed}\n\t\tsize {size}\n\t\tflags dynamic,timeout\n\t\ttimeout {seconds}s\n\t}}\n"
    )
}

/// A set of what is known.
pub fn known(name: &str, typed: &str, elements: &BTreeSet<String>) -> String {
    let all: Vec<&str> = elements.iter().map(String::as_str).collect();
    let elements =
        if all.is_empty() { String::new() } else { format!("\t\telements = {{ {} }}\n", all.join(", ")) };
    format!("\tset {name} {{\n\t\t{typed}\n{elements}\t}}\n")
}

/// An IPv6 address as nft writes numbers.
pub fn number(address: Ipv6Addr) -> String {
    format!("{:#034x}", u128::from(address))
}
