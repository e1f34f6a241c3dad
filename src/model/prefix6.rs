//! An IPv6 prefix of 64 bits, the length that guests configure themselves from (RFC 4862, 5.5.3),
//! and the addresses in it.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;
use vmnet_access::mac::MacAddr;
use vmnet_access::name::fnv1a;

/// The first 64 bits of the addresses of one network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix6(u64);

/// How many bits every prefix here has.
pub const PREFIX6_LENGTH: u8 = 64;

/// Why a text is not such a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix6Error {
    /// Not `ADDRESS/LENGTH`.
    Form,
    /// Another length than 64.
    Length(u8),
    /// Host bits are set; the prefix that was probably meant.
    HostBits(Prefix6),
}

impl fmt::Display for Prefix6Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => f.write_str("not a prefix such as fd12:3456:789a:1::/64"),
            Self::Length(length) => write!(f, "its length must be 64, not {length}"),
            Self::HostBits(prefix) => write!(f, "host bits are set; the prefix is {prefix}"),
        }
    }
}

impl std::error::Error for Prefix6Error {}

impl Prefix6 {
    /// The unique local prefix of a machine's network (RFC 4193): `fd` and 56 bits that are the
    /// same at every start and, as good as certainly, nobody else's.
    #[must_use]
    pub fn local(machine: &[u8], network: &str) -> Self {
        let mut seed = machine.to_vec();
        seed.extend_from_slice(b"\0ula\0");
        seed.extend_from_slice(network.as_bytes());
        Self(fnv1a(&seed) >> 8 | 0xfd << 56)
    }

    /// The prefix that an address is in.
    #[must_use]
    pub fn around(address: Ipv6Addr) -> Self {
        Self((u128::from(address) >> 64) as u64)
    }

    /// The address with this interface identifier.
    #[must_use]
    pub fn address(self, identifier: u64) -> Ipv6Addr {
        (u128::from(self.0) << 64 | u128::from(identifier)).into()
    }

    /// The bridge's own address: the first.
    #[must_use]
    pub fn gateway(self) -> Ipv6Addr {
        self.address(1)
    }

    /// The address that a guest gives itself if it makes its identifier of its MAC (modified
    /// EUI-64: RFC 4291, appendix A).
    #[must_use]
    pub fn of_mac(self, mac: MacAddr) -> Ipv6Addr {
        let [a, b, c, d, e, f] = mac.0;
        self.address(u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f]))
    }

    /// Is the address in it?
    #[must_use]
    pub fn contains(self, address: Ipv6Addr) -> bool {
        Self::around(address) == self
    }

    /// Is it of the unique local kind, which no router of the Internet knows?
    #[must_use]
    pub fn is_local(self) -> bool {
        self.0 >> 57 == 0xfc >> 1
    }
}

impl fmt::Display for Prefix6 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{PREFIX6_LENGTH}", self.address(0))
    }
}

impl FromStr for Prefix6 {
    type Err = Prefix6Error;

    fn from_str(text: &str) -> Result<Self, Prefix6Error> {
        let (address, length) = text.split_once('/').ok_or(Prefix6Error::Form)?;
        let address: Ipv6Addr = address.parse().map_err(|_| Prefix6Error::Form)?;
        if length.is_empty() || !length.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Prefix6Error::Form);
        }
        let length: u8 = length.parse().ok().filter(|l| *l <= 128).ok_or(Prefix6Error::Form)?;
        if length != PREFIX6_LENGTH {
            return Err(Prefix6Error::Length(length));
        }
        let prefix = Self::around(address);
        if prefix.address(0) == address { Ok(prefix) } else { Err(Prefix6Error::HostBits(prefix)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_prefix_is_stable_and_each_networks_own() {
        let prefix = Prefix6::local(b"machine", "lab");
        assert_eq!(prefix, Prefix6::local(b"machine", "lab"));
        assert_ne!(prefix, Prefix6::local(b"machine", "lab2"));
        assert_ne!(prefix, Prefix6::local(b"another", "lab"));
        assert!(prefix.is_local() && prefix.to_string().starts_with("fd"), "{prefix}");
        assert_eq!(prefix.to_string().parse(), Ok(prefix));
    }

    #[test]
    fn a_guests_address_follows_from_its_mac() {
        let prefix: Prefix6 = "2001:db8:0:1::/64".parse().unwrap();
        let mac = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
        assert_eq!(prefix.of_mac(mac).to_string(), "2001:db8:0:1:5054:ff:fe12:3456");
        assert_eq!(prefix.gateway().to_string(), "2001:db8:0:1::1");
        assert!(prefix.contains(prefix.of_mac(mac)) && !prefix.is_local());
    }

    #[test]
    fn a_mistaken_text_is_told_what_was_meant() {
        let meant = "fd00::/64".parse().unwrap();
        assert_eq!("fd00::1/64".parse::<Prefix6>(), Err(Prefix6Error::HostBits(meant)));
        assert_eq!("fd00::/48".parse::<Prefix6>(), Err(Prefix6Error::Length(48)));
        for bad in ["fd00::", "fd00::/", "fd00::/+64", "10.0.1.0/24", "fd00::/129"] {
            assert_eq!(bad.parse::<Prefix6>(), Err(Prefix6Error::Form), "{bad}");
        }
    }
}
