//! Frames that a guest forges, as hexadecimal for `src/bin/raw-frame.rs`, and the guest that sends them.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use crate::house::House;
use crate::station::Station;

/// Everybody's MAC.
pub const BROADCAST: &str = "ff:ff:ff:ff:ff:ff";
/// The MAC of all IPv6 nodes.
pub const ALL_NODES: &str = "33:33:00:00:00:01";

/// The program's place in a house.
const PLACE: &str = "/tmp/house/raw-frame";

impl House {
    /// Copies the program that sends them in.
    #[track_caller]
    pub fn install_raw_frame(&self) {
        let test = std::env::current_exe().expect("the test's own path");
        let folder = test.parent().and_then(|deps| deps.parent()).map(PathBuf::from).expect("cargo's folder");
        self.copy_in(&folder.join("raw-frame"), PLACE, 0o755);
    }
}

impl Station<'_> {
    /// Sends frames as they are.
    #[track_caller]
    pub fn send(&self, frames: &[String]) {
        let mut argv = vec![PLACE, "eth0"];
        argv.extend(frames.iter().map(String::as_str));
        self.run(&argv).success();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A frame to, and seemingly from, these MACs, of an Ethernet type.
pub fn ethernet(to: &str, from: &str, kind: &str, payload: &str) -> String {
    format!("{}{}{kind}{payload}", to.replace(':', ""), from.replace(':', ""))
}

/// An ARP reply in a frame from `from`: `owner` has `address`.
pub fn arp_reply(to: &str, from: &str, owner: &str, address: Ipv4Addr) -> String {
    let (owner, target) = (owner.replace(':', ""), to.replace(':', ""));
    let address = hex(&address.octets());
    ethernet(to, from, "0806", &format!("0001080006040002{owner}{address}{target}{address}"))
}

/// An IPv4 UDP packet; each end is a MAC, an address and a port.
pub fn udp(to: (&str, Ipv4Addr, u16), from: (&str, Ipv4Addr, u16), body: &[u8]) -> String {
    let length = u16::try_from(8 + body.len()).expect("a short packet");
    let mut header = vec![0x45, 0];
    header.extend((20 + length).to_be_bytes());
    header.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    header.extend(from.1.octets());
    header.extend(to.1.octets());
    let sum = checksum(&header);
    header.splice(10..12, sum.to_be_bytes());
    let udp = [from.2.to_be_bytes(), to.2.to_be_bytes(), length.to_be_bytes(), [0, 0]].concat();
    ethernet(to.0, from.0, "0800", &hex(&[&header, &udp[..], body].concat()))
}

/// What a DHCP client says when it gives its address back (RFC 2131, 4.4.6).
pub fn dhcp_release(client: &str, address: Ipv4Addr, server: Ipv4Addr) -> Vec<u8> {
    let mut body = vec![1, 1, 6, 0, 1, 2, 3, 4, 0, 0, 0, 0];
    body.extend(address.octets());
    body.extend([0; 12]);
    body.extend(client.split(':').map(|byte| u8::from_str_radix(byte, 16).expect("a MAC")));
    body.resize(236, 0);
    body.extend([99, 130, 83, 99, 53, 1, 7, 54, 4]);
    body.extend(server.octets());
    body.push(255);
    body
}

/// An ICMPv6 packet, and in front of it `extra`, an extension header (empty: none) whose number is 60.
pub fn icmp6(to: &str, from: &str, ends: (Ipv6Addr, Ipv6Addr), extra: &[u8], body: &[u8]) -> String {
    let mut body = body.to_vec();
    let length = u32::try_from(body.len()).expect("a short packet");
    let pseudo = [&ends.0.octets()[..], &ends.1.octets(), &length.to_be_bytes(), &[0, 0, 0, 58]].concat();
    let sum = checksum(&[&pseudo[..], &body].concat());
    body.splice(2..4, sum.to_be_bytes());
    let whole = u16::try_from(extra.len() + body.len()).expect("a short packet");
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(whole.to_be_bytes());
    packet.extend([if extra.is_empty() { 58 } else { 60 }, 255]);
    packet.extend(ends.0.octets());
    packet.extend(ends.1.octets());
    packet.extend(extra);
    packet.extend(body);
    ethernet(to, from, "86dd", &hex(&packet))
}

/// A router advertisement (RFC 4861, 4.2): half an hour.
pub const ROUTER: [u8; 16] = [134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0];

/// A neighbour advertisement (RFC 4861, 4.4) that overrides: `owner` has `target`.
pub fn neighbour(target: Ipv6Addr, owner: &str) -> Vec<u8> {
    let mut body = vec![136, 0, 0, 0, 0x20, 0, 0, 0];
    body.extend(target.octets());
    body.extend([2, 1]);
    body.extend(owner.split(':').map(|byte| u8::from_str_radix(byte, 16).expect("a MAC")));
    body
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    let mut sum: u32 = bytes.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded")
}
