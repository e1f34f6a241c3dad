//! Whose MAC and addresses are whose. A port's first frame says which MAC is its own, the only one;
//! it keeps it until the port goes or is silent for longer than a guest with a lease can be.

use super::claim::{self, Family};
use super::sets::{self, MAC, PORTS, SOURCE6};
use crate::firewall::text::{any_of, chain, rule};
use crate::guest::Guest;
use crate::network::LeaseTime;
use crate::settle::NetworkSpec;

/// In which a port's MAC is kept even where nothing else says how often guests speak.
const KEPT_SECONDS: (u32, u32) = (300, 86400);

/// The names of the sets of [`known`].
pub fn known_sets(wanted: &NetworkSpec) -> Vec<&'static str> {
    if wanted.network.guard { claim::KNOWN.to_vec() } else { Vec::new() }
}

/// What changes with the guests that are known.
pub fn known(wanted: &NetworkSpec, guests: &[Guest]) -> Vec<String> {
    if wanted.network.guard { claim::known(wanted, guests) } else { Vec::new() }
}

/// A guest with a lease asks for it again after half of its time (RFC 2131, 4.4.5).
fn kept_seconds(wanted: &NetworkSpec) -> u32 {
    let (least, most) = KEPT_SECONDS;
    match wanted.network.dhcp.lease_time {
        LeaseTime::Seconds(seconds) => seconds.clamp(least, most),
        LeaseTime::Infinite => most,
    }
}

/// The sets that frames fill.
pub fn sets(wanted: &NetworkSpec) -> Vec<String> {
    if !wanted.network.guard {
        return Vec::new();
    }
    let seconds = kept_seconds(wanted);
    let mut sets = vec![
        sets::learned(super::BOUND, &format!("typeof {MAC} . meta iif"), PORTS, seconds),
        sets::learned("spoken", "type ether_addr", PORTS, seconds),
        sets::learned("homes", "type iface_index", PORTS, seconds),
        claim::newcomers(),
    ];
    sets.extend(claim::sets(Family::V4));
    sets.extend(claim::sets(Family::V6));
    sets
}

/// The chains that judge them.
pub fn chains(wanted: &NetworkSpec) -> Vec<String> {
    if !wanted.network.guard {
        return Vec::new();
    }
    let base = [rule(format!("iifgroup {} jump from_port", wanted.group), "frames of guests")];
    let (own4, own6) = (own4(wanted), own6(wanted));
    vec![
        chain("at_ports", Some("filter hook prerouting priority filter"), &base),
        chain("from_port", None, &from_port(wanted)),
        chain("from_owner", None, &from_owner()),
        chain("arp_sender", None, &arp_sender(&own4)),
        chain("ip_sender", None, &ip_sender()),
        chain("ip_source", None, &ip_source(&own4)),
        chain("ip6_sender", None, &ip6_sender(&own6)),
        chain("nd_target", None, &claim::rules(Family::V6, ND_TARGET, &own6)),
    ]
}

/// The target of a neighbour advertisement (RFC 4861, 4.4): 40 bytes of IPv6, 8 of ICMPv6.
const ND_TARGET: &str = "@nh,384,128";
/// The sender's MAC in ARP (RFC 826).
const ARP_SENDER_MAC: &str = "@nh,64,48";
/// The client's MAC in DHCP (RFC 2131, 2): 8 bytes of UDP, 28 in.
const DHCP_CLIENT_MAC: &str = "@th,288,48";

fn from_port(wanted: &NetworkSpec) -> Vec<String> {
    let bound = super::BOUND;
    let own = format!("{MAC} . iif");
    let take = format!("add @spoken {{ ether saddr }} add @homes {{ iif }} add @{bound} {{ {own} }}");
    vec![
        rule(format!("ether saddr {} drop", wanted.mac), "keep the host's MAC"),
        rule(format!("{own} @{bound} goto from_owner"), "the port's own MAC"),
        rule("ether saddr @spoken drop", "keep other ports' MACs"),
        rule("iif @homes drop", "one MAC for one port"),
        rule(format!("{take} goto from_owner"), "first come"),
        rule("drop", "no room to remember it"),
    ]
}

fn from_owner() -> Vec<String> {
    let bound = super::BOUND;
    let refresh =
        format!("update @spoken {{ ether saddr }} update @homes {{ iif }} update @{bound} {{ {MAC} . iif }}");
    let kinds = "{ arp : goto arp_sender, ip : goto ip_sender, ip6 : goto ip6_sender }";
    vec![
        rule(refresh, "it is still there"),
        rule(format!("meta protocol vmap {kinds}"), "the addresses it claims"),
        // Such as a second VLAN tag, behind which nothing could be seen.
        rule("drop", "no other kinds of frames"),
    ]
}

fn own4(wanted: &NetworkSpec) -> String {
    let own: Vec<_> = wanted.addresses().into_iter().map(|(address, _)| address).collect();
    any_of(&own)
}

fn own6(wanted: &NetworkSpec) -> String {
    let own = [Some(claim::own_link_local(wanted)), wanted.address6()];
    any_of(&own.into_iter().flatten().map(sets::number).collect::<Vec<_>>())
}

fn arp_sender(own: &str) -> Vec<String> {
    let bound = super::BOUND;
    let mut rules = vec![
        rule("arp htype != 1 drop", "no ARP but for Ethernet"),
        rule("arp ptype != ip drop", "no ARP but for IPv4"),
        rule("arp hlen != 6 drop", "no ARP but for Ethernet"),
        rule("arp plen != 4 drop", "no ARP but for IPv4"),
        rule(format!("{ARP_SENDER_MAC} . iif != @{bound} drop"), "keep others' MACs"),
        rule("arp saddr ip 0.0.0.0 return", "allow to ask whether an address is free"),
    ];
    rules.extend(claim::rules(Family::V4, "arp saddr ip", own));
    rules
}

fn ip_sender() -> Vec<String> {
    let own = format!("udp dport 67 {DHCP_CLIENT_MAC} . iif @{} goto ip_source", super::BOUND);
    vec![
        rule("udp sport 67 drop", "no DHCP servers"),
        rule("udp dport 68 drop", "no DHCP servers"),
        rule("icmp type { redirect, router-advertisement } drop", "no routers"),
        rule(own, "allow to ask for its own lease"),
        rule("udp dport 67 drop", "keep others' leases"),
        rule("goto ip_source", "the address it claims"),
    ]
}

fn ip_source(own: &str) -> Vec<String> {
    let mut rules = vec![rule("ip saddr 0.0.0.0 return", "allow who has no address yet")];
    rules.extend(claim::rules(Family::V4, "ip saddr", own));
    rules
}

fn ip6_sender(own: &str) -> Vec<String> {
    let nd = "nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, nd-redirect";
    let mut rules = vec![
        // RFC 6980: they need none, and behind them the target would be at another place.
        rule(format!("ip6 nexthdr != icmpv6 icmpv6 type {{ {nd} }} drop"), "no ND behind other headers"),
        rule("icmpv6 type { nd-router-advert, nd-redirect } drop", "no routers"),
        rule("udp sport 547 drop", "no DHCP servers"),
        rule("udp dport 546 drop", "no DHCP servers"),
        rule("icmpv6 type nd-neighbor-advert jump nd_target", "the address it answers for"),
        rule("ip6 saddr :: return", "allow who has no address yet"),
    ];
    rules.extend(claim::rules(Family::V6, SOURCE6, own));
    rules
}
