//! What guests may ask of the host.

use super::text::{any_of, chain, quoted, refuse, rule};
use crate::network::{HostAccess, Mode};
use crate::settle::NetworkSpec;

/// Without these no guest can be reached or find its router: they are to IPv6 what ARP is to IPv4
/// (RFC 4890, 4.3.1 and 4.4.1). Multicast listeners report for snooping bridges.
const NEIGHBOURS: &str = "nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert, \
     mld-listener-report, mld2-listener-report, mld-listener-done";
const ERRORS: &str = "destination-unreachable, time-exceeded, parameter-problem";

pub(super) fn chains(wanted: &NetworkSpec) -> Vec<String> {
    if wanted.network.host_access == HostAccess::All {
        return Vec::new();
    }
    let base = [rule(format!("iifname {} goto to_host", quoted(&wanted.bridge)), "guests to this host")];
    vec![
        chain("at_host", Some("filter hook input priority filter"), &base),
        chain("to_host", None, &to_host(wanted)),
    ]
}

fn to_host(wanted: &NetworkSpec) -> Vec<String> {
    if wanted.network.mode == Mode::Vde {
        // Without an address on the bridge the kernel would answer for those of its other links.
        return vec![rule("drop", "the host is not on this wire")];
    }
    let mut rules = dhcp(wanted);
    rules.push(rule("ct state established,related accept", "allow answers to the host"));
    rules.push(rule(format!("ip saddr != {} drop", any_of(&wanted.subnets())), "drop forged sources"));
    if let Some(prefix) = wanted.subnet6 {
        rules.push(rule(format!("ip6 saddr != {{ ::, fe80::/10, {prefix} }} drop"), "drop forged sources"));
    }
    if wanted.network.host_access == HostAccess::Services {
        rules.extend(services(wanted));
    } else if wanted.subnet6.is_some() {
        rules.push(rule(format!("icmpv6 type {{ {NEIGHBOURS} }} accept"), "allow neighbour discovery"));
    }
    rules.push(refuse("refuse the rest of the host"));
    rules
}

fn dhcp(wanted: &NetworkSpec) -> Vec<String> {
    if !wanted.network.dhcp.enabled {
        return Vec::new();
    }
    let to = format!("{{ {}, {}, 255.255.255.255 }}", wanted.address, wanted.subnet.broadcast());
    let mut rules = vec![rule(format!("ip daddr {to} udp dport 67 accept"), "allow dhcp from guests")];
    if wanted.subnet6.is_some() {
        rules.push(rule("ip6 saddr fe80::/10 udp dport 547 accept", "allow dhcpv6 from guests"));
    }
    rules
}

fn services(wanted: &NetworkSpec) -> Vec<String> {
    let addresses: Vec<_> = wanted.addresses().into_iter().map(|(address, _)| address).collect();
    let own = any_of(&addresses);
    let dns = "meta l4proto { tcp, udp } th dport 53 accept";
    let mut rules = vec![
        rule(format!("ip daddr {own} {dns}"), "allow dns from guests"),
        rule(
            format!("ip daddr {own} icmp type {{ echo-request, {ERRORS} }} accept"),
            "allow ping and icmp errors from guests",
        ),
    ];
    match wanted.address6() {
        Some(own6) => {
            rules.push(rule(format!("ip6 daddr {{ {own6}, fe80::/10 }} {dns}"), "allow dns from guests"));
            let types = format!("echo-request, packet-too-big, {ERRORS}, {NEIGHBOURS}");
            rules.push(rule(
                format!("icmpv6 type {{ {types} }} accept"),
                "allow ping, icmp errors and neighbour discovery",
            ));
        }
        None => rules.push(rule(
            format!(
                "ip6 saddr fe80::/10 icmpv6 type {{ echo-request, nd-neighbor-solicit, nd-neighbor-advert, packet-too-big, {ERRORS} }} accept"
            ),
            "allow ping and neighbour discovery on the link",
        )),
    }
    rules
}
