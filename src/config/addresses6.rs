//! What an IPv6 prefix or address may be, taken by itself.

use crate::mistake::{Fault, shown};
use crate::values::{AUTO, NONE, text};
use std::net::{Ipv4Addr, Ipv6Addr};
use toml::de::DeValue;
use vmnet_model::network::Prefix6Choice;
use vmnet_model::prefix6::{PREFIX6_LENGTH, Prefix6, Prefix6Error};
use vmnet_model::subnet::{Subnet, SubnetError};

pub(crate) fn subnet6(key: &str, value: &DeValue<'_>) -> Result<Prefix6Choice, Fault> {
    let word = text(key, value)?;
    match word {
        AUTO => return Ok(Prefix6Choice::Auto),
        NONE => return Ok(Prefix6Choice::None),
        _ => {}
    }
    let wrong = |why: &str| Fault::new(format!("'{}' is not an IPv6 prefix{why}", shown(word)));
    let (prefix, mistaken) = match word.parse::<Prefix6>() {
        Ok(prefix) => (prefix, None),
        Err(Prefix6Error::HostBits(prefix)) => (prefix, Some(wrong(": host bits are set"))),
        Err(Prefix6Error::Length(length)) => {
            let address = word.split('/').next().and_then(|address| address.parse().ok());
            let fault =
                wrong(&format!(" of {PREFIX6_LENGTH} bits, which guests need (RFC 4862), but of {length}"));
            (Prefix6::around(address.unwrap_or(Ipv6Addr::UNSPECIFIED)), Some(fault))
        }
        Err(Prefix6Error::Form) => match word.parse() {
            Ok(address) => (Prefix6::around(address), Some(wrong(": its length is missing"))),
            Err(_) => return Err(not_a_prefix(word, wrong(""))),
        },
    };
    if let Some(what) = not_for_hosts(prefix.address(0)) {
        return Err(Fault::new(format!("prefix {prefix} is not for hosts: {what}"))
            .hint("prefixes from fd00::/8 are for private networks; \"auto\" makes a stable one"));
    }
    match mistaken {
        Some(fault) => Err(fault.hint(format!("did you mean \"{prefix}\"?"))),
        None => Ok(Prefix6Choice::Fixed(prefix)),
    }
}

fn not_a_prefix(word: &str, fault: Fault) -> Fault {
    match word.parse::<Subnet>() {
        Ok(_) | Err(SubnetError::HostBits(_)) => fault.hint("an IPv4 subnet belongs in 'subnet'"),
        Err(SubnetError::Form) => {
            fault.hint("write \"auto\", \"none\", or a prefix of 64 bits such as \"fd12:3456:789a:1::/64\"")
        }
    }
}

/// What an address has in common with a block that is not for hosts (IANA's special-purpose registry,
/// RFC 6890). The first 64 bits are zero in the unspecified, the loopback and the IPv4-mapped addresses.
fn not_for_hosts(address: Ipv6Addr) -> Option<&'static str> {
    if address.is_multicast() {
        Some("multicast (ff00::/8)")
    } else if address.is_unicast_link_local() {
        Some("link-local (fe80::/10)")
    } else if Prefix6::around(address) == Prefix6::around(Ipv6Addr::LOCALHOST) {
        Some("loopback and IPv4 (::/64)")
    } else {
        None
    }
}

/// A guest's address.
pub(crate) fn ipv6(key: &str, value: &DeValue<'_>) -> Result<Ipv6Addr, Fault> {
    let word = text(key, value)?;
    let address: Ipv6Addr = word.parse().map_err(|_| {
        let fault = Fault::new(format!("'{}' is not an IPv6 address", shown(word)));
        match word.split_once('/') {
            Some((address, _)) if address.parse::<Ipv6Addr>().is_ok() => {
                fault.hint(format!("write \"{address}\", without the prefix length"))
            }
            _ if word.parse::<Ipv4Addr>().is_ok() => fault.hint("an IPv4 address belongs in 'address'"),
            _ => fault.hint("write one such as \"fd12:3456:789a:1::20\""),
        }
    })?;
    match not_for_hosts(address) {
        Some(what) => Err(Fault::new(format!("address {address} is not for hosts: {what}"))),
        None => Ok(address),
    }
}
