//! Port forwards as they are written: `listen`, `to` and `protocol`, and which two of them would
//! fight over a port.

use crate::guest::Who;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// Which protocols a forward or a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// `tcp`
    Tcp,
    /// `udp`
    Udp,
    /// `tcp+udp`
    Both,
}

impl Protocol {
    /// Every choice of protocols.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Udp, Self::Both];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Both => "tcp+udp",
        }
    }

    /// The single protocols it stands for.
    #[must_use]
    pub fn each(self) -> &'static [Self] {
        match self {
            Self::Tcp => &[Self::Tcp],
            Self::Udp => &[Self::Udp],
            Self::Both => &[Self::Tcp, Self::Udp],
        }
    }

    /// Is there a protocol that both are for?
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self == other || self == Self::Both || other == Self::Both
    }
}

/// Why a text is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardError {
    /// Not a protocol.
    Protocol,
    /// Not a port or a range of ports.
    Ports,
    /// The range ends before it begins.
    Backwards,
    /// Not an address of this host.
    Address,
    /// `::1`, which the kernel leads nowhere.
    Loopback6,
    /// Not a guest's name, MAC or address.
    Guest,
    /// Port 0 (choose one) is for `listen` alone.
    Zero,
    /// The two ranges are not of one size.
    Sizes,
    /// Listens on one family and leads to the other.
    Families,
}

impl fmt::Display for ForwardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Protocol => "not a protocol: write tcp, udp or tcp+udp",
            Self::Ports => "not a port from 1 to 65535 or a range such as 8000-8010",
            Self::Backwards => "the range ends before it begins",
            Self::Address => "not an address and a port such as 192.0.2.1:8080 or [2001:db8::1]:8080",
            Self::Loopback6 => "the kernel takes no answer for ::1 from another link: forward 127.0.0.1",
            Self::Guest => "not a guest's name, MAC or address",
            Self::Zero => "port 0 has no meaning here",
            Self::Sizes => "the two ranges of ports are not of one size",
            Self::Families => "it listens on one family of addresses and leads to the other",
        })
    }
}

impl std::error::Error for ForwardError {}

impl FromStr for Protocol {
    type Err = ForwardError;

    fn from_str(text: &str) -> Result<Self, ForwardError> {
        Self::ALL.into_iter().find(|protocol| protocol.as_str() == text).ok_or(ForwardError::Protocol)
    }
}

/// One port or several that follow each other; `0` alone means that one is to be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ports {
    /// The first port of the range.
    pub first: u16,
    /// The last, not before the first.
    pub last: u16,
}

impl Ports {
    /// A single one.
    #[must_use]
    pub fn one(port: u16) -> Self {
        Self { first: port, last: port }
    }

    /// How many ports the range has.
    #[must_use]
    pub fn count(self) -> u32 {
        u32::from(self.last) - u32::from(self.first) + 1
    }

    /// Is one port in both?
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl FromStr for Ports {
    type Err = ForwardError;

    fn from_str(text: &str) -> Result<Self, ForwardError> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let number = |digits: &str| match digits {
            "" => Err(ForwardError::Ports),
            digits if !digits.bytes().all(|b| b.is_ascii_digit()) => Err(ForwardError::Ports),
            digits => digits.parse::<u16>().map_err(|_| ForwardError::Ports),
        };
        let ports = Self { first: number(first)?, last: number(last)? };
        if ports.last < ports.first {
            return Err(ForwardError::Backwards);
        }
        if ports.first == 0 && ports.last != 0 { Err(ForwardError::Ports) } else { Ok(ports) }
    }
}

/// Where the host listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Listen {
    /// The host's address; none: every one. `0.0.0.0` is every IPv4 address, `::` every IPv6 one.
    pub address: Option<IpAddr>,
    /// The ports.
    pub ports: Ports,
}

impl Listen {
    /// Does the host listen for connections of this family?
    #[must_use]
    pub fn takes(self, ipv6: bool) -> bool {
        self.address.is_none_or(|address| address.is_ipv6() == ipv6)
    }

    /// The one address that it asks for; none where any of the family will do.
    #[must_use]
    pub fn single(self) -> Option<IpAddr> {
        self.address.filter(|address| !address.is_unspecified())
    }

    /// Is there an address and a port that are both's?
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        let families = (self.takes(false) && other.takes(false)) || (self.takes(true) && other.takes(true));
        let addresses = match (self.single(), other.single()) {
            (Some(one), Some(other)) => one == other,
            _ => families,
        };
        addresses && self.ports.overlaps(other.ports)
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            None => write!(f, "{}", self.ports),
            Some(IpAddr::V4(address)) => write!(f, "{address}:{}", self.ports),
            Some(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.ports),
        }
    }
}

impl FromStr for Listen {
    type Err = ForwardError;

    fn from_str(text: &str) -> Result<Self, ForwardError> {
        let Some((address, ports)) = text.rsplit_once(':') else {
            return Ok(Self { address: None, ports: text.parse()? });
        };
        let address = match address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) => IpAddr::V6(inner.parse().map_err(|_| ForwardError::Address)?),
            None => IpAddr::V4(address.parse().map_err(|_| ForwardError::Address)?),
        };
        if address.is_multicast() {
            return Err(ForwardError::Address);
        }
        if address == IpAddr::V6(Ipv6Addr::LOCALHOST) {
            return Err(ForwardError::Loopback6);
        }
        Ok(Self { address: Some(address), ports: ports.parse()? })
    }
}

/// Where a forward leads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// The guest.
    pub who: Who,
    /// Its ports; none: those that the host listens on.
    pub ports: Option<Ports>,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.who, self.ports) {
            (who, None) => write!(f, "{who}"),
            (Who::Address6(address), Some(ports)) => write!(f, "[{address}]:{ports}"),
            (who, Some(ports)) => write!(f, "{who}:{ports}"),
        }
    }
}

impl FromStr for Target {
    type Err = ForwardError;

    fn from_str(text: &str) -> Result<Self, ForwardError> {
        // The whole first: a MAC and an IPv6 address have colons of their own.
        if let Ok(who) = text.parse() {
            return Ok(Self { who, ports: None });
        }
        let (guest, ports) = text.rsplit_once(':').ok_or(ForwardError::Guest)?;
        let bare = guest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let who: Who = bare.unwrap_or(guest).parse().map_err(|_| ForwardError::Guest)?;
        if bare.is_some() != matches!(who, Who::Address6(_)) {
            return Err(ForwardError::Guest);
        }
        let ports: Ports = ports.parse()?;
        if ports.first == 0 { Err(ForwardError::Zero) } else { Ok(Self { who, ports: Some(ports) }) }
    }
}

/// `[[forward]]`
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Forward {
    /// `listen`
    pub listen: Listen,
    /// `to`
    pub to: Target,
    /// `protocol`
    pub protocol: Protocol,
}

impl Forward {
    /// Put together what was read, if it fits.
    ///
    /// # Errors
    /// The ranges differ in size, or the families do.
    pub fn new(listen: Listen, to: Target, protocol: Protocol) -> Result<Self, ForwardError> {
        if to.ports.is_some_and(|ports| ports.count() != listen.ports.count()) {
            return Err(ForwardError::Sizes);
        }
        let fits = match to.who {
            Who::Address(_) => listen.takes(false),
            Who::Address6(_) => listen.takes(true),
            Who::Name(_) | Who::Mac(_) => true,
        };
        if fits { Ok(Self { listen, to, protocol }) } else { Err(ForwardError::Families) }
    }

    /// The guest's ports.
    #[must_use]
    pub fn target_ports(&self) -> Ports {
        self.to.ports.unwrap_or(self.listen.ports)
    }

    /// Would both claim one port?
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.protocol.overlaps(other.protocol) && self.listen.overlaps(other.listen)
    }
}

impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} to {}", self.protocol.as_str(), self.listen, self.to)
    }
}

#[cfg(test)]
mod tests;
