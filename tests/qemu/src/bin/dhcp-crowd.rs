//! Many DHCP clients at one moment behind one interface, as after a host's reboot: `dhcp-crowd BROADCAST
//! MAC…` has one client for each MAC, all of which ask before the first is answered. The interface must
//! have an address outside the server's range. Prints one JSON object: `leases`, an address by MAC, and
//! `naks`, how many requests were refused.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(20);
/// Whoever is not answered asks again after this.
const AGAIN: Duration = Duration::from_secs(2);
const COOKIE: [u8; 4] = [0x63, 0x82, 0x53, 0x63];

/// What a message is (RFC 2132, 9.6).
const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
const REQUEST: u8 = 3;
const ACK: u8 = 5;
const NAK: u8 = 6;

fn main() {
    let mut words = std::env::args().skip(1);
    let broadcast: Ipv4Addr = words.next().and_then(|word| word.parse().ok()).expect("a broadcast address");
    let macs: Vec<[u8; 6]> =
        words.map(|word| mac(&word).unwrap_or_else(|| panic!("no MAC: {word}"))).collect();
    let socket = UdpSocket::bind("0.0.0.0:68").expect("the clients' port");
    socket.set_broadcast(true).expect("to broadcast");
    socket.set_read_timeout(Some(AGAIN)).expect("a time limit");
    let send = |mac: [u8; 6], kind, more: &[u8]| {
        socket.send_to(&message(mac, kind, more), (broadcast, 67)).expect("to send");
    };
    let mut leases: BTreeMap<[u8; 6], Ipv4Addr> = BTreeMap::new();
    let (mut naks, end) = (0, Instant::now() + PATIENCE);
    macs.iter().for_each(|mac| send(*mac, DISCOVER, &[]));
    while leases.len() < macs.len() && Instant::now() < end {
        let mut bytes = [0; 1500];
        let Ok((length, _)) = socket.recv_from(&mut bytes) else {
            macs.iter().filter(|mac| !leases.contains_key(*mac)).for_each(|mac| send(*mac, DISCOVER, &[]));
            continue;
        };
        let Some((mac, kind, address, server)) = answer(&bytes[..length]) else { continue };
        match kind {
            OFFER => send(mac, REQUEST, &[&[50, 4], &address.octets()[..], &[54, 4], &server].concat()),
            ACK => _ = leases.insert(mac, address),
            NAK => {
                naks += 1;
                send(mac, DISCOVER, &[]);
            }
            _ => {}
        }
    }
    let text = |mac: &[u8; 6]| mac.map(|byte| format!("{byte:02x}")).join(":");
    let leases: BTreeMap<String, String> =
        leases.iter().map(|(mac, address)| (text(mac), address.to_string())).collect();
    println!("{}", json!({"leases": leases, "naks": naks}));
}

fn mac(text: &str) -> Option<[u8; 6]> {
    let bytes: Option<Vec<u8>> = text.split(':').map(|part| u8::from_str_radix(part, 16).ok()).collect();
    bytes?.try_into().ok()
}

/// A message that is to be answered by broadcast (RFC 2131, 2).
fn message(mac: [u8; 6], kind: u8, options: &[u8]) -> Vec<u8> {
    let mut message = vec![1, 1, 6, 0];
    message.extend(&mac[2..]);
    message.extend([0, 0, 0x80, 0]);
    message.resize(28, 0);
    message.extend(mac);
    message.resize(236, 0);
    message.extend(COOKIE);
    message.extend([53, 1, kind]);
    message.extend(options);
    message.push(255);
    message.resize(300, 0);
    message
}

/// Whom a server answers, with what, which address, and which server.
fn answer(message: &[u8]) -> Option<([u8; 6], u8, Ipv4Addr, [u8; 4])> {
    let mac = message.get(28..34)?.try_into().ok()?;
    let address: [u8; 4] = message.get(16..20)?.try_into().ok()?;
    let kind = *option(message, 53)?.first()?;
    let server = option(message, 54)?.try_into().ok()?;
    Some((mac, kind, address.into(), server))
}

fn option(message: &[u8], wanted: u8) -> Option<&[u8]> {
    let mut rest = message.get(240..)?;
    loop {
        let (&code, tail) = rest.split_first()?;
        if code == 0 {
            rest = tail;
            continue;
        }
        let (&length, tail) = tail.split_first()?;
        let (value, after) = tail.split_at_checked(length.into())?;
        if code == wanted {
            return Some(value);
        }
        rest = after;
    }
}
