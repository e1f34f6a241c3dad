//! Whatever a host is like, the steps of `up` make it as it should be, each of them does something,
//! and none is taken before what it needs.

mod host;

use super::tests::{all_right, goal, nothing};
use super::*;
use crate::forward::{Forward, Protocol};
use crate::network::{HostAccess, Mode, Network, Prefix6Choice, Vde};
use crate::other_firewalls::{Backend, Family, Hook, Opening, Purpose};
use crate::tap_policy::{Enforcement, GrantViolation};
use crate::vde_switch::Run;
use host::{Host, all, wrong};
use proptest::collection::vec as several;
use proptest::prelude::*;
use std::net::{Ipv4Addr, Ipv6Addr};
use vmnet_access::mac::MacAddr;
use vmnet_access::port_record::SwitchAccess;
use vmnet_access::vde::Directory;

const FAR: FarBridge = FarBridge { index: 5, group: 6, mtu: 1400 };
const OLD4: (Ipv4Addr, u8) = (Ipv4Addr::new(10, 8, 0, 1), 24);
const OLD6: (Ipv6Addr, u8) = (Ipv6Addr::new(0xfd00, 0, 0, 8, 0, 0, 0, 1), 64);

fn some_switch(run: bool) -> Switch {
    let door = SwitchAccess { directory: Directory::new("/x").unwrap(), owner: 1, group: 2 };
    Switch { door, pump: 3, run: run.then(|| Run::of(&Vde::DEFAULT)), console: None }
}

fn forward(listen: &str, to: &str) -> Forward {
    Forward::new(listen.parse().unwrap(), to.parse().unwrap(), Protocol::Tcp).unwrap()
}

fn cable_goals() -> impl Strategy<Value = Vec<CableGoal>> {
    let network = prop::sample::select(vec![Can::Pair(FAR), Can::Wait, Can::Never("a - b".to_owned())]);
    let switch = prop::sample::select(vec![Can::Pump(some_switch(false)), Can::Wait]);
    let goal = |to: &'static str| move |can| CableGoal { to: to.parse().unwrap(), can };
    (
        proptest::option::of(network.prop_map(goal("b"))),
        proptest::option::of(switch.prop_map(goal("vde:///x"))),
    )
        .prop_map(|(one, other)| one.into_iter().chain(other).collect())
}

/// One network of every kind.
fn goals() -> impl Strategy<Value = DesiredState> {
    let modes = prop::sample::select(vec![Mode::Nat, Mode::Routed, Mode::Isolated, Mode::Vde]);
    let forwards = prop::sample::subsequence(
        vec![forward("80", "web:8080"), forward("[::]:81", "web"), forward("82", "nobody")],
        0..=3,
    );
    let switch = proptest::option::of(any::<bool>());
    (modes, any::<[bool; 7]>(), forwards, switch, cable_goals()).prop_map(
        |(mode, [v6, guard, dhcp, names, more, others, hairpin], forwards, switch, cables)| {
            let plain = goal(|n| {
                if mode == Mode::Vde {
                    *n = Network::bare_wire(n.name.clone());
                    return;
                }
                (n.mode, n.guard, n.dhcp.enabled) = (mode, guard, dhcp);
                n.host_access = if names { HostAccess::Services } else { HostAccess::None };
                n.subnet6 = if v6 { Prefix6Choice::Auto } else { Prefix6Choice::None };
                n.more_subnets = more.then(|| "10.9.0.0/16".parse().unwrap()).into_iter().collect();
                n.allow_from = others.then(|| n.name.clone()).into_iter().collect();
                n.isolated = guard && more;
                n.forwards = if mode == Mode::Isolated { Vec::new() } else { forwards };
            });
            let switch = switch.map(some_switch);
            let door = switch.as_ref().map(|switch| switch.door.clone());
            let port = PortRecord { switch: door, hairpin, ..plain.port };
            DesiredState { switch, port, cables, ..plain }
        },
    )
}

fn states() -> impl Strategy<Value = State> {
    prop_oneof![2 => Just(State::Right), 1 => Just(State::Other), 1 => Just(State::Absent)]
}

/// Mostly as it should be, else otherwise.
fn rarely() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.25)
}

fn change_bridge(bridge: &mut SeenBridge, what: &[bool]) {
    let changes: [fn(&mut SeenBridge); 10] = [
        |b| b.mtu = 9000,
        |b| b.mac = Some(MacAddr([2, 0, 0, 0, 0, 99])),
        |b| b.group = 0,
        |b| b.up = false,
        |b| b.ipv6 = Ipv6Role::Host,
        |b| b.loopback = false,
        |b| b.addresses.retain(|_| false),
        |b| b.addresses6.clear(),
        |b| b.addresses.push(OLD4),
        |b| b.addresses6.push(OLD6),
    ];
    for (change, _) in changes.iter().zip(what).filter(|(_, is)| **is) {
        change(bridge);
    }
}

fn seen_switches() -> impl Strategy<Value = SeenSwitch> {
    let pid = |pid| proptest::option::of(Just(pid));
    (states(), pid(55), any::<[bool; 2]>(), pid(56)).prop_map(|(record, process, [there, plugged], pump)| {
        let there = there || process.is_some();
        SeenSwitch { record, process, there, plugged: plugged && there, pump }
    })
}

fn seen_cables() -> impl Strategy<Value = Vec<SeenCable>> {
    let is = |to: &str, by| SeenCable { to: to.parse().unwrap(), by };
    let pair = (
        prop::sample::select(vec!["b", "c"]),
        9u32..12,
        prop::sample::select(vec![None, Some(1400), Some(9000)]),
        any::<bool>(),
    )
        .prop_map(move |(to, index, mtu, whole)| is(to, By::Pair { index, mtu, whole }));
    let pump = (
        prop::sample::select(vec!["vde:///x", "vde:///y"]),
        states(),
        proptest::option::of(Just(8)),
        any::<bool>(),
    )
        .prop_map(move |(to, record, process, plugged)| is(to, By::Pump { record, process, plugged }));
    (several(pair, 0..3), proptest::option::of(pump)).prop_map(|(mut all, pump)| {
        all.dedup_by_key(|cable| cable.by);
        all.extend(pump);
        all
    })
}

fn opening(open: bool) -> Opening {
    let place = crate::other_firewalls::Place {
        backend: Backend::Nft,
        family: Family::Ip,
        table: "filter".to_owned(),
        chain: "FORWARD".to_owned(),
    };
    Opening { place, hook: Hook::Forward, needs: vec![Purpose::From], has: Vec::new(), open }
}

fn change_ports(seen: &mut ObservedState, what: [bool; 6], act: Enforcement) {
    let own = seen.ports[0].clone();
    let [mtu, flags, group, wire, stray, loose] = what;
    let name = |name: &str| IfName::new(name.as_bytes()).unwrap();
    seen.ports.extend(mtu.then(|| SeenPort { index: 10, mtu: 900, ..own.clone() }));
    let flagged = SeenPort { index: 11, isolated: !own.isolated, hairpin: !own.hairpin, ..own.clone() };
    seen.ports.extend(flags.then_some(flagged));
    seen.ports.extend(group.then(|| SeenPort { index: 12, group: 1, mtu: 900, ours: false, ..own.clone() }));
    seen.ports.extend(wire.then_some(SeenPort { index: 13, is_wire: true, ..own }));
    seen.strays.extend(stray.then(|| (14, name("vmtap14"))));
    let tap = LoosePort { index: 15, name: name("vmtap15"), breaches: vec![GrantViolation::Mac], act };
    seen.loose.extend(loose.then_some(tap));
}

fn hosts() -> impl Strategy<Value = (DesiredState, Host)> {
    let act = prop::sample::select(vec![
        Enforcement::PutBack(MacAddr([2; 6])),
        Enforcement::Delete,
        Enforcement::Wait,
        Enforcement::Nothing,
    ]);
    let files = (states(), states(), states(), proptest::option::of(Just(42u32)));
    let tables =
        (states(), states(), several(Just("forward tcp 1 to x at 10.0.1.9".to_owned()), 0..2), rarely());
    let bridge =
        (several(rarely(), 10), prop_oneof![1 => Just(None), 4 => Just(Some(true)), 1 => Just(Some(false))]);
    let rest = (any::<[bool; 2]>(), states(), several(any::<bool>(), 0..3), any::<[bool; 6]>(), act);
    (goals(), files, tables, bridge, seen_switches(), seen_cables(), rest).prop_map(
        |(goal, files, (ruleset, known, mut strange, none), (changes, alias), switch, cables, rest)| {
            let mut seen = all_right(&goal);
            seen.earlier.extend([(OLD4.0.into(), OLD4.1), (OLD6.0.into(), OLD6.1)]);
            change_bridge(seen.bridge.as_mut().unwrap(), &changes);
            match alias {
                None => seen.bridge = None,
                Some(true) => {}
                // One that an interrupted run left.
                Some(false) => {
                    let bridge = seen.bridge.as_mut().unwrap();
                    (bridge.alias, bridge.mac) = (None, Some(goal.wanted.mac));
                }
            }
            (seen.names, seen.reservations, seen.dnsmasq_file, seen.dnsmasq) = files;
            (seen.ruleset, seen.known) = (ruleset, known);
            if none || ruleset == State::Absent {
                seen.forwards = Some(Vec::new());
            }
            seen.forwards.as_mut().unwrap().append(&mut strange);
            // The record says that we run none only once it was stopped.
            let joins = goal.switch.as_ref().is_some_and(|switch| switch.run.is_none());
            let process = switch.process.filter(|_| !joins || switch.record != State::Right);
            // Looked for where one is wanted.
            let (there, plugged) =
                (switch.there && goal.switch.is_some(), switch.plugged && goal.switch.is_some());
            (seen.switch, seen.cables) = (Some(SeenSwitch { process, there, plugged, ..switch }), cables);
            let ([forwarding, forwarding6], port, openings, ports, act) = rest;
            (seen.forwarding, seen.forwarding6, seen.port) = (forwarding, forwarding6, port);
            seen.foreign = Some(openings.into_iter().map(opening).collect());
            change_ports(&mut seen, ports, act);
            let gateway = goal.addresses().first().copied();
            let bound = seen.bridge.as_ref().is_some_and(|b| gateway.is_none_or(|g| all(b).contains(&g)));
            let read = [seen.names, seen.reservations] == [State::Right; 2];
            (goal, Host { seen, read, bound, swept: false })
        },
    )
}

proptest! {
    #[test]
    fn every_host_becomes_as_it_should_be_by_steps_that_each_do_something((goal, mut host) in hosts()) {
        let rows = compare(&goal, &host.seen).unwrap();
        for row in &rows {
            prop_assert!(row.cure.is_empty() || row.has_drifted(), "{row:?}");
        }
        for step in up(&goal, &host.seen).unwrap() {
            let before = host.clone();
            host.take(&step, &goal);
            prop_assert_ne!(before, host.clone(), "{} does nothing", step);
        }
        prop_assert_eq!(wrong(&goal, &host), Vec::<&str>::new());
        prop_assert_eq!(up(&goal, &host.seen), Ok(Vec::new()));
        // What is somebody else's to end.
        let joins = goal.switch.as_ref().is_some_and(|switch| switch.run.is_none());
        for row in compare(&goal, &host.seen).unwrap().iter().filter(|row| row.has_drifted()) {
            let (holder, left_out) = (row.what.starts_with("holder of"), row.actual.starts_with("left out"));
            prop_assert!(holder || left_out || (row.what == "switch" && joins), "{row:?}");
        }
    }

    #[test]
    fn a_change_while_a_network_is_up_takes_only_steps_that_up_would_take((goal, mut host) in hosts()) {
        let steps = live(&goal, &host.seen);
        let all = up(&goal, &host.seen).unwrap();
        for step in &steps {
            let about_guests = matches!(
                step,
                Step::Firewall(FirewallStep::LoadGuests) | Step::Firewall(FirewallStep::LoadForwards) | Step::Server(ServerStep::WriteNames) | Step::Server(ServerStep::WriteReservations) | Step::Server(ServerStep::Reread(_))
            );
            // Where the server is started anew, it need not be told of its files.
            let told = matches!(step, Step::Server(ServerStep::Reread(_))) && all.contains(&Step::Server(ServerStep::Start));
            prop_assert!(about_guests && (all.contains(step) || told), "{step}");
            let before = host.clone();
            host.take(step, &goal);
            prop_assert_ne!(before, host.clone(), "{} does nothing", step);
        }
        let seen = &host.seen;
        let tables = seen.ruleset != State::Right
            || (seen.forwards == Some(forwards::shown(&goal.forwards)) && (goal.known.is_none() || seen.known == State::Right));
        let files = goal.dnsmasq.is_none()
            || ([seen.names, seen.reservations] == [State::Right; 2] && (host.read || seen.dnsmasq.is_none()));
        prop_assert!(tables && files, "{seen:?}");
        prop_assert_eq!(live(&goal, seen), Vec::new());
    }

    #[test]
    fn guests_hold_on_to_old_leases_only_if_they_have_any(
        (goal, host) in hosts(), ports: bool,
    ) {
        let mut seen = host.seen;
        if !ports {
            seen.ports.clear();
        }
        let steps = up(&goal, &seen).unwrap();
        let tells = steps.contains(&Step::Server(ServerStep::WriteFile))
            || steps.contains(&Step::Server(ServerStep::WriteReservations))
            || steps.iter().any(|step| matches!(step, Step::Bridge(BridgeStep::RemoveAddress(..))));
        prop_assert_eq!(outdates_leases(&steps, &seen), tells && seen.dnsmasq.is_some() && ports);
    }
}

#[test]
fn a_host_that_has_nothing_becomes_right_too() {
    let goal = goal(|_| {});
    let mut host = Host { seen: nothing(), read: false, bound: false, swept: false };
    for step in up(&goal, &host.seen).unwrap() {
        host.take(&step, &goal);
    }
    assert_eq!(wrong(&goal, &host), Vec::<&str>::new());
}
