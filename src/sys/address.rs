//! Addresses and default routes of one link, in whichever namespace the netlink socket belongs to.

use crate::netlink::{Netlink, Request, attributes, u32_at};
use std::io;
use std::net::IpAddr;

const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;
// include/uapi/linux/if_addr.h
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const IFA_CACHEINFO: u16 = 6;
const IFA_F_NODAD: u8 = 0x02;
// include/uapi/linux/rtnetlink.h
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const TABLE_MAIN: u8 = 254;
const PROTOCOL_BOOT: u8 = 3;
const TYPE_UNICAST: u8 = 1;
/// struct ifaddrmsg
const IFADDR: usize = 8;
/// An address that stays.
const FOR_EVER: u32 = u32::MAX;
/// A dump that changes under us is begun again so many times.
const DUMPS_MAX: usize = 20;

/// One address of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address.
    pub address: IpAddr,
    /// How many bits its network has.
    pub length: u8,
    /// The seconds that it still counts; none: for ever.
    pub left: Option<u32>,
}

/// Give a link an address, or the one that it has another lifetime. An IPv6 one counts at once, without
/// the wait for others who might have it.
///
/// # Errors
/// The kernel's answer.
pub fn put(netlink: &mut Netlink, link: u32, wanted: &Address) -> io::Result<()> {
    let flags = libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_REPLACE;
    let mut request = message(RTM_NEWADDR, flags, link, wanted);
    if let IpAddr::V4(address) = wanted.address
        && wanted.length < 31
    {
        let host_bits = u32::MAX.checked_shr(wanted.length.into()).unwrap_or(0);
        request.attribute(IFA_BROADCAST, &(u32::from(address) | host_bits).to_be_bytes());
    }
    let left = wanted.left.unwrap_or(FOR_EVER).to_ne_bytes();
    // struct ifa_cacheinfo: preferred, valid, and two moments that only the kernel fills in.
    request.attribute(IFA_CACHEINFO, &[left, left, [0; 4], [0; 4]].concat());
    netlink.tell(request)
}

/// Take an address from a link. That it is gone is no failure.
///
/// # Errors
/// The kernel's answer.
pub fn remove(netlink: &mut Netlink, link: u32, gone: &Address) -> io::Result<()> {
    match netlink.tell(message(RTM_DELADDR, libc::NLM_F_ACK, link, gone)) {
        Err(error) if error.raw_os_error() != Some(libc::EADDRNOTAVAIL) => Err(error),
        _ => Ok(()),
    }
}

/// The addresses of a link.
///
/// # Errors
/// The kernel's answer, or they change faster than they can be listed.
pub fn list(netlink: &mut Netlink, link: u32) -> io::Result<Vec<Address>> {
    for _ in 0..DUMPS_MAX {
        let request = Request::new(RTM_GETADDR, bits(libc::NLM_F_DUMP), &[0; IFADDR]);
        let mut found = Vec::new();
        match netlink.ask(request, &mut |_, payload| found.extend(read(payload, link))) {
            Ok(()) => return Ok(found),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("the list of addresses keeps changing"))
}

/// A default route by this gateway. One that is there already, whoever made it, stays.
///
/// # Errors
/// The kernel's answer.
pub fn route_by(netlink: &mut Netlink, link: u32, gateway: IpAddr) -> io::Result<()> {
    // struct rtmsg: family, lengths of destination and source, tos, table, protocol, scope, type, flags.
    let head = [family(gateway), 0, 0, 0, TABLE_MAIN, PROTOCOL_BOOT, 0, TYPE_UNICAST, 0, 0, 0, 0];
    let flags = libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    let mut request = Request::new(RTM_NEWROUTE, bits(flags), &head);
    request.attribute(RTA_GATEWAY, &bytes(gateway));
    request.attribute(RTA_OIF, &link.to_ne_bytes());
    match netlink.tell(request) {
        Err(error) if error.raw_os_error() != Some(libc::EEXIST) => Err(error),
        _ => Ok(()),
    }
}

fn message(kind: u16, flags: libc::c_int, link: u32, address: &Address) -> Request {
    // struct ifaddrmsg: family, length, flags, scope, index.
    let own = if address.address.is_ipv6() { IFA_F_NODAD } else { 0 };
    let mut head = vec![family(address.address), address.length, own, 0];
    head.extend(link.to_ne_bytes());
    let mut request = Request::new(kind, bits(flags), &head);
    let text = bytes(address.address);
    request.attribute(IFA_LOCAL, &text);
    request.attribute(IFA_ADDRESS, &text);
    request
}

fn read(payload: &[u8], link: u32) -> Option<Address> {
    let length = *payload.get(1)?;
    if u32_at(payload, 4)? != link {
        return None;
    }
    let (mut local, mut other, mut left) = (None, None, None);
    for (kind, value) in attributes(payload.get(IFADDR..)?) {
        match kind {
            IFA_LOCAL => local = address(value),
            IFA_ADDRESS => other = address(value),
            IFA_CACHEINFO => left = u32_at(value, 4).filter(|left| *left != FOR_EVER),
            _ => {}
        }
    }
    Some(Address { address: local.or(other)?, length, left })
}

fn address(value: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(value).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(value).map(IpAddr::from)).ok()
}

fn bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn family(address: IpAddr) -> u8 {
    u8::try_from(if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 }).unwrap_or(0)
}

fn bits(wanted: libc::c_int) -> u16 {
    u16::try_from(wanted).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use netlink_packet_core::{NetlinkDeserializable, NetlinkHeader};
    use netlink_packet_route::RouteNetlinkMessage;
    use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags};
    use proptest::prelude::*;

    fn decoded(kind: u16, request: Request) -> RouteNetlinkMessage {
        let mut header = NetlinkHeader::default();
        header.message_type = kind;
        RouteNetlinkMessage::deserialize(&header, &request.finish(1)[16..]).unwrap()
    }

    proptest! {
        #[test]
        fn an_address_means_the_same_to_another_decoder(address: IpAddr, length in 0u8..=32, link: u32) {
            let wanted = Address { address, length, left: None };
            let RouteNetlinkMessage::NewAddress(message) =
                decoded(RTM_NEWADDR, super::message(RTM_NEWADDR, 0, link, &wanted)) else { panic!() };
            prop_assert_eq!((message.header.index, message.header.prefix_len), (link, length));
            prop_assert!(message.attributes.contains(&AddressAttribute::Local(address)));
            prop_assert_eq!(message.header.flags.contains(AddressHeaderFlags::Nodad), address.is_ipv6());
        }

        #[test]
        fn no_answer_makes_the_reader_fall_over(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = read(&bytes, 1);
        }
    }
}
