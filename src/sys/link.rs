//! Looking links up, and making a fresh TAP a port of a bridge. By netlink, because /sys shows
//! the links of whatever namespace it was mounted in, and because one message does it all.

use crate::netlink::{Netlink, Request, attributes, u32_at};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use vmnet_access::mac::MacAddr;
use vmnet_access::name::IfName;
use vmnet_access::port_record::TapState;

pub mod gone;

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTM_GETNSID: u16 = 90;
// include/uapi/linux/if_link.h
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_IFALIAS: u16 = 20;
const IFLA_GROUP: u16 = 27;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_EXT_MASK: u16 = 29;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_INFO_SLAVE_KIND: u16 = 4;
const IFLA_INFO_SLAVE_DATA: u16 = 5;
// include/uapi/linux/if_link.h, drivers/net/tun.c (`tun_fill_info`)
const IFLA_TUN_OWNER: u16 = 1;
const IFLA_TUN_GROUP: u16 = 2;
const IFLA_TUN_PERSIST: u16 = 6;
const IFLA_TUN_MULTI_QUEUE: u16 = 7;
const IFLA_TUN_NUM_QUEUES: u16 = 8;
const IFLA_TUN_NUM_DISABLED_QUEUES: u16 = 9;
/// include/uapi/linux/veth.h
const VETH_INFO_PEER: u16 = 1;
/// The hairpin flag.
const IFLA_BRPORT_MODE: u16 = 4;
const IFLA_BRPORT_ISOLATED: u16 = 33;
// include/uapi/linux/net_namespace.h
const NETNSA_NSID: u16 = 1;
const NETNSA_FD: u16 = 3;
/// RTEXT_FILTER_SKIP_STATS: without it each link's answer is more than twice as long.
const SKIP_STATS: u32 = 1 << 3;
/// struct ifinfomsg
const IFINFO: usize = 16;
/// A dump that changes under us is begun again so many times.
const DUMPS_MAX: usize = 20;

/// One link as the kernel tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// The link's interface index.
    pub index: u32,
    /// Its own name, never an alternative one.
    pub name: Vec<u8>,
    /// `bridge`, `tun`, `veth`…; none for physical ones.
    pub kind: Option<Vec<u8>>,
    /// Bytes.
    pub mtu: u32,
    /// The bridge it is a port of.
    pub master: Option<u32>,
    /// Its alias.
    pub alias: Option<Vec<u8>>,
    /// If it is a TAP: what the driver says of it.
    pub tap: Option<TapState>,
    /// Its Ethernet address.
    pub mac: Option<MacAddr>,
    /// The number of a veth's other end, in that end's own namespace.
    pub peer: Option<u32>,
    /// What this namespace calls the other end's, where that is another.
    pub peer_space: Option<i32>,
}

impl Link {
    /// Is the link a bridge?
    #[must_use]
    pub fn is_bridge(&self) -> bool {
        self.kind.as_deref() == Some(b"bridge")
    }
}

/// What a fresh link is to become.
#[derive(Clone, Debug)]
pub struct PortWish<'a> {
    /// The link.
    pub port: &'a IfName,
    /// The bridge's number.
    pub bridge: u32,
    /// The bridge's MTU; set before it joins, so that it never pulls the bridge's down.
    pub mtu: u32,
    /// Its MAC. The first byte 0xfe keeps a bridge without an own MAC from taking it, where any
    /// other port has a lower one.
    pub mac: MacAddr,
    /// Who holds it.
    pub alias: &'a [u8],
    /// Its group; 0: none.
    pub group: u32,
    /// Cut off from the bridge's other isolated ports.
    pub isolated: bool,
    /// A frame may leave by the port it came from.
    pub hairpin: bool,
}

/// The link of this name, an alternative name included; none if there is none.
///
/// # Errors
/// The kernel's answer.
pub fn find(netlink: &mut Netlink, name: &IfName) -> io::Result<Option<Link>> {
    let mut request = Request::new(RTM_GETLINK, 0, &[0; IFINFO]);
    name_attribute(&mut request, name);
    one(netlink, request)
}

/// The link of this number; none if there is none.
///
/// # Errors
/// The kernel's answer.
pub fn at(netlink: &mut Netlink, index: u32) -> io::Result<Option<Link>> {
    one(netlink, Request::new(RTM_GETLINK, 0, &numbered(index)))
}

/// The link that a request names.
fn one(netlink: &mut Netlink, mut request: Request) -> io::Result<Option<Link>> {
    request.attribute(IFLA_EXT_MASK, &SKIP_STATS.to_ne_bytes());
    let mut found = None;
    match netlink.ask(request, &mut |_, payload| found = read_link(payload)) {
        Ok(()) => Ok(found),
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What our namespace calls another; none if it has no name for it yet, and so no link into it.
///
/// # Errors
/// The kernel's answer.
pub fn number_of(netlink: &mut Netlink, space: BorrowedFd<'_>) -> io::Result<Option<i32>> {
    // struct rtgenmsg, in four bytes.
    let mut request = Request::new(RTM_GETNSID, 0, &[0; 4]);
    request.attribute(NETNSA_FD, &space.as_raw_fd().to_ne_bytes());
    let mut number = None;
    netlink.ask(request, &mut |_, payload| {
        let all = payload.get(4..).unwrap_or_default();
        let own = attributes(all).find(|(kind, _)| *kind == NETNSA_NSID);
        number = own.and_then(|(_, value)| u32_at(value, 0)).map(u32::cast_signed);
    })?;
    Ok(number.filter(|number| *number >= 0))
}

/// Set a link up; with an MTU in bytes, and an alias, if it is to have others.
///
/// # Errors
/// The kernel's answer.
pub fn raise(netlink: &mut Netlink, index: u32, mtu: Option<u32>, alias: Option<&[u8]>) -> io::Result<()> {
    let mut request = Request::new(RTM_NEWLINK, flags(libc::NLM_F_ACK), &raised(numbered(index)));
    if let Some(mtu) = mtu {
        request.attribute(IFLA_MTU, &mtu.to_ne_bytes());
    }
    if let Some(alias) = alias {
        request.attribute(IFLA_IFALIAS, alias);
    }
    netlink.tell(request)
}

/// The ports of a bridge.
///
/// # Errors
/// The kernel's answer, or the links change faster than they can be listed.
pub fn ports(netlink: &mut Netlink, bridge: u32) -> io::Result<Vec<Link>> {
    for _ in 0..DUMPS_MAX {
        let mut request = Request::new(RTM_GETLINK, flags(libc::NLM_F_DUMP), &[0; IFINFO]);
        request.attribute(IFLA_EXT_MASK, &SKIP_STATS.to_ne_bytes());
        // The kernel filters; what it lets through is looked at all the same.
        request.attribute(IFLA_MASTER, &bridge.to_ne_bytes());
        let mut found = Vec::new();
        let mut each = |_, payload: &[u8]| {
            found.extend(read_link(payload).filter(|link| link.master == Some(bridge)));
        };
        match netlink.ask(request, &mut each) {
            Ok(()) => return Ok(found),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("the list of links keeps changing"))
}

/// Make the TAP a port: MTU, MAC, alias, group, bridge and up in one message. A port that is to have
/// flags comes up in a message of its own, after them, so that no frame slips by before.
///
/// # Errors
/// The kernel's answer; EXFULL when the bridge has its 1,023 ports.
pub fn attach(netlink: &mut Netlink, wish: &PortWish<'_>) -> io::Result<()> {
    let flagged = wish.isolated || wish.hairpin;
    let mut join = change(wish.port, !flagged);
    join.attribute(IFLA_MTU, &wish.mtu.to_ne_bytes());
    join.attribute(IFLA_ADDRESS, &wish.mac.0);
    join.attribute(IFLA_IFALIAS, wish.alias);
    join.attribute(IFLA_GROUP, &wish.group.to_ne_bytes());
    join.attribute(IFLA_MASTER, &wish.bridge.to_ne_bytes());
    netlink.tell(join)?;
    if flagged {
        let mut flag = change(wish.port, false);
        flag.nest(IFLA_LINKINFO, |info| {
            info.attribute(IFLA_INFO_SLAVE_KIND, b"bridge\0");
            info.nest(IFLA_INFO_SLAVE_DATA, |data| {
                data.attribute(IFLA_BRPORT_ISOLATED, &[u8::from(wish.isolated)]);
                data.attribute(IFLA_BRPORT_MODE, &[u8::from(wish.hairpin)]);
            });
        });
        netlink.tell(flag)?;
        netlink.tell(change(wish.port, true))?;
    }
    Ok(())
}

/// Make a veth pair: our end called `name`, down; the other, in the namespace of `space`, called
/// `other`, with this MAC and MTU, down.
///
/// # Errors
/// The kernel's answer; EEXIST when either name is taken.
pub fn create_veth(
    netlink: &mut Netlink,
    name: &IfName,
    other: &IfName,
    mac: MacAddr,
    mtu: u32,
    space: BorrowedFd<'_>,
) -> io::Result<()> {
    let mut request = Request::new(
        RTM_NEWLINK,
        flags(libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL),
        &[0; IFINFO],
    );
    name_attribute(&mut request, name);
    request.attribute(IFLA_MTU, &mtu.to_ne_bytes());
    request.nest(IFLA_LINKINFO, |info| {
        info.attribute(IFLA_INFO_KIND, b"veth\0");
        info.nest(IFLA_INFO_DATA, |data| {
            data.nest_after(VETH_INFO_PEER, &[0; IFINFO], |peer| {
                name_attribute(peer, other);
                peer.attribute(IFLA_MTU, &mtu.to_ne_bytes());
                peer.attribute(IFLA_ADDRESS, &mac.0);
                peer.attribute(IFLA_NET_NS_FD, &space.as_raw_fd().to_ne_bytes());
            });
        });
    });
    netlink.tell(request)
}

/// Delete the link of this number.
///
/// # Errors
/// The kernel's answer; ENODEV when it is gone.
pub fn delete(netlink: &mut Netlink, index: u32) -> io::Result<()> {
    netlink.tell(Request::new(RTM_DELLINK, flags(libc::NLM_F_ACK), &numbered(index)))
}

/// struct ifinfomsg of the link of this number.
fn numbered(index: u32) -> [u8; IFINFO] {
    let mut info = [0; IFINFO];
    // ifi_index
    for (to, from) in info.iter_mut().skip(4).zip(index.to_ne_bytes()) {
        *to = from;
    }
    info
}

/// The same of a link that is to be up.
fn raised(mut info: [u8; IFINFO]) -> [u8; IFINFO] {
    let flag = libc::IFF_UP.unsigned_abs().to_ne_bytes();
    // ifi_flags, then ifi_change: which of them count.
    for (to, from) in info.iter_mut().skip(8).zip(flag.iter().chain(&flag)) {
        *to = *from;
    }
    info
}

/// A change of one link, found by its name; `up` or as it is.
fn change(name: &IfName, up: bool) -> Request {
    let info = if up { raised([0; IFINFO]) } else { [0; IFINFO] };
    let mut request = Request::new(RTM_NEWLINK, flags(libc::NLM_F_ACK), &info);
    name_attribute(&mut request, name);
    request
}

fn name_attribute(request: &mut Request, name: &IfName) {
    let mut text = name.as_bytes().to_vec();
    text.push(0);
    request.attribute(IFLA_IFNAME, &text);
}

fn flags(wanted: libc::c_int) -> u16 {
    u16::try_from(wanted).unwrap_or(0)
}

fn read_link(payload: &[u8]) -> Option<Link> {
    let mut link = Link { index: u32_at(payload, 4)?, ..Link::default() };
    for (kind, value) in attributes(payload.get(IFINFO..)?) {
        match kind {
            IFLA_IFNAME => link.name = text(value),
            IFLA_MTU => link.mtu = u32_at(value, 0)?,
            IFLA_MASTER => link.master = u32_at(value, 0),
            IFLA_ADDRESS => link.mac = value.try_into().ok().map(MacAddr),
            IFLA_LINK => link.peer = u32_at(value, 0),
            IFLA_LINK_NETNSID => link.peer_space = u32_at(value, 0).map(u32::cast_signed),
            IFLA_IFALIAS => link.alias = Some(text(value)),
            IFLA_LINKINFO => {
                let part = |wanted| attributes(value).find(|(kind, _)| *kind == wanted).map(|(_, part)| part);
                link.kind = part(IFLA_INFO_KIND).map(text);
                let data = part(IFLA_INFO_DATA).filter(|_| link.kind.as_deref() == Some(b"tun"));
                link.tap = data.map(|data| tap_state(attributes(data)));
            }
            _ => {}
        }
    }
    Some(link)
}

/// What the driver says of a TAP, by its attributes (`tun_fill_info` in drivers/net/tun.c), each as its number
/// and its bytes. Read here alone: rtnetlink's library hands them on as they are.
pub fn tap_state<'a>(attributes: impl Iterator<Item = (u16, &'a [u8])>) -> TapState {
    let mut state = TapState::default();
    for (kind, value) in attributes {
        let is = value.first().is_some_and(|byte| *byte != 0);
        match kind {
            IFLA_TUN_OWNER => state.owner = u32_at(value, 0),
            IFLA_TUN_GROUP => state.group = u32_at(value, 0),
            IFLA_TUN_PERSIST => state.persistent = is,
            IFLA_TUN_MULTI_QUEUE => state.many_queues = is,
            IFLA_TUN_NUM_QUEUES | IFLA_TUN_NUM_DISABLED_QUEUES => {
                state.queues = state.queues.saturating_add(u32_at(value, 0).unwrap_or(0));
            }
            _ => {}
        }
    }
    state
}

/// Up to the first NUL.
fn text(value: &[u8]) -> Vec<u8> {
    value.iter().copied().take_while(|b| *b != 0).collect()
}

#[cfg(test)]
mod tests;
