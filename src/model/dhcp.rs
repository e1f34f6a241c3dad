//! A DHCP client's part of the talk (RFC 2131, RFC 2132, RFC 4039): what it says next, and what it makes
//! of the answers. In whole frames, because without an address the kernel sends none for us.

use crate::frame::checksum::Sum;
use std::net::Ipv4Addr;
use vmnet_access::mac::MacAddr;

const ETHERNET: usize = 14;
const IP: usize = 20;
const UDP: usize = 8;
/// BOOTP's fields, before the magic number of the options.
const BOOTP: usize = 236;
/// BOOTP's smallest message (RFC 1542, 2.1).
const SMALLEST: usize = 300;
const MAGIC: [u8; 4] = [99, 130, 83, 99];
const IPV4: [u8; 2] = [0x08, 0x00];
const PROTOCOL_UDP: u8 = 17;
const SERVER_PORT: u16 = 67;
const CLIENT_PORT: u16 = 68;

const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
const REQUEST: u8 = 3;
const ACK: u8 = 5;
const NAK: u8 = 6;
const RELEASE: u8 = 7;

// Options (RFC 2132).
const MASK: u8 = 1;
const ROUTER: u8 = 3;
const RESOLVERS: u8 = 6;
const HOST_NAME: u8 = 12;
const DOMAIN: u8 = 15;
const WANTED_ADDRESS: u8 = 50;
const LEASE_TIME: u8 = 51;
const KIND: u8 = 53;
const SERVER: u8 = 54;
const WANTED_OPTIONS: u8 = 55;
const RENEWAL_TIME: u8 = 58;
const RAPID_COMMIT: u8 = 80;
const PAD: u8 = 0;
const END: u8 = 255;

/// A lease that never ends.
const FOR_EVER: u32 = u32::MAX;

/// What a server granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The address.
    pub address: Ipv4Addr,
    /// How many bits its network has.
    pub length: u8,
    /// Who granted it.
    pub server: Ipv4Addr,
    /// The way out.
    pub gateway: Option<Ipv4Addr>,
    /// Whom to ask for names.
    pub resolvers: Vec<Ipv4Addr>,
    /// In which domain a short name is looked for; only letters, digits, hyphens and dots.
    pub domain: Option<String>,
    /// How long it lasts, in seconds; none: for ever.
    pub seconds: Option<u32>,
    /// When it should be renewed, in seconds from now (T1); none: never.
    pub renewal: Option<u32>,
}

/// Where the talk stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nobody has offered anything.
    Selecting,
    /// This was offered, and is asked for.
    Requesting { address: Ipv4Addr, server: Ipv4Addr },
    /// This is held, and asked for again.
    Renewing { address: Ipv4Addr },
}

/// One client with its talk.
#[derive(Clone, Debug)]
pub struct Client {
    mac: MacAddr,
    transaction: u32,
    name: Option<String>,
    state: State,
}

/// What a frame from the wire meant to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing: it was for others, or makes no sense.
    Nothing,
    /// Something else is to be said now.
    GoOn,
    /// What was held or offered is refused; the talk begins anew.
    Refused,
    /// There is a lease.
    Granted(Lease),
}

impl Client {
    /// A client without an address. `name` is what it calls itself, a host's name.
    #[must_use]
    pub fn new(mac: MacAddr, transaction: u32, name: Option<String>) -> Self {
        Self { mac, transaction, name, state: State::Selecting }
    }

    /// The same, which wants to keep the address that it has.
    #[must_use]
    pub fn holding(self, address: Ipv4Addr) -> Self {
        Self { state: State::Renewing { address }, ..self }
    }

    /// What it says now, and again until it is answered. To everybody: an answer then finds us without
    /// an address, and any server may extend a lease (RFC 2131, 4.4.5, REBINDING).
    #[must_use]
    pub fn frame(&self) -> Vec<u8> {
        let mut options = Vec::new();
        let mut add = |code: u8, value: &[u8]| {
            if let Ok(length) = u8::try_from(value.len()) {
                options.extend([code, length]);
                options.extend_from_slice(value);
            }
        };
        let mut own = Ipv4Addr::UNSPECIFIED;
        match self.state {
            State::Selecting => {
                add(KIND, &[DISCOVER]);
                add(RAPID_COMMIT, &[]);
            }
            State::Requesting { address, server } => {
                add(KIND, &[REQUEST]);
                add(WANTED_ADDRESS, &address.octets());
                add(SERVER, &server.octets());
            }
            State::Renewing { address } => {
                add(KIND, &[REQUEST]);
                own = address;
            }
        }
        if let Some(name) = &self.name {
            add(HOST_NAME, name.as_bytes());
        }
        add(WANTED_OPTIONS, &[MASK, ROUTER, RESOLVERS, DOMAIN, LEASE_TIME, RENEWAL_TIME]);
        frame(self.mac, self.transaction, own, &options)
    }

    /// Take in a frame.
    pub fn hear(&mut self, frame: &[u8]) -> Heard {
        let Some(answer) = Answer::read(frame, self.mac, self.transaction) else { return Heard::Nothing };
        match (answer.kind, self.state) {
            (OFFER, State::Selecting) => match answer.server {
                Some(server) if is_host(answer.address) => {
                    self.state = State::Requesting { address: answer.address, server };
                    Heard::GoOn
                }
                _ => Heard::Nothing,
            },
            // In answer to a DISCOVER it is the rapid commit.
            (ACK, _) => answer.lease().map_or(Heard::Nothing, Heard::Granted),
            (NAK, State::Requesting { .. } | State::Renewing { .. }) => {
                self.state = State::Selecting;
                // An answer to what was said before is not one to what comes now.
                self.transaction = self.transaction.wrapping_add(1);
                Heard::Refused
            }
            _ => Heard::Nothing,
        }
    }
}

/// The frame that gives an address back (DHCPRELEASE).
#[must_use]
pub fn release(mac: MacAddr, transaction: u32, address: Ipv4Addr, server: Ipv4Addr) -> Vec<u8> {
    let mut options = vec![KIND, 1, RELEASE, SERVER, 4];
    options.extend(server.octets());
    frame(mac, transaction, address, &options)
}

fn frame(mac: MacAddr, transaction: u32, own: Ipv4Addr, options: &[u8]) -> Vec<u8> {
    // A request of an Ethernet address of six bytes, over no relay.
    let mut body = vec![1, 1, 6, 0];
    body.extend(transaction.to_be_bytes());
    body.extend([0; 4]);
    body.extend(own.octets());
    body.extend([0; 12]);
    body.extend(mac.0);
    body.resize(BOOTP, 0);
    body.extend(MAGIC);
    body.extend(options);
    body.push(END);
    body.resize(body.len().max(SMALLEST), 0);

    let udp_length = u16::try_from(UDP + body.len()).unwrap_or(u16::MAX);
    let ip_length = u16::try_from(IP + UDP + body.len()).unwrap_or(u16::MAX);
    // No options, no fragments, a lifetime of 64.
    let mut ip = vec![0x45, 0];
    ip.extend(ip_length.to_be_bytes());
    ip.extend([0, 0, 0, 0, 64, PROTOCOL_UDP, 0, 0]);
    ip.extend(own.octets());
    ip.extend(Ipv4Addr::BROADCAST.octets());
    let sum = Sum::default().plus(&ip).finish();
    if let Some(place) = ip.get_mut(10..12) {
        place.copy_from_slice(&sum);
    }

    let mut frame = vec![0xff; 6];
    frame.extend(mac.0);
    frame.extend(IPV4);
    frame.extend(ip);
    frame.extend(CLIENT_PORT.to_be_bytes());
    frame.extend(SERVER_PORT.to_be_bytes());
    frame.extend(udp_length.to_be_bytes());
    // 0: without a checksum (RFC 768).
    frame.extend([0, 0]);
    frame.extend(body);
    frame
}

/// A server's message.
struct Answer<'a> {
    kind: u8,
    address: Ipv4Addr,
    server: Option<Ipv4Addr>,
    options: &'a [u8],
}

impl<'a> Answer<'a> {
    /// The one in a frame, if it is for this client and talk. Its UDP checksum is not looked at: from a
    /// server on the same host it is not filled in.
    fn read(frame: &'a [u8], mac: MacAddr, transaction: u32) -> Option<Self> {
        let (ethernet, packet) = frame.split_at_checked(ETHERNET)?;
        let header_length = usize::from(packet.first()? & 0x0f) * 4;
        let whole = packet.get(..usize::from(two(packet, 2)?))?;
        let (ip, datagram) = whole.split_at_checked(header_length)?;
        let fragment = two(ip, 6)? & 0x3fff;
        if ethernet.get(12..)? != IPV4
            || ip.first()? >> 4 != 4
            || *ip.get(9)? != PROTOCOL_UDP
            || fragment != 0
        {
            return None;
        }
        if two(datagram, 0)? != SERVER_PORT || two(datagram, 2)? != CLIENT_PORT {
            return None;
        }
        let message = datagram.get(UDP..usize::from(two(datagram, 4)?))?;
        let ours = *message.first()? == 2
            && message.get(4..8)? == transaction.to_be_bytes()
            && message.get(28..34)? == mac.0
            && message.get(BOOTP..BOOTP + MAGIC.len())? == MAGIC;
        let options = message.get(BOOTP + MAGIC.len()..)?;
        let kind = *option(options, KIND)?.first()?;
        let server = option(options, SERVER).and_then(address);
        ours.then_some(Self { kind, address: address(message.get(16..20)?)?, server, options })
    }

    fn lease(&self) -> Option<Lease> {
        let of = |code| option(self.options, code);
        let seconds = |code| Some(u32::from_be_bytes(of(code)?.try_into().ok()?));
        let lasts = seconds(LEASE_TIME)?;
        let mask = u32::from(of(MASK).and_then(address)?);
        let resolvers = of(RESOLVERS).unwrap_or_default();
        let renewal = seconds(RENEWAL_TIME).filter(|time| (1..lasts).contains(time)).unwrap_or(lasts / 2);
        let lease = Lease {
            address: self.address,
            length: u8::try_from(mask.leading_ones()).ok()?,
            server: self.server?,
            gateway: of(ROUTER).and_then(|list| address(list.get(..4)?)).filter(|router| is_host(*router)),
            resolvers: resolvers.chunks(4).filter_map(address).filter(|server| is_host(*server)).collect(),
            domain: of(DOMAIN).and_then(domain),
            seconds: (lasts != FOR_EVER).then_some(lasts),
            renewal: (lasts != FOR_EVER).then_some(renewal),
        };
        let fits =
            is_host(lease.address) && mask.count_ones() == mask.leading_ones() && mask != 0 && lasts > 0;
        fits.then_some(lease)
    }
}

/// The value of an option.
fn option(options: &[u8], wanted: u8) -> Option<&[u8]> {
    let mut rest = options;
    loop {
        match rest {
            [PAD, tail @ ..] => rest = tail,
            [END, ..] => return None,
            [code, length, tail @ ..] => {
                let value = tail.get(..usize::from(*length))?;
                if *code == wanted {
                    return Some(value);
                }
                rest = tail.get(value.len()..)?;
            }
            _ => return None,
        }
    }
}

/// A domain that may be written into a file. Some servers end it with a NUL.
fn domain(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?.trim_end_matches('\0').trim_end_matches('.');
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    ((1..=253).contains(&text.len()) && text.bytes().all(legal)).then(|| text.to_owned())
}

/// An address that one host can have.
fn is_host(address: Ipv4Addr) -> bool {
    !(address.is_unspecified() || address.is_broadcast() || address.is_multicast() || address.is_loopback())
}

fn address(bytes: &[u8]) -> Option<Ipv4Addr> {
    <[u8; 4]>::try_from(bytes).ok().map(Ipv4Addr::from)
}

fn two(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests;
