//! Where the parts of a TCP packet in an Ethernet frame are, perhaps behind one VLAN tag. Only what can be
//! joined is recognised: IPv4 without options that is no fragment, IPv6 without extension headers. What
//! is to be cut says itself where TCP begins.

use super::checksum::Sum;
use super::{put, u16_at, u32_at};

/// EtherTypes
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const VLAN: [u16; 2] = [0x8100, 0x88a8];
/// Lengths of the headers, without IPv4's options and IPv6's extension headers.
const IPV4_SIZE: usize = 20;
const IPV6_SIZE: usize = 40;
/// Protocol number of TCP.
const TCP: u8 = 6;
/// Where TCP's checksum is in its header.
pub const CHECKSUM: usize = 16;
/// Where its flags are.
pub const FLAGS: usize = 13;
/// FIN, SYN, RST, PSH, ACK, URG, ECE, CWR from the lowest bit (RFC 9293, RFC 3168).
pub const FIN: u8 = 0x01;
/// Push what came to the reader.
pub const PSH: u8 = 0x08;
/// The number acknowledged counts.
pub const ACK: u8 = 0x10;
/// The sender has slowed down.
pub const CWR: u8 = 0x80;

/// The places in one packet. All are within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Where the IP header begins.
    pub network: usize,
    /// Where the TCP header begins.
    pub transport: usize,
    /// Where the payload begins.
    pub payload: usize,
    /// Where it ends: an Ethernet frame may be padded behind it.
    pub end: usize,
    /// The packet is IPv6.
    pub v6: bool,
}

impl Layout {
    /// The places in this packet; none if it is no such packet. A packet that is still to be cut says its
    /// length as any other.
    #[must_use]
    pub fn of(packet: &[u8]) -> Option<Self> {
        let (network, v6) = network(packet)?;
        if v6 {
            if *packet.get(network + 6)? != TCP {
                return None;
            }
            return Self::behind(packet, network + IPV6_SIZE);
        }
        // Five words; neither more fragments nor an offset; TCP.
        let fragment = u16_at(packet, network + 6)? & 0x3fff;
        if *packet.get(network)? != 0x45 || fragment != 0 || *packet.get(network + 9)? != TCP {
            return None;
        }
        Self::behind(packet, network + IPV4_SIZE)
    }

    /// The places in a packet whose TCP header is said to begin at `transport`: IPv4's options or IPv6's
    /// extension headers may stand before it. None if that cannot be.
    #[must_use]
    pub fn behind(packet: &[u8], transport: usize) -> Option<Self> {
        let (network, v6) = network(packet)?;
        let (least, end) = if v6 {
            (IPV6_SIZE, IPV6_SIZE + usize::from(u16_at(packet, network + 4)?))
        } else {
            (IPV4_SIZE, usize::from(u16_at(packet, network + 2)?))
        };
        let end = network + end;
        let words = usize::from(packet.get(transport + 12)? >> 4);
        let payload = transport + words * 4;
        let fits = words >= 5 && network + least <= transport && payload <= end && end <= packet.len();
        fits.then_some(Self { network, transport, payload, end, v6 })
    }

    /// TCP's sequence number.
    #[must_use]
    pub fn sequence(&self, packet: &[u8]) -> u32 {
        u32_at(packet, self.transport + 4).unwrap_or_default()
    }

    /// TCP's flags.
    #[must_use]
    pub fn flags(&self, packet: &[u8]) -> u8 {
        packet.get(self.transport + FLAGS).copied().unwrap_or_default()
    }

    /// IPv4's identification; 0 in IPv6.
    #[must_use]
    pub fn identification(&self, packet: &[u8]) -> u16 {
        if self.v6 { 0 } else { u16_at(packet, self.network + 4).unwrap_or_default() }
    }

    /// Payload in bytes.
    #[must_use]
    pub fn payload_length(&self) -> usize {
        self.end - self.payload
    }

    /// The sum of the pseudo header (RFC 9293, 3.1; RFC 8200, 8.1) for so many bytes of TCP.
    #[must_use]
    pub fn pseudo_header(&self, packet: &[u8], length: usize) -> Sum {
        let addresses =
            if self.v6 { self.network + 8..self.network + 40 } else { self.network + 12..self.network + 20 };
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        Sum::default().plus(packet.get(addresses).unwrap_or_default()).plus_u16(length).plus_u16(TCP.into())
    }

    /// Are IPv4's header checksum and TCP's checksum right?
    #[must_use]
    pub fn is_intact(&self, packet: &[u8]) -> bool {
        let part = |from, to| packet.get(from..to).unwrap_or_default();
        let header = self.v6 || Sum::default().plus(part(self.network, self.transport)).is_right();
        let length = self.end - self.transport;
        header && self.pseudo_header(packet, length).plus(part(self.transport, self.end)).is_right()
    }

    /// Write the IP length for a payload of so many bytes, and IPv4's header checksum.
    pub fn set_length(&self, packet: &mut [u8], payload: usize) {
        let behind = self.payload - self.transport + payload;
        let pair = |number: usize| u16::try_from(number).unwrap_or(u16::MAX).to_be_bytes();
        let length = self.transport - self.network + behind;
        if self.v6 {
            put(packet, self.network + 4, &pair(length - IPV6_SIZE));
            return;
        }
        put(packet, self.network + 2, &pair(length));
        put(packet, self.network + 10, &[0; 2]);
        let sum = Sum::default().plus(packet.get(self.network..self.transport).unwrap_or_default());
        put(packet, self.network + 10, &sum.finish());
    }
}

/// Where the IP header begins, and whether it is IPv6's; none if it is neither's.
fn network(packet: &[u8]) -> Option<(usize, bool)> {
    let (network, kind) = match u16_at(packet, 12)? {
        tag if VLAN.contains(&tag) => (18, u16_at(packet, 16)?),
        kind => (14, kind),
    };
    match (kind, packet.get(network)? >> 4) {
        (IPV4, 4) => Some((network, false)),
        (IPV6, 6) => Some((network, true)),
        _ => None,
    }
}
