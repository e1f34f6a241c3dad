//! What a subnet, an address, a range, a server or a MAC may be, each taken by itself; how they fit
//! together is for `network` to say.

use crate::mistake::{Fault, shown};
use crate::values::{AUTO, text};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use toml::de::DeValue;
use vmnet_access::mac::MacAddr;
use vmnet_model::network::{DhcpRange, SubnetChoice};
use vmnet_model::prefix6::{Prefix6, Prefix6Error};
use vmnet_model::subnet::{Subnet, SubnetError};

/// A longer prefix leaves fewer than six hosts; a shorter one is not one operator's to use.
const PREFIX: RangeInclusive<u8> = 8..=29;

/// Blocks that are not for hosts on a network, from IANA's special-purpose registry (RFC 6890).
const NOT_FOR_HOSTS: [(Ipv4Addr, u8, &str); 5] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, "'this network' (0.0.0.0/8)"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "loopback (127.0.0.0/8)"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local (169.254.0.0/16)"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast (224.0.0.0/4)"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved (240.0.0.0/4)"),
];

/// What the subnet has in common with a block that is not for hosts.
fn not_for_hosts(subnet: Subnet) -> Option<&'static str> {
    let shares = |(base, length, _): &&(Ipv4Addr, u8, &str)| subnet.overlaps(Subnet::around(*base, *length));
    NOT_FOR_HOSTS.iter().find(shares).map(|(_, _, what)| *what)
}

pub(crate) fn subnet(key: &str, value: &DeValue<'_>) -> Result<SubnetChoice, Fault> {
    match text(key, value)? {
        AUTO => Ok(SubnetChoice::Auto),
        word => parse_subnet(word, "write \"auto\", or address and").map(SubnetChoice::Fixed),
    }
}

pub(crate) fn fixed_subnet(key: &str, value: &DeValue<'_>) -> Result<Subnet, Fault> {
    parse_subnet(text(key, value)?, "write address and")
}

fn parse_subnet(word: &str, write: &str) -> Result<Subnet, Fault> {
    let parsed = word.parse::<Subnet>();
    let (Ok(subnet) | Err(SubnetError::HostBits(subnet))) = parsed else {
        let fault = Fault::new(format!("'{}' is not a subnet", shown(word)));
        return Err(match word.parse::<Prefix6>() {
            Ok(_) | Err(Prefix6Error::HostBits(_) | Prefix6Error::Length(_)) => {
                fault.hint("an IPv6 prefix belongs in 'subnet6'")
            }
            Err(Prefix6Error::Form) => fault.hint(format!("{write} prefix length such as \"10.0.1.0/24\"")),
        });
    };
    let (least, most) = (PREFIX.start(), PREFIX.end());
    if !PREFIX.contains(&subnet.length()) {
        let length = subnet.length();
        return Err(Fault::new(format!(
            "a subnet's prefix length must be from {least} to {most}, not {length}"
        )));
    }
    if let Some(what) = not_for_hosts(subnet) {
        return Err(Fault::new(format!("subnet {subnet} is not for hosts: {what}"))
            .hint("10.0.0.0/8, 172.16.0.0/12 and 192.168.0.0/16 are for private networks"));
    }
    if parsed.is_err() {
        return Err(Fault::new(format!("'{word}' is not a subnet: host bits are set"))
            .hint(format!("did you mean \"{subnet}\"?")));
    }
    Ok(subnet)
}

pub(crate) fn ipv4(key: &str, value: &DeValue<'_>) -> Result<Ipv4Addr, Fault> {
    parse_ipv4(text(key, value)?)
}

/// An address of this host that guests may appear under.
pub(crate) fn source(key: &str, value: &DeValue<'_>) -> Result<Ipv4Addr, Fault> {
    let address = ipv4(key, value)?;
    match not_for_hosts(Subnet::around(address, 32)) {
        Some(what) => Err(Fault::new(format!("guests cannot appear under {address}: {what}"))),
        None => Ok(address),
    }
}

/// A DNS server: any unicast address, the host's own loopback too.
pub(crate) fn server(key: &str, value: &DeValue<'_>) -> Result<IpAddr, Fault> {
    let word = text(key, value)?;
    let address: IpAddr = word.parse().map_err(|_| {
        Fault::new(format!("'{}' is not an IP address", shown(word)))
            .hint("write the server's address, such as \"9.9.9.9\"")
    })?;
    if address.is_unspecified() || address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST) {
        return Err(Fault::new(format!("{address} is not the address of a server")));
    }
    Ok(address)
}

/// `FIRST-LAST`
pub(crate) fn range(key: &str, value: &DeValue<'_>) -> Result<DhcpRange, Fault> {
    let form = "write the first and the last address, such as \"10.0.1.100-10.0.1.200\"";
    let word = match value {
        DeValue::Array(_) => return Err(crate::values::must_be(key, "text", value).hint(form)),
        value => text(key, value)?,
    };
    let (first, last) = word
        .split_once('-')
        .ok_or_else(|| Fault::new(format!("'{}' is not a range of addresses", shown(word))).hint(form))?;
    let (first, last) = (parse_ipv4(first.trim())?, parse_ipv4(last.trim())?);
    if last < first {
        return Err(Fault::new(format!("range {first}-{last} ends before it begins"))
            .hint(format!("did you mean \"{last}-{first}\"?")));
    }
    Ok(DhcpRange { first, last })
}

pub(crate) fn mac(key: &str, value: &DeValue<'_>) -> Result<MacAddr, Fault> {
    let word = text(key, value)?;
    let mac: MacAddr = word.parse().map_err(|_| {
        Fault::new(format!("'{}' is not a MAC address", shown(word)))
            .hint("write six bytes in hexadecimal with colons between, such as \"02:00:00:12:34:56\"")
    })?;
    if mac.is_assignable() {
        return Ok(mac);
    }
    Err(Fault::new(format!("no interface may have MAC address {mac}: it is all zero or for many receivers"))
        .hint("the first byte must be even; 02 is for addresses of one's own"))
}

fn parse_ipv4(word: &str) -> Result<Ipv4Addr, Fault> {
    word.parse().map_err(|_| {
        let fault = Fault::new(format!("'{}' is not an IPv4 address", shown(word)));
        if word.parse::<Ipv6Addr>().is_ok() {
            return fault.hint("IPv6 has keys of its own: 'subnet6', and 'address6' of a [[host]]");
        }
        match word.split_once('/') {
            Some((address, _)) if address.parse::<Ipv4Addr>().is_ok() => {
                fault.hint(format!("write \"{address}\", without the prefix length"))
            }
            _ => fault.hint("write four numbers from 0 to 255, such as \"10.0.1.1\""),
        }
    })
}
