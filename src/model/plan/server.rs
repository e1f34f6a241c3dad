//! dnsmasq and its files.

use super::{Aspect, DesiredState, ObservedState, ServerStep, State};

pub(super) fn aspects(goal: &DesiredState, seen: &ObservedState, restart: bool) -> Vec<Aspect<ServerStep>> {
    if goal.dnsmasq.is_none() {
        return vec![none(seen)];
    }
    let server = server(seen, restart);
    let starts = server.has_drifted();
    let mut names = Aspect::state("names", seen.names, vec![ServerStep::WriteNames]);
    let mut reservations =
        Aspect::state("reservations", seen.reservations, vec![ServerStep::WriteReservations]);
    // It reads both at its start, and again when told; once is enough.
    if let (Some(pid), false) = (seen.dnsmasq, starts) {
        let last = if reservations.cure.is_empty() { &mut names } else { &mut reservations };
        if !last.cure.is_empty() {
            last.cure.push(ServerStep::Reread(pid));
        }
    }
    vec![names, reservations, server]
}

fn none(seen: &ObservedState) -> Aspect<ServerStep> {
    let mut cure: Vec<ServerStep> = seen.dnsmasq.map(ServerStep::Stop).into_iter().collect();
    if seen.dnsmasq_file != State::Absent {
        cure.push(ServerStep::RemoveFile);
    }
    Aspect::new("dnsmasq", "none", if cure.is_empty() { "none" } else { "running" }, cure)
}

fn server(seen: &ObservedState, restart: bool) -> Aspect<ServerStep> {
    let right_file = seen.dnsmasq_file == State::Right;
    if right_file && seen.dnsmasq.is_some() && !restart {
        return Aspect::new("dnsmasq", "running", "running", Vec::new());
    }
    let actual = match (seen.dnsmasq, right_file) {
        (None, _) => "not running",
        (Some(_), false) => "running with another file",
        (Some(_), true) => "running on another address",
    };
    let mut cure: Vec<ServerStep> = seen.dnsmasq.map(ServerStep::Stop).into_iter().collect();
    if !right_file {
        cure.push(ServerStep::WriteFile);
    }
    cure.push(ServerStep::Start);
    Aspect::new("dnsmasq", "running", actual, cure)
}
