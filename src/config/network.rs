//! Every key of the file in one place: taken, judged together, and made a [`Network`].

use crate::mistake::{Fault, Found};
use crate::section::{Entry, Section};
use crate::{addresses, keys, values};
use std::net::{IpAddr, Ipv4Addr};
use toml::de::DeTable;
use vmnet_model::mac::MacAddr;
use vmnet_model::name::{IfName, NetName};
use vmnet_model::network::{Dhcp, DhcpRange, Dns, HostAccess, LeaseTime, Mode, Nat, Network, SubnetChoice};
use vmnet_model::subnet::Subnet;

/// The file key by key, each judged by itself.
pub(crate) struct Entries {
    mode: Entry<Mode>,
    subnet: Entry<SubnetChoice>,
    address: Entry<Ipv4Addr>,
    mac: Entry<MacAddr>,
    mtu: Entry<u32>,
    on_demand: Entry<bool>,
    isolated: Entry<bool>,
    host_access: Entry<HostAccess>,
    enabled: Entry<bool>,
    range: Entry<DhcpRange>,
    lease_time: Entry<LeaseTime>,
    options: Entry<Vec<String>>,
    domain: Entry<String>,
    upstream: Entry<Vec<IpAddr>>,
    source: Entry<Ipv4Addr>,
    uplink: Entry<IfName>,
}

impl Entries {
    /// Take every key out of the file's table and note what is wrong with each.
    pub(crate) fn take(table: &DeTable<'_>, found: &mut Vec<Found>) -> Self {
        let top = Section::new(keys::TOP, Some(table), found);
        let dhcp = top.inner(keys::DHCP, found);
        let dns = top.inner(keys::DNS, found);
        let nat = top.inner(keys::NAT, found);
        Self {
            mode: top.one("mode", values::mode, found),
            subnet: top.one("subnet", addresses::subnet, found),
            address: top.one("address", addresses::ipv4, found),
            mac: top.one("mac", addresses::mac, found),
            mtu: top.one("mtu", values::mtu, found),
            on_demand: top.one("on_demand", values::switch, found),
            isolated: top.one("isolated", values::switch, found),
            host_access: top.one("host_access", values::host_access, found),
            enabled: dhcp.one("enabled", values::switch, found),
            range: dhcp.one("range", addresses::range, found),
            lease_time: dhcp.one("lease_time", values::lease_time, found),
            options: dhcp.list("options", values::dhcp_option, found),
            domain: dns.one("domain", values::domain, found),
            upstream: dns.list("upstream", addresses::server, found),
            source: nat.one("source", addresses::source, found),
            uplink: nat.one("uplink", values::interface, found),
        }
    }

    /// Note keys that are good by themselves and contradict each other.
    pub(crate) fn contradictions(&self, name: &NetName, found: &mut Vec<Found>) {
        match &self.subnet {
            Entry::Wrong => {}
            Entry::Absent | Entry::Given(SubnetChoice::Auto, _) => self.without_subnet(found),
            Entry::Given(SubnetChoice::Fixed(subnet), _) => self.within(*subnet, found),
        }
        let mode = self.mode.given().map_or(Mode::Nat, |(mode, _)| *mode);
        if mode != Mode::Nat && !self.mode.is_wrong() {
            let source = self.source.given().map(|(_, at)| ("source", at));
            let uplink = self.uplink.given().map(|(_, at)| ("uplink", at));
            for (key, at) in source.into_iter().chain(uplink) {
                let fault = Fault::new(format!("'nat.{key}' means nothing in mode '{}'", mode.as_str()));
                found.push((at, fault.hint("leave it out, or set mode = \"nat\"")));
            }
        }
        if let Some((uplink, at)) = self.uplink.given()
            && *uplink == name.bridge()
        {
            let fault = Fault::new(format!("'{uplink}' is this network's own bridge, not a way out"));
            found.push((
                at,
                fault.hint("name the interface that leads to the outside, or leave 'uplink' out"),
            ));
        }
    }

    /// Addresses need a subnet that stays the same.
    fn without_subnet(&self, found: &mut Vec<Found>) {
        let address = self.address.given().map(|(address, at)| ("address", *address, at));
        let range = self.range.given().map(|(range, at)| ("dhcp.range", range.first, at));
        for (key, address, at) in address.into_iter().chain(range) {
            let fault = Fault::new(format!("'{key}' needs a fixed subnet, and 'subnet' is \"auto\""));
            let subnet = Subnet::around(address, 24);
            found.push((at, fault.hint(format!("set subnet = \"{subnet}\", or leave '{key}' out"))));
        }
    }

    /// Addresses must be the subnet's, and each is for one use.
    fn within(&self, subnet: Subnet, found: &mut Vec<Found>) {
        let (first, last) = (subnet.first_host(), subnet.last_host());
        let hosts = format!("its hosts are {first} to {last}");
        let is_host = |address: Ipv4Addr| (first..=last).contains(&address);
        if let Some((address, at)) = self.address.given()
            && !is_host(*address)
        {
            let why = if subnet.contains(*address) {
                format!("no host may have address {address}: it stands for all of subnet {subnet}")
            } else {
                format!("address {address} is not in subnet {subnet}")
            };
            found.push((at, Fault::new(why).hint(hosts.clone())));
            return;
        }
        if self.address.is_wrong() {
            return;
        }
        let own = self.address.given().map_or(first, |(address, _)| *address);
        if let Some((range, at)) = self.range.given() {
            let DhcpRange { first: from, last: to } = *range;
            if !is_host(from) || !is_host(to) {
                let fault = Fault::new(format!("range {from}-{to} is not inside subnet {subnet}"));
                found.push((at, fault.hint(hosts)));
            } else if (from..=to).contains(&own) {
                let fault = Fault::new(format!("range {from}-{to} holds the bridge's own address {own}"));
                found.push((at, fault.hint("end the range before it or begin after it")));
            }
        }
        if let Some((servers, at)) = self.upstream.given()
            && servers.contains(&IpAddr::V4(own))
        {
            let fault = Fault::new(format!("'dns.upstream' holds the bridge's own address {own}"));
            found.push((at, fault.hint("the network's DNS would ask itself; name another server")));
        }
    }

    /// The network, with the default for each key that the file does not have.
    pub(crate) fn into_network(self, name: NetName) -> Network {
        let default = Network::with_defaults(name);
        Network {
            mode: self.mode.value().unwrap_or(default.mode),
            subnet: self.subnet.value().unwrap_or(default.subnet),
            address: self.address.value().or(default.address),
            mac: self.mac.value().or(default.mac),
            mtu: self.mtu.value().unwrap_or(default.mtu),
            on_demand: self.on_demand.value().unwrap_or(default.on_demand),
            isolated: self.isolated.value().unwrap_or(default.isolated),
            host_access: self.host_access.value().unwrap_or(default.host_access),
            dhcp: Dhcp {
                enabled: self.enabled.value().unwrap_or(default.dhcp.enabled),
                range: self.range.value().or(default.dhcp.range),
                lease_time: self.lease_time.value().unwrap_or(default.dhcp.lease_time),
                options: self.options.value().unwrap_or(default.dhcp.options),
            },
            dns: Dns {
                domain: self.domain.value().or(default.dns.domain),
                upstream: self.upstream.value().unwrap_or(default.dns.upstream),
            },
            nat: Nat {
                source: self.source.value().or(default.nat.source),
                uplink: self.uplink.value().or(default.nat.uplink),
            },
            name: default.name,
        }
    }
}
