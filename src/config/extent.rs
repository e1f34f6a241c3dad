//! Which addresses a network has as far as its file tells, and whether one that a guest is to have is
//! among them.

use crate::mistake::{Fault, Found};
use crate::section::{Entry, Placed};
use std::net::{Ipv4Addr, Ipv6Addr};
use vmnet_model::guest::Who;
use vmnet_model::network::{Prefix6Choice, SubnetChoice};
use vmnet_model::subnet::Subnet;

/// The addresses of one network.
pub(crate) struct AddressSpace {
    /// Each fixed subnet with the bridge's own address in it; none where a mistake leaves that open.
    subnets: Option<Vec<(Subnet, Ipv4Addr)>>,
    /// There is one more, which `up` chooses.
    chosen_later: bool,
    /// None where a mistake leaves it open.
    subnet6: Option<Prefix6Choice>,
}

impl AddressSpace {
    /// Put the keys together; those that overlap are noted.
    pub(crate) fn new(
        subnet: &Entry<SubnetChoice>,
        address: &Entry<Ipv4Addr>,
        more: &Entry<Vec<Placed<Subnet>>>,
        subnet6: &Entry<Prefix6Choice>,
        found: &mut Vec<Found>,
    ) -> Self {
        let is_open = subnet.is_wrong() || address.is_wrong() || more.is_wrong();
        let mut placed = Vec::new();
        if let Some((SubnetChoice::Fixed(subnet), at)) = subnet.given() {
            let own = address.given().map_or(subnet.first_host(), |(address, _)| *address);
            placed.push((*subnet, own, at));
        }
        let chosen_later = placed.is_empty();
        for (subnet, at) in more.each() {
            if let Some((other, _, there)) = placed.iter().find(|(other, ..)| subnet.overlaps(*other)) {
                let fault = Fault::new(format!("subnet {subnet} overlaps with {other}"));
                found.push((*at, fault.see(*there)));
            }
            placed.push((*subnet, subnet.first_host(), *at));
        }
        let subnets = placed.into_iter().map(|(subnet, own, _)| (subnet, own)).collect();
        let subnet6 = match subnet6 {
            Entry::Absent => Some(Prefix6Choice::Auto),
            Entry::Wrong => None,
            Entry::Given(choice, _) => Some(*choice),
        };
        Self { subnets: (!is_open).then_some(subnets), chosen_later, subnet6 }
    }

    /// Can a guest be reached at this address, which `key` promises to it?
    pub(crate) fn reserves(&self, key: &str, address: Ipv4Addr) -> Result<(), Fault> {
        if self.chosen_later && self.subnets.as_ref().is_some_and(|all| subnet_of(all, address).is_none()) {
            let subnet = Subnet::around(address, 24);
            let fault = Fault::new(format!("'{key}' needs a fixed subnet, and 'subnet' is \"auto\""));
            return Err(fault.hint(format!("set subnet = \"{subnet}\", or leave '{key}' out")));
        }
        self.holds(address)
    }

    /// Can a guest have this address, as far as is known?
    pub(crate) fn holds(&self, address: Ipv4Addr) -> Result<(), Fault> {
        let Some(subnets) = &self.subnets else { return Ok(()) };
        let Some((subnet, own)) = subnet_of(subnets, address) else {
            return match subnets.as_slice() {
                _ if self.chosen_later => Ok(()),
                [(subnet, _)] => {
                    let fault = Fault::new(format!("address {address} is not in subnet {subnet}"));
                    Err(fault.hint(hosts_of(*subnet)))
                }
                _ => Err(Fault::new(format!("address {address} is in no subnet of this network"))
                    .hint("they are those in 'subnet' and 'more_subnets'")),
            };
        };
        if address == own {
            return Err(Fault::new(format!("address {address} is the bridge's own")));
        }
        is_host(subnet, address).map_err(|fault| fault.hint(hosts_of(subnet)))
    }

    /// The same for IPv6.
    pub(crate) fn holds6(&self, address: Ipv6Addr) -> Result<(), Fault> {
        match self.subnet6 {
            Some(Prefix6Choice::None) => {
                Err(Fault::new(format!("address {address} needs IPv6, and 'subnet6' is \"none\""))
                    .hint("leave it out, or set subnet6 = \"auto\""))
            }
            Some(Prefix6Choice::Fixed(prefix)) if !prefix.contains(address) => {
                Err(Fault::new(format!("address {address} is not in subnet6 {prefix}")))
            }
            Some(Prefix6Choice::Fixed(prefix)) if address == prefix.gateway() => {
                Err(Fault::new(format!("address {address} is the bridge's own")))
            }
            Some(Prefix6Choice::Fixed(prefix)) if address == prefix.address(0) => {
                Err(Fault::new(format!("no host may have address {address}: it stands for any router")))
            }
            None | Some(Prefix6Choice::Auto | Prefix6Choice::Fixed(_)) => Ok(()),
        }
    }

    /// Can this be a guest?
    pub(crate) fn has(&self, who: &Who) -> Result<(), Fault> {
        match who {
            Who::Address(address) => self.holds(*address),
            Who::Address6(address) => self.holds6(*address),
            Who::Name(_) | Who::Mac(_) => Ok(()),
        }
    }

    /// Does the network have IPv6? None where a mistake leaves that open.
    pub(crate) fn has_ipv6(&self) -> Option<bool> {
        self.subnet6.map(|choice| choice != Prefix6Choice::None)
    }
}

fn subnet_of(subnets: &[(Subnet, Ipv4Addr)], address: Ipv4Addr) -> Option<(Subnet, Ipv4Addr)> {
    subnets.iter().find(|(subnet, _)| subnet.contains(address)).copied()
}

/// Which addresses of a subnet are for hosts.
pub(crate) fn hosts_of(subnet: Subnet) -> String {
    format!("its hosts are {} to {}", subnet.first_host(), subnet.last_host())
}

/// May a host of the subnet have this address of it?
pub(crate) fn is_host(subnet: Subnet, address: Ipv4Addr) -> Result<(), Fault> {
    if (subnet.first_host()..=subnet.last_host()).contains(&address) {
        return Ok(());
    }
    Err(Fault::new(format!("no host may have address {address}: it stands for all of subnet {subnet}")))
}
