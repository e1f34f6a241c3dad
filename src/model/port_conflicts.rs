//! Who holds a port of the host that a forward asks for: another forward, or a program that listens
//! there. And which port is free, where any will do.

use crate::forward::{Forward, Listen, Ports, Protocol};
use crate::network::HostAccess;
use crate::settle::NetworkSpec;
use std::net::{IpAddr, Ipv4Addr};

/// Where a program listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socket {
    /// The transport: TCP or UDP.
    pub protocol: Protocol,
    /// Its address; unspecified: all of them.
    pub address: IpAddr,
    /// An IPv6 socket that leaves IPv4 to others.
    pub only_v6: bool,
    /// Its port.
    pub port: u16,
}

impl Socket {
    /// Would the forward take away what is meant for it?
    #[must_use]
    pub fn stands_against(&self, forward: &Forward) -> bool {
        let ports = Ports::one(self.port);
        let at = |address| Listen { address, ports };
        let listen = match self.address {
            IpAddr::V6(all) if all.is_unspecified() && !self.only_v6 => at(None),
            IpAddr::V6(own) => at(Some(own.to_ipv4_mapped().map_or(IpAddr::V6(own), IpAddr::V4))),
            IpAddr::V4(_) => at(Some(self.address)),
        };
        forward.protocol.overlaps(self.protocol) && forward.listen.overlaps(listen)
    }
}

/// Where a network's own server listens, or will.
#[must_use]
pub fn services(wanted: &NetworkSpec) -> Vec<Socket> {
    let v4: Vec<IpAddr> = wanted.addresses().into_iter().map(|(address, _)| address.into()).collect();
    let mut sockets = Vec::new();
    let mut add = |protocol, address, port| {
        sockets.push(Socket { protocol, address, only_v6: true, port });
    };
    if wanted.network.host_access != HostAccess::None {
        for address in v4.iter().copied().chain(wanted.address6().map(IpAddr::V6)) {
            add(Protocol::Tcp, address, 53);
            add(Protocol::Udp, address, 53);
        }
    }
    if wanted.network.dhcp.enabled {
        v4.into_iter().for_each(|address| add(Protocol::Udp, address, 67));
    }
    sockets
}

/// Where a port is looked for: first above, then below those that Linux gives to outgoing connections
/// (32768 to 60999, net.ipv4.ip_local_port_range), so that none of these is ever in the way.
const CANDIDATES: [Ports; 2] = [Ports { first: 61000, last: 65535 }, Ports { first: 20000, last: 32767 }];

/// The forward with a port in place of its 0; none where every candidate `is_taken`. One with another
/// port stays as it is.
#[must_use]
pub fn with_port(forward: &Forward, is_taken: impl Fn(&Forward) -> bool) -> Option<Forward> {
    if forward.listen.ports != Ports::one(0) {
        return Some(forward.clone());
    }
    let at = |port| {
        let listen = Listen { ports: Ports::one(port), ..forward.listen };
        Forward { listen, ..forward.clone() }
    };
    CANDIDATES.into_iter().flat_map(|ports| ports.first..=ports.last).map(at).find(|one| !is_taken(one))
}

/// A guest's own address, of the network or not?
#[must_use]
pub fn is_within(wanted: &NetworkSpec, address: IpAddr) -> bool {
    let own = |own: Ipv4Addr| wanted.addresses().iter().any(|(address, _)| *address == own);
    match address {
        IpAddr::V4(v4) => wanted.subnets().iter().any(|subnet| subnet.contains(v4)) && !own(v4),
        IpAddr::V6(v6) => {
            wanted.subnet6.is_some_and(|prefix| prefix.contains(v6)) && wanted.address6() != Some(v6)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forward(listen: &str, protocol: &str) -> Forward {
        Forward::new(listen.parse().unwrap(), "web:80".parse().unwrap(), protocol.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_listener_is_in_the_way_on_its_own_address_and_protocol_alone() {
        let against = |(address, only_v6): (&str, bool), listen: &str, protocol: &str| {
            let socket =
                Socket { protocol: Protocol::Tcp, address: address.parse().unwrap(), only_v6, port: 80 };
            socket.stands_against(&forward(listen, protocol))
        };
        assert!(against(("0.0.0.0", false), "80", "tcp"));
        assert!(against(("127.0.0.1", false), "80", "tcp+udp"));
        assert!(against(("::", false), "192.0.2.1:80", "tcp"));
        assert!(against(("::", true), "80", "tcp"));
        assert!(against(("::ffff:192.0.2.1", false), "192.0.2.1:80", "tcp"));
        assert!(against(("0.0.0.0", false), "192.0.2.1:80", "tcp"));
        assert!(!against(("::", true), "192.0.2.1:80", "tcp"));
        assert!(!against(("127.0.0.1", false), "192.0.2.1:80", "tcp"));
        assert!(!against(("0.0.0.0", false), "[::]:80", "tcp"));
        assert!(!against(("0.0.0.0", false), "80", "udp"));
        assert!(!against(("0.0.0.0", false), "81", "tcp"));
    }

    #[test]
    fn port_0_becomes_the_first_that_nobody_has() {
        let any = forward("192.0.2.1:0", "tcp");
        let chosen = with_port(&any, |one| one.listen.ports.first < 61003).unwrap();
        assert_eq!(chosen.listen.to_string(), "192.0.2.1:61003");
        let below = with_port(&any, |one| one.listen.ports.first > 40000).unwrap();
        assert_eq!(below.listen.ports.first, 20000);
        assert_eq!(with_port(&any, |_| true), None);
        let given = forward("80", "tcp");
        assert_eq!(with_port(&given, |_| true), Some(given));
    }
}
