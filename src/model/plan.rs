//! What must be done: the network as it should be held against the host as it is. The same
//! comparison gives `up` its steps and `status` its rows, so that the two can never disagree, and
//! a second `up` has nothing to do.

use crate::dnsmasq::{self, Place};
use crate::firewall;
use crate::mac::MacAddr;
use crate::name::IfName;
use crate::network::{Mode, Wanted};
use crate::port::PortRecord;
use std::fmt;
use std::net::Ipv4Addr;

/// A network with all its texts rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goal {
    /// The network.
    pub wanted: Wanted,
    /// For nft.
    pub ruleset: String,
    /// For dnsmasq; none where the network needs no server.
    pub dnsmasq: Option<String>,
    /// For the helper.
    pub port: String,
}

impl Goal {
    /// Render them.
    #[must_use]
    pub fn new(wanted: Wanted, place: &Place) -> Self {
        let record = PortRecord { network: wanted.network.name.clone(), isolated: wanted.network.isolated };
        Self {
            ruleset: firewall::ruleset(&wanted),
            dnsmasq: dnsmasq::configuration(&wanted, place),
            port: record.render(),
            wanted,
        }
    }

    /// Does the host have to forward packets for it?
    #[must_use]
    pub fn forwards(&self) -> bool {
        self.wanted.network.mode != Mode::Isolated
    }

    /// The alias by which its bridge is known as ours.
    #[must_use]
    pub fn bridge_alias(&self) -> String {
        bridge_alias(self.wanted.network.name.as_str())
    }
}

/// The alias by which a network's bridge is known as ours.
#[must_use]
pub fn bridge_alias(network: &str) -> String {
    format!("vmnet network {network}")
}

/// The bridge as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenBridge {
    /// The link's kind.
    pub kind: Option<String>,
    /// Its MAC.
    pub mac: Option<MacAddr>,
    /// Its MTU.
    pub mtu: u32,
    /// Set up by an administrator.
    pub up: bool,
    /// Its alias.
    pub alias: Option<String>,
    /// IPv6 is off on it; true also where the kernel has no IPv6.
    pub ipv6_off: bool,
    /// Its addresses with their prefix lengths.
    pub addresses: Vec<(Ipv4Addr, u8)>,
}

/// A table or server as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not there.
    Absent,
    /// There, as wanted.
    Right,
    /// There, but not as wanted.
    Other,
    /// Only root may look.
    Hidden,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Right => "as wanted",
            Self::Other => "different",
            Self::Hidden => "hidden",
        }
    }
}

/// The host as it is, as far as this network is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The link of the bridge's name.
    pub bridge: Option<SeenBridge>,
    /// The address that an earlier `up` gave the bridge.
    pub earlier_address: Option<(Ipv4Addr, u8)>,
    /// net.ipv4.ip_forward
    pub forwarding: bool,
    /// The nftables table.
    pub ruleset: State,
    /// The server's file.
    pub dnsmasq_file: State,
    /// The server's process.
    pub dnsmasq: Option<u32>,
    /// The helper's record.
    pub port: State,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make the bridge, its MAC pinned from its first moment.
    CreateBridge(MacAddr),
    /// Give it MTU, MAC and alias.
    SetBridge {
        /// Bytes.
        mtu: u32,
        /// The address.
        mac: MacAddr,
        /// The alias.
        alias: String,
    },
    /// Keep the host's IPv6 off it.
    DisableIpv6,
    /// Take an address that is not wanted any more from it.
    RemoveAddress(Ipv4Addr, u8),
    /// Give it its address.
    AddAddress(Ipv4Addr, u8),
    /// Set it up.
    Raise,
    /// Let the host forward packets.
    EnableForwarding,
    /// Load the table whole, in one transaction.
    LoadRuleset,
    /// Stop the server.
    StopDnsmasq(u32),
    /// Write the server's file.
    WriteDnsmasq,
    /// Remove the server's file.
    RemoveDnsmasq,
    /// Start the server and wait until it serves.
    StartDnsmasq,
    /// Write the helper's record.
    WritePort,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateBridge(mac) => write!(f, "create the bridge with MAC {mac}"),
            Self::SetBridge { mtu, mac, .. } => {
                write!(f, "set the bridge's MTU to {mtu} and its MAC to {mac}")
            }
            Self::DisableIpv6 => f.write_str("turn the host's IPv6 off on the bridge"),
            Self::RemoveAddress(address, length) => write!(f, "remove address {address}/{length}"),
            Self::AddAddress(address, length) => write!(f, "add address {address}/{length}"),
            Self::Raise => f.write_str("set the bridge up"),
            Self::EnableForwarding => f.write_str("set net.ipv4.ip_forward to 1"),
            Self::LoadRuleset => f.write_str("load the firewall table"),
            Self::StopDnsmasq(pid) => write!(f, "stop dnsmasq (pid {pid})"),
            Self::WriteDnsmasq => f.write_str("write the dnsmasq file"),
            Self::RemoveDnsmasq => f.write_str("remove the dnsmasq file"),
            Self::StartDnsmasq => f.write_str("start dnsmasq"),
            Self::WritePort => f.write_str("write the port record"),
        }
    }
}

/// Why nothing may be touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// A link of the bridge's name is of another kind.
    NotABridge(IfName, Option<String>),
    /// A bridge of that name was made by somebody else.
    Foreign(IfName),
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotABridge(name, Some(kind)) => write!(f, "'{name}' exists and is no bridge but a {kind}"),
            Self::NotABridge(name, None) => write!(f, "'{name}' exists and is no bridge"),
            Self::Foreign(name) => write!(f, "bridge '{name}' exists and was not made by vmnet"),
        }
    }
}

impl std::error::Error for Conflict {}

/// One thing that should be so: what it is, how it is, and the steps that make it right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aspect {
    /// Its name.
    pub what: &'static str,
    /// As it should be.
    pub wanted: String,
    /// As it is.
    pub actual: String,
    /// The steps from one to the other; none where they agree.
    pub cure: Vec<Step>,
}

/// Hold the two against each other, in the order in which `up` goes.
///
/// # Errors
/// Somebody else's link stands in the way.
pub fn compare(goal: &Goal, seen: &Seen) -> Result<Vec<Aspect>, Conflict> {
    let bridge = own_bridge(goal, seen)?;
    let mut aspects = vec![bridge_aspect(goal, bridge)];
    aspects.extend(bridge.into_iter().flat_map(|bridge| property_aspects(goal, bridge)));
    let (address, readdressed) = address_aspect(goal, seen, bridge);
    aspects.push(address);
    aspects.push(yes("link", "up", bridge.is_some_and(|b| b.up), "down", vec![Step::Raise]));
    if goal.forwards() {
        aspects.push(yes("forwarding", "on", seen.forwarding, "off", vec![Step::EnableForwarding]));
    }
    aspects.push(state_aspect("firewall", seen.ruleset, vec![Step::LoadRuleset]));
    aspects.push(server_aspect(goal, seen, bridge.is_none() || readdressed));
    aspects.push(state_aspect("port record", seen.port, vec![Step::WritePort]));
    Ok(aspects)
}

/// The steps of `up`.
///
/// # Errors
/// Somebody else's link stands in the way.
pub fn up(goal: &Goal, seen: &Seen) -> Result<Vec<Step>, Conflict> {
    Ok(compare(goal, seen)?.into_iter().flat_map(|aspect| aspect.cure).collect())
}

/// The bridge if it is there and ours. One that an interrupted `up` left without an alias is
/// known by its MAC.
fn own_bridge<'a>(goal: &Goal, seen: &'a Seen) -> Result<Option<&'a SeenBridge>, Conflict> {
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

fn set_bridge(goal: &Goal) -> Step {
    Step::SetBridge { mtu: goal.wanted.network.mtu, mac: goal.wanted.mac, alias: goal.bridge_alias() }
}

fn bridge_aspect(goal: &Goal, bridge: Option<&SeenBridge>) -> Aspect {
    let cure = match bridge {
        Some(_) => Vec::new(),
        None => vec![Step::CreateBridge(goal.wanted.mac), set_bridge(goal), Step::DisableIpv6],
    };
    let actual = if bridge.is_some() { goal.wanted.bridge.to_string() } else { "absent".to_owned() };
    Aspect { what: "bridge", wanted: goal.wanted.bridge.to_string(), actual, cure }
}

fn property_aspects(goal: &Goal, bridge: &SeenBridge) -> Vec<Aspect> {
    let mac = bridge.mac.map_or_else(|| "none".to_owned(), |mac| mac.to_string());
    let alias = bridge.alias.clone().unwrap_or_default();
    let pairs = [
        ("mac", goal.wanted.mac.to_string(), mac),
        ("mtu", goal.wanted.network.mtu.to_string(), bridge.mtu.to_string()),
        ("alias", goal.bridge_alias(), alias),
    ];
    let mut aspects: Vec<Aspect> = pairs
        .into_iter()
        .map(|(what, wanted, actual)| Aspect { what, wanted, actual, cure: Vec::new() })
        .collect();
    // One step sets all three.
    if let Some(first) = aspects.iter_mut().find(|aspect| aspect.wanted != aspect.actual) {
        first.cure = vec![set_bridge(goal)];
    }
    aspects.push(yes("host's ipv6", "off", bridge.ipv6_off, "on", vec![Step::DisableIpv6]));
    aspects
}

/// The address, and whether the server must be started anew because it changed.
fn address_aspect(goal: &Goal, seen: &Seen, bridge: Option<&SeenBridge>) -> (Aspect, bool) {
    let wanted = (goal.wanted.address, goal.wanted.subnet.length());
    let show = |(address, length): &(Ipv4Addr, u8)| format!("{address}/{length}");
    let present = bridge.map(|bridge| bridge.addresses.as_slice()).unwrap_or_default();
    let mut cure = Vec::new();
    if let Some(old) = seen.earlier_address.filter(|old| *old != wanted && present.contains(old)) {
        cure.push(Step::RemoveAddress(old.0, old.1));
    }
    let missing = !present.contains(&wanted);
    if missing {
        cure.push(Step::AddAddress(wanted.0, wanted.1));
    }
    let actual = if missing { present.iter().map(show).collect::<Vec<_>>().join(" ") } else { show(&wanted) };
    let actual = if actual.is_empty() { "none".to_owned() } else { actual };
    let changed = !cure.is_empty();
    (Aspect { what: "address", wanted: show(&wanted), actual, cure }, changed)
}

fn yes(what: &'static str, wanted: &str, is: bool, otherwise: &str, cure: Vec<Step>) -> Aspect {
    let (actual, cure) = if is { (wanted, Vec::new()) } else { (otherwise, cure) };
    Aspect { what, wanted: wanted.to_owned(), actual: actual.to_owned(), cure }
}

fn state_aspect(what: &'static str, state: State, cure: Vec<Step>) -> Aspect {
    if state == State::Hidden {
        return yes(what, state.word(), true, "", Vec::new());
    }
    yes(what, State::Right.word(), state == State::Right, state.word(), cure)
}

fn server_aspect(goal: &Goal, seen: &Seen, restart: bool) -> Aspect {
    let stop = seen.dnsmasq.map(Step::StopDnsmasq);
    let aspect = |wanted: &str, actual: &str, cure: Vec<Step>| Aspect {
        what: "dnsmasq",
        wanted: wanted.to_owned(),
        actual: actual.to_owned(),
        cure,
    };
    if goal.dnsmasq.is_none() {
        let mut cure: Vec<Step> = stop.into_iter().collect();
        if seen.dnsmasq_file != State::Absent {
            cure.push(Step::RemoveDnsmasq);
        }
        return aspect("none", if cure.is_empty() { "none" } else { "running" }, cure);
    }
    let right_file = seen.dnsmasq_file == State::Right;
    if right_file && seen.dnsmasq.is_some() && !restart {
        return aspect("running", "running", Vec::new());
    }
    let actual = match (seen.dnsmasq, right_file) {
        (None, _) => "not running",
        (Some(_), false) => "running with another file",
        (Some(_), true) => "running on another address",
    };
    let mut cure: Vec<Step> = stop.into_iter().collect();
    if !right_file {
        cure.push(Step::WriteDnsmasq);
    }
    cure.push(Step::StartDnsmasq);
    aspect("running", actual, cure)
}

#[cfg(test)]
mod tests;
