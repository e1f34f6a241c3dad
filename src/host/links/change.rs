//! One function for each change. What is so already is no failure, except for creation, where
//! the caller must know whether the bridge is its own.

use super::ask::{Cause, LinkError, Links};
use super::look::text;
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::{AddressHeaderFlags, AddressMessage};
use rtnetlink::packet_route::link::{BridgeStpState, LinkMessage};
use rtnetlink::{
    AddressMessageBuilder, LinkBridge, LinkBridgePort, LinkMessageBuilder, LinkUnspec, LinkVeth,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use vmnet_access::mac::MacAddr;
use vmnet_access::name::IfName;
use vmnet_access::port_record::BRIDGES_GROUP;

impl Links {
    /// Makes a bridge that forwards at once: no spanning tree, no forward delay; down, with its
    /// address pinned. Everything else is the kernel's default. The answer is its number.
    ///
    /// # Errors
    /// [`Cause::is_exists`] when there is a link of that name; it is left alone.
    pub fn create_bridge(&self, name: &IfName, mac: MacAddr) -> Result<u32, LinkError> {
        let failed = |cause| LinkError { act: "create bridge", object: name.to_string(), cause };
        let message = LinkMessageBuilder::<LinkBridge>::new(&text(name).map_err(failed)?)
            .address(mac.0.to_vec())
            .stp_state(BridgeStpState::Disabled)
            .forward_delay(0)
            .build();
        let order = RouteNetlinkMessage::NewLink(message);
        self.order(order, NLM_F_CREATE | NLM_F_EXCL).map_err(failed)?;
        match self.find(name)? {
            Some(link) => Ok(link.index),
            None => Err(failed(Cause::Unexpected)),
        }
    }

    /// Gives a bridge its MTU in bytes, its address, its alias and the group of our bridges. An MTU in the message that
    /// creates it would be forgotten with its first port; one that is set afterwards stays.
    ///
    /// # Errors
    /// The kernel's, such as for an MTU below 68.
    pub fn set_bridge(&self, index: u32, mtu: u32, mac: MacAddr, alias: &str) -> Result<(), LinkError> {
        let message = LinkUnspec::new_with_index(index).mtu(mtu).address(mac.0.to_vec()).alias(alias);
        self.change("set up bridge", index, message.link_group(BRIDGES_GROUP).build())
    }

    /// Makes a link a port of a bridge, or leaves it one, and gives it what a port has: MTU and
    /// group first, then the flags, then up, so that no frame slips by before.
    ///
    /// # Errors
    /// The kernel's.
    pub fn set_port(&self, index: u32, bridge: u32, port: &Port) -> Result<(), LinkError> {
        let join = LinkUnspec::new_with_index(index).controller(bridge).link_group(port.group).mtu(port.mtu);
        self.change("attach", index, join.build())?;
        let flags = LinkBridgePort::new(index).isolated(port.isolated).hairpin(port.hairpin);
        self.change("set flags of", index, flags.build())?;
        self.raise(index)
    }

    /// Gives a link an address.
    ///
    /// # Errors
    /// The kernel's.
    pub fn set_mac(&self, index: u32, mac: MacAddr) -> Result<(), LinkError> {
        let order = LinkUnspec::new_with_index(index).address(mac.0.to_vec()).build();
        self.change("set the MAC of", index, order)
    }

    /// Sets a link up.
    ///
    /// # Errors
    /// The kernel's.
    pub fn raise(&self, index: u32) -> Result<(), LinkError> {
        self.change("raise", index, LinkUnspec::new_with_index(index).up().build())
    }

    /// Gives a link an address: an IPv4 one with its broadcast address where there is one, an IPv6
    /// one that counts at once, without the wait for others who might have it (`nodad`). That it
    /// has it already is no failure.
    ///
    /// # Errors
    /// The kernel's.
    pub fn add_address(&self, index: u32, address: IpAddr, length: u8) -> Result<(), LinkError> {
        let order = RouteNetlinkMessage::NewAddress(address_message(index, address, length));
        match self.order(order, NLM_F_CREATE | NLM_F_EXCL) {
            Err(cause) if !cause.is_exists() => Err(self.error("add an address to", index, cause)),
            _ => Ok(()),
        }
    }

    /// Takes an address from a link. That it does not have it, or is gone, is no failure.
    ///
    /// # Errors
    /// The kernel's.
    pub fn remove_address(&self, index: u32, address: IpAddr, length: u8) -> Result<(), LinkError> {
        let order = RouteNetlinkMessage::DelAddress(address_message(index, address, length));
        match self.order(order, 0) {
            Err(cause) if !cause.is_absent() => Err(self.error("remove an address from", index, cause)),
            _ => Ok(()),
        }
    }

    /// Makes two links of which each one's frames come out of the other, both down.
    ///
    /// # Errors
    /// [`Cause::is_exists`] when there is a link of either name.
    pub fn create_veth(&self, one: &IfName, other: &IfName) -> Result<(), LinkError> {
        let failed = |cause| LinkError { act: "create", object: format!("{one} and {other}"), cause };
        let (one, other) = (text(one).map_err(failed)?, text(other).map_err(failed)?);
        let order = RouteNetlinkMessage::NewLink(LinkVeth::new(&one, &other).build());
        self.order(order, NLM_F_CREATE | NLM_F_EXCL).map_err(failed)
    }

    /// Gives a link an alias.
    ///
    /// # Errors
    /// The kernel's.
    pub fn set_alias(&self, index: u32, alias: &str) -> Result<(), LinkError> {
        let order = LinkUnspec::new_with_index(index).alias(alias).build();
        self.change("set the alias of", index, order)
    }

    /// Deletes a link. That it is gone is no failure.
    ///
    /// # Errors
    /// The kernel's, such as for hardware, which cannot be deleted.
    pub fn delete(&self, index: u32) -> Result<(), LinkError> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        match self.order(RouteNetlinkMessage::DelLink(message), 0) {
            Err(cause) if !cause.is_absent() => Err(self.error("delete", index, cause)),
            _ => Ok(()),
        }
    }

    fn change(&self, act: &'static str, index: u32, message: LinkMessage) -> Result<(), LinkError> {
        match self.order(RouteNetlinkMessage::NewLink(message), 0) {
            Err(cause) => Err(self.error(act, index, cause)),
            Ok(()) => Ok(()),
        }
    }
}

/// What a port of ours is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// Bytes.
    pub mtu: u32,
    /// Its group.
    pub group: u32,
    /// Cut off from the other isolated ports.
    pub isolated: bool,
    /// A frame may leave by it that came in by it.
    pub hairpin: bool,
}

fn address_message(index: u32, address: IpAddr, length: u8) -> AddressMessage {
    match address {
        IpAddr::V4(address) => {
            AddressMessageBuilder::<Ipv4Addr>::new().index(index).address(address, length).build()
        }
        IpAddr::V6(address) => {
            let mut message =
                AddressMessageBuilder::<Ipv6Addr>::new().index(index).address(address, length).build();
            message.header.flags |= AddressHeaderFlags::Nodad;
            message
        }
    }
}
