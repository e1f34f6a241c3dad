//! What must be done: the network as it should be held against the host as it is. The same
//! comparison gives `up` its steps and `status` its rows, so that the two can never disagree, and
//! a second `up` has nothing to do.
//!
//! | file | knows |
//! |---|---|
//! | `seen` | the host as it is |
//! | `step` | the changes there are |
//! | `undo` | what takes each of them back, and the order of taking down |
//! | `bridge` | the bridge and its addresses |
//! | `server` | dnsmasq and its files |
//! | `ports` | the bridge's ports |
//! | `switch` | the VDE switch beside the bridge |
//! | `cables` | what joins it to other wires |
//! | `live` | what follows from a reservation alone |

mod bridge;
mod cables;
mod live;
mod ports;
mod seen;
mod server;
mod step;
mod switch;
mod undo;

pub use cables::{By, CableGoal, Can, FarBridge, SeenCable, rows as cable_rows, steps as cables};
pub use live::live;
pub use seen::{Ipv6Role, LoosePort, ObservedState, SeenBridge, SeenPort, State};
pub use step::{BridgeStep, CableStep, FirewallStep, HostStep, PortStep, ServerStep, Step, SwitchStep};
pub use switch::SeenSwitch;
pub use undo::{Part, TAKING_DOWN, Undo, undoing};

use crate::bridge_filter as frames;
use crate::dnsmasq::{self, Place};
use crate::firewall;
use crate::firewall::forwards::{self, Opened};
use crate::guest::Guest;
use crate::other_firewalls::{self, Guests};
use crate::prefix6::PREFIX6_LENGTH;
use crate::settle::NetworkSpec;
use crate::vde_switch::Switch;
use std::fmt;
use std::net::IpAddr;
use vmnet_access::name::IfName;
use vmnet_access::port_record::PortRecord;

/// A network with all its texts rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredState {
    /// The network.
    pub wanted: NetworkSpec,
    /// For nft, on a host that has none of it.
    pub ruleset: String,
    /// For nft, where only the guests that are known are others; none where frames are not judged by that.
    pub known: Option<String>,
    /// Its forwards with where they lead now.
    pub forwards: Vec<Opened>,
    /// For dnsmasq; none where the network needs no server.
    pub dnsmasq: Option<String>,
    /// Its names beside those of leases.
    pub names: String,
    /// Its reservations.
    pub reservations: String,
    /// Its VDE switch.
    pub switch: Option<Switch>,
    /// Its cables.
    pub cables: Vec<CableGoal>,
    /// For the helper.
    pub port: PortRecord,
}

impl DesiredState {
    /// Render them, with what is known of the guests now. `bridged_nat`: the host translates frames
    /// on their way from port to port (br_netfilter).
    #[must_use]
    pub fn new(
        wanted: NetworkSpec,
        place: &Place,
        guests: &[Guest],
        bridged_nat: bool,
        switch: Option<Switch>,
    ) -> Self {
        let forwards = forwards::open(&wanted, guests);
        let port = PortRecord {
            network: wanted.name().clone(),
            isolated: wanted.isolates_ports(),
            hairpin: bridged_nat && !forwards.is_empty(),
            group: wanted.group,
            switch: switch.as_ref().map(|switch| switch.door.clone()),
        };
        Self {
            ruleset: firewall::ruleset(&wanted, &forwards, guests),
            known: frames::owners(&wanted, guests),
            dnsmasq: dnsmasq::configuration(&wanted, place),
            names: dnsmasq::names(&wanted),
            reservations: dnsmasq::reservations(&wanted),
            switch,
            cables: Vec::new(),
            port,
            forwards,
            wanted,
        }
    }

    /// Does the host have to forward packets for it?
    #[must_use]
    pub fn forwards(&self) -> bool {
        self.wanted.forwards()
    }

    /// The guests for whom other firewalls are opened.
    #[must_use]
    pub fn guests(&self) -> Guests {
        Guests::of(&self.wanted.network, self.wanted.subnet6.is_some())
    }

    /// The bridge's addresses with their lengths; the first is the guests' gateway.
    #[must_use]
    pub fn addresses(&self) -> Vec<(IpAddr, u8)> {
        let v4 = self.wanted.addresses().into_iter().map(|(address, length)| (IpAddr::V4(address), length));
        v4.chain(self.wanted.address6().map(|address| (IpAddr::V6(address), PREFIX6_LENGTH))).collect()
    }

    /// The alias by which its bridge is known as ours.
    #[must_use]
    pub fn bridge_alias(&self) -> String {
        bridge_alias(self.wanted.name().as_str())
    }
}

/// The alias by which a network's bridge is known as ours.
#[must_use]
pub fn bridge_alias(network: &str) -> String {
    format!("vmnet network {network}")
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

/// One thing that should be so: what it is, how it is, and the steps that make it right: of all kinds,
/// or of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aspect<S = Step> {
    /// Its name.
    pub what: String,
    /// As it should be.
    pub wanted: String,
    /// The aspect as it is.
    pub actual: String,
    /// The steps from one to the other; none where they agree.
    pub cure: Vec<S>,
}

impl<S> Aspect<S> {
    pub(crate) fn new(
        what: impl Into<String>,
        wanted: impl Into<String>,
        actual: impl Into<String>,
        cure: Vec<S>,
    ) -> Self {
        Self { what: what.into(), wanted: wanted.into(), actual: actual.into(), cure }
    }

    /// One that is so or otherwise.
    pub(crate) fn yes(what: &str, wanted: &str, is: bool, otherwise: &str, cure: Vec<S>) -> Self {
        let (actual, cure) = if is { (wanted, Vec::new()) } else { (otherwise, cure) };
        Self::new(what, wanted, actual, cure)
    }

    fn state(what: &str, state: State, cure: Vec<S>) -> Self {
        if state == State::Hidden {
            return Self::yes(what, state.word(), true, "", Vec::new());
        }
        Self::yes(what, State::Right.word(), state == State::Right, state.word(), cure)
    }

    /// The same with its steps as those of this kind.
    pub(crate) fn of(self, kind: fn(S) -> Step) -> Aspect {
        let Self { what, wanted, actual, cure } = self;
        Aspect { what, wanted, actual, cure: cure.into_iter().map(kind).collect() }
    }

    /// Is the aspect otherwise than wanted?
    #[must_use]
    pub fn has_drifted(&self) -> bool {
        self.wanted != self.actual
    }
}

/// Hold the two against each other, in the order in which `up` goes.
///
/// # Errors
/// Somebody else's link stands in the way.
pub fn compare(goal: &DesiredState, seen: &ObservedState) -> Result<Vec<Aspect>, Conflict> {
    let own = bridge::own(goal, seen)?;
    let mut links = bridge::aspects(goal, own);
    // First up, because a link that goes down loses its IPv6 addresses.
    links.push(Aspect::yes("link", "up", own.is_some_and(|b| b.up), "down", vec![BridgeStep::Raise]));
    let (addresses, readdressed) = bridge::addresses(goal, seen, own);
    links.extend(addresses);
    let mut aspects: Vec<Aspect> = links.into_iter().map(|aspect| aspect.of(Step::Bridge)).collect();
    aspects.extend(forwarding(goal, seen, own));
    aspects.extend(firewall(goal, seen).into_iter().map(|aspect| aspect.of(Step::Firewall)));
    let server = server::aspects(goal, seen, own.is_none() || readdressed);
    aspects.extend(server.into_iter().map(|aspect| aspect.of(Step::Server)));
    let (going, coming) = cables::aspects(&goal.cables, &seen.cables);
    aspects.extend(going.into_iter().map(|aspect| aspect.of(Step::Cable)));
    // Before the record that lets the helper in.
    aspects.extend(switch::aspects(goal, seen).into_iter().map(|aspect| aspect.of(Step::Switch)));
    aspects.push(Aspect::state("port record", seen.port, vec![PortStep::WriteRecord]).of(Step::Port));
    aspects.extend(other_firewalls(seen).map(|aspect| aspect.of(Step::Firewall)));
    aspects.extend(ports::aspects(goal, seen).into_iter().map(|aspect| aspect.of(Step::Port)));
    aspects.extend(coming.into_iter().map(|aspect| aspect.of(Step::Cable)));
    Ok(aspects)
}

/// The steps of `up`.
///
/// # Errors
/// Somebody else's link stands in the way.
pub fn up(goal: &DesiredState, seen: &ObservedState) -> Result<Vec<Step>, Conflict> {
    Ok(compare(goal, seen)?.into_iter().flat_map(|aspect| aspect.cure).collect())
}

/// Will guests that are there hold on to something that is not so any more, until they renew
/// their leases?
#[must_use]
pub fn outdates_leases(steps: &[Step], seen: &ObservedState) -> bool {
    let tells = |step: &Step| {
        matches!(
            step,
            Step::Server(ServerStep::WriteFile)
                | Step::Bridge(BridgeStep::RemoveAddress(..))
                | Step::Server(ServerStep::WriteReservations)
        )
    };
    seen.dnsmasq.is_some() && !seen.ports.is_empty() && steps.iter().any(tells)
}

/// The network's own tables.
fn firewall(goal: &DesiredState, seen: &ObservedState) -> Vec<Aspect<FirewallStep>> {
    let mut aspects = vec![Aspect::state("firewall", seen.ruleset, vec![FirewallStep::LoadTables])];
    // Loaded whole, they know the guests.
    if goal.known.is_some() && seen.ruleset == State::Right {
        aspects.push(Aspect::state("guests in the firewall", seen.known, vec![FirewallStep::LoadGuests]));
    }
    aspects.extend(open_ports(goal, seen));
    aspects
}

fn forwarding(goal: &DesiredState, seen: &ObservedState, own: Option<&SeenBridge>) -> Vec<Aspect> {
    if !goal.forwards() {
        return Vec::new();
    }
    let mut aspects = vec![Aspect::yes(
        "forwarding",
        "on",
        seen.forwarding,
        "off",
        vec![Step::Host(HostStep::EnableForwarding)],
    )];
    if goal.wanted.subnet6.is_some() {
        let cure = vec![Step::Host(HostStep::EnableForwarding6)];
        aspects.push(Aspect::yes("ipv6 forwarding", "on", seen.forwarding6, "off", cure));
    }
    if !goal.forwards.is_empty() {
        let is = own.is_some_and(|bridge| bridge.loopback);
        aspects.push(Aspect::yes(
            "forwards from loopback",
            "on",
            is,
            "off",
            vec![Step::Bridge(BridgeStep::AllowLoopback)],
        ));
    }
    aspects
}

/// One row, where there is any that matters.
fn other_firewalls(seen: &ObservedState) -> Option<Aspect<FirewallStep>> {
    let openings = seen.foreign.as_deref().filter(|openings| !openings.is_empty())?;
    let (wanted, actual) = (other_firewalls::wanted(openings), other_firewalls::actual(openings));
    let open = openings.iter().all(|opening| opening.open);
    Some(Aspect::new(
        "other firewalls",
        wanted,
        actual,
        if open { vec![] } else { vec![FirewallStep::OpenOthers] },
    ))
}

/// A row for each forward. They are loaded with the table, or alone where the table is right.
fn open_ports(goal: &DesiredState, seen: &ObservedState) -> Vec<Aspect<FirewallStep>> {
    let Some(shown) = &seen.forwards else { return Vec::new() };
    let wanted = forwards::shown(&goal.forwards);
    let loads = wanted != *shown && seen.ruleset == State::Right;
    let mut aspects: Vec<Aspect<FirewallStep>> =
        goal.forwards.iter().map(|opened| forward(opened, shown)).collect();
    let strange = shown.iter().filter(|comment| !wanted.contains(comment));
    let strange = strange.map(|comment| Aspect::new(comment.clone(), "closed", "open", Vec::new()));
    aspects.extend(strange.filter(|_| seen.ruleset == State::Right));
    let cure = if loads { vec![FirewallStep::LoadForwards] } else { Vec::new() };
    match aspects.iter_mut().find(|aspect| aspect.has_drifted()) {
        Some(first) => first.cure = cure,
        // Twice the same rule, for example.
        None if loads => aspects.push(Aspect::new("forwards", "as wanted", "different", cure)),
        None => {}
    }
    aspects
}

fn forward(opened: &Opened, shown: &[String]) -> Aspect<FirewallStep> {
    let what = format!("forward {}", opened.forward);
    if !opened.leads() {
        let waits = format!("waits for {}", opened.forward.to.who);
        return Aspect::new(what, waits.clone(), waits, Vec::new());
    }
    let comments = forwards::shown(std::slice::from_ref(opened));
    let is = comments.iter().all(|comment| shown.contains(comment));
    Aspect::yes(&what, "open", is, "closed", Vec::new())
}

#[cfg(test)]
mod reached;
#[cfg(test)]
mod shown;
#[cfg(test)]
mod tests;
