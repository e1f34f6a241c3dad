//! What a guest may be promised: no name, MAC or address that another has, and an address at which
//! the network can reach it. Files are held to the same by `vmnet-config`, which knows their lines.

use crate::dnsmasq::NOT_FOR_GUESTS;
use crate::error::ErrorKind;
use crate::guest::Reservation;
use crate::lease::Lease;
use crate::prefix6::Prefix6;
use crate::settle::NetworkSpec;
use crate::subnet::Subnet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use vmnet_access::mac::MacAddr;
use vmnet_access::name::fnv1a;

/// Why something cannot be promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The name is nobody's to give.
    NotForGuests(String),
    /// One host, the same name twice.
    Twice(String),
    /// The name is another host's.
    Name(String, Holder),
    /// The MAC is another host's.
    Mac(MacAddr, Holder),
    /// The MAC is the bridge's, or stands for many.
    NoGuest(MacAddr),
    /// The address is another host's.
    Address(IpAddr, Holder),
    /// Another guest holds a lease on the address.
    Leased(Ipv4Addr, MacAddr, Option<String>),
    /// The address is the bridge's own.
    Own(IpAddr),
    /// The address is in none of the network's subnets.
    Outside(IpAddr, Vec<String>),
    /// The address stands for a whole subnet.
    NoHost(IpAddr, String),
    /// The network has no IPv6.
    NoIpv6(Ipv6Addr),
    /// No address is left to choose.
    Full,
}

/// By what name a host is known to which something is promised already.
pub type Holder = String;

impl Refusal {
    /// What sort of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Name(name, holder) if name == holder => ErrorKind::Exists,
            Self::Name(..)
            | Self::Mac(..)
            | Self::Address(..)
            | Self::Leased(..)
            | Self::Own(_)
            | Self::Full => ErrorKind::Conflict,
            Self::NotForGuests(_)
            | Self::Twice(_)
            | Self::NoGuest(_)
            | Self::Outside(..)
            | Self::NoHost(..)
            | Self::NoIpv6(_) => ErrorKind::Invalid,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotForGuests(name) => write!(f, "no guest may be called '{name}'"),
            Self::Twice(name) => write!(f, "name '{name}' is given twice"),
            Self::Name(name, holder) if name == holder => write!(f, "name '{name}' is reserved already"),
            Self::Name(name, holder) => write!(f, "name '{name}' is an alias of '{holder}'"),
            Self::Mac(mac, holder) => write!(f, "{mac} is reserved as '{holder}'"),
            Self::NoGuest(mac) => write!(f, "{mac} can be no guest's"),
            Self::Address(address, holder) => write!(f, "address {address} is reserved for '{holder}'"),
            Self::Leased(address, mac, None) => write!(f, "address {address} is leased to {mac}"),
            Self::Leased(address, mac, Some(name)) => {
                write!(f, "address {address} is leased to {mac} ('{name}')")
            }
            Self::Own(address) => write!(f, "address {address} is the bridge's own"),
            Self::Outside(address, subnets) => {
                write!(f, "address {address} is not in {}", subnets.join(" or "))
            }
            Self::NoHost(address, subnet) => {
                write!(f, "no host may have address {address}: it stands for all of {subnet}")
            }
            Self::NoIpv6(address) => write!(f, "address {address} needs IPv6, which the network has not"),
            Self::Full => f.write_str("every address of its range is taken"),
        }
    }
}

impl std::error::Error for Refusal {}

/// Can this be promised, besides all that is?
///
/// # Errors
/// The first thing that stands in the way.
pub fn check(host: &Reservation, wanted: &NetworkSpec, leases: &[Lease]) -> Result<(), Refusal> {
    names(host, &wanted.network.hosts)?;
    if host.mac == wanted.mac || !host.mac.is_assignable() {
        return Err(Refusal::NoGuest(host.mac));
    }
    if let Some(other) = wanted.network.hosts.iter().find(|other| other.mac == host.mac) {
        return Err(Refusal::Mac(host.mac, other.name.clone()));
    }
    if let Some(address) = host.address {
        is_host(wanted, address)?;
        is_free(host.mac, wanted, leases, address)?;
    }
    host.address6.map_or(Ok(()), |address| address6(wanted, address))
}

fn names(host: &Reservation, others: &[Reservation]) -> Result<(), Refusal> {
    let own: Vec<&String> = host.names().collect();
    for (place, name) in own.iter().enumerate() {
        if NOT_FOR_GUESTS.contains(&name.as_str()) {
            return Err(Refusal::NotForGuests((*name).clone()));
        }
        if own.iter().take(place).any(|other| other == name) {
            return Err(Refusal::Twice((*name).clone()));
        }
        if let Some(other) = others.iter().find(|other| other.names().any(|other| other == *name)) {
            return Err(Refusal::Name((*name).clone(), other.name.clone()));
        }
    }
    Ok(())
}

/// Can a guest with this MAC have this address, by a reservation or by its own hand?
///
/// # Errors
/// The first thing that stands in the way.
pub fn takes(mac: MacAddr, wanted: &NetworkSpec, leases: &[Lease], address: Ipv4Addr) -> Result<(), Refusal> {
    is_host(wanted, address)?;
    is_free(mac, wanted, leases, address)
}

/// Check that the network takes a reservation of this IPv6 address.
///
/// # Errors
/// The first thing that stands in the way.
pub fn takes6(wanted: &NetworkSpec, address: Ipv6Addr) -> Result<(), Refusal> {
    address6(wanted, address)
}

fn is_host(wanted: &NetworkSpec, address: Ipv4Addr) -> Result<(), Refusal> {
    let subnets = wanted.subnets();
    let Some(subnet) = subnets.iter().find(|subnet| subnet.contains(address)) else {
        return Err(Refusal::Outside(address.into(), subnets.iter().map(Subnet::to_string).collect()));
    };
    if wanted.addresses().iter().any(|(own, _)| *own == address) {
        return Err(Refusal::Own(address.into()));
    }
    if !(subnet.first_host()..=subnet.last_host()).contains(&address) {
        return Err(Refusal::NoHost(address.into(), subnet.to_string()));
    }
    Ok(())
}

fn is_free(mac: MacAddr, wanted: &NetworkSpec, leases: &[Lease], address: Ipv4Addr) -> Result<(), Refusal> {
    if let Some(other) = wanted.network.hosts.iter().find(|other| other.address == Some(address)) {
        return Err(Refusal::Address(address.into(), other.name.clone()));
    }
    match leases.iter().find(|lease| lease.address == address && lease.mac != mac) {
        Some(lease) => Err(Refusal::Leased(address, lease.mac, lease.name.clone())),
        None => Ok(()),
    }
}

fn address6(wanted: &NetworkSpec, address: Ipv6Addr) -> Result<(), Refusal> {
    let prefix: Prefix6 = wanted.subnet6.ok_or(Refusal::NoIpv6(address))?;
    if !prefix.contains(address) {
        return Err(Refusal::Outside(address.into(), vec![prefix.to_string()]));
    }
    if address == prefix.gateway() {
        return Err(Refusal::Own(address.into()));
    }
    if address == prefix.address(0) {
        return Err(Refusal::NoHost(address.into(), prefix.to_string()));
    }
    match wanted.network.hosts.iter().find(|other| other.address6 == Some(address)) {
        Some(other) => Err(Refusal::Address(address.into(), other.name.clone())),
        None => Ok(()),
    }
}

/// An address for a guest whose administrator does not care: the one that it has, or the first free
/// one of the range from a place on that its MAC tells.
///
/// # Errors
/// There is none.
pub fn choose(mac: MacAddr, wanted: &NetworkSpec, leases: &[Lease]) -> Result<Ipv4Addr, Refusal> {
    let fits = |address: &Ipv4Addr| {
        is_host(wanted, *address).is_ok() && is_free(mac, wanted, leases, *address).is_ok()
    };
    let held = leases.iter().filter(|lease| lease.mac == mac).map(|lease| lease.address);
    let (first, size) = (u64::from(u32::from(wanted.range.first)), u64::from(wanted.range.size()));
    let start = fnv1a(&mac.0) % size.max(1);
    let range = (0..size).filter_map(|step| u32::try_from(first + (start + step) % size).ok());
    held.chain(range.map(Ipv4Addr::from)).find(fits).ok_or(Refusal::Full)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{DhcpRange, Network};
    use crate::settle::Circumstances;
    use vmnet_access::name::NetName;

    const WEB: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const NEW: MacAddr = MacAddr([2, 0, 0, 0, 0, 9]);

    fn host(name: &str, mac: MacAddr, address: Option<&str>) -> Reservation {
        let address = address.map(|text| text.parse().unwrap());
        Reservation { name: name.to_owned(), mac, address, address6: None, aliases: Vec::new() }
    }

    /// 10.0.1.0/24 and 10.9.0.0/16; web has 10.0.1.9 and the alias www.
    fn wanted() -> NetworkSpec {
        let mut network = Network::with_defaults(NetName::new("lab").unwrap());
        network.more_subnets = vec!["10.9.0.0/16".parse().unwrap()];
        let aliases = vec!["www".to_owned()];
        network.hosts = vec![Reservation { aliases, ..host("web", WEB, Some("10.0.1.9")) }];
        network.settle(&Circumstances {
            subnet: "10.0.1.0/24".parse().unwrap(),
            machine: b"machine",
            uplink_mtu: None,
            has_ipv6: true,
        })
    }

    fn lease(mac: MacAddr, address: &str) -> Lease {
        Lease { expires: None, mac, address: address.parse().unwrap(), name: None }
    }

    fn refusal(host: &Reservation) -> String {
        check(host, &wanted(), &[lease(WEB, "10.0.1.50")])
            .map_or_else(|why| why.to_string(), |()| String::new())
    }

    #[test]
    fn what_another_has_is_promised_to_nobody() {
        assert_eq!(refusal(&host("new", NEW, Some("10.9.3.4"))), "");
        assert_eq!(refusal(&host("web", NEW, None)), "name 'web' is reserved already");
        assert_eq!(refusal(&host("www", NEW, None)), "name 'www' is an alias of 'web'");
        assert_eq!(refusal(&host("new", WEB, None)), "02:00:00:00:00:01 is reserved as 'web'");
        assert_eq!(refusal(&host("new", NEW, Some("10.0.1.9"))), "address 10.0.1.9 is reserved for 'web'");
        let leased = "address 10.0.1.50 is leased to 02:00:00:00:00:01";
        assert_eq!(refusal(&host("new", NEW, Some("10.0.1.50"))), leased);
    }

    #[test]
    fn what_is_no_guests_is_promised_to_nobody() {
        for name in NOT_FOR_GUESTS {
            assert_eq!(refusal(&host(name, NEW, None)), format!("no guest may be called '{name}'"));
        }
        let address = |text| refusal(&host("new", NEW, Some(text)));
        assert_eq!(address("10.0.1.1"), "address 10.0.1.1 is the bridge's own");
        assert_eq!(address("10.9.0.1"), "address 10.9.0.1 is the bridge's own");
        assert_eq!(address("10.0.2.1"), "address 10.0.2.1 is not in 10.0.1.0/24 or 10.9.0.0/16");
        let all = "no host may have address 10.0.1.255: it stands for all of 10.0.1.0/24";
        assert_eq!(address("10.0.1.255"), all);
        assert_eq!(refusal(&host("new", wanted().mac, None)), format!("{} can be no guest's", wanted().mac));
        let aliases = vec!["new".to_owned()];
        assert_eq!(refusal(&Reservation { aliases, ..host("new", NEW, None) }), "name 'new' is given twice");
    }

    #[test]
    fn an_ipv6_address_is_one_of_the_prefix_and_free() {
        let wanted = wanted();
        let prefix = wanted.subnet6.unwrap();
        let with = |address6| Reservation { address6: Some(address6), ..host("new", NEW, None) };
        assert_eq!(check(&with(prefix.address(0x22)), &wanted, &[]), Ok(()));
        assert_eq!(check(&with(prefix.gateway()), &wanted, &[]), Err(Refusal::Own(prefix.gateway().into())));
        let outside = "2001:db8::1".parse().unwrap();
        assert!(matches!(check(&with(outside), &wanted, &[]), Err(Refusal::Outside(..))));
        let without = NetworkSpec { subnet6: None, ..wanted };
        assert_eq!(check(&with(outside), &without, &[]), Err(Refusal::NoIpv6(outside)));
    }

    #[test]
    fn the_address_chosen_is_the_one_held_or_a_free_one_and_always_the_same() {
        let mut wanted = wanted();
        assert_eq!(choose(NEW, &wanted, &[lease(NEW, "10.0.1.77")]), Ok(Ipv4Addr::new(10, 0, 1, 77)));
        let chosen = choose(NEW, &wanted, &[]).unwrap();
        assert_eq!(choose(NEW, &wanted, &[lease(WEB, "10.0.1.50")]), Ok(chosen));
        let next = choose(NEW, &wanted, &[lease(WEB, &chosen.to_string())]).unwrap();
        assert!(next != chosen && wanted.subnet.contains(next), "{chosen} {next}");
        let nine = Ipv4Addr::new(10, 0, 1, 9);
        wanted.range = DhcpRange { first: nine, last: nine };
        assert_eq!(choose(NEW, &wanted, &[]), Err(Refusal::Full));
    }
}
