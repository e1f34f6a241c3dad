//! The ports of the host that lead to guests. Their chains can be made anew alone, in a transaction
//! of their own, and each forward's counter lives on through it.

use super::text::{chain, rule};
use crate::forward::{Forward, Ports};
use crate::guest::{self, Guest, Who};
use crate::settle::NetworkSpec;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use vmnet_access::name::fnv1a;

/// The chains that [`essence`](super::essence) leaves to this file.
pub const CHAINS: [&str; 3] = ["at_entry", "at_own_exit", LEADING];
/// The one with a rule for each forward.
const LEADING: &str = "forwards";

/// A forward with the addresses it leads to now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// As it was declared.
    pub forward: Forward,
    /// Where IPv4 goes.
    pub address: Option<Ipv4Addr>,
    /// Where IPv6 goes.
    pub address6: Option<Ipv6Addr>,
}

impl Opened {
    /// Does the forward lead anywhere? A guest that has not been seen yet cannot be reached.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.address.is_some() || self.address6.is_some()
    }

    /// The name of its counter: nft allows letters, digits and `_`.
    #[must_use]
    pub fn counter(&self) -> String {
        let Forward { listen, protocol, .. } = &self.forward;
        let place = listen.address.map_or_else(String::new, |address| {
            format!("_{:08x}", fnv1a(address.to_string().as_bytes()) as u32)
        });
        let protocol = protocol.as_str().replace('+', "_");
        format!("{protocol}_{}{place}", listen.ports.to_string().replace('-', "_"))
    }

    /// What tells its rules: also in a listing of the table.
    fn comment(&self, address: IpAddr) -> String {
        format!("forward {} at {address}", self.forward)
    }

    fn rules(&self) -> Vec<(String, String)> {
        let v4 = self.address.map(IpAddr::V4);
        let v6 = self.address6.map(IpAddr::V6);
        [v4, v6].into_iter().flatten().map(|address| (self.rule_to(address), self.comment(address))).collect()
    }

    fn rule_to(&self, address: IpAddr) -> String {
        let Forward { listen, protocol, .. } = &self.forward;
        let family = if address.is_ipv4() { "ip" } else { "ip6" };
        let place = match listen.single() {
            Some(own) => format!("{family} daddr {own}"),
            None => format!("meta nfproto {}", if address.is_ipv4() { "ipv4" } else { "ipv6" }),
        };
        let protocols: Vec<&str> = protocol.each().iter().map(|one| one.as_str()).collect();
        let at = format!("meta l4proto {} th dport {}", super::text::any_of(&protocols), listen.ports);
        let counter = self.counter();
        let target = match self.ports() {
            None => format!("{address}"),
            Some(ports) if address.is_ipv6() => format!("[{address}]:{ports}"),
            Some(ports) => format!("{address}:{ports}"),
        };
        format!("{place} {at} counter name \"{counter}\" dnat {family} to {target}")
    }

    /// The ports to translate to; none where they stay the same. Several that move are mapped one
    /// by one: of a plain range the kernel would take any.
    fn ports(&self) -> Option<String> {
        let (from, to) = (self.forward.listen.ports, self.forward.target_ports());
        match (from, to) {
            (from, to) if from == to => None,
            (_, Ports { first, last }) if first == last => Some(first.to_string()),
            (from, to) => {
                let pairs = (from.first..=from.last).zip(to.first..=to.last);
                let pairs: Vec<String> = pairs.map(|(from, to)| format!("{from} : {to}")).collect();
                Some(format!("th dport map {{ {} }}", pairs.join(", ")))
            }
        }
    }
}

/// The forwards with what is known of their guests. A guest known only by MAC or lease is believed
/// to make its IPv6 address of its MAC.
#[must_use]
pub fn open(wanted: &NetworkSpec, guests: &[Guest]) -> Vec<Opened> {
    wanted.network.forwards.iter().map(|forward| opened(wanted, guests, forward)).collect()
}

fn opened(wanted: &NetworkSpec, guests: &[Guest], forward: &Forward) -> Opened {
    let guest = guest::find(guests, &forward.to.who);
    let (address, address6) = match forward.to.who {
        Who::Address(address) => (Some(address), None),
        Who::Address6(address) => (None, Some(address)),
        Who::Name(_) | Who::Mac(_) => {
            let address6 = guest.and_then(|guest| {
                guest.address6.or_else(|| wanted.subnet6.map(|prefix| prefix.of_mac(guest.mac)))
            });
            (guest.and_then(|guest| guest.address), address6)
        }
    };
    Opened {
        forward: forward.clone(),
        address: address.filter(|_| forward.listen.takes(false)),
        address6: address6.filter(|_| forward.listen.takes(true) && wanted.subnet6.is_some()),
    }
}

fn rules(forwards: &[Opened]) -> Vec<String> {
    forwards.iter().flat_map(Opened::rules).map(|(text, comment)| rule(text, &comment)).collect()
}

/// The chains, also where nothing leads anywhere yet: then a forward is one rule more.
pub(super) fn chains(forwards: &[Opened]) -> Vec<String> {
    let base = rule("fib daddr type local goto forwards", "what is for this host");
    // The kernel looks for ::1 on no link but lo (rt6_need_strict in include/net/ip6_route.h), so an
    // answer would never arrive. Left alone, a client is refused at once and tries 127.0.0.1.
    let refused = rule("ip6 daddr ::1 return", "what cannot be answered");
    let [at_entry, at_own_exit, leading] = CHAINS;
    vec![
        chain(at_entry, Some("nat hook prerouting priority dstnat"), std::slice::from_ref(&base)),
        // nft 1.0.6 knows no `dstnat` in this hook.
        chain(at_own_exit, Some("nat hook output priority -100"), &[refused, base]),
        chain(leading, None, &rules(forwards)),
    ]
}

pub(super) fn counters(forwards: &[Opened]) -> String {
    forwards.iter().filter(|f| f.leads()).map(|f| format!("\tcounter {} {{\n\t}}\n", f.counter())).collect()
}

/// One transaction from one set of forwards to another, on a table that is loaded.
#[must_use]
pub fn change(table: &str, before: &[String], forwards: &[Opened]) -> String {
    let kept: Vec<String> = forwards.iter().filter(|f| f.leads()).map(Opened::counter).collect();
    let gone: Vec<&String> = before.iter().filter(|counter| !kept.contains(counter)).collect();
    let mut text = format!("table inet {table} {{\n{}", counters(forwards));
    // A run that was killed may have deleted it already, and what is not there cannot be deleted.
    for counter in &gone {
        text.push_str(&format!("\tcounter {counter} {{\n\t}}\n"));
    }
    for name in CHAINS {
        let hook = match name {
            "at_entry" => "\t\ttype nat hook prerouting priority dstnat; policy accept;\n",
            "at_own_exit" => "\t\ttype nat hook output priority -100; policy accept;\n",
            _ => "",
        };
        text.push_str(&format!("\tchain {name} {{\n{hook}\t}}\n"));
    }
    text.push_str("}\n");
    for name in CHAINS {
        text.push_str(&format!("flush chain inet {table} {name}\n"));
    }
    for counter in gone {
        text.push_str(&format!("delete counter inet {table} {counter}\n"));
    }
    text + &format!("table inet {table} {{\n{}}}\n", chains(forwards).join("\n"))
}

/// The transaction that opens one more, on a table that has the chains. Nothing in it is there yet:
/// whoever changes or deletes waits for every processor to have seen it (synchronize_rcu), which takes
/// longer than all the rest.
#[must_use]
pub fn opening(table: &str, forward: &Opened) -> String {
    let rules = rules(std::slice::from_ref(forward));
    let rules: String =
        rules.iter().map(|rule| format!("add rule inet {table} {LEADING} {rule}\n")).collect();
    if rules.is_empty() { rules } else { format!("add counter inet {table} {}\n{rules}", forward.counter()) }
}

/// The transaction that closes those of these counters and leaves the others.
#[must_use]
pub fn closing(table: &str, counters: &[String], left: &[Opened]) -> String {
    let mut text = format!("flush chain inet {table} {LEADING}\n");
    for rule in rules(left) {
        text.push_str(&format!("add rule inet {table} {LEADING} {rule}\n"));
    }
    for counter in counters {
        text.push_str(&format!("delete counter inet {table} {counter}\n"));
    }
    text
}

/// What a listing of the table must show of these forwards.
#[must_use]
pub fn shown(forwards: &[Opened]) -> Vec<String> {
    let mut comments: Vec<String> =
        forwards.iter().flat_map(Opened::rules).map(|(_, comment)| comment).collect();
    comments.sort();
    comments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(listen: &str, address: Option<Ipv4Addr>) -> Opened {
        let to = "web:80".parse().unwrap();
        let forward = Forward::new(listen.parse().unwrap(), to, crate::forward::Protocol::Tcp).unwrap();
        Opened { forward, address, address6: None }
    }

    const WEB: Option<Ipv4Addr> = Some(Ipv4Addr::new(10, 0, 1, 5));

    #[test]
    fn what_is_opened_is_new_and_nothing_else_is_touched() {
        let text = opening("vmnet_lab", &opened("8080", WEB));
        assert!(text.starts_with("add counter inet vmnet_lab tcp_8080\nadd rule inet vmnet_lab forwards "));
        assert_eq!(text.lines().count(), 2, "{text}");
        assert_eq!(opening("vmnet_lab", &opened("8080", None)), "", "a guest that is waited for");
    }

    #[test]
    fn what_is_closed_takes_its_counter_along_and_leaves_the_others() {
        let text =
            closing("vmnet_lab", &["tcp_8080".to_owned()], &[opened("8081", WEB), opened("8082", None)]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.first(), Some(&"flush chain inet vmnet_lab forwards"));
        assert!(lines.get(1).is_some_and(|rule| rule.contains("dport 8081")), "{text}");
        assert_eq!(lines.get(2..), Some(&["delete counter inet vmnet_lab tcp_8080"][..]));
    }

    #[test]
    fn a_counter_that_may_be_gone_already_is_declared_before_it_is_deleted() {
        let text = change("vmnet_lab", &["tcp_1".to_owned()], &[opened("8081", WEB)]);
        let (declared, deleted) =
            (text.find("\tcounter tcp_1 {"), text.find("delete counter inet vmnet_lab tcp_1"));
        assert!(declared.is_some() && declared < deleted, "{text}");
    }

    #[test]
    fn each_counter_has_a_name_of_its_own_that_nft_takes() {
        let counter = |listen: &str, protocol: &str| {
            let to = "web".parse().unwrap();
            let forward = Forward::new(listen.parse().unwrap(), to, protocol.parse().unwrap()).unwrap();
            Opened { forward, address: WEB, address6: None }.counter()
        };
        let all = [
            ("80", "tcp"),
            ("80", "udp"),
            ("80", "tcp+udp"),
            ("80-81", "tcp"),
            ("0.0.0.0:80", "tcp"),
            ("192.0.2.7:80", "tcp"),
            ("192.0.2.8:80", "tcp"),
            ("[2001:db8::1]:80", "tcp"),
        ]
        .map(|(listen, protocol)| counter(listen, protocol));
        assert_eq!(all[..4], ["tcp_80", "udp_80", "tcp_udp_80", "tcp_80_81"]);
        assert!(all.iter().all(|name| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')));
        let different: std::collections::BTreeSet<&String> = all.iter().collect();
        assert_eq!(different.len(), all.len(), "{all:?}");
        // The old rules of a network that is up are found by it.
        assert_eq!(all[5], format!("tcp_80_{:08x}", fnv1a(b"192.0.2.7") as u32));
    }

    /// The rules of a forward of TCP to these addresses, as `MATCH -> TARGET`.
    fn told(listen: &str, to: &str, address: &[&str]) -> Vec<String> {
        let forward =
            Forward::new(listen.parse().unwrap(), to.parse().unwrap(), crate::forward::Protocol::Tcp);
        let of = |six| address.iter().map(|a| a.parse().unwrap()).find(|a: &IpAddr| a.is_ipv6() == six);
        let (v4, v6) = (of(false), of(true));
        let opened = Opened {
            forward: forward.unwrap(),
            address: v4.and_then(|a| if let IpAddr::V4(a) = a { Some(a) } else { None }),
            address6: v6.and_then(|a| if let IpAddr::V6(a) = a { Some(a) } else { None }),
        };
        assert_eq!(opened.leads(), !address.is_empty());
        assert_eq!(shown(std::slice::from_ref(&opened)).len(), address.len());
        let counter = format!(" counter name \"{}\" dnat ", opened.counter());
        opened.rules().into_iter().map(|(rule, _)| rule.replace(&counter, " -> ")).collect()
    }

    #[test]
    fn a_forward_translates_what_is_for_its_ports_and_address_and_maps_ranges_one_by_one() {
        let (v4, v6) = ("meta nfproto ipv4", "meta nfproto ipv6");
        let all = "meta l4proto tcp th dport";
        for (listen, to, address, rules) in [
            ("80", "web", &["10.0.1.5"][..], vec![format!("{v4} {all} 80 -> ip to 10.0.1.5")]),
            ("80", "web:80", &["10.0.1.5"], vec![format!("{v4} {all} 80 -> ip to 10.0.1.5")]),
            ("80", "web:81", &["fd00::5"], vec![format!("{v6} {all} 80 -> ip6 to [fd00::5]:81")]),
            ("80-81", "web", &["fd00::5"], vec![format!("{v6} {all} 80-81 -> ip6 to fd00::5")]),
            (
                "192.0.2.7:80",
                "web:81",
                &["10.0.1.5"],
                vec![format!("ip daddr 192.0.2.7 {all} 80 -> ip to 10.0.1.5:81")],
            ),
            (
                "[2001:db8::1]:80",
                "web",
                &["fd00::5"],
                vec![format!("ip6 daddr 2001:db8::1 {all} 80 -> ip6 to fd00::5")],
            ),
            (
                "80-81",
                "web:90-91",
                &["10.0.1.5", "fd00::5"],
                vec![
                    format!("{v4} {all} 80-81 -> ip to 10.0.1.5:th dport map {{ 80 : 90, 81 : 91 }}"),
                    format!("{v6} {all} 80-81 -> ip6 to [fd00::5]:th dport map {{ 80 : 90, 81 : 91 }}"),
                ],
            ),
            ("80", "web", &[], vec![]),
        ] {
            assert_eq!(told(listen, to, address), rules);
        }
    }

    #[test]
    fn where_a_forward_leads_follows_from_its_guest_and_both_families() {
        use crate::network::{Network, Prefix6Choice};
        use crate::settle::Circumstances;
        let mac = vmnet_access::mac::MacAddr([2, 0, 0, 0, 0, 5]);
        let own6: Ipv6Addr = "2001:db8::77".parse().unwrap();
        let guest = |address6| Guest {
            name: Some("web".to_owned()),
            aliases: Vec::new(),
            mac,
            address: WEB,
            address6,
        };
        let leads = |listen: &str, to: &str, v6: bool, guests: &[Guest]| {
            let mut network = Network::with_defaults(vmnet_access::name::NetName::new("lab").unwrap());
            let prefix = Prefix6Choice::Fixed("2001:db8::/64".parse().unwrap());
            network.subnet6 = if v6 { prefix } else { Prefix6Choice::None };
            let (listen, to) = (listen.parse().unwrap(), to.parse().unwrap());
            network.forwards = vec![Forward::new(listen, to, crate::forward::Protocol::Tcp).unwrap()];
            let subnet = "10.0.1.0/24".parse().unwrap();
            let wanted = network.settle(&Circumstances {
                subnet,
                machine: b"machine",
                uplink_mtu: None,
                has_ipv6: true,
            });
            let opened = open(&wanted, guests);
            assert_eq!(opened.len(), 1);
            (opened[0].address, opened[0].address6)
        };
        let made: Option<Ipv6Addr> = Some("2001:db8::ff:fe00:5".parse().unwrap());
        let [plain, promised] = [[guest(None)], [guest(Some(own6))]];
        for (listen, to, v6, guests, expected) in [
            ("80", "web", true, &plain[..], (WEB, made)),
            ("80", "web", true, &promised, (WEB, Some(own6))),
            ("80", "web", false, &promised, (WEB, None)),
            ("80", "02:00:00:00:00:05", true, &plain, (WEB, made)),
            ("80", "web", true, &[], (None, None)),
            ("80", "10.0.1.5", true, &[], (WEB, None)),
            ("80", "2001:db8::77", true, &[], (None, Some(own6))),
            ("80", "2001:db8::77", false, &[], (None, None)),
            ("0.0.0.0:80", "web", true, &plain, (WEB, None)),
            ("[::]:80", "web", true, &plain, (None, made)),
            ("192.0.2.7:80", "web", true, &plain, (WEB, None)),
        ] {
            assert_eq!(leads(listen, to, v6, guests), expected, "{listen} {to} {v6}");
        }
    }

    #[test]
    fn one_transaction_leads_from_old_forwards_to_new_ones() {
        let text = change("vmnet_lab", &["tcp_1".to_owned(), "tcp_8081".to_owned()], &[opened("8081", WEB)]);
        let hook = |name: &str, hook: &str, rules: &str| {
            format!("\tchain {name} {{\n\t\ttype nat hook {hook}; policy accept;\n{rules}\t}}\n")
        };
        let heads = [
            hook("at_entry", "prerouting priority dstnat", ""),
            hook("at_own_exit", "output priority -100", ""),
        ];
        let local = "\t\tfib daddr type local goto forwards comment \"what is for this host\"\n";
        let own = "\t\tip6 daddr ::1 return comment \"what cannot be answered\"\n";
        let rule = "\t\tmeta nfproto ipv4 meta l4proto tcp th dport 8081 counter name \"tcp_8081\" dnat ip to 10.0.1.5:80 \
                    comment \"forward tcp 8081 to web:80 at 10.0.1.5\"\n";
        let expected = [
            "table inet vmnet_lab {\n\tcounter tcp_8081 {\n\t}\n\tcounter tcp_1 {\n\t}\n".to_owned(),
            heads.concat(),
            "\tchain forwards {\n\t}\n}\n".to_owned(),
            CHAINS.map(|name| format!("flush chain inet vmnet_lab {name}\n")).concat(),
            "delete counter inet vmnet_lab tcp_1\n".to_owned(),
            "table inet vmnet_lab {\n".to_owned(),
            hook("at_entry", "prerouting priority dstnat", local),
            "\n".to_owned() + &hook("at_own_exit", "output priority -100", &format!("{own}{local}")),
            format!("\n\tchain forwards {{\n{rule}\t}}\n}}\n"),
        ];
        assert_eq!(text, expected.concat());
    }
}
