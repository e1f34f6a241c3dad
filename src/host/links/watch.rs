//! What changes under us: the kernel's announcements about links and addresses.

use super::ask::{LinkError, cannot_open};
use super::seen::{self, SeenAddress, SeenAddress6, SeenLink};
use futures_util::{Stream, StreamExt};
use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::link::{LinkAttribute, LinkMessage};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::sys::SocketAddr;
use rtnetlink::{Handle, MulticastGroup};
use std::fmt;
use std::pin::Pin;
use tokio::task::JoinHandle;

/// One announcement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A link came, or something about it changed; as it is now. The kernel does not announce
    /// every change (such as an alias) of a link that is down.
    LinkChanged(SeenLink),
    /// A link went.
    LinkGone {
        /// Its number.
        index: u32,
    },
    /// A link became a port of a bridge, or something about the port changed.
    PortChanged {
        /// The bridge.
        bridge: u32,
        /// The port.
        port: u32,
    },
    /// A link is no longer a port of that bridge; it may be gone altogether.
    PortGone {
        /// The bridge.
        bridge: u32,
        /// The port.
        port: u32,
    },
    /// An address came, or something about it changed.
    AddressChanged(SeenAddress),
    /// An address went.
    AddressGone(SeenAddress),
    /// An IPv6 address went; link-local ones are not told.
    Address6Gone(SeenAddress6),
    /// The kernel announced faster than we listened and dropped some: look again at everything.
    Missed,
}

type Announcements = Pin<Box<dyn Stream<Item = (NetlinkMessage<RouteNetlinkMessage>, SocketAddr)> + Send>>;

/// A netlink socket that listens.
pub struct Watch {
    announcements: Announcements,
    connection: JoinHandle<()>,
    // The connection ends with the last handle.
    _handle: Handle,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Watch {
    /// Begins to listen, in this thread's network namespace; what happens from now on is told.
    /// Look at the host after this, not before, and nothing falls between.
    ///
    /// # Errors
    /// When the kernel gives no such socket.
    pub fn open() -> Result<Self, LinkError> {
        let groups = [MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];
        let (connection, handle, announcements) =
            rtnetlink::new_multicast_connection(&groups).map_err(|e| cannot_open(&e))?;
        let connection = tokio::spawn(connection);
        Ok(Self { announcements: Box::pin(announcements), connection, _handle: handle })
    }

    /// Waits for the next event; `None` when the socket is gone. May be dropped while it waits
    /// (in a `select`) without losing anything.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            let (message, from) = self.announcements.next().await?;
            // Port 0 is the kernel's.
            if from.port_number() != 0 {
                continue;
            }
            if let Some(event) = read(&message.payload) {
                return Some(event);
            }
        }
    }
}

fn read(payload: &NetlinkPayload<RouteNetlinkMessage>) -> Option<Event> {
    match payload {
        NetlinkPayload::Overrun(_) => Some(Event::Missed),
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(message)) => link_changed(message),
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelLink(message)) => link_gone(message),
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewAddress(message)) => {
            SeenAddress::read(message).map(Event::AddressChanged)
        }
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelAddress(message)) => SeenAddress::read(message)
            .map(Event::AddressGone)
            .or_else(|| SeenAddress6::read(message).map(Event::Address6Gone)),
        _ => None,
    }
}

// A bridge announces its ports in the same group with messages of its own family, which know
// little of the link; there "gone" means only that it is no longer a port.

fn link_changed(message: &LinkMessage) -> Option<Event> {
    let port = message.header.index;
    match message.header.interface_family {
        AddressFamily::Bridge => seen::master(message).map(|bridge| Event::PortChanged { bridge, port }),
        // Wireless events come as links too, without a state worth reading.
        _ if message.attributes.iter().any(|a| matches!(a, LinkAttribute::Wireless(_))) => None,
        _ => SeenLink::read(message).map(Event::LinkChanged),
    }
}

fn link_gone(message: &LinkMessage) -> Option<Event> {
    let index = message.header.index;
    match message.header.interface_family {
        AddressFamily::Bridge => seen::master(message).map(|bridge| Event::PortGone { bridge, port: index }),
        _ => Some(Event::LinkGone { index }),
    }
}
