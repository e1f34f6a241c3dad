//! An IPv4 network and its arithmetic.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// An IPv4 prefix whose host bits are zero, such as `10.0.1.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subnet {
    base: u32,
    length: u8,
}

/// Why a text is not a subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubnetError {
    /// Not `ADDRESS/LENGTH` with a length from 0 to 32.
    Form,
    /// Host bits are set; the network that was probably meant.
    HostBits(Subnet),
}

impl fmt::Display for SubnetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => f.write_str("not a subnet such as 10.0.1.0/24"),
            Self::HostBits(net) => write!(f, "host bits are set; the subnet is {net}"),
        }
    }
}

impl std::error::Error for SubnetError {}

impl Subnet {
    /// For a network without addresses: one that nobody has (TEST-NET-1, RFC 5737).
    pub const NOWHERE: Self = Self { base: 0xc000_0200, length: 24 };

    /// The network that `address` is in, `length` bits long (more than 32 counts as 32).
    #[must_use]
    pub fn around(address: Ipv4Addr, length: u8) -> Self {
        let length = length.min(32);
        Self { base: u32::from(address) & mask(length), length }
    }

    /// The address with all host bits zero.
    #[must_use]
    pub fn base(self) -> Ipv4Addr {
        self.base.into()
    }

    /// How many bits the network part has.
    #[must_use]
    pub fn length(self) -> u8 {
        self.length
    }

    /// The mask in dotted form.
    #[must_use]
    pub fn netmask(self) -> Ipv4Addr {
        mask(self.length).into()
    }

    /// The address with all host bits one.
    #[must_use]
    pub fn broadcast(self) -> Ipv4Addr {
        (self.base | !mask(self.length)).into()
    }

    /// The first address a host may have, the usual gateway.
    #[must_use]
    pub fn first_host(self) -> Ipv4Addr {
        if self.length >= 31 { self.base() } else { (self.base + 1).into() }
    }

    /// The last address a host may have.
    #[must_use]
    pub fn last_host(self) -> Ipv4Addr {
        if self.length >= 31 { self.broadcast() } else { (u32::from(self.broadcast()) - 1).into() }
    }

    /// Is the address in this network?
    #[must_use]
    pub fn contains(self, address: Ipv4Addr) -> bool {
        u32::from(address) & mask(self.length) == self.base
    }

    /// Do the two share an address, in either direction of containment?
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        let shorter = mask(self.length.min(other.length));
        self.base & shorter == other.base & shorter
    }
}

fn mask(length: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0)
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base(), self.length)
    }
}

impl FromStr for Subnet {
    type Err = SubnetError;

    fn from_str(text: &str) -> Result<Self, SubnetError> {
        let (address, length) = text.split_once('/').ok_or(SubnetError::Form)?;
        let address: Ipv4Addr = address.parse().map_err(|_| SubnetError::Form)?;
        if length.is_empty() || !length.bytes().all(|b| b.is_ascii_digit()) {
            return Err(SubnetError::Form);
        }
        let length: u8 = length.parse().map_err(|_| SubnetError::Form)?;
        if length > 32 {
            return Err(SubnetError::Form);
        }
        let net = Self::around(address, length);
        if net.base() == address { Ok(net) } else { Err(SubnetError::HostBits(net)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    #[test]
    fn edges_of_the_prefix_length() {
        assert_eq!(net("0.0.0.0/0").broadcast(), Ipv4Addr::BROADCAST);
        assert_eq!(net("10.0.1.0/24").first_host(), Ipv4Addr::new(10, 0, 1, 1));
        assert_eq!(net("10.0.1.0/24").last_host(), Ipv4Addr::new(10, 0, 1, 254));
        assert_eq!(net("10.0.1.4/31").first_host(), Ipv4Addr::new(10, 0, 1, 4));
        assert_eq!(net("10.0.1.4/32").last_host(), Ipv4Addr::new(10, 0, 1, 4));
    }

    #[test]
    fn overlap_goes_both_ways() {
        let (wide, narrow) = (net("10.0.0.0/8"), net("10.0.1.0/24"));
        assert!(wide.overlaps(narrow) && narrow.overlaps(wide));
        assert!(!net("10.0.2.0/24").overlaps(narrow));
        assert!(net("0.0.0.0/0").overlaps(narrow));
    }

    #[test]
    fn a_mistaken_text_is_told_what_was_meant() {
        assert_eq!("10.0.1.1/24".parse::<Subnet>(), Err(SubnetError::HostBits(net("10.0.1.0/24"))));
        for bad in ["10.0.1.0", "10.0.1.0/33", "10.0.1/24", "10.0.1.0/", "10.0.1.0/+4", "::/0"] {
            assert_eq!(bad.parse::<Subnet>(), Err(SubnetError::Form), "{bad}");
        }
    }
}
