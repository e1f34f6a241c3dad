//! A network's dnsmasq file: one process per network, which reads nothing of the host's own
//! dnsmasq and listens on nothing but the bridge.

use crate::guest::{Reservation, Who};
use crate::network::{GuestRule, HostAccess, LeaseTime, Mode};
use crate::prefix6::PREFIX6_LENGTH;
use crate::settle::NetworkSpec;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The generated file, in a network's run directory.
pub const CONFIGURATION_FILE: &str = "dnsmasq.conf";
/// dnsmasq's process id, in a network's run directory.
pub const PID_FILE: &str = "dnsmasq.pid";
/// The leases, in a network's run directory: dnsmasq rewrites and syncs the whole file at each
/// change, which takes three times as long on a disk as in memory.
pub const LEASE_FILE: &str = "leases";
/// Files of names and addresses beside those of leases, in a network's run directory. dnsmasq reads
/// them at its start and at SIGHUP, and then forgets what is not in them any more.
pub const NAMES_DIR: &str = "names";
/// Files of reservations, in a network's run directory; the same holds for them. With
/// `dhcp-hostsdir` it would hear of a changed file by itself, but read it on top of what it knows:
/// each old line becomes an error in the log, and what went stays until SIGHUP all the same.
pub const RESERVATIONS_DIR: &str = "reservations";
/// The one file that is in each of these two directories.
pub const RESERVED_FILE: &str = "reserved";

/// The host's own name in each network's domain.
pub const GATEWAY: &str = "gateway";
/// Names that no guest may have: localhost is everybody himself (RFC 6761, 6.3).
pub const NOT_FOR_GUESTS: [&str; 2] = [GATEWAY, "localhost"];
/// Only an administrator gives this name: whoever has it is the proxy of every guest that looks for
/// one (CERT VU#598349).
const PROXY: &str = "wpad";

/// What dnsmasq's file names of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The network's run directory.
    pub run_dir: String,
    /// Whom dnsmasq becomes after its start.
    pub user: String,
    /// The group that dnsmasq is in after its start.
    pub group: String,
    /// The host's `resolv.conf`, if there is one.
    pub resolver: Option<String>,
}

/// The file, or none where the network needs no dnsmasq.
#[must_use]
pub fn configuration(wanted: &NetworkSpec, place: &Place) -> Option<String> {
    let names = wanted.network.host_access != HostAccess::None;
    let addresses = wanted.network.dhcp.enabled;
    if !names && !addresses {
        return None;
    }
    let mut lines = process(wanted, place);
    if names {
        lines.extend(dns(wanted, place));
    } else {
        lines.push("port=0".to_owned());
    }
    if addresses {
        lines.extend(dhcp(wanted, place));
    }
    Some(lines.join("\n") + "\n")
}

fn process(wanted: &NetworkSpec, place: &Place) -> Vec<String> {
    vec![
        format!("user={}", place.user),
        format!("group={}", place.group),
        format!("pid-file={}/{PID_FILE}", place.run_dir),
        format!("interface={}", wanted.bridge),
        // A resolver on 127.0.0.1 or 127.0.0.53 keeps its port.
        "except-interface=lo".to_owned(),
        // Besides binding to the address, look by which interface a packet came: with
        // bind-interfaces whoever has a route to the address is answered, by any interface
        // (CVE-2012-3411).
        "bind-dynamic".to_owned(),
        // Its /etc/hosts names the host 127.0.1.1.
        "no-hosts".to_owned(),
    ]
}

/// The names of the network's own domain, and who is asked about all others.
fn dns(wanted: &NetworkSpec, place: &Place) -> Vec<String> {
    let domain = wanted.network.domain();
    let mut lines: Vec<String> = ["domain-needed", "bogus-priv", "dns-loop-detect", "no-negcache"]
        .into_iter()
        .map(str::to_owned)
        .collect();
    // Without a server these say that nobody else is asked about the domain and the subnet.
    lines.push(format!("local=/{domain}/"));
    lines.extend(wanted.subnets().iter().map(|subnet| format!("rev-server={subnet}")));
    lines.extend(wanted.subnet6.map(|prefix| format!("rev-server={prefix}")));
    // The first is what its addresses are called. Of several it is the one of the guest's subnet.
    let gateway = [format!("{GATEWAY}.{domain}"), GATEWAY.to_owned()];
    lines.extend(gateway.map(|name| format!("interface-name={name},{}", wanted.bridge)));
    lines.push("localise-queries".to_owned());
    lines.push(format!("addn-hosts={}/{NAMES_DIR}", place.run_dir));
    lines.extend(aliases(wanted, &domain));
    let upstream = &wanted.network.dns.upstream;
    match (&place.resolver, wanted.network.mode) {
        (Some(file), Mode::Nat | Mode::Routed) if upstream.is_empty() => {
            lines.push(format!("resolv-file={file}"))
        }
        (_, mode) => {
            lines.push("no-resolv".to_owned());
            if mode != Mode::Isolated {
                lines.extend(upstream.iter().map(|server| format!("server={server}")));
            }
        }
    }
    lines
}

fn dhcp(wanted: &NetworkSpec, place: &Place) -> Vec<String> {
    let range = wanted.range;
    let lease = match wanted.network.dhcp.lease_time {
        LeaseTime::Seconds(seconds) => seconds.to_string(),
        LeaseTime::Infinite => "infinite".to_owned(),
    };
    let mut lines = vec![
        format!("domain={}", wanted.network.domain()),
        format!("dhcp-range={},{},{},{lease}", range.first, range.last, wanted.subnet.netmask()),
        format!("dhcp-lease-max={}", range.size()),
        format!("dhcp-leasefile={}/{LEASE_FILE}", place.run_dir),
        format!("dhcp-hostsfile={}/{RESERVATIONS_DIR}", place.run_dir),
        // A name that stands without its domain is looked for in it.
        format!("dhcp-option=option:domain-search,{}", wanted.network.domain()),
    ];
    // Only for reservations: an address outside every range is not believed.
    let more = wanted.network.more_subnets.iter();
    lines.extend(
        more.map(|subnet| format!("dhcp-range={},static,{},{lease}", subnet.base(), subnet.netmask())),
    );
    lines.extend(DHCP_MANNERS.into_iter().map(str::to_owned));
    lines.extend(denied_names(wanted).map(|name| format!("dhcp-name-match=set:denied,{name}")));
    lines.push("dhcp-ignore-names=tag:denied".to_owned());
    if wanted.network.mode == Mode::Isolated {
        lines.push("dhcp-option=option:router".to_owned());
    }
    if wanted.mtu != 1500 {
        lines.push(format!("dhcp-option=option:mtu,{}", wanted.mtu));
    }
    lines.extend(other_resolvers(wanted));
    lines.extend(router(wanted, &lease));
    lines.extend(wanted.network.dhcp.options.iter().map(|option| format!("dhcp-option={option}")));
    lines
}

/// The names that links give, each once: two links may give one guest the same.
fn aliases(wanted: &NetworkSpec, domain: &str) -> BTreeSet<String> {
    let line = |link: &GuestRule| {
        let (alias, Who::Name(name)) = (link.alias.as_ref()?, &link.to) else { return None };
        Some(format!("cname={alias}.{domain},{alias},{name}.{domain}"))
    };
    wanted.network.links.iter().filter_map(line).collect()
}

/// Router advertisements: guests make their own addresses (SLAAC) and ask for the rest by
/// stateless DHCPv6. `ra-names` gives a guest with an IPv4 lease and a name its IPv6 name too.
fn router(wanted: &NetworkSpec, lease: &str) -> Vec<String> {
    let Some(prefix) = wanted.subnet6 else { return Vec::new() };
    let mut lines = vec![
        "enable-ra".to_owned(),
        format!("dhcp-range={},ra-stateless,ra-names,{PREFIX6_LENGTH},{lease}", prefix.address(0)),
        format!("dhcp-option=option6:domain-search,{}", wanted.network.domain()),
    ];
    if wanted.network.mode == Mode::Isolated {
        // A router that leads nowhere: lifetime 0 (RFC 4861, 4.2).
        lines.push(format!("ra-param={},600,0", wanted.bridge));
    }
    // Left to itself dnsmasq advertises its link-local address, which means nothing to a resolver that
    // is not told the link.
    let own = vec![prefix.gateway().into()];
    let servers =
        if wanted.network.host_access == HostAccess::None { &wanted.network.dns.upstream } else { &own };
    let servers = servers.iter().filter(|server| server.is_ipv6()).map(|server| format!(",[{server}]"));
    lines.push(format!("dhcp-option=option6:dns-server{}", servers.collect::<String>()));
    lines
}

/// Names that a guest asks for in vain. A reserved name that has an address in [`NAMES_DIR`] needs
/// no line here: dnsmasq gives nobody a name that is in such a file.
fn denied_names(wanted: &NetworkSpec) -> impl Iterator<Item = &str> {
    let network = &wanted.network;
    let unaddressed = network.hosts.iter().filter(|host| wanted.address_of(host).is_none());
    let reserved = unaddressed.flat_map(Reservation::names);
    let aliases = network.links.iter().filter_map(|link| link.alias.as_ref());
    NOT_FOR_GUESTS.into_iter().chain([PROXY]).chain(reserved.chain(aliases).map(String::as_str))
}

/// One file for [`RESERVATIONS_DIR`]: `MAC[,ADDRESS],NAME.DOMAIN`, one guest a line. A name without
/// its domain could be read as another word of the line: `ignore`, `infinite`, or `1h`. Never with a
/// tag: at SIGHUP 2.90 frees tags that it has linked to others meanwhile, and crashes.
#[must_use]
pub fn reservations(wanted: &NetworkSpec) -> String {
    let domain = wanted.network.domain();
    let line = |host: &Reservation| {
        let address = wanted.address_of(host).map_or_else(String::new, |address| format!(",{address}"));
        format!("{}{address},{}.{domain}\n", host.mac, host.name)
    };
    wanted.network.hosts.iter().map(line).collect()
}

/// One file for [`NAMES_DIR`], as hosts(5) has it: reserved addresses with their names, whether the
/// guest is there or not.
#[must_use]
pub fn names(wanted: &NetworkSpec) -> String {
    let domain = wanted.network.domain();
    let mut text = String::new();
    for host in &wanted.network.hosts {
        let address = wanted.address_of(host);
        let address6 = host.address6.filter(|_| wanted.subnet6.is_some());
        let addresses = address.map(IpAddr::V4).into_iter().chain(address6.map(IpAddr::V6));
        // dnsmasq looks a reservation's short name up here, and takes a guest with an IPv6 address
        // alone for none of DHCPv4's.
        let short = address.is_some();
        let name = |name: &String| {
            if short { format!(" {name}.{domain} {name}") } else { format!(" {name}.{domain}") }
        };
        let names: String = host.names().map(name).collect();
        text.extend(addresses.map(|address| format!("{address}{names}\n")));
    }
    text
}

/// Guests that may not ask the host are told of the servers they can ask themselves.
fn other_resolvers(wanted: &NetworkSpec) -> Option<String> {
    let network = &wanted.network;
    if network.host_access != HostAccess::None || network.mode == Mode::Isolated {
        return None;
    }
    let servers: Vec<String> =
        network.dns.upstream.iter().filter(|server| server.is_ipv4()).map(ToString::to_string).collect();
    (!servers.is_empty()).then(|| format!("dhcp-option=option:dns-server,{}", servers.join(",")))
}

/// Without the echo an offered address is not held, so of two guests that dnsmasq's hash of their
/// MACs sends to one address at the same moment the slower gets a NAK and begins again. Of 50 at
/// once with random MACs 2 to 5 did in a /24, 0 to 3 in a /20; none with consecutive MACs (they
/// hash to neighbours) or with rapid commit, which holds from the first packet. No option of 2.90
/// does better: `dhcp-sequential-ip` offers all of them one address (1,225 NAKs), and without
/// `dhcp-authoritative` there are more.
const DHCP_MANNERS: [&str; 6] = [
    // A guest that comes with an old lease is answered at once.
    "dhcp-authoritative",
    // Otherwise every first lease waits 3 s for an echo, one after the other.
    "no-ping",
    "dhcp-rapid-commit",
    // Copies of one image share a client identifier, never a MAC.
    "dhcp-ignore-clid",
    "dhcp-no-override",
    "quiet-dhcp",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    fn place(name: &str) -> Place {
        Place {
            run_dir: format!("/run/vmnet/{name}"),
            user: "dnsmasq".to_owned(),
            group: "nogroup".to_owned(),
            resolver: Some("/etc/resolv.conf".to_owned()),
        }
    }

    #[test]
    fn each_network_has_exactly_its_golden_file() {
        for wanted in golden::networks() {
            let name = wanted.network.name.as_str();
            golden::check(name, "dnsmasq", configuration(&wanted, &place(name)).as_deref());
        }
    }

    #[test]
    fn a_host_without_a_resolver_file_is_not_asked_for_one() {
        for wanted in golden::networks() {
            let place = Place { resolver: None, ..place("lab") };
            let text = configuration(&wanted, &place).unwrap_or_default();
            assert!(!text.contains("resolv-file"), "{text}");
        }
    }
}
