//! Who on this host waits for others to speak: every TCP listener and every bound UDP socket, and,
//! where that is asked, the process behind one. The listing costs a few netlink messages; looking for
//! a process walks all descriptors of all processes, so it is done for one socket at a time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use vmnet_sys::process::{all, descriptors, program};
pub use vmnet_sys::sockets::Protocol;
use vmnet_sys::sockets::waiting;

/// One socket that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its transport.
    pub protocol: Protocol,
    /// Its address; unspecified if it waits on all of them.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// The link it is bound to and hears nothing beside; none too where the kernel does not tell.
    pub interface: Option<u32>,
    /// An IPv6 socket that leaves IPv4 to others.
    pub only_v6: bool,
    inode: u32,
}

impl Listener {
    /// Does it keep others from this address and port of IPv4? The link it may be bound to is not asked.
    #[must_use]
    pub fn takes(&self, protocol: Protocol, address: Ipv4Addr, port: u16) -> bool {
        let same = match self.address {
            IpAddr::V4(own) => own.is_unspecified() || address.is_unspecified() || own == address,
            IpAddr::V6(own) if own.is_unspecified() => !self.only_v6,
            IpAddr::V6(own) => {
                own.to_ipv4_mapped().is_some_and(|own| own == address || address.is_unspecified())
            }
        };
        same && self.protocol == protocol && self.port == port
    }
}

/// A process that holds a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The process number.
    pub pid: u32,
    /// Its short name, printable.
    pub program: String,
}

/// All sockets of this network namespace that wait for others.
#[must_use]
pub fn listeners() -> Vec<Listener> {
    match waiting() {
        Ok(all) => all
            .into_iter()
            .map(|s| Listener {
                protocol: s.protocol,
                address: s.address,
                port: s.port,
                interface: s.interface,
                only_v6: s.only_v6,
                inode: s.inode,
            })
            .collect(),
        // A kernel without sock_diag, or a container that may not load it.
        Err(_) => of_proc(),
    }
}

/// Who holds it. None if it is nobody whose descriptors we may see: only root sees everybody's, and
/// nobody sees those of a process in a wider process namespace.
#[must_use]
pub fn process(listener: &Listener) -> Option<Holder> {
    let link = format!("socket:[{}]", listener.inode);
    let holds = |pid: u32| descriptors(pid).any(|(_, to)| to.as_os_str() == link.as_str());
    let pid = all().find(|pid| holds(*pid))?;
    Some(Holder { pid, program: program(pid)? })
}

/// The process that holds a socket, in words: `dnsmasq (pid 812)`.
#[must_use]
pub fn holder(listener: &Listener) -> Option<String> {
    process(listener).map(|holder| format!("{} (pid {})", holder.program, holder.pid))
}

fn of_proc() -> Vec<Listener> {
    let tables = [
        ("tcp", Protocol::Tcp, "0A"),
        ("tcp6", Protocol::Tcp, "0A"),
        ("udp", Protocol::Udp, "07"),
        ("udp6", Protocol::Udp, "07"),
    ];
    let mut all = Vec::new();
    for (file, protocol, state) in tables {
        let text = std::fs::read_to_string(format!("/proc/net/{file}")).unwrap_or_default();
        all.extend(text.lines().skip(1).filter_map(|line| line_of_proc(line, protocol, state)));
    }
    all
}

/// `sl local_address rem_address st …` (proc_pid_net(5)), the inode tenth; states as numbers of
/// include/net/tcp_states.h.
fn line_of_proc(line: &str, protocol: Protocol, state: &str) -> Option<Listener> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let (address, port) = words.get(1)?.split_once(':')?;
    if words.get(3) != Some(&state) {
        return None;
    }
    Some(Listener {
        protocol,
        address: address_of_proc(address)?,
        port: u16::from_str_radix(port, 16).ok()?,
        interface: None,
        only_v6: false,
        inode: words.get(9)?.parse().ok()?,
    })
}

/// Each 32 bits of the address are printed as a number of this machine's byte order.
fn address_of_proc(digits: &str) -> Option<IpAddr> {
    let word =
        |at: usize| u32::from_str_radix(digits.get(at * 8..at * 8 + 8)?, 16).ok().map(u32::to_ne_bytes);
    match digits.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (at, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(at)?);
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};

    #[test]
    fn both_ways_of_looking_see_the_same_sockets() {
        let _held = [UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("[::]:0").unwrap()];
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = tcp.local_addr().unwrap().port();
        let own = |all: Vec<Listener>| all.into_iter().find(|l| l.port == port).unwrap();
        let (fast, slow) = (own(listeners()), own(of_proc()));
        assert_eq!(fast, slow);
        assert_eq!(process(&fast).unwrap().pid, std::process::id());
    }

    #[test]
    fn a_socket_on_every_address_takes_each_and_one_on_an_address_only_that() {
        let at = |address: &str, only_v6| Listener {
            protocol: Protocol::Udp,
            address: address.parse().unwrap(),
            port: 53,
            interface: None,
            only_v6,
            inode: 0,
        };
        let takes = |l: Listener, a: &str| l.takes(Protocol::Udp, a.parse().unwrap(), 53);
        assert!(takes(at("0.0.0.0", false), "10.0.1.1"));
        assert!(takes(at("::", false), "10.0.1.1"));
        assert!(!takes(at("::", true), "10.0.1.1"));
        assert!(takes(at("10.0.1.1", false), "0.0.0.0"));
        assert!(takes(at("::ffff:10.0.1.1", false), "10.0.1.1"));
        assert!(!takes(at("127.0.0.53", false), "10.0.1.1"));
        assert!(!takes(at("::1", false), "10.0.1.1"));
        assert!(!at("0.0.0.0", false).takes(Protocol::Tcp, Ipv4Addr::UNSPECIFIED, 53));
    }
}
