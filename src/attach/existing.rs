//! What is at an interface's place in a namespace already. Whose it is is believed of its end on the
//! host alone, where only root writes.

use std::io;
use std::os::fd::AsFd;
use vmnet_access::name::IfName;
use vmnet_access::port_record::{PortTag, VETH_TEMPLATE};
use vmnet_sys::link::{self, Link};
use vmnet_sys::namespace::Space;
use vmnet_sys::netlink::Netlink;

/// What is at an interface's place in a namespace.
#[derive(Debug)]
pub enum ExistingInterface {
    /// No interface of that name.
    Absent,
    /// The other end of a port on this bridge.
    Ours(Box<Ends>),
    /// One of ours that leads nowhere: its bridge is gone, or whoever made it was killed.
    Stale {
        /// Its number in the namespace.
        index: u32,
    },
    /// The other end of a port on another bridge.
    Other(IfName),
    /// Somebody else's.
    Foreign,
}

/// Both ends of a veth pair.
#[derive(Debug)]
pub struct Ends {
    /// The interface, as the namespace sees it.
    pub inner: Link,
    /// The end on the host, a port of the bridge.
    pub outer: Link,
}

/// Look what is at an interface's place in a namespace.
pub fn look(
    host: &mut Netlink,
    inside: &mut Netlink,
    space: &Space,
    bridge: &IfName,
    interface: &IfName,
) -> io::Result<ExistingInterface> {
    let Some(inner) = link::find(inside, interface)? else { return Ok(ExistingInterface::Absent) };
    let Some(outer) = other_end(host, space, &inner)? else { return Ok(ExistingInterface::Foreign) };
    let index = inner.index;
    let tag = outer.alias.as_deref().and_then(PortTag::parse);
    Ok(match tag {
        Some(tag) if tag.bridge != *bridge => ExistingInterface::Other(tag.bridge),
        Some(_) => match link::find(host, bridge)? {
            Some(link) if outer.master == Some(link.index) => {
                ExistingInterface::Ours(Box::new(Ends { inner, outer }))
            }
            _ => ExistingInterface::Stale { index },
        },
        None if outer.master.is_none() && has_our_name(&outer) => ExistingInterface::Stale { index },
        None => ExistingInterface::Foreign,
    })
}

/// The end on the host, if both say so of each other.
fn other_end(host: &mut Netlink, space: &Space, inner: &Link) -> io::Result<Option<Link>> {
    let is_veth = |link: &Link| link.kind.as_deref() == Some(b"veth");
    let Some(peer) = inner.peer.filter(|_| is_veth(inner)) else { return Ok(None) };
    let Some(outer) = link::at(host, peer)? else { return Ok(None) };
    let number = link::number_of(host, space.as_fd())?;
    let fits = is_veth(&outer)
        && outer.peer == Some(inner.index)
        && number.is_some_and(|number| outer.peer_space == Some(number));
    Ok(fits.then_some(outer))
}

fn has_our_name(link: &Link) -> bool {
    let prefix = VETH_TEMPLATE.strip_suffix("%d").unwrap_or(VETH_TEMPLATE);
    link.name.starts_with(prefix.as_bytes())
}

/// ENODEV: the link went away meanwhile.
pub fn is_gone(error: &io::Error) -> bool {
    error.raw_os_error() == Some(nix::errno::Errno::ENODEV as i32)
}
