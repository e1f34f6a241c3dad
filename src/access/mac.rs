//! MAC addresses.

use crate::name::fnv1a;
use std::fmt;
use std::str::FromStr;

/// A 48-bit Ethernet address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// A bridge's own address: stable for this machine and network, locally administered, unicast.
    /// It is always set, because a bridge without one takes the lowest address of its ports
    /// (`br_stp_recalculate_bridge_id` in net/bridge/br_stp_if.c) and changes under its guests.
    #[must_use]
    pub fn of_bridge(machine: &[u8], network: &str) -> Self {
        let mut seed = machine.to_vec();
        seed.push(0);
        seed.extend_from_slice(network.as_bytes());
        let [_, _, _, a, b, c, d, e] = fnv1a(&seed).to_be_bytes();
        Self([0x02, a, b, c, d, e])
    }

    /// May an interface have it as its own: unicast, and not all zero.
    #[must_use]
    pub fn is_assignable(self) -> bool {
        let [first, ..] = self.0;
        first & 1 == 0 && self.0 != [0; 6]
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(out, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

/// The text is not six colon-separated bytes in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAMac;

impl fmt::Display for NotAMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a MAC address such as 02:00:00:12:34:56")
    }
}

impl std::error::Error for NotAMac {}

impl FromStr for MacAddr {
    type Err = NotAMac;

    fn from_str(text: &str) -> Result<Self, NotAMac> {
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().ok_or(NotAMac)?;
            if part.len() != 2 || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(NotAMac);
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| NotAMac)?;
        }
        if parts.next().is_some() { Err(NotAMac) } else { Ok(Self(bytes)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_prints() {
        let mac = MacAddr([0x02, 0xab, 0, 1, 2, 0xff]);
        assert_eq!(mac.to_string().parse(), Ok(mac));
        for bad in [
            "",
            "02:00",
            "02:00:00:12:34:5",
            "02:00:00:12:34:56:78",
            "+2:00:00:12:34:56",
            "xx:00:00:12:34:56",
        ] {
            assert_eq!(bad.parse::<MacAddr>(), Err(NotAMac), "{bad}");
        }
    }

    #[test]
    fn a_bridges_address_is_stable_and_local() {
        let mac = MacAddr::of_bridge(b"machine", "brmgr0");
        assert_eq!(mac, MacAddr::of_bridge(b"machine", "brmgr0"));
        assert_ne!(mac, MacAddr::of_bridge(b"machine", "brmgr1"));
        assert_ne!(mac, MacAddr::of_bridge(b"another", "brmgr0"));
        assert_eq!(mac.0[0], 0x02);
        assert!(mac.is_assignable());
    }
}
