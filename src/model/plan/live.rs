//! What follows from a reservation that came or went, and nothing else: a file that somebody is just
//! editing waits for `up`.

use super::{DesiredState, FirewallStep, ObservedState, ServerStep, State, Step};
use crate::firewall::forwards;

/// The steps of a network that is up. The server hears of its files by a signal and goes on; where the
/// firewall has drifted, its repair knows the guests too.
#[must_use]
pub fn live(goal: &DesiredState, seen: &ObservedState) -> Vec<Step> {
    let mut steps = Vec::new();
    let is_right = seen.ruleset == State::Right;
    if is_right && goal.known.is_some() && seen.known != State::Right {
        steps.push(Step::Firewall(FirewallStep::LoadGuests));
    }
    if is_right && seen.forwards.as_ref().is_some_and(|shown| *shown != forwards::shown(&goal.forwards)) {
        steps.push(Step::Firewall(FirewallStep::LoadForwards));
    }
    if goal.dnsmasq.is_none() {
        return steps;
    }
    let files = [(seen.names, ServerStep::WriteNames), (seen.reservations, ServerStep::WriteReservations)];
    let written: Vec<ServerStep> =
        files.into_iter().filter(|(state, _)| *state != State::Right).map(|(_, step)| step).collect();
    let told = seen.dnsmasq.filter(|_| !written.is_empty()).map(ServerStep::Reread);
    steps.extend(written.into_iter().chain(told).map(Step::Server));
    steps
}
