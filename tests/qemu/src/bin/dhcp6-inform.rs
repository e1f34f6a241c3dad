//! A guest that has made its own IPv6 address and asks for the rest (RFC 8415, 18.2.6): `dhcp6-inform
//! INTERFACE` prints one JSON object with the DNS servers (`dns`) and the search list (`search`).

use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
use std::time::Duration;

use serde_json::json;

const TRIES: usize = 10;
const INFORMATION_REQUEST: u8 = 11;
const REPLY: u8 = 7;
const DNS_SERVERS: u16 = 23;
const DOMAIN_LIST: u16 = 24;
/// All_DHCP_Relay_Agents_and_Servers.
const SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);

fn main() {
    let interface = std::env::args().nth(1).expect("usage: dhcp6-inform INTERFACE");
    let index = nix::net::if_::if_nametoindex(interface.as_str()).expect("that interface");
    let socket = UdpSocket::bind("[::]:546").expect("the clients' port");
    socket.set_read_timeout(Some(Duration::from_secs(1))).expect("a time limit");
    let mut question = vec![INFORMATION_REQUEST, 1, 2, 3];
    // Client identifier: a DUID of a link-layer address; then what is asked for, and since when.
    question.extend([0, 1, 0, 10, 0, 3, 0, 1, 2, 0, 0, 0x5e, 0x10, 0x68]);
    question.extend([0, 6, 0, 4, 0, 23, 0, 24]);
    question.extend([0, 8, 0, 2, 0, 0]);
    for _ in 0..TRIES {
        // A link that has just come up cannot send yet.
        let _ = socket.send_to(&question, SocketAddrV6::new(SERVERS, 547, 0, index));
        let mut bytes = [0; 1500];
        let Ok((length, _)) = socket.recv_from(&mut bytes) else { continue };
        let answer = &bytes[..length];
        if answer.starts_with(&[REPLY, 1, 2, 3]) {
            println!("{}", json!({"dns": servers(&answer[4..]), "search": names(&answer[4..])}));
            return;
        }
    }
    panic!("no answer");
}

fn option(mut rest: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let (head, tail) = rest.split_at_checked(4)?;
        let (code, length) = (u16::from_be_bytes([head[0], head[1]]), u16::from_be_bytes([head[2], head[3]]));
        let (value, after) = tail.split_at_checked(length.into())?;
        if code == wanted {
            return Some(value);
        }
        rest = after;
    }
}

fn servers(options: &[u8]) -> Vec<String> {
    let (addresses, _) = option(options, DNS_SERVERS).unwrap_or_default().as_chunks::<16>();
    addresses.iter().map(|bytes| Ipv6Addr::from(*bytes).to_string()).collect()
}

/// Names of labels, each after its length.
fn names(options: &[u8]) -> Vec<String> {
    let mut rest = option(options, DOMAIN_LIST).unwrap_or_default();
    let (mut names, mut labels) = (Vec::new(), Vec::new());
    while let Some((&length, tail)) = rest.split_first() {
        let Some((label, after)) = tail.split_at_checked(length.into()) else { break };
        if length == 0 {
            names.push(std::mem::take(&mut labels).join("."));
        } else {
            labels.push(String::from_utf8_lossy(label).into_owned());
        }
        rest = after;
    }
    names
}
