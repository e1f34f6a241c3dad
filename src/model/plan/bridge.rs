//! The bridge and its addresses.

use super::{Aspect, BridgeStep, Conflict, DesiredState, Ipv6Role, ObservedState, SeenBridge};
use std::net::IpAddr;
use vmnet_access::port_record::BRIDGES_GROUP;

/// The bridge if it is there and ours. One that an interrupted `up` left without an alias is
/// known by its MAC.
pub(super) fn own<'a>(
    goal: &DesiredState,
    seen: &'a ObservedState,
) -> Result<Option<&'a SeenBridge>, Conflict> {
    let Some(bridge) = &seen.bridge else { return Ok(None) };
    let name = goal.wanted.bridge.clone();
    if bridge.kind.as_deref() != Some("bridge") {
        return Err(Conflict::NotABridge(name, bridge.kind.clone()));
    }
    let ours = match &bridge.alias {
        Some(alias) => *alias == goal.bridge_alias(),
        None => bridge.mac == Some(goal.wanted.mac),
    };
    if ours { Ok(Some(bridge)) } else { Err(Conflict::Foreign(name)) }
}

pub(super) fn set_bridge(goal: &DesiredState) -> BridgeStep {
    BridgeStep::Set { mtu: goal.wanted.mtu, mac: goal.wanted.mac, alias: goal.bridge_alias() }
}

/// What the host's IPv6 should be on it, and the step there.
pub(super) fn ipv6(goal: &DesiredState) -> (Ipv6Role, BridgeStep) {
    match goal.wanted.subnet6 {
        Some(_) => (Ipv6Role::Router, BridgeStep::PrepareIpv6),
        None => (Ipv6Role::Off, BridgeStep::DisableIpv6),
    }
}

pub(super) fn aspects(goal: &DesiredState, bridge: Option<&SeenBridge>) -> Vec<Aspect<BridgeStep>> {
    let name = goal.wanted.bridge.to_string();
    match bridge {
        Some(bridge) => {
            let mut aspects = vec![Aspect::new("bridge", name.clone(), name, Vec::new())];
            aspects.extend(properties(goal, bridge));
            aspects
        }
        None => {
            let cure = vec![BridgeStep::Create(goal.wanted.mac), set_bridge(goal), ipv6(goal).1];
            vec![Aspect::new("bridge", name, "absent", cure)]
        }
    }
}

fn properties(goal: &DesiredState, bridge: &SeenBridge) -> Vec<Aspect<BridgeStep>> {
    let mac = bridge.mac.map_or_else(|| "none".to_owned(), |mac| mac.to_string());
    let alias = bridge.alias.clone().unwrap_or_default();
    let pairs = [
        ("mac", goal.wanted.mac.to_string(), mac),
        ("mtu", goal.wanted.mtu.to_string(), bridge.mtu.to_string()),
        ("alias", goal.bridge_alias(), alias),
        ("group", BRIDGES_GROUP.to_string(), bridge.group.to_string()),
    ];
    let mut aspects: Vec<Aspect<BridgeStep>> = pairs
        .into_iter()
        .map(|(what, wanted, actual)| Aspect::new(what, wanted, actual, Vec::new()))
        .collect();
    // One step sets them all.
    if let Some(first) = aspects.iter_mut().find(|aspect| aspect.has_drifted()) {
        first.cure = vec![set_bridge(goal)];
    }
    let (role, step) = ipv6(goal);
    aspects.push(Aspect::yes(
        "host's ipv6",
        role.word(),
        bridge.ipv6 == role,
        bridge.ipv6.word(),
        vec![step],
    ));
    aspects
}

/// A row for each address, and whether the server must be started anew because the guests' gateway
/// changed.
pub(super) fn addresses(
    goal: &DesiredState,
    seen: &ObservedState,
    bridge: Option<&SeenBridge>,
) -> (Vec<Aspect<BridgeStep>>, bool) {
    let wanted = goal.addresses();
    let present: Vec<(IpAddr, u8)> = bridge.map(all_addresses).unwrap_or_default();
    let show = |(address, length): &(IpAddr, u8)| format!("{address}/{length}");
    let mut old: Vec<BridgeStep> = Vec::new();
    for (address, length) in &seen.earlier {
        let pair = (*address, *length);
        if !wanted.contains(&pair) && present.contains(&pair) {
            old.push(BridgeStep::RemoveAddress(*address, *length));
        }
    }
    let changed = !old.is_empty() || wanted.first().is_some_and(|gateway| !present.contains(gateway));
    let mut aspects = Vec::new();
    if wanted.is_empty() && !old.is_empty() {
        let actual = present.iter().map(show).collect::<Vec<_>>().join(" ");
        aspects.push(Aspect::new("address", "none", actual, std::mem::take(&mut old)));
    }
    for (place, address) in wanted.iter().enumerate() {
        let what = if address.0.is_ipv6() { "ipv6 address" } else { "address" };
        // Before the first is added: two of one subnet would be one too many.
        let mut cure = if place == 0 { std::mem::take(&mut old) } else { Vec::new() };
        if present.contains(address) {
            // What goes is told, although what should be is there.
            let actual = match cure.first() {
                Some(BridgeStep::RemoveAddress(a, l)) => format!("{} {}", show(address), show(&(*a, *l))),
                _ => show(address),
            };
            aspects.push(Aspect::new(what, show(address), actual, cure));
            continue;
        }
        cure.push(BridgeStep::AddAddress(address.0, address.1));
        let family =
            |other: &&(IpAddr, u8)| other.0.is_ipv6() == address.0.is_ipv6() && !wanted.contains(other);
        let others = present.iter().filter(family).map(show).collect::<Vec<_>>().join(" ");
        let actual = if others.is_empty() { "none".to_owned() } else { others };
        aspects.push(Aspect::new(what, show(address), actual, cure));
    }
    (aspects, changed)
}

fn all_addresses(bridge: &SeenBridge) -> Vec<(IpAddr, u8)> {
    let v4 = bridge.addresses.iter().map(|(address, length)| (IpAddr::V4(*address), *length));
    v4.chain(bridge.addresses6.iter().map(|(address, length)| (IpAddr::V6(*address), *length))).collect()
}
