//! What passes through the host. Each accept names addresses of the network, so a family that it
//! does not have passes in no mode. Networks are closed to each other, whatever their modes: what
//! one lets out, the other takes in only if it is an answer, a forward, or from a network it names.

use super::text::{any_of, chain, quoted, refuse, rule};
use crate::network::Mode;
use crate::settle::NetworkSpec;
use vmnet_access::port_record::BRIDGES_GROUP;

pub(super) fn chains(wanted: &NetworkSpec) -> Vec<String> {
    let bridge = quoted(&wanted.bridge);
    let mut base = Vec::new();
    let leads_out = matches!(wanted.network.mode, Mode::Nat | Mode::Routed);
    if leads_out {
        // Where a link on the way is narrower and its complaints get lost.
        let clamp = "tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu";
        base.push(rule(format!("iifname {bridge} {clamp}"), "fit tcp into the way out"));
        base.push(rule(format!("oifname {bridge} {clamp}"), "fit tcp into the way in"));
    }
    base.push(rule(format!("iifname {bridge} goto from_guests"), "from guests"));
    base.push(rule(format!("oifname {bridge} goto to_guests"), "to guests"));
    let mut chains = vec![
        chain("at_forward", Some("filter hook forward priority filter"), &base),
        chain("from_guests", None, &from_guests(wanted)),
        chain("to_guests", None, &to_guests(wanted)),
    ];
    if leads_out {
        // The kernel refuses these by itself, but for a bridge whose forwards take in 127.0.0.1
        // (route_localnet): CVE-2020-8558.
        let rules = [
            rule(
                format!("iifname {bridge} ip daddr 127.0.0.0/8 drop"),
                "keep guests from the host's loopback",
            ),
            rule(format!("iifname {bridge} ip saddr 127.0.0.0/8 drop"), "drop forged sources"),
        ];
        chains.push(chain("at_arrival", Some("filter hook prerouting priority raw"), &rules));
    }
    chains
}

/// `match` for the sources, or destinations, that are the network's guests.
fn guests(wanted: &NetworkSpec, direction: &str) -> Vec<String> {
    let v4 = format!("ip {direction} {}", any_of(&wanted.subnets()));
    let v6 = wanted.subnet6.map(|prefix| format!("ip6 {direction} {prefix}"));
    [Some(v4), v6].into_iter().flatten().collect()
}

fn from_guests(wanted: &NetworkSpec) -> Vec<String> {
    let bridge = quoted(&wanted.bridge);
    let mut rules = among_guests(wanted);
    if wanted.network.mode == Mode::Vde {
        rules.push(rule("drop", "nobody routes for this wire"));
        return rules;
    }
    rules.push(rule(format!("ip saddr != {} drop", any_of(&wanted.subnets())), "drop forged sources"));
    if let Some(prefix) = wanted.subnet6 {
        rules.push(rule(format!("ip6 saddr != {prefix} drop"), "drop forged sources"));
    }
    match wanted.network.mode {
        Mode::Nat => {
            let uplink = match &wanted.network.nat.uplink {
                Some(name) => format!(" oifname {}", quoted(name)),
                None => String::new(),
            };
            rules.push(rule("ct state invalid drop", "drop what could not be translated"));
            for from in guests(wanted, "saddr") {
                if !uplink.is_empty() {
                    rules.push(rule(
                        format!("{from} ct direction reply ct status dnat accept"),
                        "allow answers of forwards",
                    ));
                    rules.push(rule(
                        format!("{from} oifgroup {BRIDGES_GROUP} accept"),
                        "other networks decide themselves",
                    ));
                }
                rules.push(rule(format!("{from}{uplink} accept"), "allow guests out"));
            }
        }
        Mode::Routed => {
            rules.extend(
                guests(wanted, "saddr")
                    .into_iter()
                    .map(|from| rule(format!("{from} accept"), "allow guests out")),
            );
        }
        Mode::Vde => {}
        Mode::Isolated => {
            if !wanted.network.allow_from.is_empty() {
                let answers = "ct state established,related accept";
                rules.push(rule(format!("oifname != {bridge} {answers}"), "allow answers to other networks"));
            }
        }
    }
    rules.push(refuse("refuse everything else from guests"));
    rules
}

/// From guests to guests of the same network. Frames between ports are seen here only where
/// br_netfilter hands them to the IP hooks; what comes addressed to the bridge itself was sent
/// round by the host, which is no way to get past isolation.
fn among_guests(wanted: &NetworkSpec) -> Vec<String> {
    let bridge = quoted(&wanted.bridge);
    let mut rules = Vec::new();
    if wanted.network.isolated {
        let answered = format!("oifname {bridge} ct status dnat accept");
        rules.push(rule(answered, "allow forwards to guests of this network"));
        let round = format!("oifname {bridge} ether daddr {}", wanted.mac);
        rules.push(rule(
            format!("{round} reject with icmpx admin-prohibited"),
            "no way from guest to guest by the host",
        ));
    }
    rules.push(rule(format!("oifname {bridge} accept"), "allow guests to reach each other"));
    rules
}

fn to_guests(wanted: &NetworkSpec) -> Vec<String> {
    if wanted.network.mode == Mode::Vde {
        return vec![rule("drop", "nobody routes to this wire")];
    }
    let mut rules = Vec::new();
    let nat = wanted.network.mode == Mode::Nat;
    if nat {
        rules.push(rule("ct state invalid drop", "drop what could not be translated"));
    }
    for to in guests(wanted, "daddr") {
        let answers = format!("{to} ct state established,related accept");
        rules.push(rule(answers, "allow answers to guests"));
        if wanted.network.mode != Mode::Isolated {
            rules.push(rule(format!("{to} ct status dnat accept"), "allow forwards to guests"));
        }
    }
    let allowed: Vec<String> =
        wanted.network.allow_from.iter().map(|network| quoted(&network.bridge())).collect();
    if !allowed.is_empty() {
        rules
            .push(rule(format!("iifname {} accept", any_of(&allowed)), "allow networks that the file names"));
    }
    if wanted.network.mode == Mode::Routed {
        let strangers = format!("iifgroup {BRIDGES_GROUP} reject with icmpx admin-prohibited");
        rules.push(rule(strangers, "keep other networks out"));
        let accepts = guests(wanted, "daddr");
        rules.extend(accepts.into_iter().map(|to| rule(format!("{to} accept"), "allow others in to guests")));
    }
    rules.push(refuse("refuse everything else to guests"));
    rules
}
