//! A DHCP client that takes nothing on trust: it reads whole frames, as clients without an address must,
//! and goes on only after a reply whose checksums are right. What it saw it prints as one JSON object:
//! of each reply `right`, `none` (a UDP checksum of zero, RFC 768), `wrong`, or null if none came.
//!
//! `raw-dhcp INTERFACE` works on a packet socket; `raw-dhcp INTERFACE BRIDGE` makes a TAP of that name
//! without any offload, plugs it into the bridge, and asks the DNS server too.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(5);
const MAC: [u8; 6] = [0x02, 0, 0, 0x5e, 0x10, 0x67];
const TRANSACTION: [u8; 4] = *b"rawd";
const ETHERNET: usize = 14;
const IP: usize = 20;
const UDP: usize = 8;

const DHCP_SERVER: u16 = 67;
const DHCP_CLIENT: u16 = 68;
const DNS: u16 = 53;
/// Ours for the DNS question.
const ASKING: u16 = 5353;

/// One UDP datagram that came in a frame.
struct Reply {
    checksum: &'static str,
    server_mac: [u8; 6],
    body: Vec<u8>,
}

/// Where frames come from and go to.
struct Wire(File);

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (mut wire, is_tap) = match words.as_slice() {
        [interface] => (Wire::packets(interface), false),
        [interface, bridge] => (Wire::tap(interface, bridge), true),
        _ => panic!("usage: raw-dhcp INTERFACE [BRIDGE]"),
    };
    let offer = wire.ask_dhcp(1, &[]);
    let ack = offer.as_ref().filter(|offer| offer.checksum != "wrong").and_then(|offer| {
        let (address, server) = (&offer.body[16..20], option(&offer.body, 54).expect("a server"));
        wire.ask_dhcp(3, &[&[50, 4], address, &[54, 4], server].concat())
    });
    let dns = ack.as_ref().filter(|ack| is_tap && ack.checksum != "wrong").and_then(|ack| wire.ask_dns(ack));
    let checksum = |reply: &Option<Reply>| reply.as_ref().map(|reply| reply.checksum);
    println!("{}", json!({"offer": checksum(&offer), "ack": checksum(&ack), "dns": checksum(&dns)}));
}

impl Wire {
    fn packets(interface: &str) -> Self {
        let every = u16::try_from(libc::ETH_P_ALL).expect("a protocol").to_be();
        // SAFETY: no pointers; the answer is a new descriptor or -1.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, every.into()) };
        assert!(fd >= 0, "a packet socket: {}", std::io::Error::last_os_error());
        // SAFETY: just made, and ours alone.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: all-zero is a valid address.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = u16::try_from(libc::AF_PACKET).expect("a family");
        address.sll_protocol = every;
        let index = nix::net::if_::if_nametoindex(interface).expect("that interface");
        address.sll_ifindex = index.cast_signed();
        let length = libc::socklen_t::try_from(size_of_val(&address)).expect("a length");
        // SAFETY: the address lives through the call, and the length is its size.
        let bound = unsafe { libc::bind(fd, (&raw const address).cast(), length) };
        assert_eq!(bound, 0, "bind: {}", std::io::Error::last_os_error());
        Self(File::from(socket))
    }

    fn tap(name: &str, bridge: &str) -> Self {
        let tun = File::options().read(true).write(true).open("/dev/net/tun").expect("/dev/net/tun");
        // SAFETY: all-zero is a valid ifreq.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *to = from.cast_signed();
        }
        let flags = libc::IFF_TAP | libc::IFF_NO_PI;
        request.ifr_ifru.ifru_flags = i16::try_from(flags).expect("flags");
        // SAFETY: the request lives through the call and has the kernel's size.
        let made = unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETIFF as libc::Ioctl, &raw mut request) };
        assert_eq!(made, 0, "TUNSETIFF: {}", std::io::Error::last_os_error());
        let plug = ["link", "set", name, "master", bridge, "up"];
        assert!(Command::new("ip").args(plug).status().expect("ip").success());
        Self(tun)
    }

    /// Sends a DHCP message again and again until it is answered.
    fn ask_dhcp(&mut self, kind: u8, options: &[u8]) -> Option<Reply> {
        let mut message = vec![1, 1, 6, 0];
        message.extend(TRANSACTION);
        message.resize(28, 0);
        message.extend(MAC);
        message.resize(236, 0);
        message.extend([0x63, 0x82, 0x53, 0x63, 53, 1, kind]);
        message.extend(options);
        message.push(255);
        message.resize(300, 0);
        let question = frame([0xff; 6], ([0; 4], DHCP_CLIENT), ([0xff; 4], DHCP_SERVER), &message);
        let is_answer = |body: &[u8]| body.len() > 240 && body[4..8] == TRANSACTION;
        self.ask(&question, DHCP_SERVER, DHCP_CLIENT, is_answer)
    }

    /// Asks for dnsmasq's version, which it knows by itself.
    fn ask_dns(&mut self, ack: &Reply) -> Option<Reply> {
        let address = |bytes: &[u8]| <[u8; 4]>::try_from(bytes).expect("an address");
        let (own, server) =
            (address(&ack.body[16..20]), address(option(&ack.body, 6).expect("a DNS server")));
        let header = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let question = [&header[..], b"\x07version\x04bind\0", &[0, 16, 0, 3]].concat();
        let question = frame(ack.server_mac, (own, ASKING), (server, DNS), &question);
        self.ask(&question, DNS, ASKING, |body| body.starts_with(&[0x12, 0x34]))
    }

    fn ask(&mut self, question: &[u8], from: u16, to: u16, fits: impl Fn(&[u8]) -> bool) -> Option<Reply> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            // A port that has just been plugged in may not forward yet.
            let _ = self.0.write(question);
            let again = Instant::now() + Duration::from_millis(500);
            while let Some(bytes) = self.next(again) {
                if let Some(reply) = reply(&bytes, from, to).filter(|reply| fits(&reply.body)) {
                    return Some(reply);
                }
            }
        }
        None
    }

    fn next(&mut self, end: Instant) -> Option<Vec<u8>> {
        let left = end.saturating_duration_since(Instant::now());
        let mut wanted = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        poll(&mut wanted, PollTimeout::try_from(left).ok()?).ok().filter(|n| *n > 0)?;
        let mut bytes = vec![0; 2048];
        let length = self.0.read(&mut bytes).ok()?;
        bytes.truncate(length);
        Some(bytes)
    }
}

/// An option of a DHCP message (RFC 2132).
fn option(message: &[u8], wanted: u8) -> Option<&[u8]> {
    let mut rest = &message[240..];
    loop {
        match *rest {
            [0, ..] => rest = &rest[1..],
            [code, length, ref tail @ ..] if code != 255 => {
                let (value, after) = tail.split_at_checked(length.into())?;
                if code == wanted {
                    return Some(value);
                }
                rest = after;
            }
            _ => return None,
        }
    }
}

/// A frame with right checksums.
fn frame(to_mac: [u8; 6], from: ([u8; 4], u16), to: ([u8; 4], u16), body: &[u8]) -> Vec<u8> {
    let length = |more: usize| u16::try_from(body.len() + more).expect("a short body").to_be_bytes();
    let mut udp = [from.1.to_be_bytes(), to.1.to_be_bytes(), length(UDP), [0, 0]].concat();
    udp.extend(body);
    let mut ip = vec![0x45, 0];
    ip.extend(length(IP + UDP));
    ip.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    ip.extend([from.0, to.0].concat());
    let sum = (!sum(&ip)).to_be_bytes();
    ip[10..12].copy_from_slice(&sum);
    let sum = (!self::sum(&[pseudo_header(&ip, &udp), udp.clone()].concat())).to_be_bytes();
    udp[6..8].copy_from_slice(&sum);
    [&to_mac[..], &MAC, &[8, 0], &ip, &udp].concat()
}

/// The UDP datagram over IPv4 in a frame, if it is one between these ports.
fn reply(bytes: &[u8], from: u16, to: u16) -> Option<Reply> {
    let packet = bytes.get(ETHERNET..)?;
    if bytes[12..14] != [8, 0] || packet.len() < IP + UDP || packet[0] != 0x45 || packet[9] != 17 {
        return None;
    }
    let word = |place: usize| u16::from_be_bytes([packet[place], packet[place + 1]]);
    if (word(IP), word(IP + 2)) != (from, to) {
        return None;
    }
    let (ip, udp) = (&packet[..IP], packet.get(IP..usize::from(word(2)))?);
    let checksum = if sum(ip) != 0xffff {
        "wrong"
    } else if word(IP + 6) == 0 {
        "none"
    } else if sum(&[pseudo_header(ip, udp), udp.to_vec()].concat()) == 0xffff {
        "right"
    } else {
        "wrong"
    };
    Some(Reply { checksum, server_mac: bytes[6..12].try_into().ok()?, body: udp[UDP..].to_vec() })
}

/// What the UDP checksum covers besides the datagram.
fn pseudo_header(ip: &[u8], udp: &[u8]) -> Vec<u8> {
    [&ip[12..20], &[0, 17], &udp[4..6]].concat()
}

/// The ones' complement sum of RFC 1071; all ones over something that holds its own checksum.
fn sum(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
    let mut sum: u32 = bytes.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap_or(u16::MAX)
}
