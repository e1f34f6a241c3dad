//! DHCP messages as frames (RFC 951, RFC 2131, RFC 2132, RFC 4039): what a client sends while it
//! has no address, and what it makes of the answers.

/// DHCPDISCOVER
pub const DISCOVER: u8 = 1;
/// DHCPOFFER
pub const OFFER: u8 = 2;
/// DHCPREQUEST
pub const REQUEST: u8 = 3;
/// DHCPACK
pub const ACK: u8 = 5;
/// DHCPNAK
pub const NAK: u8 = 6;
/// DHCPRELEASE
pub const RELEASE: u8 = 7;

const ETHERNET: usize = 14;
const IP: usize = 20;
const UDP: usize = 8;
/// BOOTP's fields, then the magic number of its options.
const BOOTP: usize = 236;
const MAGIC: [u8; 4] = [99, 130, 83, 99];
const OPTIONS: usize = ETHERNET + IP + UDP + BOOTP + MAGIC.len();
const CLIENT_PORT: u16 = 68;
const SERVER_PORT: u16 = 67;

/// An address of either kind.
pub type Mac = [u8; 6];
/// An IPv4 address.
pub type Address = [u8; 4];

/// What a client wants to say.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// DISCOVER, REQUEST or RELEASE.
    pub kind: u8,
    /// Who asks.
    pub mac: Mac,
    /// Which of its talks this belongs to.
    pub transaction: u32,
    /// May the server answer a DISCOVER with an ACK at once?
    pub rapid: bool,
    /// The address in question and the server that offered it.
    pub offer: Option<(Address, Address)>,
}

/// What a server said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// OFFER, ACK or NAK.
    pub kind: u8,
    /// Which talk it belongs to.
    pub transaction: u32,
    /// The address given.
    pub address: Address,
    /// The server.
    pub server: Address,
}

impl Question {
    /// The whole frame. A RELEASE, too, goes to everybody: the server takes it all the same.
    #[must_use]
    pub fn frame(&self) -> Vec<u8> {
        let mut body = vec![1, 1, 6, 0];
        body.extend(self.transaction.to_be_bytes());
        body.extend([0; 4]);
        let own = self.offer.filter(|_| self.kind == RELEASE).map_or([0; 4], |(address, _)| address);
        body.extend(own);
        body.extend([0; 12]);
        body.extend(self.mac);
        body.resize(BOOTP, 0);
        body.extend(MAGIC);
        body.extend([53, 1, self.kind]);
        if self.rapid && self.kind == DISCOVER {
            body.extend([80, 0]);
        }
        if let Some((address, server)) = self.offer {
            if self.kind == REQUEST {
                body.extend([50, 4]);
                body.extend(address);
            }
            body.extend([54, 4]);
            body.extend(server);
        }
        body.push(255);
        // BOOTP's smallest message.
        body.resize(body.len().max(300), 0);
        self.wrap(own, &body)
    }

    fn wrap(&self, source: Address, body: &[u8]) -> Vec<u8> {
        let udp_length = u16::try_from(UDP + body.len()).unwrap_or(u16::MAX);
        let ip_length = udp_length.saturating_add(20);
        let mut frame = vec![0xff; 6];
        frame.extend(self.mac);
        frame.extend([0x08, 0x00]);
        let mut ip = vec![0x45, 0x10];
        ip.extend(ip_length.to_be_bytes());
        ip.extend([0, 0, 0, 0, 64, 17, 0, 0]);
        ip.extend(source);
        ip.extend([255; 4]);
        let sum = checksum(&ip).to_be_bytes();
        ip[10..12].copy_from_slice(&sum);
        frame.extend(ip);
        frame.extend(CLIENT_PORT.to_be_bytes());
        frame.extend(SERVER_PORT.to_be_bytes());
        frame.extend(udp_length.to_be_bytes());
        // UDP over IPv4 may go without a checksum.
        frame.extend([0, 0]);
        frame.extend(body);
        frame
    }
}

/// RFC 1071
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

/// The server's message in a frame, if it is one for `mac`.
#[must_use]
pub fn read(frame: &[u8], mac: Mac) -> Option<Answer> {
    let port = u16::from_be_bytes(four(frame, ETHERNET + IP + 2)?[..2].try_into().ok()?);
    let bootp = frame.get(ETHERNET + IP + UDP..)?;
    if port != CLIENT_PORT || bootp.first() != Some(&2) || bootp.get(28..34)? != mac.as_slice() {
        return None;
    }
    let (mut kind, mut server) = (None, [0; 4]);
    let mut rest = frame.get(OPTIONS..)?;
    while let [code, length, tail @ ..] = rest {
        let value = tail.get(..usize::from(*length))?;
        match code {
            53 => kind = value.first().copied(),
            54 => server = four(value, 0)?,
            255 => break,
            _ => {}
        }
        rest = tail.get(value.len()..)?;
    }
    let transaction = u32::from_be_bytes(four(bootp, 4)?);
    Some(Answer { kind: kind?, transaction, address: four(bootp, 16)?, server })
}

fn four(bytes: &[u8], at: usize) -> Option<[u8; 4]> {
    bytes.get(at..at + 4)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASK: Question = Question {
        kind: REQUEST,
        mac: [2, 0, 0, 0, 0, 1],
        transaction: 7,
        rapid: false,
        offer: Some(([10, 0, 1, 5], [10, 0, 1, 1])),
    };

    #[test]
    fn the_ip_header_sums_to_nothing() {
        let frame = ASK.frame();
        assert_eq!(checksum(&frame[ETHERNET..ETHERNET + IP]), 0);
        assert_eq!(frame.len(), ETHERNET + IP + UDP + 300);
    }

    #[test]
    fn only_an_answer_to_oneself_is_read() {
        let mut frame = ASK.frame();
        assert_eq!(read(&frame, ASK.mac), None);
        frame[ETHERNET + IP + 2..ETHERNET + IP + 4].copy_from_slice(&CLIENT_PORT.to_be_bytes());
        frame[ETHERNET + IP + UDP] = 2;
        let answer = Answer { kind: REQUEST, transaction: 7, address: [0; 4], server: [10, 0, 1, 1] };
        assert_eq!(read(&frame, ASK.mac), Some(answer));
        assert_eq!(read(&frame, [2, 0, 0, 0, 0, 2]), None);
    }
}
