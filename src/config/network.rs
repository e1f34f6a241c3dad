//! Every key of the file in one place: taken, judged together, and made a [`Network`].

use crate::extent::{AddressSpace, hosts_of, is_host};
use crate::forwards::Forwards;
use crate::hosts::Hosts;
use crate::links::Links;
use crate::mistake::{Fault, Found};
use crate::section::{Entry, Placed, Section};
use crate::vde::{self, SwitchEntry};
use crate::{addresses, addresses6, keys, limits, times, values};
use std::net::{IpAddr, Ipv4Addr};
use toml::de::DeTable;
use vmnet_access::mac::MacAddr;
use vmnet_access::name::{IfName, NetName};
use vmnet_model::network::{
    Dhcp, DhcpRange, Dns, HostAccess, Idle, LeaseTime, Limits, Mode, MtuChoice, Nat, Network, Prefix6Choice,
    SubnetChoice,
};
use vmnet_model::subnet::Subnet;

/// What helps where a bare wire is asked for more.
const LEAVE_OR_MOVE: &str = "leave it out, or set another mode and add a section [vde]";
/// The least MTU that IPv6 works with (RFC 8200 section 5).
const MTU6_MIN: u32 = 1280;

/// Where a key has a value that asks for something.
fn place<T>(entry: &Entry<T>, asks_nothing: fn(&T) -> bool) -> Option<usize> {
    entry.given().filter(|(value, _)| !asks_nothing(value)).map(|(_, at)| at)
}

/// The file key by key, each judged by itself.
pub(crate) struct Entries {
    mode: Entry<Mode>,
    subnet: Entry<SubnetChoice>,
    address: Entry<Ipv4Addr>,
    more_subnets: Entry<Vec<Placed<Subnet>>>,
    subnet6: Entry<Prefix6Choice>,
    mac: Entry<MacAddr>,
    mtu: Entry<MtuChoice>,
    on_demand: Entry<bool>,
    idle: Entry<Idle>,
    isolated: Entry<bool>,
    guard: Entry<bool>,
    allow_from: Entry<Vec<Placed<NetName>>>,
    host_access: Entry<HostAccess>,
    enabled: Entry<bool>,
    range: Entry<DhcpRange>,
    lease_time: Entry<LeaseTime>,
    options: Entry<Vec<Placed<String>>>,
    domain: Entry<String>,
    upstream: Entry<Vec<Placed<IpAddr>>>,
    register: Entry<bool>,
    source: Entry<Ipv4Addr>,
    uplink: Entry<IfName>,
    from_guest: Entry<u64>,
    to_guest: Entry<u64>,
    hosts: Hosts,
    forwards: Forwards,
    links: Links,
    vde: SwitchEntry,
}

impl Entries {
    /// Take every key out of the file's table and note what is wrong with each.
    pub(crate) fn take(table: &DeTable<'_>, found: &mut Vec<Found>) -> Self {
        let top = Section::new(&keys::TOP, Some(table), found);
        let dhcp = top.inner(&keys::DHCP, found);
        let dns = top.inner(&keys::DNS, found);
        let nat = top.inner(&keys::NAT, found);
        let limits = top.inner(&keys::LIMITS, found);
        Self {
            mode: top.one("mode", values::mode, found),
            subnet: top.one("subnet", addresses::subnet, found),
            address: top.one("address", addresses::ipv4, found),
            more_subnets: top.list("more_subnets", addresses::fixed_subnet, found),
            subnet6: top.one("subnet6", addresses6::subnet6, found),
            mac: top.one("mac", addresses::mac, found),
            mtu: top.one("mtu", values::mtu, found),
            on_demand: top.one("on_demand", values::switch, found),
            idle: top.one("idle", times::idle, found),
            isolated: top.one("isolated", values::switch, found),
            guard: top.one("guard", values::switch, found),
            allow_from: top.list("allow_from", values::network, found),
            host_access: top.one("host_access", values::host_access, found),
            enabled: dhcp.one("enabled", values::switch, found),
            range: dhcp.one("range", addresses::range, found),
            lease_time: dhcp.one("lease_time", times::lease_time, found),
            options: dhcp.list("options", values::dhcp_option, found),
            domain: dns.one("domain", values::domain, found),
            upstream: dns.list("upstream", addresses::server, found),
            register: dns.one("register", values::switch, found),
            source: nat.one("source", addresses::source, found),
            uplink: nat.one("uplink", values::interface, found),
            from_guest: limits.one("from_guest", limits::rate, found),
            to_guest: limits.one("to_guest", limits::rate, found),
            hosts: Hosts::take(&top, found),
            forwards: Forwards::take(&top, found),
            links: Links::take(&top, found),
            vde: SwitchEntry::take(&top, found),
        }
    }

    /// Note keys that are good by themselves and contradict each other.
    pub(crate) fn contradictions(&self, name: &NetName, found: &mut Vec<Found>) {
        self.beyond(name, found);
        if self.is_bare() {
            self.on_a_bare_wire(found);
        } else {
            self.with_addresses(found);
        }
        self.vde.contradictions(found);
        if let Some(there) = self.switch() {
            let rates = [("from_guest", &self.from_guest), ("to_guest", &self.to_guest)];
            vde::unfit(there, &self.isolated, &self.guard, rates, &self.mtu, found);
        }
    }

    /// Note what is wrong with addresses and names, and with what is about them.
    fn with_addresses(&self, found: &mut Vec<Found>) {
        match &self.subnet {
            Entry::Wrong => {}
            Entry::Absent | Entry::Given(SubnetChoice::Auto, _) => self.without_subnet(found),
            Entry::Given(SubnetChoice::Fixed(subnet), _) => self.within(*subnet, found),
        }
        let extent = AddressSpace::new(&self.subnet, &self.address, &self.more_subnets, &self.subnet6, found);
        if let Some((MtuChoice::Fixed(mtu @ ..MTU6_MIN), at)) = self.mtu.given()
            && extent.has_ipv6() == Some(true)
        {
            let fault = Fault::new(format!(
                "an MTU of {mtu} is too small for IPv6, which needs {MTU6_MIN} (RFC 8200)"
            ));
            found.push((at, fault.hint("set subnet6 = \"none\", or a larger 'mtu'")));
        }
        let names = self.hosts.contradictions(&extent, &self.mac, found);
        self.forwards.contradictions(&self.mode, &extent, found);
        let apart = (&self.isolated, self.switch());
        self.links.contradictions(apart, (&self.hosts, &names), &extent, found);
    }

    /// Is the host not on it?
    fn is_bare(&self) -> bool {
        matches!(self.mode.given(), Some((Mode::Vde, _)))
    }

    /// The byte where the file says that there is a VDE switch.
    fn switch(&self) -> Option<usize> {
        let mode = self.mode.given().filter(|(mode, _)| **mode == Mode::Vde).map(|(_, at)| at);
        self.vde.at().or(mode)
    }

    /// Note what is about addresses, names, or the host.
    fn on_a_bare_wire(&self, found: &mut Vec<Found>) {
        let places = [
            ("subnet", place(&self.subnet, |_| false)),
            ("address", place(&self.address, |_| false)),
            ("more_subnets", place(&self.more_subnets, Vec::is_empty)),
            ("subnet6", place(&self.subnet6, |choice| *choice == Prefix6Choice::None)),
            ("allow_from", place(&self.allow_from, Vec::is_empty)),
            ("host_access", place(&self.host_access, |access| *access == HostAccess::None)),
            ("dhcp.enabled", place(&self.enabled, |is| !is)),
            ("dhcp.range", place(&self.range, |_| false)),
            ("dhcp.lease_time", place(&self.lease_time, |_| false)),
            ("dhcp.options", place(&self.options, Vec::is_empty)),
            ("dns.domain", place(&self.domain, |_| false)),
            ("dns.upstream", place(&self.upstream, Vec::is_empty)),
            ("dns.register", place(&self.register, |is| !is)),
        ];
        let places = places.into_iter().filter_map(|(key, at)| Some((key, at?)));
        let hosts = self.hosts.places().map(|at| ("host", at));
        let forwards = self.forwards.places().map(|at| ("forward", at));
        let links = self.links.places().map(|at| ("link", at));
        for (key, at) in places.chain(hosts).chain(forwards).chain(links) {
            let fault = Fault::new(format!("'{key}' means nothing in mode 'vde', a wire without the host"));
            found.push((at, fault.hint(LEAVE_OR_MOVE)));
        }
    }

    /// Note what is wrong with the ways out and in.
    fn beyond(&self, name: &NetName, found: &mut Vec<Found>) {
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
        let mut before: Vec<&Placed<NetName>> = Vec::new();
        for placed in self.allow_from.each() {
            let (other, at) = placed;
            if other.bridge() == name.bridge() {
                let fault = Fault::new(format!("'{other}' is this network itself"));
                found
                    .push((*at, fault.hint("its guests reach each other anyway, unless 'isolated' is true")));
            } else if let Some((_, there)) = before.iter().find(|(one, _)| one == other) {
                found.push((*at, Fault::new(format!("'{other}' is named twice")).see(*there)));
            }
            before.push(placed);
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
        if let Some((address, at)) = self.address.given()
            && let Err(why) = if subnet.contains(*address) {
                is_host(subnet, *address)
            } else {
                Err(Fault::new(format!("address {address} is not in subnet {subnet}")))
            }
        {
            found.push((at, why.hint(hosts_of(subnet))));
            return;
        }
        if self.address.is_wrong() {
            return;
        }
        let own = self.address.given().map_or(subnet.first_host(), |(address, _)| *address);
        if let Some((range, at)) = self.range.given() {
            let DhcpRange { first: from, last: to } = *range;
            let is_inside = |end| subnet.contains(end) && is_host(subnet, end).is_ok();
            if !is_inside(from) || !is_inside(to) {
                let fault = Fault::new(format!("range {from}-{to} is not inside subnet {subnet}"));
                found.push((at, fault.hint(hosts_of(subnet))));
            } else if (from..=to).contains(&own) {
                let fault = Fault::new(format!("range {from}-{to} holds the bridge's own address {own}"));
                found.push((at, fault.hint("end the range before it or begin after it")));
            }
        }
        for (_, at) in self.upstream.each().filter(|(server, _)| *server == IpAddr::V4(own)) {
            let fault = Fault::new(format!("'dns.upstream' holds the bridge's own address {own}"));
            found.push((*at, fault.hint("the network's DNS would ask itself; name another server")));
        }
    }

    /// The network, with the default for each key that the file does not have.
    pub(crate) fn into_network(self, name: NetName) -> Network {
        let default = if self.is_bare() { Network::bare_wire(name) } else { Network::with_defaults(name) };
        Network {
            mode: self.mode.value().unwrap_or(default.mode),
            subnet: self.subnet.value().unwrap_or(default.subnet),
            address: self.address.value().or(default.address),
            more_subnets: self.more_subnets.values().unwrap_or(default.more_subnets),
            subnet6: self.subnet6.value().unwrap_or(default.subnet6),
            mac: self.mac.value().or(default.mac),
            mtu: self.mtu.value().unwrap_or(default.mtu),
            on_demand: self.on_demand.value().unwrap_or(default.on_demand),
            idle: self.idle.value().unwrap_or(default.idle),
            isolated: self.isolated.value().unwrap_or(default.isolated),
            guard: self.guard.value().unwrap_or(default.guard),
            allow_from: self.allow_from.values().unwrap_or(default.allow_from),
            host_access: self.host_access.value().unwrap_or(default.host_access),
            dhcp: Dhcp {
                enabled: self.enabled.value().unwrap_or(default.dhcp.enabled),
                range: self.range.value().or(default.dhcp.range),
                lease_time: self.lease_time.value().unwrap_or(default.dhcp.lease_time),
                options: self.options.values().unwrap_or(default.dhcp.options),
            },
            dns: Dns {
                domain: self.domain.value().or(default.dns.domain),
                upstream: self.upstream.values().unwrap_or(default.dns.upstream),
                register: self.register.value().unwrap_or(default.dns.register),
            },
            nat: Nat {
                source: self.source.value().or(default.nat.source),
                uplink: self.uplink.value().or(default.nat.uplink),
            },
            limits: Limits {
                from_guest: self.from_guest.value().or(default.limits.from_guest),
                to_guest: self.to_guest.value().or(default.limits.to_guest),
            },
            vde: self.vde.into_vde().or(default.vde),
            hosts: self.hosts.into_hosts(),
            forwards: self.forwards.into_forwards(),
            links: self.links.into_links(),
            name: default.name,
        }
    }
}
