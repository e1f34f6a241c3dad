//! Which guests of an isolated network reach each other. The kernel knows no connections here: an
//! answer is known by its flags (TCP), or by having been asked for (UDP).

use super::{GUESTS_CHAIN, sets};
use crate::firewall::text::{chain, rule};
use crate::forward::{Ports, Protocol};
use crate::guest::{self, Guest, Who};
use crate::network::GuestRule;
use crate::settle::NetworkSpec;
use std::collections::BTreeSet;

/// So long may a UDP answer take: as long as the kernel's connections are kept
/// (nf_conntrack_udp_timeout_stream in Documentation/networking/nf_conntrack-sysctl.rst).
const ANSWER_SECONDS: u32 = 120;
/// Room for questions.
const QUESTIONS: u32 = 65536;

/// Errors that end or change a connection (RFC 1122, 3.2.2; RFC 4443, 3).
const ERRORS: &str = "destination-unreachable, time-exceeded, parameter-problem";

/// One end of a link: who, and by which address alone.
struct End<'a> {
    guest: &'a Guest,
    who: &'a Who,
}

impl End<'_> {
    /// The match for this end as source or destination.
    fn at(&self, direction: &str) -> String {
        let mac = format!("ether {direction} {}", self.guest.mac);
        match self.who {
            Who::Address(address) => format!("{mac} ip {direction} {address}"),
            Who::Address6(address) => format!("{mac} ip6 {direction} {address}"),
            Who::Name(_) | Who::Mac(_) => mac,
        }
    }
}

/// A link whose ends are known.
struct Linked<'a> {
    from: End<'a>,
    to: End<'a>,
    ports: &'a [(Protocol, Ports)],
}

impl Linked<'_> {
    fn rules(&self) -> Vec<String> {
        let there = format!("{} {}", self.from.at("saddr"), self.to.at("daddr"));
        let back = format!("{} {}", self.to.at("saddr"), self.from.at("daddr"));
        let intention = format!("{} to {}", self.from.who, self.to.who);
        let answers = format!("answers of {} to {}", self.to.who, self.from.who);
        if self.ports.is_empty() {
            return self.all(&there, &back, &intention, &answers);
        }
        let single = |(protocol, ports): &(Protocol, Ports)| {
            let each: Vec<(Protocol, Ports)> = protocol.each().iter().map(|one| (*one, *ports)).collect();
            each
        };
        let mut rules = Vec::new();
        for (protocol, ports) in self.ports.iter().flat_map(single) {
            if protocol == Protocol::Tcp {
                rules.push(rule(format!("{there} tcp dport {ports} accept"), &intention));
                rules.push(rule(format!("{back} tcp sport {ports} {GOES_ON} accept"), &answers));
            } else {
                rules.extend(remember(&format!("{there} udp dport {ports}"), &intention));
                rules.push(rule(format!("{there} udp dport {ports} accept"), &intention));
            }
        }
        rules
    }

    fn all(&self, there: &str, back: &str, intention: &str, answers: &str) -> Vec<String> {
        let mut rules = remember(there, intention);
        rules.push(rule(format!("{there} meta protocol {{ ip, ip6 }} accept"), intention));
        rules.push(rule(format!("{back} {GOES_ON} accept"), answers));
        rules.push(rule(format!("{back} icmp type echo-reply accept"), answers));
        rules.push(rule(format!("{back} icmpv6 type echo-reply accept"), answers));
        rules
    }
}

/// No TCP that begins (RFC 9293, 3.5).
const GOES_ON: &str = "tcp flags & (syn | ack) != syn";

const QUESTION: &str = "saddr . udp sport";

/// Note what is asked, for the answer: it may pass even where there is no room to note it.
fn remember(there: &str, intention: &str) -> Vec<String> {
    let note = |ip: &str, set: &str| {
        let key = format!("{ip} {QUESTION} . {ip} daddr . udp dport");
        rule(format!("{there} update @{set} {{ {key} }}"), intention)
    };
    // A link between two IPv4 addresses has no IPv6 to note, and nft would not have it.
    let mut rules = Vec::new();
    if !there.contains(" ip6 ") {
        rules.push(note("ip", "asked4"));
    }
    if !there.contains(" ip ") {
        rules.push(note("ip6", "asked6"));
    }
    rules
}

fn resolved<'a>(wanted: &'a NetworkSpec, guests: &'a [Guest]) -> Vec<Linked<'a>> {
    let linked = |link: &'a GuestRule| {
        let end = |who: &'a Who| guest::find(guests, who).map(|guest| End { guest, who });
        Some(Linked { from: end(&link.from)?, to: end(&link.to)?, ports: &link.ports })
    };
    wanted.network.links.iter().filter_map(linked).collect()
}

/// The names of the sets of [`known`].
pub fn known_sets(wanted: &NetworkSpec) -> Vec<&'static str> {
    if wanted.network.links.is_empty() { Vec::new() } else { vec!["pairs", "linked_guests"] }
}

/// What changes with the guests that are known.
pub fn known(wanted: &NetworkSpec, guests: &[Guest]) -> Vec<String> {
    if wanted.network.links.is_empty() {
        return Vec::new();
    }
    let links = resolved(wanted, guests);
    let (mut pairs, mut linked) = (BTreeSet::new(), BTreeSet::new());
    for Linked { from, to, .. } in &links {
        let (from, to) = (from.guest.mac, to.guest.mac);
        pairs.extend([format!("{from} . {to}"), format!("{to} . {from}")]);
        linked.extend([from.to_string(), to.to_string()]);
    }
    let rules: Vec<String> = links.iter().flat_map(Linked::rules).collect();
    vec![
        sets::known("pairs", "type ether_addr . ether_addr", &pairs),
        sets::known("linked_guests", "type ether_addr", &linked),
        chain(GUESTS_CHAIN, None, &rules),
    ]
}

/// The sets that frames fill.
pub fn sets(wanted: &NetworkSpec) -> Vec<String> {
    if wanted.network.links.is_empty() {
        return Vec::new();
    }
    let asked = |name, ip| {
        let typed = format!("type {ip} . inet_service . {ip} . inet_service");
        sets::learned(name, &typed, QUESTIONS, ANSWER_SECONDS)
    };
    vec![asked("asked4", "ipv4_addr"), asked("asked6", "ipv6_addr")]
}

/// The chains between ports. What the host sends and gets never comes here.
pub fn chains(wanted: &NetworkSpec) -> Vec<String> {
    if wanted.network.links.is_empty() {
        return Vec::new();
    }
    let group = wanted.group;
    let base = [
        rule(format!("iifgroup {group} goto between"), "from a guest"),
        rule(format!("oifgroup {group} goto between"), "to a guest"),
    ];
    vec![
        chain("at_crossing", Some("filter hook forward priority filter"), &base),
        chain("between", None, &between()),
        chain("in_pair", None, &in_pair()),
    ]
}

fn between() -> Vec<String> {
    let asking = "ether saddr @linked_guests";
    let multicast = "ether daddr & ff:ff:00:00:00:00 == 33:33:00:00:00:00";
    vec![
        rule("ether saddr . ether daddr @pairs goto in_pair", "between linked guests"),
        rule(
            format!("{asking} ether daddr ff:ff:ff:ff:ff:ff arp operation request accept"),
            "let linked guests ask who has an address",
        ),
        rule(
            format!("{asking} {multicast} icmpv6 type nd-neighbor-solicit accept"),
            "let linked guests ask who has an address",
        ),
        rule("drop", "guests are kept apart"),
    ]
}

fn in_pair() -> Vec<String> {
    vec![
        rule("meta protocol arp accept", "neighbours"),
        rule("icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept", "neighbours"),
        rule(format!("icmp type {{ {ERRORS} }} accept"), "errors"),
        rule(format!("icmpv6 type {{ {ERRORS}, packet-too-big }} accept"), "errors"),
        rule("ip frag-off & 0x1fff != 0 accept", "later fragments: the first was judged"),
        rule("frag frag-off != 0 accept", "later fragments: the first was judged"),
        rule("ip daddr . udp dport . ip saddr . udp sport @asked4 accept", "answers"),
        rule("ip6 daddr . udp dport . ip6 saddr . udp sport @asked6 accept", "answers"),
        rule(format!("jump {GUESTS_CHAIN}"), "what the file links"),
        rule("drop", "guests are kept apart"),
    ]
}
