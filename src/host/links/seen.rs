//! The kernel's messages as plain values. What a message lacks is `None`; a message that lacks
//! what makes it one (a link without a name) is nothing.

use rtnetlink::packet_core::Nla;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};
use rtnetlink::packet_route::link::{
    InfoBridgePort, InfoData, InfoPortData, InfoTun, LinkAttribute, LinkFlags, LinkInfo, LinkMessage, Prop,
};
use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use vmnet_access::mac::MacAddr;
use vmnet_access::name::IfName;
use vmnet_access::port_record::{PortTag, TapState, UplinkTag};
use vmnet_model::subnet::Subnet;
use vmnet_model::tap_policy::GrantedTap;

// include/uapi/linux/if_link.h and if_tun.h
const IFLA_TUN_TYPE: u16 = 3;
const IFF_TAP: u8 = 2;

/// The host's network at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostSnapshot {
    /// Every link with a name that is UTF-8.
    pub links: Vec<SeenLink>,
    /// Every IPv4 address.
    pub addresses: Vec<SeenAddress>,
    /// Every IPv6 address but link-local ones.
    pub addresses6: Vec<SeenAddress6>,
    /// The IPv4 routes of all tables, without the kernel's own entries for single addresses and
    /// broadcasts.
    pub routes: Vec<SeenRoute>,
}

/// One link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenLink {
    /// Its number; the kernel does not give it again soon.
    pub index: u32,
    /// Its canonical name.
    pub name: IfName,
    /// Its kind, such as `bridge`, `tun`, `veth`; `None` for hardware and `lo`.
    pub kind: Option<String>,
    /// Its Ethernet address; `None` where it has another sort of address, or none.
    pub mac: Option<MacAddr>,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Set up by an administrator.
    pub up: bool,
    /// Up, and with a carrier: a bridge runs when one of its ports does.
    pub running: bool,
    /// It has a carrier, up or not; a TAP has one while somebody holds it.
    pub carrier: bool,
    /// The link it is a port of.
    pub master: Option<u32>,
    /// Its group; 0 is everybody's.
    pub group: u32,
    /// As a port of a bridge: cut off from the other isolated ports.
    pub isolated: bool,
    /// As a port of a bridge: a frame may leave by it that came in by it.
    pub hairpin: bool,
    /// Its alias (a free text of up to 255 bytes).
    pub alias: Option<String>,
    /// Its other names.
    pub altnames: Vec<String>,
    /// If it is a TAP: what the driver says of it.
    pub tap: Option<TapState>,
}

/// One IPv4 address of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeenAddress {
    /// The link.
    pub index: u32,
    /// The host's own address.
    pub address: Ipv4Addr,
    /// How many bits the network part has.
    pub length: u8,
}

impl SeenAddress {
    /// The network that the address is in.
    #[must_use]
    pub fn subnet(self) -> Subnet {
        Subnet::around(self.address, self.length)
    }
}

/// One IPv6 address of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeenAddress6 {
    /// The link.
    pub index: u32,
    /// The address.
    pub address: Ipv6Addr,
    /// How many bits the network part has.
    pub length: u8,
}

/// One IPv4 route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeenRoute {
    /// Where to; `0.0.0.0/0` is a default route.
    pub destination: Subnet,
    /// Its table: 254 is main, 255 local.
    pub table: u32,
    /// The link it goes out by, the first one of several; `None` for `unreachable` and the like.
    pub interface: Option<u32>,
}

/// The value that `read` finds in the first attribute that has it.
fn first<A, T>(attributes: &[A], read: impl FnMut(&A) -> Option<T>) -> Option<T> {
    attributes.iter().find_map(read)
}

fn mac(bytes: &[u8]) -> Option<MacAddr> {
    bytes.try_into().ok().map(MacAddr)
}

impl SeenLink {
    /// Reads a link message.
    pub(super) fn read(message: &LinkMessage) -> Option<Self> {
        let (header, all) = (&message.header, &message.attributes);
        let name = |a: &LinkAttribute| match a {
            LinkAttribute::IfName(name) => IfName::new(name.as_bytes()).ok(),
            _ => None,
        };
        let mut link = Self {
            index: header.index,
            name: first(all, name)?,
            kind: None,
            mac: None,
            mtu: 0,
            up: header.flags.contains(LinkFlags::Up),
            running: header.flags.contains(LinkFlags::Running),
            carrier: false,
            master: master(message),
            group: 0,
            isolated: false,
            hairpin: false,
            alias: None,
            altnames: Vec::new(),
            tap: None,
        };
        for attribute in all {
            match attribute {
                LinkAttribute::LinkInfo(info) => {
                    link.kind = first(info, kind);
                    link.tap = first(info, tap_state);
                    let flags = info.iter().filter_map(port_flags).flatten();
                    flags.for_each(|flag| match flag {
                        InfoBridgePort::Isolated(is) => link.isolated = *is,
                        InfoBridgePort::HairpinMode(is) => link.hairpin = *is,
                        _ => {}
                    });
                }
                LinkAttribute::Group(group) => link.group = *group,
                LinkAttribute::Address(bytes) => link.mac = mac(bytes),
                LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
                LinkAttribute::Carrier(carrier) => link.carrier = *carrier != 0,
                LinkAttribute::IfAlias(alias) => link.alias = Some(alias.clone()),
                LinkAttribute::PropList(properties) => {
                    link.altnames = properties.iter().filter_map(altname).collect();
                }
                _ => {}
            }
        }
        Some(link)
    }

    /// The tag of a port that was made for somebody.
    #[must_use]
    pub fn tag(&self) -> Option<PortTag> {
        PortTag::parse(self.alias.as_deref()?.as_bytes())
    }

    /// A TAP that was made for somebody.
    #[must_use]
    pub fn tethered(&self) -> Option<GrantedTap> {
        Some(GrantedTap {
            tag: self.tag()?,
            name: self.name.clone(),
            mac: self.mac,
            held: self.carrier,
            state: self.tap?,
        })
    }

    /// What leads from a bridge of ours to another wire.
    #[must_use]
    pub fn wire(&self) -> Option<UplinkTag> {
        UplinkTag::parse(self.alias.as_deref()?.as_bytes())
    }

    /// Nobody's: a TAP that was made for somebody, stays, and is held by nobody; or what leads to
    /// another wire.
    #[must_use]
    pub fn is_vacant(&self) -> bool {
        self.wire().is_some() || self.tethered().is_some_and(|tap| tap.is_vacant())
    }
}

/// What the driver says of a TAP; none of a TUN, which has no frames.
fn tap_state(info: &LinkInfo) -> Option<TapState> {
    let LinkInfo::Data(InfoData::Tun(all)) = info else { return None };
    let bytes = |attribute: &InfoTun| {
        let InfoTun::Other(attribute) = attribute else { return None };
        let mut bytes = vec![0; attribute.value_len()];
        attribute.emit_value(&mut bytes);
        Some((attribute.kind(), bytes))
    };
    let all: Vec<(u16, Vec<u8>)> = all.iter().filter_map(bytes).collect();
    let attributes = || all.iter().map(|(kind, value)| (*kind, value.as_slice()));
    let is_tap = attributes().any(|(kind, value)| kind == IFLA_TUN_TYPE && value.first() == Some(&IFF_TAP));
    is_tap.then(|| vmnet_sys::link::tap_state(attributes()))
}

fn kind(info: &LinkInfo) -> Option<String> {
    if let LinkInfo::Kind(kind) = info { Some(kind.to_string()) } else { None }
}

fn port_flags(info: &LinkInfo) -> Option<&Vec<InfoBridgePort>> {
    if let LinkInfo::PortData(InfoPortData::BridgePort(flags)) = info { Some(flags) } else { None }
}

fn altname(property: &Prop) -> Option<String> {
    if let Prop::AltIfName(name) = property { Some(name.clone()) } else { None }
}

/// The link that the message's link is a port of.
pub(super) fn master(message: &LinkMessage) -> Option<u32> {
    first(&message.attributes, |a| if let LinkAttribute::Controller(m) = a { Some(*m) } else { None })
}

impl SeenAddress {
    /// Reads an address message.
    pub(super) fn read(message: &AddressMessage) -> Option<Self> {
        // IFA_LOCAL is the host's own address; IFA_ADDRESS is the peer's on a point-to-point link.
        let local = |a: &AddressAttribute| match a {
            AddressAttribute::Local(IpAddr::V4(address)) => Some(*address),
            _ => None,
        };
        Some(Self {
            index: message.header.index,
            address: first(&message.attributes, local)?,
            length: message.header.prefix_len,
        })
    }
}

impl SeenAddress6 {
    /// Reads an address message; `None` for a link-local address, which every link makes itself.
    pub(super) fn read(message: &AddressMessage) -> Option<Self> {
        let own = |a: &AddressAttribute| match a {
            AddressAttribute::Local(IpAddr::V6(address)) | AddressAttribute::Address(IpAddr::V6(address)) => {
                Some(*address)
            }
            _ => None,
        };
        let address = first(&message.attributes, own).filter(|address| !address.is_unicast_link_local())?;
        Some(Self { index: message.header.index, address, length: message.header.prefix_len })
    }
}

impl SeenRoute {
    /// Reads a route message; `None` for the entries that the kernel makes of every address.
    pub(super) fn read(message: &RouteMessage) -> Option<Self> {
        let (header, all) = (&message.header, &message.attributes);
        let length = header.destination_prefix_length;
        let noise = match header.kind {
            RouteType::Local => length == 32,
            RouteType::Broadcast | RouteType::Multicast | RouteType::Anycast => true,
            _ => false,
        };
        if noise || header.address_family != AddressFamily::Inet {
            return None;
        }
        let destination = |a: &RouteAttribute| match a {
            RouteAttribute::Destination(RouteAddress::Inet(address)) => Some(*address),
            _ => None,
        };
        let way_out = |a: &RouteAttribute| match a {
            RouteAttribute::Oif(index) => Some(*index),
            RouteAttribute::MultiPath(hops) => hops.first().map(|hop| hop.interface_index),
            _ => None,
        };
        let table = first(all, |a| if let RouteAttribute::Table(t) = a { Some(*t) } else { None });
        Some(Self {
            destination: Subnet::around(first(all, destination).unwrap_or(Ipv4Addr::UNSPECIFIED), length),
            table: table.unwrap_or(header.table.into()),
            interface: first(all, way_out),
        })
    }
}

/// Reads an entry of a bridge's forwarding table; `None` for what was not learned from a frame:
/// the bridge's and its ports' own addresses (permanent) and static entries (noarp).
pub(super) fn learned(message: &NeighbourMessage) -> Option<(u32, MacAddr)> {
    if !matches!(message.header.state, NeighbourState::Reachable | NeighbourState::Stale) {
        return None;
    }
    let address = |a: &NeighbourAttribute| match a {
        NeighbourAttribute::LinkLayerAddress(bytes) => mac(bytes),
        _ => None,
    };
    Some((message.header.ifindex, first(&message.attributes, address)?))
}

/// Reads a neighbour's address, unless it is link-local, and whose it is; `None` for one that does not
/// answer.
pub(super) fn neighbour6(message: &NeighbourMessage) -> Option<(Ipv6Addr, MacAddr)> {
    let heard =
        [NeighbourState::Reachable, NeighbourState::Stale, NeighbourState::Delay, NeighbourState::Probe];
    let address = |a: &NeighbourAttribute| match a {
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => Some(*address),
        _ => None,
    };
    let owner = |a: &NeighbourAttribute| match a {
        NeighbourAttribute::LinkLayerAddress(bytes) => mac(bytes),
        _ => None,
    };
    let address = first(&message.attributes, address).filter(|address| !address.is_unicast_link_local())?;
    heard.contains(&message.header.state).then_some((address, first(&message.attributes, owner)?))
}
