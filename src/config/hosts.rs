//! `[[host]]`: what is promised to one guest, and that nothing is promised to two.

use crate::extent::AddressSpace;
use crate::mistake::{Fault, Found};
use crate::section::{Entry, Placed, Section};
use crate::{addresses, addresses6, keys, values};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::{Ipv4Addr, Ipv6Addr};
use vmnet_access::mac::MacAddr;
use vmnet_model::guest::{Reservation, Who};

/// One `[[host]]` key by key.
pub(crate) struct HostEntry {
    at: usize,
    name: Entry<String>,
    mac: Entry<MacAddr>,
    address: Entry<Ipv4Addr>,
    address6: Entry<Ipv6Addr>,
    aliases: Entry<Vec<Placed<String>>>,
}

/// What is given away already, and where.
struct Given<'a, K>(BTreeMap<&'a K, usize>);

impl<'a, K: Ord + Display> Given<'a, K> {
    /// Give it once more, with a fault if that is not the first time.
    fn give(&mut self, what: &str, key: &'a K, at: usize, found: &mut Vec<Found>) {
        match self.0.get(key) {
            Some(before) => found.push((at, Fault::new(format!("{what} {key} is given twice")).see(*before))),
            None => _ = self.0.insert(key, at),
        }
    }
}

/// The names that hosts have, and where they got them.
pub(crate) type Names<'a> = BTreeMap<&'a str, usize>;

/// Every `[[host]]` of the file.
pub(crate) struct Hosts(Vec<HostEntry>);

impl Hosts {
    pub(crate) fn take(top: &Section<'_, '_>, found: &mut Vec<Found>) -> Self {
        let sections = top.each(&keys::HOST, found);
        let take = |(host, at): Placed<Section<'_, '_>>| HostEntry {
            at,
            name: host.one("name", values::host_name, found),
            mac: host.one("mac", addresses::mac, found),
            address: host.one("address", addresses::ipv4, found),
            address6: host.one("address6", addresses6::ipv6, found),
            aliases: host.list("aliases", values::host_name, found),
        };
        Self(sections.into_iter().map(take).collect())
    }

    /// The bytes where they begin.
    pub(crate) fn places(&self) -> impl Iterator<Item = usize> {
        self.0.iter().map(|host| host.at)
    }

    /// Note what two hosts, or a host and the bridge, would have in common, and addresses that are not the
    /// network's.
    pub(crate) fn contradictions(
        &self,
        extent: &AddressSpace,
        bridge: &Entry<MacAddr>,
        found: &mut Vec<Found>,
    ) -> Names<'_> {
        let mut macs = Given(bridge.given().into_iter().collect());
        let (mut addresses, mut addresses6) = (Given(BTreeMap::new()), Given(BTreeMap::new()));
        let mut names = Names::new();
        for host in &self.0 {
            if let Some((mac, at)) = host.mac.given() {
                macs.give("MAC address", mac, at, found);
            }
            if let Some((address, at)) = host.address.given() {
                found.extend(extent.reserves("host.address", *address).err().map(|fault| (at, fault)));
                addresses.give("address", address, at, found);
            }
            if let Some((address, at)) = host.address6.given() {
                found.extend(extent.holds6(*address).err().map(|fault| (at, fault)));
                addresses6.give("address", address, at, found);
            }
            for (name, at) in host.names() {
                match names.get(name.as_str()) {
                    Some(before) => found.push((at, taken(name).see(*before))),
                    None => _ = names.insert(name, at),
                }
            }
        }
        names
    }

    /// The same guest by its host's name, whichever way it is meant.
    pub(crate) fn known(&self, who: &Who) -> Who {
        let is_meant = |host: &&HostEntry| match who {
            Who::Name(name) => host.names().any(|(other, _)| other == name),
            Who::Mac(mac) => host.mac.given().is_some_and(|(other, _)| other == mac),
            Who::Address(address) => host.address.given().is_some_and(|(other, _)| other == address),
            Who::Address6(address) => host.address6.given().is_some_and(|(other, _)| other == address),
        };
        let host = self.0.iter().find(is_meant);
        host.and_then(|host| host.name.given())
            .map_or_else(|| who.clone(), |(name, _)| Who::Name(name.clone()))
    }

    /// Those that have what a host needs.
    pub(crate) fn into_hosts(self) -> Vec<Reservation> {
        self.0.into_iter().filter_map(HostEntry::into_host).collect()
    }
}

/// A name that somebody else has.
pub(crate) fn taken(name: &str) -> Fault {
    Fault::new(format!("name '{name}' is given twice"))
}

impl HostEntry {
    /// Every name of it, and where it is given.
    fn names(&self) -> impl Iterator<Item = (&String, usize)> {
        self.name.given().into_iter().chain(self.aliases.each().map(|(alias, at)| (alias, *at)))
    }

    fn into_host(self) -> Option<Reservation> {
        Some(Reservation {
            name: self.name.value()?,
            mac: self.mac.value()?,
            address: self.address.value(),
            address6: self.address6.value(),
            aliases: self.aliases.values().unwrap_or_default(),
        })
    }
}
