//! Cables: what joins the wires of two networks, or of a network and somebody's VDE switch. A frame that
//! comes to a circle goes round in it for ever, and bridges of ours look for none; so all wires of a host
//! must stay a forest: between any two of them there is at most one way.

use crate::network::{Limits, Network};
use std::fmt;
use std::str::FromStr;
use vmnet_access::name::{NameError, NetName};
use vmnet_access::vde::{Directory, NotADirectory};

/// How a switch is written.
const SCHEME: &str = "vde://";

/// A wire that a cable can end at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// A network.
    Network(NetName),
    /// The VDE switch in this directory.
    Switch(Directory),
}

/// Why a text names no end of a cable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAnEnd {
    /// It is no name of a network.
    Name(NameError),
    /// It is no directory of a switch.
    Directory(NotADirectory),
}

impl fmt::Display for NotAnEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(error) => error.fmt(f),
            Self::Directory(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for NotAnEnd {}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(name) => f.write_str(name.as_str()),
            Self::Switch(directory) => write!(f, "{SCHEME}{directory}"),
        }
    }
}

impl FromStr for End {
    type Err = NotAnEnd;

    fn from_str(text: &str) -> Result<Self, NotAnEnd> {
        match text.strip_prefix(SCHEME) {
            Some(path) => Directory::new(path).map(Self::Switch).map_err(NotAnEnd::Directory),
            None => NetName::new(text).map(Self::Network).map_err(NotAnEnd::Name),
        }
    }
}

/// What joins two wires: a cable, or a network's own switch, which is one wire with its bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge(pub End, pub End);

impl Edge {
    /// Does this cable join these two ends, either way round?
    #[must_use]
    pub fn joins(&self, one: &End, other: &End) -> bool {
        (&self.0, &self.1) == (one, other) || (&self.0, &self.1) == (other, one)
    }

    fn from(&self, end: &End) -> Option<&End> {
        if self.0 == *end {
            Some(&self.1)
        } else if self.1 == *end {
            Some(&self.0)
        } else {
            None
        }
    }
}

/// The way that is there already between two wires which a cable was to join, both of them included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circle(pub Vec<End>);

impl fmt::Display for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, end) in self.0.iter().enumerate() {
            write!(f, "{}{end}", if place == 0 { "" } else { " - " })?;
        }
        Ok(())
    }
}

/// All that joins wires of a host, without a circle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wires(Vec<Edge>);

impl Wires {
    /// Join two wires by a cable.
    ///
    /// # Errors
    /// They are one wire already, in this way; nothing changes then.
    pub fn join(&mut self, edge: Edge) -> Result<(), Circle> {
        match self.way(&edge.0, &edge.1) {
            Some(way) => Err(Circle(way)),
            None => {
                self.0.push(edge);
                Ok(())
            }
        }
    }

    /// The way between two of them, if they are one wire.
    #[must_use]
    pub fn way(&self, from: &End, to: &End) -> Option<Vec<End>> {
        let mut ways = vec![vec![from.clone()]];
        // Each edge is gone along once: in a forest no step leads back but the one just made.
        let mut left: Vec<&Edge> = self.0.iter().collect();
        while let Some(way) = ways.pop() {
            let Some(last) = way.last() else { continue };
            if last == to {
                return Some(way);
            }
            let (here, others): (Vec<&Edge>, Vec<&Edge>) =
                left.into_iter().partition(|edge| edge.from(last).is_some());
            left = others;
            let next = here.iter().filter_map(|edge| edge.from(last));
            ways.extend(next.map(|end| [way.as_slice(), std::slice::from_ref(end)].concat()));
        }
        None
    }
}

/// A cable that is remembered, as it stands between the wires of this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Laid {
    /// The cable as it is remembered.
    pub cable: Edge,
    /// What it joins, by the names that count now: one switch may be reached by two paths.
    pub edge: Edge,
    /// The cable is plugged in.
    pub plugged: bool,
    /// The cable is one of the network that is looked at.
    pub own: bool,
}

/// Lay all cables of a host between what is joined anyway; a network's file may say something else by now
/// than when they were accepted. Answered are those that would close a circle and must not be plugged in.
/// Cables that carry frames now come first, and then those of other networks: so no circle is ever
/// closed, by whichever network this is asked, and of what works nothing is taken that need not go.
#[must_use]
pub fn lay(switches: Vec<Edge>, mut cables: Vec<Laid>) -> Vec<(Edge, Circle)> {
    let mut wires = Wires::default();
    for edge in switches {
        // Each network has one at most, so these alone close no circle.
        let _ = wires.join(edge);
    }
    cables.sort_by_key(|laid| (!laid.plugged, laid.own, laid.cable.0.to_string(), laid.cable.1.to_string()));
    cables
        .into_iter()
        .filter_map(|laid| wires.join(laid.edge).err().map(|circle| (laid.cable, circle)))
        .collect()
}

/// Why a network can have no cable: many guests come in by one port, which cannot be judged one by one.
#[must_use]
pub fn unfit(network: &Network) -> Option<&'static str> {
    if network.isolated {
        Some("its guests are kept apart from each other (isolated = true)")
    } else if network.guard {
        Some("its guests are guarded one by one (guard = true)")
    } else if network.limits != Limits::default() {
        Some("its guests are limited one by one ([limits])")
    } else if !network.links.is_empty() {
        Some("its guests are linked one by one ([[link]])")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn end(text: &str) -> End {
        text.parse().unwrap()
    }

    fn edge(one: &str, other: &str) -> Edge {
        Edge(end(one), end(other))
    }

    #[test]
    fn an_end_is_a_network_or_a_switch() {
        assert_eq!(end("vde:///run/x/").to_string(), "vde:///run/x");
        assert!(matches!(end("lab"), End::Network(_)));
        assert!(matches!("vde://x".parse::<End>(), Err(NotAnEnd::Directory(NotADirectory::Relative))));
        assert!(matches!("-".parse::<End>(), Err(NotAnEnd::Name(_))));
    }

    #[test]
    fn a_circle_is_refused_with_the_way_that_is_there() {
        let mut wires = Wires::default();
        for [one, other] in [["a", "b"], ["c", "b"], ["a", "vde:///x"]] {
            assert_eq!(wires.join(edge(one, other)), Ok(()));
        }
        let refusal = |one, other| wires.clone().join(edge(one, other)).unwrap_err().to_string();
        assert_eq!(refusal("b", "a"), "b - a");
        assert_eq!(refusal("c", "a"), "c - b - a");
        assert_eq!(refusal("c", "vde:///x"), "c - b - a - vde:///x");
        assert_eq!(refusal("d", "d"), "d");
    }

    #[test]
    fn what_carries_frames_stays_and_what_came_last_is_left_out() {
        let laid =
            |one, other, plugged, own| Laid { cable: edge(one, other), edge: edge(one, other), plugged, own };
        let switches = || vec![edge("a", "vde:///x"), edge("b", "vde:///x")];
        let left_out =
            |cables| lay(switches(), cables).into_iter().map(|(cable, _)| cable).collect::<Vec<_>>();
        // The file of a, which is looked at, says since today that it is at x too.
        assert_eq!(left_out(vec![laid("a", "c", true, true), laid("b", "c", true, false)]), [edge("a", "c")]);
        // And with its cable gone nobody else's need go.
        assert_eq!(
            left_out(vec![laid("a", "c", false, false), laid("b", "c", true, true)]),
            [edge("a", "c")]
        );
        assert_eq!(left_out(vec![laid("a", "c", false, true)]), []);
        // Two paths, one switch.
        let same = Laid { edge: edge("a", "vde:///x"), ..laid("a", "vde:///y", true, true) };
        let [(cable, circle)] = &lay(switches(), vec![same])[..] else { panic!("not left out") };
        assert_eq!((cable, circle.to_string()), (&edge("a", "vde:///y"), "a - vde:///x".to_owned()));
    }

    #[test]
    fn networks_whose_guests_are_told_apart_have_no_cables() {
        let plain = Network::with_defaults(NetName::new("lab").unwrap());
        assert_eq!(unfit(&plain), None);
        let limits = Limits { from_guest: Some(1), to_guest: None };
        assert!(unfit(&Network { isolated: true, ..plain.clone() }).is_some());
        assert!(unfit(&Network { guard: true, ..plain.clone() }).is_some());
        assert!(unfit(&Network { limits, ..plain }).is_some());
    }

    /// Which of the wires are one, worked out in another way: sets that are merged.
    fn merge(sets: &mut Vec<BTreeSet<usize>>, one: usize, other: usize) -> bool {
        let place = |sets: &[BTreeSet<usize>], end| sets.iter().position(|set| set.contains(&end)).unwrap();
        let (one, other) = (place(sets, one), place(sets, other));
        if one == other {
            return false;
        }
        let (low, high) = (one.min(other), one.max(other));
        let merged = sets.swap_remove(high);
        sets[low].extend(merged);
        true
    }

    proptest! {
        #[test]
        fn after_any_cables_that_were_accepted_the_wires_are_a_forest(
            asked in proptest::collection::vec((0_usize..9, 0_usize..9), 0..30)
        ) {
            let name = |end: usize| if end < 6 { format!("n{end}") } else { format!("vde:///x{end}") };
            let (mut wires, mut sets) = (Wires::default(), (0..9).map(|end| BTreeSet::from([end])).collect());
            for (one, other) in asked {
                match wires.join(edge(&name(one), &name(other))) {
                    Ok(()) => prop_assert!(merge(&mut sets, one, other)),
                    Err(Circle(way)) => {
                        prop_assert!(!merge(&mut sets, one, other));
                        prop_assert_eq!(way.first(), Some(&end(&name(one))));
                        prop_assert_eq!(way.last(), Some(&end(&name(other))));
                        for step in way.windows(2) {
                            prop_assert!(wires.0.iter().any(|edge| edge.joins(&step[0], &step[1])));
                        }
                    }
                }
            }
            // Trees: one edge less than wires in each.
            prop_assert_eq!(wires.0.len() + sets.len(), 9);
        }
    }
}
