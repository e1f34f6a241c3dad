//! A server that tells its callers who they seem to be, and the caller that asks it, by TCP or UDP, IPv4
//! or IPv6. `caller-id serve ADDRESS PORT…` answers `ADDRESS PORT`: the caller's address and the port
//! that it reached; it says `ready` when all are bound. `caller-id ask tcp|udp ADDRESS:PORT…` prints
//! the answer of each, or `-`, all asked at once.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;
use std::{io, thread};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_millis(2500);
/// How long is waited before a datagram that may have been lost is sent again.
const RESEND: Duration = Duration::from_millis(500);

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve", address, ports @ ..] => serve(address, ports),
        ["ask", protocol, places @ ..] => ask(protocol, places),
        _ => panic!("usage: caller-id serve ADDRESS PORT… | ask tcp|udp ADDRESS:PORT…"),
    }
}

fn serve(address: &str, ports: &[&str]) {
    let address: IpAddr = address.parse().expect("an address");
    let mut threads = Vec::new();
    for port in ports.iter().map(|port| port.parse::<u16>().expect("a port")) {
        let tcp = TcpListener::bind((address, port)).expect("a TCP port");
        let udp = UdpSocket::bind((address, port)).expect("a UDP port");
        threads.push(thread::spawn(move || {
            for caller in tcp.incoming().flatten() {
                let answer = caller.peer_addr().map(|from| answer(from, port)).unwrap_or_default();
                let _ = (&caller).write_all(answer.as_bytes());
            }
        }));
        threads.push(thread::spawn(move || {
            let mut question = [0; 16];
            loop {
                if let Ok((_, from)) = udp.recv_from(&mut question) {
                    let _ = udp.send_to(answer(from, port).as_bytes(), from);
                }
            }
        }));
    }
    println!("ready");
    threads.into_iter().for_each(|thread| thread.join().expect("a server's thread"));
}

fn answer(from: SocketAddr, port: u16) -> String {
    format!("{} {port}", from.ip().to_canonical())
}

fn ask(protocol: &str, places: &[&str]) {
    let one = match protocol {
        "tcp" => ask_by_tcp,
        "udp" => ask_by_udp,
        _ => panic!("no such protocol: {protocol}"),
    };
    let places = places.iter().map(|place| place.parse::<SocketAddr>().expect("ADDRESS:PORT"));
    let threads: Vec<_> = places.map(|place| thread::spawn(move || one(place))).collect();
    for thread in threads {
        println!("{}", thread.join().ok().and_then(Result::ok).unwrap_or_else(|| "-".to_owned()));
    }
}

fn ask_by_tcp(place: SocketAddr) -> io::Result<String> {
    let mut server = TcpStream::connect_timeout(&place, PATIENCE)?;
    server.set_read_timeout(Some(PATIENCE))?;
    let mut answer = String::new();
    server.read_to_string(&mut answer)?;
    Ok(answer)
}

fn ask_by_udp(place: SocketAddr) -> io::Result<String> {
    let any: SocketAddr = if place.is_ipv4() { ([0; 4], 0).into() } else { ([0; 16], 0).into() };
    let socket = UdpSocket::bind(any)?;
    socket.connect(place)?;
    socket.set_read_timeout(Some(RESEND))?;
    let mut answer = [0; 128];
    for _ in 0..PATIENCE.as_millis() / RESEND.as_millis() {
        socket.send(b"?")?;
        match socket.recv(&mut answer) {
            Ok(length) => return Ok(String::from_utf8_lossy(&answer[..length]).into_owned()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}
