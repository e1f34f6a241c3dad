//! Which names the host's own resolver shall ask a network's server about, so that the host finds its
//! guests by name; about all others it asks whom it always asked.

use crate::network::{HostAccess, Network};
use std::net::{IpAddr, Ipv4Addr};

/// The names that a network's server answers for, and where it is to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// The bridge's own address.
    pub server: Ipv4Addr,
    /// The guests' domain.
    pub domain: String,
    /// The zones of their addresses, such as `1.0.10.in-addr.arpa`: these and no wider ones. The
    /// server passes what it does not answer for to the host's resolver, which must not ask it again.
    pub reverse: Vec<String>,
}

impl Delegation {
    /// That of a network whose bridge has these addresses, with the lengths of their prefixes. None
    /// if nobody on it knows names, or the host is not to.
    #[must_use]
    pub fn of(network: &Network, server: Ipv4Addr, addresses: &[(IpAddr, u8)]) -> Option<Self> {
        if network.host_access == HostAccess::None || !network.dns.register {
            return None;
        }
        let zones = addresses.iter().flat_map(|(address, length)| reverse_zones(*address, *length));
        Some(Self { server, domain: network.domain(), reverse: zones.collect() })
    }

    /// Every zone of it: the domain first.
    pub fn zones(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.domain).chain(&self.reverse).map(String::as_str)
    }
}

/// The zones that hold exactly the addresses of the prefix around an address. A label is an octet
/// (RFC 1035, 3.5) or a nibble (RFC 3596, 2.5); for a length between two labels there are up to 128
/// zones, or 8.
#[must_use]
pub fn reverse_zones(address: IpAddr, length: u8) -> Vec<String> {
    let (bits, width, longest) = match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)) << 96, 8, 32),
        IpAddr::V6(address) => (u128::from(address), 4, 128),
    };
    let length = u32::from(length).min(longest);
    let labels = length.div_ceil(width);
    let between = labels * width - length;
    let first = bits.checked_shr(128 - length).unwrap_or(0);
    let zone = |which: u128| {
        let prefix = first << between | which;
        let label = |place: u32| {
            let value = prefix >> (place * width) & ((1 << width) - 1);
            if address.is_ipv4() { format!("{value}.") } else { format!("{value:x}.") }
        };
        let labels: String = (0..labels).map(label).collect();
        labels + if address.is_ipv4() { "in-addr.arpa" } else { "ip6.arpa" }
    };
    (0..1 << between).map(zone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use vmnet_access::name::NetName;

    #[test]
    fn the_reverse_zones_of_a_prefix_hold_its_addresses_and_no_others() {
        let zones = |first: &str, length| reverse_zones(first.parse().unwrap(), length);
        assert_eq!(zones("10.5.0.1", 24), ["0.5.10.in-addr.arpa"]);
        assert_eq!(zones("10.5.0.1", 16), ["5.10.in-addr.arpa"]);
        assert_eq!(zones("10.0.0.1", 8), ["10.in-addr.arpa"]);
        assert_eq!(zones("10.5.6.1", 23), ["6.5.10.in-addr.arpa", "7.5.10.in-addr.arpa"]);
        assert_eq!(zones("10.5.0.254", 31), ["254.0.5.10.in-addr.arpa", "255.0.5.10.in-addr.arpa"]);
        assert_eq!(zones("10.5.0.129", 25).len(), 128);
        assert_eq!(zones("10.5.0.129", 25).first().unwrap(), "128.0.5.10.in-addr.arpa");
        assert_eq!(zones("10.5.0.129", 25).last().unwrap(), "255.0.5.10.in-addr.arpa");
        let six = "1.0.0.0.a.9.8.7.6.5.4.3.2.1.d.f.ip6.arpa";
        assert_eq!(zones("fd12:3456:789a:1::1", 64), [six]);
        assert_eq!(zones("fd00::1", 63).len(), 2);
        assert!(zones("fd00::1", 128).first().unwrap().starts_with("1.0.0.0.0"));
        assert_eq!(
            (zones("::", 0), zones("0.0.0.0", 0)),
            (vec!["ip6.arpa".into()], vec!["in-addr.arpa".into()])
        );
    }

    #[test]
    fn a_network_that_is_not_to_be_known_or_knows_no_names_is_not() {
        let mut network = Network::with_defaults(NetName::new("lab").unwrap());
        let server = Ipv4Addr::new(10, 5, 0, 1);
        let addresses = [(server.into(), 24), ("fd00::1".parse().unwrap(), 64)];
        let of = |network: &Network| Delegation::of(network, server, &addresses);
        let zones = of(&network).map(|found| found.zones().map(str::to_owned).collect::<Vec<_>>());
        let six = "0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa";
        assert_eq!(zones.unwrap(), ["lab.internal", "0.5.10.in-addr.arpa", six]);
        network.dns.register = false;
        assert_eq!(of(&network), None);
        network.dns.register = true;
        network.host_access = HostAccess::None;
        assert_eq!(of(&network), None);
    }
}
