//! Which sockets of this network namespace wait for others to speak: TCP ones that listen, UDP ones
//! that are bound and not connected. By sock_diag(7), because /proc/net does not tell which
//! interface a socket is bound to, and two DHCP servers on one host differ in nothing else.

use crate::netlink::{Netlink, Request, attributes, u16_at, u32_at};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

// include/uapi/linux/sock_diag.h, inet_diag.h; states as in include/net/tcp_states.h
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const INET_DIAG_SKV6ONLY: u16 = 11;
const TCP_CLOSE: u32 = 7;
const TCP_LISTEN: u32 = 10;
/// struct inet_diag_req_v2, of which only the first eight bytes ask for something here.
const QUESTION: usize = 56;
/// struct inet_diag_msg
const ANSWER: usize = 72;

/// The transport of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// One socket that waits for others to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its transport.
    pub protocol: Protocol,
    /// Its own address; unspecified if it waits on every one.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// The interface it is bound to.
    pub interface: Option<u32>,
    /// An IPv6 socket that leaves IPv4 to others (IPV6_V6ONLY).
    pub only_v6: bool,
    /// Its inode, by which a process that holds it is found.
    pub inode: u32,
}

/// All of them. One that comes or goes meanwhile may be missed.
///
/// # Errors
/// The kernel's answer; `NotFound` where it was built without sock_diag.
pub fn waiting() -> io::Result<Vec<Waiting>> {
    let mut netlink = Netlink::open_to_sockets()?;
    let mut all = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        for (protocol, number, state) in
            [(Protocol::Tcp, libc::IPPROTO_TCP, TCP_LISTEN), (Protocol::Udp, libc::IPPROTO_UDP, TCP_CLOSE)]
        {
            let mut question = [0; QUESTION];
            let head = [byte(family), byte(number), 0, 0];
            let states = (1_u32 << state).to_ne_bytes();
            for (to, from) in question.iter_mut().zip(head.into_iter().chain(states)) {
                *to = from;
            }
            let flags = u16::try_from(libc::NLM_F_DUMP).map_err(io::Error::other)?;
            let request = Request::new(SOCK_DIAG_BY_FAMILY, flags, &question);
            let read = netlink.ask(request, &mut |_, payload| all.extend(read(payload, protocol)));
            match read {
                // Listings of sockets are never begun anew: a busy host has no quiet moment.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => read?,
            }
        }
    }
    Ok(all)
}

fn byte(number: libc::c_int) -> u8 {
    u8::try_from(number).unwrap_or(0)
}

/// One struct inet_diag_msg and what follows it. Ports and addresses are in network byte order.
fn read(payload: &[u8], protocol: Protocol) -> Option<Waiting> {
    let address = payload.get(8..24)?;
    let v6 = payload.first().copied() == Some(byte(libc::AF_INET6));
    let address = if v6 {
        Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?).into()
    } else {
        Ipv4Addr::from(<[u8; 4]>::try_from(address.get(..4)?).ok()?).into()
    };
    let only_v6 = attributes(payload.get(ANSWER..)?)
        .any(|(kind, value)| kind == INET_DIAG_SKV6ONLY && value.first() == Some(&1));
    Some(Waiting {
        protocol,
        address,
        port: u16::from_be(u16_at(payload, 4)?),
        interface: u32_at(payload, 40).filter(|index| *index != 0),
        only_v6,
        inode: u32_at(payload, 68)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{TcpListener, UdpSocket};

    #[test]
    fn a_socket_that_waits_is_told_with_its_address_port_and_inode() {
        use std::os::fd::AsRawFd;
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("[::1]:0").unwrap();
        let all = waiting().unwrap();
        for (protocol, address, fd) in [
            (Protocol::Tcp, tcp.local_addr().unwrap(), tcp.as_raw_fd()),
            (Protocol::Udp, udp.local_addr().unwrap(), udp.as_raw_fd()),
        ] {
            let own = all.iter().find(|s| s.protocol == protocol && s.port == address.port()).unwrap();
            assert_eq!(own.address, address.ip());
            let held = std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap();
            assert_eq!(held.display().to_string(), format!("socket:[{}]", own.inode));
        }
    }

    #[test]
    fn a_connected_socket_waits_for_nobody_in_particular_no_more() {
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        udp.connect(peer.local_addr().unwrap()).unwrap();
        let port = udp.local_addr().unwrap().port();
        assert!(!waiting().unwrap().iter().any(|s| s.protocol == Protocol::Udp && s.port == port));
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_reader_fall_over(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = read(&bytes, Protocol::Udp);
        }
    }
}
