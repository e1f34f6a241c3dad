//! Ethernet frames between a TAP with offloads, which carries TCP in packets of up to 64 KiB, and a
//! switch that carries 1,518 bytes and no word about checksums.
//!
//! | file | knows |
//! |---|---|
//! | [`checksum`] | the Internet checksum (RFC 1071) |
//! | [`tcp`] | where the parts of a TCP packet are |
//! | [`segment`] | one large packet becomes frames |
//! | [`coalesce`] | frames of one stream become one large packet |

pub mod checksum;
pub mod coalesce;
pub mod segment;
pub mod tcp;
#[cfg(test)]
mod tests;

/// Longest frame that a vde_switch carries whole; what is longer it cuts without a word.
pub const FRAME_MAX: usize = 1518;
/// Shortest that it carries: an Ethernet header.
pub const FRAME_MIN: usize = 14;
/// Fewest bytes of payload in each segment but the last: the kernel makes none with less (TCP_MIN_GSO_SIZE
/// in include/net/tcp.h), and a packet must not become too many.
pub const SEGMENT_MIN: usize = 8;
/// Longest packet of a TAP: an Ethernet header, perhaps a VLAN tag, and an IP packet of 64 KiB.
pub const PACKET_MAX: usize = 65_535 + 18;
/// Length of [`Offload`] in front of each packet of a TAP with IFF_VNET_HDR (`struct virtio_net_hdr`
/// in include/uapi/linux/virtio_net.h).
pub const OFFLOAD_SIZE: usize = 10;

/// VIRTIO_NET_HDR_F_NEEDS_CSUM
const NEEDS_CHECKSUM: u8 = 1;
/// VIRTIO_NET_HDR_GSO_TCPV4 and VIRTIO_NET_HDR_GSO_TCPV6
const TCP4: u8 = 1;
const TCP6: u8 = 4;
/// VIRTIO_NET_HDR_GSO_ECN: the first segment says that congestion was met.
const ECN: u8 = 0x80;

/// What is left to do about a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    /// The checksum from here to the end is to be put `checksum_offset` bytes further.
    pub checksum: Option<Checksum>,
    /// How the packet is to be cut into frames; none: it is one already.
    pub cut: Option<Cut>,
}

/// A checksum that is only begun: its field holds the sum of the pseudo header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// Where what is summed begins, from the packet's start.
    pub start: usize,
    /// Where the checksum goes, counted in bytes from the start of what is summed.
    pub offset: usize,
}

/// A TCP packet that holds several segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The packet is IPv6.
    pub v6: bool,
    /// Payload of each segment but the last, in bytes.
    pub size: usize,
    /// Length of all headers, in bytes.
    pub headers: usize,
}

impl Offload {
    /// The bytes in front of a packet; none if they ask for what nobody offered.
    #[must_use]
    pub fn parse(bytes: [u8; OFFLOAD_SIZE]) -> Option<Self> {
        let [flags, kind, h0, h1, s0, s1, c0, c1, o0, o1] = bytes;
        let number = |low, high| usize::from(u16::from_ne_bytes([low, high]));
        let start = Checksum { start: number(c0, c1), offset: number(o0, o1) };
        let cut = |v6| Some(Cut { v6, size: number(s0, s1), headers: number(h0, h1) });
        Some(Self {
            checksum: (flags & NEEDS_CHECKSUM != 0).then_some(start),
            cut: match kind & !ECN {
                0 => None,
                TCP4 => cut(false),
                TCP6 => cut(true),
                _ => return None,
            },
        })
    }

    /// As the bytes in front of a packet.
    #[must_use]
    pub fn render(self) -> [u8; OFFLOAD_SIZE] {
        let pair = |number: usize| u16::try_from(number).unwrap_or(u16::MAX).to_ne_bytes();
        let (flags, [c0, c1], [o0, o1]) = match self.checksum {
            Some(checksum) => (NEEDS_CHECKSUM, pair(checksum.start), pair(checksum.offset)),
            None => (0, [0; 2], [0; 2]),
        };
        let (kind, [h0, h1], [s0, s1]) = match self.cut {
            Some(cut) => (if cut.v6 { TCP6 } else { TCP4 }, pair(cut.headers), pair(cut.size)),
            None => (0, [0; 2], [0; 2]),
        };
        [flags, kind, h0, h1, s0, s1, c0, c1, o0, o1]
    }
}

/// Two bytes, high one first.
fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// Four bytes, high one first.
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Write bytes, if there is room.
fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}
