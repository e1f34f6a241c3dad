//! A network namespace that is given an interface: its address as it is typed, its name and MAC, what
//! the interface says of itself, and its resolver's file.

use crate::dnsmasq::NOT_FOR_GUESTS;
use crate::error::ErrorKind;
use crate::guest::is_host_name;
use crate::lease::Lease;
use crate::network::{HostAccess, Mode};
use crate::prefix6::PREFIX6_LENGTH;
use crate::reservation::{self, Refusal};
use crate::settle::NetworkSpec;
use crate::subnet::Subnet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Component, Path};
use std::str::FromStr;
use vmnet_access::mac::MacAddr;
use vmnet_access::name::{IfName, fnv1a};

/// Where `ip netns` keeps namespaces that have a name (ip-netns(8)).
pub const NAMES: &str = "/run/netns";
/// Where `ip netns exec` finds files that are a namespace's own.
pub const FILES: &str = "/etc/netns";

/// An address with the length of its network: `10.5.0.9/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    /// The address.
    pub address: IpAddr,
    /// How many bits its network has.
    pub length: u8,
}

/// Why a text is no address that an interface can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotACidr {
    /// Not `ADDRESS/LENGTH`.
    Form,
    /// It stands for all or none.
    NoHost,
}

impl fmt::Display for NotACidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "not an address with its length, such as 10.0.1.9/24",
            Self::NoHost => "no host can have it",
        })
    }
}

impl std::error::Error for NotACidr {}

impl FromStr for Cidr {
    type Err = NotACidr;

    fn from_str(text: &str) -> Result<Self, NotACidr> {
        let (address, digits) = text.split_once('/').ok_or(NotACidr::Form)?;
        let address: IpAddr = address.parse().map_err(|_| NotACidr::Form)?;
        let length: u8 = match digits.bytes().all(|b| b.is_ascii_digit()) {
            true => digits.parse().map_err(|_| NotACidr::Form)?,
            false => return Err(NotACidr::Form),
        };
        if !(1..=if address.is_ipv4() { 32 } else { 128 }).contains(&length) {
            return Err(NotACidr::Form);
        }
        let is_host = match address {
            IpAddr::V4(address) => {
                let net = Subnet::around(address, length);
                !address.is_broadcast() && (net.first_host()..=net.last_host()).contains(&address)
            }
            IpAddr::V6(address) => !address.is_unicast_link_local(),
        };
        if !is_host || address.is_unspecified() || address.is_multicast() || address.is_loopback() {
            return Err(NotACidr::NoHost);
        }
        Ok(Self { address, length })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl Cidr {
    /// Is the other address in the same network?
    #[must_use]
    pub fn reaches(self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => Subnet::around(own, self.length).contains(other),
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let shift = 128 - u32::from(self.length.min(128));
                u128::from(own).checked_shr(shift) == u128::from(other).checked_shr(shift)
            }
            _ => false,
        }
    }
}

/// Can the guest with this MAC have this address in a network of ours?
///
/// # Errors
/// It is not the network's, somebody else has it, or its network is given another length.
pub fn fits(
    wanted: &NetworkSpec,
    leases: &[Lease],
    mac: MacAddr,
    cidr: Cidr,
) -> Result<(), (ErrorKind, String)> {
    let told = |refusal: Refusal| (refusal.kind(), refusal.to_string());
    let length = match cidr.address {
        IpAddr::V4(address) => {
            let mut others = wanted.clone();
            // Its own reservation is no obstacle.
            others.network.hosts.retain(|host| host.mac != mac);
            reservation::takes(mac, &others, leases, address).map_err(told)?;
            let own = wanted.subnets().into_iter().find(|subnet| subnet.contains(address));
            own.map_or(cidr.length, Subnet::length)
        }
        IpAddr::V6(address) => {
            let mut others = wanted.clone();
            others.network.hosts.retain(|host| host.mac != mac);
            reservation::takes6(&others, address).map_err(told)?;
            PREFIX6_LENGTH
        }
    };
    if length == cidr.length {
        Ok(())
    } else {
        let cause =
            format!("address {} is in a network of length {length}, not {}", cidr.address, cidr.length);
        Err((ErrorKind::Invalid, cause))
    }
}

/// May DHCP hand this address out to somebody else later?
#[must_use]
pub fn is_on_offer(wanted: &NetworkSpec, mac: MacAddr, address: IpAddr) -> bool {
    let reserved = wanted
        .network
        .hosts
        .iter()
        .any(|host| host.mac == mac && host.address.map(IpAddr::V4) == Some(address));
    let within = |v4: Ipv4Addr| (wanted.range.first..=wanted.range.last).contains(&v4);
    wanted.network.dhcp.enabled && !reserved && matches!(address, IpAddr::V4(v4) if within(v4))
}

/// Where its packets go that are for no neighbour; none in a network that leads nowhere.
#[must_use]
pub fn gateway(wanted: &NetworkSpec, cidr: Cidr) -> Option<IpAddr> {
    if wanted.network.mode == Mode::Isolated {
        return None;
    }
    let v4 = wanted.addresses().into_iter().map(|(address, _)| IpAddr::V4(address));
    v4.chain(wanted.address6().map(IpAddr::V6)).find(|own| cidr.reaches(*own))
}

/// Whom a guest of the network asks for names.
#[must_use]
pub fn resolvers(wanted: &NetworkSpec) -> Vec<IpAddr> {
    match wanted.network.host_access {
        HostAccess::None if wanted.network.mode == Mode::Isolated => Vec::new(),
        HostAccess::None => wanted.network.dns.upstream.clone(),
        _ => vec![wanted.address.into()],
    }
}

/// The name of a namespace that lies where `ip netns` keeps them.
#[must_use]
pub fn name_of(path: &Path) -> Option<&str> {
    let short = path.strip_prefix(NAMES).or_else(|_| path.strip_prefix("/var/run/netns")).ok()?;
    let mut parts = short.components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(name)), None) => name.to_str(),
        _ => None,
    }
}

/// What a namespace, or a machine, calls itself in DNS: the first label, in lower case. None where that
/// is no host's name.
#[must_use]
pub fn host_name(text: &str) -> Option<String> {
    let label = text.split('.').next()?.replace('_', "-").to_ascii_lowercase();
    (is_host_name(&label) && !NOT_FOR_GUESTS.contains(&label.as_str())).then_some(label)
}

/// The MAC of a named namespace's interface: the same each time, so that it has the same address and a
/// reservation finds it.
#[must_use]
pub fn mac_of(machine: &[u8], bridge: &IfName, space: &str, interface: &IfName) -> MacAddr {
    let mut seed = machine.to_vec();
    for part in [bridge.as_bytes(), space.as_bytes(), interface.as_bytes()] {
        seed.push(0);
        seed.extend_from_slice(part);
    }
    let [_, _, _, a, b, c, d, e] = fnv1a(&seed).to_be_bytes();
    MacAddr([0x02, a, b, c, d, e])
}

/// What the interface's alias says in the namespace. Whoever is root there can change it; it is believed
/// only about that interface's own lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The bridge.
    pub bridge: IfName,
    /// The DHCP server that its address is from.
    pub server: Option<Ipv4Addr>,
    /// Who renews the lease: the process's number and the moment of its start, in the kernel's ticks.
    pub keeper: Option<(u32, u64)>,
}

impl Mark {
    /// The alias: `vmnet BRIDGE`, ` dhcp=SERVER`, ` keeper=PID.START`.
    #[must_use]
    pub fn render(&self) -> Vec<u8> {
        let mut alias = b"vmnet ".to_vec();
        alias.extend_from_slice(self.bridge.as_bytes());
        if let Some(server) = self.server {
            alias.extend_from_slice(format!(" dhcp={server}").as_bytes());
        }
        if let Some((pid, start)) = self.keeper {
            alias.extend_from_slice(format!(" keeper={pid}.{start}").as_bytes());
        }
        alias
    }

    /// The alias read back; none if it is another's.
    #[must_use]
    pub fn parse(alias: &[u8]) -> Option<Self> {
        let mut words = alias.split(|b| *b == b' ');
        let head = words.next()?;
        let mut mark = Self { bridge: IfName::new(words.next()?).ok()?, server: None, keeper: None };
        for word in words {
            let word = std::str::from_utf8(word).ok()?;
            match word.split_once('=')? {
                ("dhcp", server) => mark.server = Some(server.parse().ok()?),
                ("keeper", keeper) => {
                    let (pid, start) = keeper.split_once('.')?;
                    mark.keeper = Some((pid.parse().ok()?, start.parse().ok()?));
                }
                _ => return None,
            }
        }
        (head == b"vmnet").then_some(mark)
    }
}

/// The resolver's file of a named namespace. Its first line says whose it is.
#[must_use]
pub fn resolver_file(
    bridge: &IfName,
    interface: &IfName,
    servers: &[IpAddr],
    domain: Option<&str>,
) -> String {
    let mut text = first_line(bridge, interface);
    if let Some(domain) = domain {
        text += &format!("search {domain}\n");
    }
    text.extend(servers.iter().map(|server| format!("nameserver {server}\n")));
    text
}

/// Did [`resolver_file`] write it for this interface?
#[must_use]
pub fn is_resolver_file(text: &str, bridge: &IfName, interface: &IfName) -> bool {
    text.starts_with(&first_line(bridge, interface))
}

fn first_line(bridge: &IfName, interface: &IfName) -> String {
    format!("# Of {interface} on {bridge}, by 'vmnet attach'; 'vmnet detach' removes it.\n")
}

/// The same on a bridge that is no network of ours: whichever of the bridge's own addresses is near.
#[must_use]
pub fn nearest(cidr: Cidr, bridge: &[IpAddr]) -> Option<IpAddr> {
    bridge.iter().copied().find(|own| cidr.reaches(*own) && *own != cidr.address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;
    use proptest::prelude::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    #[test]
    fn only_an_address_that_an_interface_can_have_is_one() {
        for text in ["10.5.0.9/24", "10.0.0.0/31", "192.0.2.7/32", "fd00::9/64", "2001:db8::1/128"] {
            assert_eq!(cidr(text).to_string(), text);
        }
        for text in ["10.5.0.9", "10.5.0.9/33", "10.5.0.9/+8", "10.5.0.9/0", "fd00::9/129", "web/24", "/24"] {
            assert_eq!(text.parse::<Cidr>(), Err(NotACidr::Form), "{text}");
        }
        let nobodys = [
            "10.5.0.0/24",
            "10.5.0.255/24",
            "0.0.0.0/8",
            "127.0.0.1/8",
            "224.0.0.1/4",
            "fe80::1/64",
            "::1/128",
        ];
        for text in nobodys {
            assert_eq!(text.parse::<Cidr>(), Err(NotACidr::NoHost), "{text}");
        }
    }

    #[test]
    fn an_address_reaches_its_own_network_and_no_other() {
        let near = |own: &str, other: &str| cidr(own).reaches(other.parse().unwrap());
        assert!(near("10.5.0.9/24", "10.5.0.1") && near("fd00::9/64", "fd00::1"));
        assert!(!near("10.5.0.9/24", "10.5.1.1") && !near("fd00::9/64", "fd00:0:0:1::1"));
        assert!(!near("10.5.0.9/24", "fd00::1"));
        assert_eq!(nearest(cidr("10.5.0.9/24"), &[Ipv4Addr::new(10, 5, 0, 9).into()]), None);
    }

    #[test]
    fn a_network_takes_only_its_own_free_addresses_with_its_own_length() {
        for wanted in golden::networks().into_iter().filter(|wanted| wanted.network.mode != Mode::Vde) {
            let mac = MacAddr([2, 0, 0, 0, 9, 9]);
            let at = |address: Ipv4Addr, length| Cidr { address: address.into(), length };
            let length = wanted.subnet.length();
            let free = wanted.range.last;
            let lease = |mac| Lease { expires: None, mac, address: free, name: None };
            assert_eq!(fits(&wanted, &[], mac, at(free, length)), Ok(()), "{}", wanted.name());
            assert_eq!(fits(&wanted, &[lease(mac)], mac, at(free, length)), Ok(()));
            assert!(fits(&wanted, &[lease(wanted.mac)], mac, at(free, length)).is_err());
            assert!(fits(&wanted, &[], mac, at(free, length - 1)).is_err());
            assert!(fits(&wanted, &[], mac, at(wanted.address, length)).is_err());
            assert!(fits(&wanted, &[], mac, cidr("203.0.113.9/24")).is_err());
            let out = gateway(&wanted, at(free, length));
            let expected = (wanted.network.mode != Mode::Isolated).then_some(IpAddr::V4(wanted.address));
            assert_eq!(out, expected, "{}", wanted.name());
            for host in wanted.network.hosts.iter().filter(|host| host.address.is_some()) {
                let theirs = at(host.address.unwrap(), length);
                assert!(fits(&wanted, &[], mac, theirs).is_err());
                if wanted.subnet.contains(host.address.unwrap()) {
                    assert_eq!(fits(&wanted, &[], host.mac, theirs), Ok(()));
                }
            }
        }
    }

    #[test]
    fn a_name_is_a_hosts_or_none() {
        assert_eq!(host_name("Web_1.example.org").as_deref(), Some("web-1"));
        for none in ["", "localhost", "gateway", "-x", "a b", "123", "é"] {
            assert_eq!(host_name(none), None, "{none}");
        }
        assert_eq!(name_of(Path::new("/run/netns/web")), Some("web"));
        assert_eq!(name_of(Path::new("/var/run/netns/web")), Some("web"));
        for none in ["/run/netns", "/run/netns/../web", "/run/netns/a/b", "/proc/1/ns/net", "web"] {
            assert_eq!(name_of(Path::new(none)), None, "{none}");
        }
    }

    #[test]
    fn a_resolver_file_is_known_again_by_its_first_line() {
        let [lab, eth0, eth1] = ["lab", "eth0", "eth1"].map(|name| IfName::new(name.as_bytes()).unwrap());
        let text = resolver_file(&lab, &eth0, &[Ipv4Addr::new(10, 0, 1, 1).into()], Some("lab.internal"));
        assert!(text.ends_with("search lab.internal\nnameserver 10.0.1.1\n"), "{text}");
        assert!(is_resolver_file(&text, &lab, &eth0));
        assert!(!is_resolver_file(&text, &lab, &eth1) && !is_resolver_file("nameserver 1\n", &lab, &eth0));
    }

    proptest! {
        #[test]
        fn a_mark_reads_back(
            name in "[!-.0-9;-~]{3,15}", server in proptest::option::of(any::<u32>()),
            keeper in proptest::option::of(any::<(u32, u64)>()),
        ) {
            let bridge = IfName::new(name.as_bytes()).unwrap();
            let mark = Mark { bridge, server: server.map(Ipv4Addr::from), keeper };
            prop_assert_eq!(Mark::parse(&mark.render()), Some(mark));
        }

        #[test]
        fn no_alias_makes_the_reader_fall_over(alias in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Mark::parse(&alias);
        }
    }
}
