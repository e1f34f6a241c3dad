//! What guests look like outside: libvirt's order. Ports start at 1024 so that no guest gets one
//! that servers such as NFS take for the host's root.

use super::text::{any_of, chain, quoted, rule};
use crate::network::Mode;
use crate::settle::NetworkSpec;
use vmnet_access::port_record::BRIDGES_GROUP;

pub(super) fn chains(wanted: &NetworkSpec) -> Vec<String> {
    if matches!(wanted.network.mode, Mode::Isolated | Mode::Vde) {
        return Vec::new();
    }
    let bridge = quoted(&wanted.bridge);
    let mut sources = vec![format!("ip saddr {}", any_of(&wanted.subnets()))];
    sources.extend(wanted.subnet6.map(|prefix| format!("ip6 saddr {prefix}")));
    // A forward's answer must come back by the host, which only the host's own address makes sure.
    let mut base =
        vec![rule(format!("ip saddr 127.0.0.0/8 oifname {bridge} masquerade"), "loopback reaches forwards")];
    for from in &sources {
        let round = format!("{from} oifname {bridge} ct status dnat masquerade");
        base.push(rule(round, "guests reach forwards to their own network"));
    }
    if wanted.network.mode != Mode::Nat {
        return vec![chain("at_exit", Some("nat hook postrouting priority srcnat"), &base)];
    }
    let out = match &wanted.network.nat.uplink {
        Some(uplink) => format!("oifname {}", quoted(uplink)),
        // Other networks of ours see guests' own addresses.
        None => format!("oifname != {bridge} oifgroup != {BRIDGES_GROUP}"),
    };
    base.extend(
        sources.iter().map(|from| rule(format!("{from} {out} goto translate"), "guests to the world")),
    );
    vec![
        chain("at_exit", Some("nat hook postrouting priority srcnat"), &base),
        chain("translate", None, &translate(wanted)),
    ]
}

fn translate(wanted: &NetworkSpec) -> Vec<String> {
    let own = any_of(&wanted.subnets());
    let mut rules = vec![
        rule("ip daddr { 224.0.0.0/24, 255.255.255.255 } return", "leave link-local multicast and broadcast"),
        rule(format!("ip daddr {own} return"), "leave what stays in the subnet"),
    ];
    if let Some(prefix) = wanted.subnet6 {
        let stays = format!("ip6 daddr {{ fe80::/10, ff00::/8, {prefix} }} return");
        rules.push(rule(stays, "leave multicast and what stays in the prefix"));
    }
    if let Some(source) = wanted.network.nat.source {
        let ports = format!("snat ip to {source}:1024-65535");
        rules.push(rule(format!("meta nfproto ipv4 meta l4proto tcp {ports}"), "hide guests' tcp"));
        rules.push(rule(format!("meta nfproto ipv4 meta l4proto udp {ports}"), "hide guests' udp"));
        rules.push(rule(format!("snat ip to {source}"), "hide guests' other protocols"));
        if wanted.subnet6.is_none() {
            return rules;
        }
    }
    rules.push(rule("meta l4proto tcp masquerade to :1024-65535", "hide guests' tcp"));
    rules.push(rule("meta l4proto udp masquerade to :1024-65535", "hide guests' udp"));
    rules.push(rule("masquerade", "hide guests' other protocols"));
    rules
}
