//! A network's nftables text: one table of its own, replaced whole in one transaction.
//!
//! A table can only refuse what another lets through, never the other way round, so nothing here
//! opens a way through the host's own firewall.

use crate::name::IfName;
use crate::network::{HostAccess, Mode, Wanted};

/// The text for `nft -f -`. The first two lines make it fit a host that has the table and one that
/// has not: nft 1.0.6 knows no `destroy`.
#[must_use]
pub fn ruleset(wanted: &Wanted) -> String {
    format!("{}{}", removal(&wanted.network.name.table()), table(wanted))
}

/// The same for a host that has no such table; nft refuses it, whole, where there is one. Removing
/// what is not there costs the kernel more than everything else in the transaction.
#[must_use]
pub fn first_ruleset(wanted: &Wanted) -> String {
    format!("create table inet {}\n{}", wanted.network.name.table(), table(wanted))
}

fn table(wanted: &Wanted) -> String {
    let chains = [host_chains(wanted), forward_chains(wanted), nat_chains(wanted)].concat().join("\n");
    format!("table inet {} {{\n{chains}}}\n", wanted.network.name.table())
}

/// The text that removes the table, there or not.
#[must_use]
pub fn removal(table: &str) -> String {
    format!("table inet {table}\ndelete table inet {table}\n")
}

/// Can nft name this interface and no other? Its strings know no escape for `"`, and read `*` and
/// `\` as a pattern. Of an uplink for which this is false, no packet is ever let out.
#[must_use]
pub fn can_name(interface: &IfName) -> bool {
    interface.as_bytes().iter().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'*' | b'\\'))
}

/// What guests may ask of the host.
fn host_chains(wanted: &Wanted) -> Vec<String> {
    let (own, subnet) = (wanted.address, wanted.subnet);
    if wanted.network.host_access == HostAccess::All {
        return Vec::new();
    }
    let mut rules = Vec::new();
    if wanted.network.dhcp.enabled {
        let to = format!("{{ {own}, {}, 255.255.255.255 }}", subnet.broadcast());
        rules.push(rule(format!("ip daddr {to} udp dport 67 accept"), "allow dhcp from guests"));
    }
    rules.push(rule("ct state established,related accept", "allow answers to the host"));
    rules.push(rule(format!("ip saddr != {subnet} drop"), "drop forged sources"));
    if wanted.network.host_access == HostAccess::Services {
        let errors = "destination-unreachable, time-exceeded, parameter-problem";
        rules.push(rule(
            format!("ip daddr {own} meta l4proto {{ tcp, udp }} th dport 53 accept"),
            "allow dns from guests",
        ));
        rules.push(rule(
            format!("ip daddr {own} icmp type {{ echo-request, {errors} }} accept"),
            "allow ping and icmp errors from guests",
        ));
        rules.push(rule(
            format!(
                "ip6 saddr fe80::/10 icmpv6 type {{ echo-request, nd-neighbor-solicit, nd-neighbor-advert, packet-too-big, {errors} }} accept"
            ),
            "allow ping and neighbour discovery on the link",
        ));
    }
    rules.push(refuse("refuse the rest of the host"));
    let base = rule(format!("iifname {} goto to_host", quoted(&wanted.bridge)), "guests to this host");
    vec![chain("at_host", Some("filter hook input priority filter"), &[base]), chain("to_host", None, &rules)]
}

/// What passes through the host. Each accept names an IPv4 address of the subnet, so IPv6 passes in
/// no mode. Two networks in NAT mode are closed to each other: what one lets out, the other takes in
/// only if it is an answer.
fn forward_chains(wanted: &Wanted) -> Vec<String> {
    let (bridge, subnet) = (quoted(&wanted.bridge), wanted.subnet);
    let mut out = vec![
        // Seen here only where br_netfilter hands bridged frames to the IP hooks.
        rule(format!("oifname {bridge} accept"), "allow guests to reach each other"),
        rule(format!("ip saddr != {subnet} drop"), "drop forged sources"),
    ];
    let mut back = Vec::new();
    let invalid = rule("ct state invalid drop", "drop what could not be translated");
    match wanted.network.mode {
        Mode::Nat => {
            let uplink = uplink(wanted);
            out.push(invalid.clone());
            out.push(rule(format!("ip saddr {subnet}{uplink} accept"), "allow guests out"));
            back.push(invalid);
            back.push(rule(
                format!("ip daddr {subnet} ct state established,related accept"),
                "allow answers to guests",
            ));
        }
        Mode::Routed => {
            out.push(rule(format!("ip saddr {subnet} accept"), "allow guests out"));
            back.push(rule(format!("ip daddr {subnet} accept"), "allow others in to guests"));
        }
        Mode::Isolated => {}
    }
    out.push(refuse("refuse everything else from guests"));
    back.push(refuse("refuse everything else to guests"));
    let base = [
        rule(format!("iifname {bridge} goto from_guests"), "from guests"),
        rule(format!("oifname {bridge} goto to_guests"), "to guests"),
    ];
    vec![
        chain("at_forward", Some("filter hook forward priority filter"), &base),
        chain("from_guests", None, &out),
        chain("to_guests", None, &back),
    ]
}

/// What guests look like outside: libvirt's order. Ports start at 1024 so that no guest gets one
/// that servers such as NFS take for the host's root.
fn nat_chains(wanted: &Wanted) -> Vec<String> {
    if wanted.network.mode != Mode::Nat {
        return Vec::new();
    }
    let (subnet, nat) = (wanted.subnet, &wanted.network.nat);
    let (address, ports) = match nat.source {
        Some(source) => (format!("snat ip to {source}"), ":1024-65535"),
        None => ("masquerade".to_owned(), " to :1024-65535"),
    };
    let out = match nat.uplink {
        Some(_) => uplink(wanted),
        None => format!(" oifname != {}", quoted(&wanted.bridge)),
    };
    let base = rule(format!("ip saddr {subnet}{out} goto translate"), "guests to the world");
    let rules = [
        rule("ip daddr { 224.0.0.0/24, 255.255.255.255 } return", "leave link-local multicast and broadcast"),
        rule(format!("ip daddr {subnet} return"), "leave what stays in the subnet"),
        rule(format!("meta l4proto tcp {address}{ports}"), "hide guests' tcp"),
        rule(format!("meta l4proto udp {address}{ports}"), "hide guests' udp"),
        rule(address, "hide guests' other protocols"),
    ];
    vec![
        chain("at_exit", Some("nat hook postrouting priority srcnat"), &[base]),
        chain("translate", None, &rules),
    ]
}

fn uplink(wanted: &Wanted) -> String {
    wanted.network.nat.uplink.as_ref().map(|name| format!(" oifname {}", quoted(name))).unwrap_or_default()
}

fn refuse(intention: &str) -> String {
    rule("reject with icmpx admin-prohibited", intention)
}

/// One rule, with its intention as the comment that `nft list` shows.
fn rule(text: impl Into<String>, intention: &str) -> String {
    format!("{} comment \"{intention}\"", text.into())
}

/// No chain bears a word of nft's own: `fwd` and `in`, for example, are syntax errors as names.
fn chain(name: &str, hook: Option<&str>, rules: &[String]) -> String {
    let head = hook.map(|hook| format!("\t\ttype {hook}; policy accept;\n")).unwrap_or_default();
    let rules: String = rules.iter().map(|rule| format!("\t\t{rule}\n")).collect();
    format!("\tchain {name} {{\n{head}{rules}\t}}\n")
}

/// The name as an nft string. A byte that [`can_name`] refuses becomes `?`: then the rule matches
/// nothing, instead of too much.
fn quoted(interface: &IfName) -> String {
    let safe =
        |b: &u8| if b.is_ascii_graphic() && !matches!(b, b'"' | b'*' | b'\\') { char::from(*b) } else { '?' };
    let name: String = interface.as_bytes().iter().map(safe).collect();
    format!("\"{name}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;
    use crate::name::NetName;
    use crate::network::Network;

    #[test]
    fn each_network_has_exactly_its_golden_rules() {
        for wanted in golden::networks() {
            golden::check(wanted.network.name.as_str(), "nft", Some(&ruleset(&wanted)));
        }
    }

    #[test]
    fn no_uplink_can_break_out_of_its_quotes() {
        for name in ["a\"b", "eth*", "a\\b", "caf\u{e9}"] {
            let uplink = IfName::new(name.as_bytes()).unwrap();
            assert!(!can_name(&uplink), "{name}");
            let mut network = Network::with_defaults(NetName::new("lab").unwrap());
            network.nat.uplink = Some(uplink);
            let text = ruleset(&network.settle("10.0.1.0/24".parse().unwrap(), b"machine"));
            assert!(!text.contains(name) && text.contains('?'), "{text}");
        }
        assert!(can_name(&IfName::new(b"enp0s31f6.12@x").unwrap()));
    }

    #[test]
    fn only_a_network_open_to_its_host_has_no_say_over_input() {
        for wanted in golden::networks() {
            let open = wanted.network.host_access == HostAccess::All;
            assert_eq!(!ruleset(&wanted).contains("hook input"), open, "{}", wanted.network.name);
        }
    }
}
