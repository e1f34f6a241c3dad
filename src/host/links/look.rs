//! What is there: links, addresses, routes, and who was heard behind which port.

use super::ask::{Cause, LinkError, Links};
use super::seen::{self, HostSnapshot, SeenAddress, SeenAddress6, SeenLink, SeenRoute};
use rtnetlink::packet_route::address::AddressMessage;
use rtnetlink::packet_route::link::{LinkAttribute, LinkExtentMask, LinkMessage};
use rtnetlink::packet_route::neighbour::{NeighbourAttribute, NeighbourMessage};
use rtnetlink::packet_route::route::RouteMessage;
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use std::net::Ipv6Addr;
use vmnet_access::mac::MacAddr;
use vmnet_access::name::IfName;

impl Links {
    /// Everything at once. The listings are made one after the other, so a change between
    /// them can show a route of a link that is not listed.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn snapshot(&self) -> Result<HostSnapshot, LinkError> {
        let listed = |what| move |cause| cannot_list(what, cause);
        Ok(HostSnapshot {
            links: self.list(&all_links(), read_link).map_err(listed("links"))?,
            addresses: self
                .list(&all_addresses(AddressFamily::Inet), read_address)
                .map_err(listed("addresses"))?,
            addresses6: self
                .list(&all_addresses(AddressFamily::Inet6), read_address6)
                .map_err(listed("IPv6 addresses"))?,
            routes: self.list(&all_routes(), read_route).map_err(listed("routes"))?,
        })
    }

    /// Every link whose names and alias are UTF-8.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn links(&self) -> Result<Vec<SeenLink>, LinkError> {
        self.list(&all_links(), read_link).map_err(|cause| cannot_list("links", cause))
    }

    /// The link of this name, if there is one. The kernel looks among alternative names too: the
    /// answer's own name is the canonical one.
    ///
    /// # Errors
    /// When the kernel does not answer, or the name is not UTF-8.
    pub fn find(&self, name: &IfName) -> Result<Option<SeenLink>, LinkError> {
        let failed = |cause| LinkError { act: "look up link", object: name.to_string(), cause };
        let mut question = link_question();
        question.attributes.push(LinkAttribute::IfName(text(name).map_err(failed)?));
        match self.ask(RouteNetlinkMessage::GetLink(question)) {
            Ok(RouteNetlinkMessage::NewLink(message)) => Ok(SeenLink::read(&message)),
            Ok(_) => Err(failed(Cause::Unexpected)),
            Err(cause) if cause.is_absent() => Ok(None),
            Err(cause) => Err(failed(cause)),
        }
    }

    /// The link of this number, if there is one.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn at(&self, index: u32) -> Result<Option<SeenLink>, LinkError> {
        let mut question = link_question();
        question.header.index = index;
        match self.ask(RouteNetlinkMessage::GetLink(question)) {
            Ok(RouteNetlinkMessage::NewLink(message)) => Ok(SeenLink::read(&message)),
            Ok(_) => {
                Err(LinkError { act: "look up", object: format!("link {index}"), cause: Cause::Unexpected })
            }
            Err(cause) if cause.is_absent() => Ok(None),
            Err(cause) => Err(LinkError { act: "look up", object: format!("link {index}"), cause }),
        }
    }

    /// Which addresses were heard behind which port of a bridge, as (port, address). Static
    /// entries and the ports' own addresses are left out.
    ///
    /// # Errors
    /// When the kernel does not answer; a bridge that is gone has an empty table.
    pub fn fdb(&self, bridge: u32) -> Result<Vec<(u32, MacAddr)>, LinkError> {
        let mut question = NeighbourMessage::default();
        question.header.family = AddressFamily::Bridge;
        question.attributes.push(NeighbourAttribute::Controller(bridge));
        let read = |answer: &RouteNetlinkMessage| match answer {
            RouteNetlinkMessage::NewNeighbour(message) => seen::learned(message),
            _ => None,
        };
        match self.list(&RouteNetlinkMessage::GetNeighbour(question), read) {
            Err(cause) if cause.is_absent() => Ok(Vec::new()),
            Err(cause) => Err(self.error("list addresses behind", bridge, cause)),
            Ok(table) => Ok(table),
        }
    }

    /// The IPv6 addresses that were heard on a link, with whose they are. The kernel forgets those that
    /// nobody talks to where there are many.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn neighbours6(&self, index: u32) -> Result<Vec<(Ipv6Addr, MacAddr)>, LinkError> {
        let mut question = NeighbourMessage::default();
        question.header.family = AddressFamily::Inet6;
        let read = move |answer: &RouteNetlinkMessage| match answer {
            RouteNetlinkMessage::NewNeighbour(message) if message.header.ifindex == index => {
                seen::neighbour6(message)
            }
            _ => None,
        };
        match self.list(&RouteNetlinkMessage::GetNeighbour(question), read) {
            Err(cause) => Err(self.error("list neighbours on", index, cause)),
            Ok(table) => Ok(table),
        }
    }

    /// The words for a failure about a link of which only the number is known: its name is asked
    /// for, once.
    pub(super) fn error(&self, act: &'static str, index: u32, cause: Cause) -> LinkError {
        let mut question = link_question();
        question.header.index = index;
        let link = match self.ask(RouteNetlinkMessage::GetLink(question)) {
            Ok(RouteNetlinkMessage::NewLink(message)) => SeenLink::read(&message),
            _ => None,
        };
        let object = link.map_or_else(|| format!("link {index}"), |link| link.name.to_string());
        LinkError { act, object, cause }
    }
}

fn all_links() -> RouteNetlinkMessage {
    RouteNetlinkMessage::GetLink(link_question())
}

fn read_link(answer: &RouteNetlinkMessage) -> Option<SeenLink> {
    match answer {
        RouteNetlinkMessage::NewLink(message) => SeenLink::read(message),
        _ => None,
    }
}

fn all_addresses(family: AddressFamily) -> RouteNetlinkMessage {
    let mut question = AddressMessage::default();
    question.header.family = family;
    RouteNetlinkMessage::GetAddress(question)
}

fn read_address(answer: &RouteNetlinkMessage) -> Option<SeenAddress> {
    match answer {
        RouteNetlinkMessage::NewAddress(message) => SeenAddress::read(message),
        _ => None,
    }
}

/// Link-local ones are left out. A kernel without IPv6 answers with those of all families.
fn read_address6(answer: &RouteNetlinkMessage) -> Option<SeenAddress6> {
    match answer {
        RouteNetlinkMessage::NewAddress(message) if message.header.family == AddressFamily::Inet6 => {
            SeenAddress6::read(message)
        }
        _ => None,
    }
}

/// See [`HostSnapshot::routes`] for what is left out.
fn all_routes() -> RouteNetlinkMessage {
    let mut question = RouteMessage::default();
    question.header.address_family = AddressFamily::Inet;
    RouteNetlinkMessage::GetRoute(question)
}

fn read_route(answer: &RouteNetlinkMessage) -> Option<SeenRoute> {
    match answer {
        RouteNetlinkMessage::NewRoute(message) => SeenRoute::read(message),
        _ => None,
    }
}

/// A question about links without their counters, which are most of an answer's bytes.
fn link_question() -> LinkMessage {
    let mut question = LinkMessage::default();
    question.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
    question
}

/// A name as the netlink library wants it.
pub(super) fn text(name: &IfName) -> Result<String, Cause> {
    String::from_utf8(name.as_bytes().to_vec()).map_err(|_| Cause::NotText)
}

fn cannot_list(what: &str, cause: Cause) -> LinkError {
    LinkError { act: "list", object: what.into(), cause }
}
