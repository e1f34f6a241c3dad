//! Guests as an administrator names them, and as they are known: by reservation or by lease.

use crate::lease::Lease;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use vmnet_access::mac::MacAddr;

/// Which guest is meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    /// The one of this name, in lower case, without the domain.
    Name(String),
    /// The one with this MAC.
    Mac(MacAddr),
    /// The one with this address.
    Address(Ipv4Addr),
    /// The one with this IPv6 address.
    Address6(Ipv6Addr),
}

/// The text names no guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NobodyNamed;

impl fmt::Display for NobodyNamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a guest's name, MAC or address")
    }
}

impl std::error::Error for NobodyNamed {}

/// A host's name as DNS and DHCP take it: one label of letters, digits and inner hyphens
/// (RFC 1123, 2.1), and not all digits, which would be an address.
#[must_use]
pub fn is_host_name(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
        && !text.bytes().all(|b| b.is_ascii_digit())
}

impl FromStr for Who {
    type Err = NobodyNamed;

    fn from_str(text: &str) -> Result<Self, NobodyNamed> {
        if let Ok(mac) = text.parse() {
            return Ok(Self::Mac(mac));
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Address6(address));
        }
        if is_host_name(text) { Ok(Self::Name(text.to_ascii_lowercase())) } else { Err(NobodyNamed) }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Mac(mac) => write!(f, "{mac}"),
            Self::Address(address) => write!(f, "{address}"),
            Self::Address6(address) => write!(f, "{address}"),
        }
    }
}

/// `[[host]]`: what is promised to one guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// `name`, in lower case.
    pub name: String,
    /// `mac`
    pub mac: MacAddr,
    /// `address`; none: any, but the name is the guest's.
    pub address: Option<Ipv4Addr>,
    /// `address6`; none: the one that it makes of its MAC.
    pub address6: Option<Ipv6Addr>,
    /// `aliases`: further names, in lower case.
    pub aliases: Vec<String>,
}

impl Reservation {
    /// All its names; the first is what its addresses are called.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        [&self.name].into_iter().chain(&self.aliases)
    }

    /// Is this the one that is meant?
    #[must_use]
    pub fn is(&self, who: &Who) -> bool {
        match who {
            Who::Name(name) => self.names().any(|own| own == name),
            Who::Mac(mac) => self.mac == *mac,
            Who::Address(address) => self.address == Some(*address),
            Who::Address6(address) => self.address6 == Some(*address),
        }
    }
}

/// One guest as it is known now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// Its name.
    pub name: Option<String>,
    /// Its further names.
    pub aliases: Vec<String>,
    /// Its MAC.
    pub mac: MacAddr,
    /// Its address: reserved or leased.
    pub address: Option<Ipv4Addr>,
    /// Its reserved IPv6 address.
    pub address6: Option<Ipv6Addr>,
}

/// The guests that are known by reservation, then those known by lease alone. A reservation's name
/// counts more than the one that a guest gives itself.
#[must_use]
pub fn known(hosts: &[Reservation], leases: &[Lease]) -> Vec<Guest> {
    let lease_of = |mac: MacAddr| leases.iter().find(|lease| lease.mac == mac);
    let reserved = hosts.iter().map(|host| Guest {
        name: Some(host.name.clone()),
        aliases: host.aliases.clone(),
        mac: host.mac,
        address: host.address.or_else(|| lease_of(host.mac).map(|lease| lease.address)),
        address6: host.address6,
    });
    let is_reserved = |lease: &&Lease| hosts.iter().any(|host| host.mac == lease.mac);
    let is_taken = |name: &String| hosts.iter().any(|host| host.name == *name || host.aliases.contains(name));
    let others = leases.iter().filter(|lease| !is_reserved(lease)).map(|lease| Guest {
        name: lease.name.as_ref().map(|name| name.to_ascii_lowercase()).filter(|name| !is_taken(name)),
        aliases: Vec::new(),
        mac: lease.mac,
        address: Some(lease.address),
        address6: None,
    });
    reserved.chain(others).collect()
}

/// The guest that is meant, if it is known.
#[must_use]
pub fn find<'a>(guests: &'a [Guest], who: &Who) -> Option<&'a Guest> {
    guests.iter().find(|guest| match who {
        Who::Name(name) => guest.name.as_ref() == Some(name) || guest.aliases.contains(name),
        Who::Mac(mac) => guest.mac == *mac,
        Who::Address(address) => guest.address == Some(*address),
        Who::Address6(address) => guest.address6 == Some(*address),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mac(last: u8) -> MacAddr {
        MacAddr([2, 0, 0, 0, 0, last])
    }

    fn lease(last: u8, name: &str) -> Lease {
        Lease {
            expires: None,
            mac: mac(last),
            address: Ipv4Addr::new(10, 0, 1, last),
            name: Some(name.to_owned()),
        }
    }

    #[test]
    fn each_way_of_naming_a_guest_is_understood() {
        assert_eq!("Web".parse(), Ok(Who::Name("web".to_owned())));
        assert_eq!("02:00:00:00:00:01".parse(), Ok(Who::Mac(mac(1))));
        assert_eq!("10.0.1.1".parse(), Ok(Who::Address(Ipv4Addr::new(10, 0, 1, 1))));
        assert_eq!("fd00::1".parse(), Ok(Who::Address6("fd00::1".parse().unwrap())));
        for bad in ["", "-a", "a.b", "a b", "12345", "a_b", &"x".repeat(64)] {
            assert_eq!(bad.parse::<Who>(), Err(NobodyNamed), "{bad}");
        }
    }

    #[test]
    fn nobody_takes_a_name_that_is_reserved_for_another() {
        let host = |last, name: &str, address| Reservation {
            name: name.to_owned(),
            mac: mac(last),
            address,
            address6: None,
            aliases: vec!["db".to_owned()],
        };
        let hosts = [host(1, "web", Some(Ipv4Addr::new(10, 0, 1, 99))), host(2, "mail", None)];
        let leases =
            [lease(1, "other"), lease(2, "thing"), lease(3, "web"), lease(4, "db"), lease(5, "Free")];
        let guests = known(&hosts, &leases);
        let address = |who: &str| find(&guests, &who.parse().unwrap()).and_then(|guest| guest.address);
        assert_eq!(address("web"), Some(Ipv4Addr::new(10, 0, 1, 99)));
        assert_eq!(address("mail"), Some(Ipv4Addr::new(10, 0, 1, 2)));
        assert_eq!(address("db"), address("web"), "an alias is as good as a name");
        assert_eq!(address("free"), Some(Ipv4Addr::new(10, 0, 1, 5)));
        assert_eq!(address("02:00:00:00:00:03"), Some(Ipv4Addr::new(10, 0, 1, 3)));
    }
}
