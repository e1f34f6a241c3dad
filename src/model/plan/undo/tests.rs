use crate::cable::End;
use crate::forward::Forward;
use crate::network::{HostAccess, Mode, Prefix6Choice, Vde};
use crate::plan::cables::{By, CableGoal, Can, FarBridge, SeenCable};
use crate::plan::tests::{all_right, goal, nothing};
use crate::plan::*;
use crate::tap_policy::{Enforcement, GrantViolation};
use crate::vde_switch::{Run, Switch};
use proptest::prelude::*;
use std::collections::BTreeSet;
use vmnet_access::mac::MacAddr;
use vmnet_access::name::IfName;
use vmnet_access::port_record::SwitchAccess;
use vmnet_access::vde::Directory;

/// A network, by what it has.
#[derive(Clone, Copy, Debug)]
struct Has {
    ipv6: bool,
    isolated: bool,
    forward: bool,
    server: bool,
    switch: Option<bool>,
    cables: bool,
}

fn networks() -> impl Strategy<Value = Has> {
    (any::<[bool; 5]>(), any::<Option<bool>>()).prop_map(
        |([ipv6, isolated, forward, server, cables], switch)| Has {
            ipv6,
            isolated,
            forward,
            server,
            switch,
            cables,
        },
    )
}

fn switch(run: bool) -> Switch {
    let door = SwitchAccess { directory: Directory::new("/run/vde").unwrap(), owner: 7, group: 8 };
    Switch { door, pump: 7, run: run.then(|| Run::of(&Vde::DEFAULT)), console: None }
}

fn end(text: &str) -> End {
    text.parse().unwrap()
}

fn with(has: Has) -> DesiredState {
    let plain = goal(|network| {
        network.subnet6 = if has.ipv6 { network.subnet6 } else { Prefix6Choice::None };
        network.mode = if has.isolated { Mode::Isolated } else { network.mode };
        if has.forward {
            let ends = ("8080".parse().unwrap(), "web:80".parse().unwrap());
            network.forwards = vec![Forward::new(ends.0, ends.1, "tcp".parse().unwrap()).unwrap()];
        }
        if !has.server {
            network.dhcp.enabled = false;
            network.host_access = HostAccess::None;
        }
    });
    let pair = CableGoal { to: end("b"), can: Can::Pair(FarBridge { index: 5, group: 6, mtu: 1400 }) };
    let pump = CableGoal { to: end("vde:///x"), can: Can::Pump(switch(false)) };
    let cables = if has.cables { vec![pair, pump] } else { Vec::new() };
    DesiredState { switch: has.switch.map(switch), cables, ..plain }
}

/// A host on which each thing is wanted, absent or another's, by one byte for each.
fn host(goal: &DesiredState, bytes: &[u8; 16]) -> ObservedState {
    let right = all_right(goal);
    let state = |at: usize| [State::Absent, State::Right, State::Other][usize::from(bytes[at] % 3)];
    let is = |at: usize| bytes[at] % 2 == 1;
    let pid = |at: usize| is(at).then_some(40);
    let name = IfName::new(b"vmtap7").unwrap();
    let act = if is(13) { Enforcement::PutBack(MacAddr([0xfe, 0, 0, 0, 0, 7])) } else { Enforcement::Delete };
    let loose = LoosePort { index: 9, name: name.clone(), breaches: vec![GrantViolation::Mac], act };
    let pump = By::Pump { record: state(11), process: pid(11), plugged: bytes[11].is_multiple_of(5) };
    let pair = By::Pair { index: 9, mtu: Some(1500), whole: true };
    let cables = [SeenCable { to: end("vde:///x"), by: pump }, SeenCable { to: end("b"), by: pair }];
    ObservedState {
        bridge: right.bridge.clone().filter(|_| is(0)),
        forwarding: is(1),
        forwarding6: is(2),
        ruleset: state(3),
        forwards: Some(if is(4) { vec!["forward tcp 1 to x at 10.0.1.9".into()] } else { Vec::new() }),
        known: state(5),
        dnsmasq_file: state(6),
        dnsmasq: pid(7),
        names: state(8),
        reservations: state(8),
        switch: Some(SeenSwitch {
            record: state(9),
            process: pid(9),
            there: is(10),
            plugged: bytes[10].is_multiple_of(3),
            pump: pid(10),
        }),
        cables: cables.into_iter().filter(|_| is(12)).collect(),
        loose: if is(14) { vec![loose] } else { Vec::new() },
        strays: if is(15) { vec![(7, name)] } else { Vec::new() },
        port: state(15),
        ..right
    }
}

fn parts(steps: &[Step]) -> BTreeSet<Part> {
    let part = |undo: Undo| match undo {
        Undo::By(part) | Undo::With(part) => Some(part),
        Undo::Removal | Undo::Holder => None,
    };
    steps.iter().filter_map(|step| part(undoing(step))).collect()
}

fn turn(part: Part) -> usize {
    TAKING_DOWN.iter().position(|turn| turn.contains(&part)).unwrap()
}

#[test]
fn what_uses_the_bridge_goes_before_it_and_the_files_go_last() {
    for user in [Part::CablePumps, Part::Switch, Part::Server] {
        assert!(turn(user) < turn(Part::Links), "{user:?}");
    }
    assert_eq!(turn(Part::Links), turn(Part::Tables));
    assert_eq!(TAKING_DOWN.last(), Some(&&[Part::RunDirectory][..]));
}

#[test]
fn a_network_with_everything_has_every_part_of_taking_down_to_do() {
    let has =
        Has { ipv6: true, isolated: false, forward: true, server: true, switch: Some(true), cables: true };
    let goal = with(has);
    let mut steps = up(&goal, &nothing()).unwrap();
    // Without a firewall that is closed to guests.
    let all: BTreeSet<Part> = TAKING_DOWN.iter().copied().flatten().copied().collect();
    let missing = |steps: &[Step]| all.difference(&parts(steps)).copied().collect::<Vec<_>>();
    assert_eq!(missing(&steps), [Part::OtherFirewalls]);
    steps.push(Step::Firewall(FirewallStep::OpenOthers));
    assert_eq!(missing(&steps), []);
    // From nothing, nothing is taken away, and nothing is anybody's.
    assert!(steps.iter().all(|step| matches!(undoing(step), Undo::By(_) | Undo::With(_))), "{steps:?}");
}

#[test]
fn what_outlives_the_bridge_has_a_part_of_its_own() {
    let pid = 5;
    let name = IfName::new(b"vmtap7").unwrap();
    let own = [
        (Step::Host(HostStep::EnableForwarding), Part::Forwarding),
        (Step::Host(HostStep::EnableForwarding6), Part::Forwarding6),
        (Step::Firewall(FirewallStep::LoadTables), Part::Tables),
        (Step::Firewall(FirewallStep::OpenOthers), Part::OtherFirewalls),
        (Step::Server(ServerStep::Start), Part::Server),
        (Step::Server(ServerStep::WriteFile), Part::RunDirectory),
        (Step::Server(ServerStep::WriteNames), Part::RunDirectory),
        (Step::Server(ServerStep::WriteReservations), Part::RunDirectory),
        (Step::Switch(SwitchStep::WriteRecord), Part::RunDirectory),
        (Step::Switch(SwitchStep::Start), Part::Switch),
        (Step::Switch(SwitchStep::StartPump), Part::Switch),
        (Step::Cable(CableStep::Start(end("vde:///x"), switch(false))), Part::CablePumps),
        (Step::Port(PortStep::WriteRecord), Part::RunDirectory),
    ];
    for (step, part) in own {
        assert_eq!(undoing(&step), Undo::By(part), "{step}");
    }
    let none = [
        (Step::Bridge(BridgeStep::Raise), Undo::With(Part::Links)),
        (Step::Bridge(BridgeStep::AddAddress([10, 0, 0, 1].into(), 24)), Undo::With(Part::Links)),
        (Step::Bridge(BridgeStep::RemoveAddress([10, 0, 0, 1].into(), 24)), Undo::Removal),
        (Step::Server(ServerStep::Stop(pid)), Undo::Removal),
        (Step::Server(ServerStep::Reread(pid)), Undo::With(Part::Server)),
        (Step::Switch(SwitchStep::StopPump(pid)), Undo::Removal),
        (Step::Cable(CableStep::Stop(end("b"))), Undo::Removal),
        (Step::Port(PortStep::SetMac(9, name.clone(), MacAddr([2; 6]))), Undo::Holder),
        (Step::Port(PortStep::Delete(9, name)), Undo::Removal),
    ];
    for (step, undo) in none {
        assert_eq!(undoing(&step), undo, "{step}");
    }
}

proptest! {
    /// `down` knows of a network what its record tells: that it forwards, its addresses, its switch. What
    /// a network has not, `up` must not make for it, or it would stay.
    #[test]
    fn up_makes_nothing_for_a_network_that_taking_it_down_would_not_know_of(has in networks(), bytes: [u8; 16]) {
        let goal = with(has);
        let seen = host(&goal, &bytes);
        let steps = up(&goal, &seen).unwrap();
        for part in parts(&steps) {
            let known = match part {
                Part::Forwarding => goal.forwards(),
                Part::Forwarding6 => goal.forwards() && goal.addresses().iter().any(|(a, _)| a.is_ipv6()),
                Part::Server => goal.dnsmasq.is_some(),
                Part::Switch => goal.switch.is_some(),
                Part::CablePumps => has.cables,
                Part::OtherFirewalls => seen.foreign.as_ref().is_some_and(|openings| !openings.is_empty()),
                Part::Links | Part::Tables | Part::RunDirectory => true,
            };
            prop_assert!(known, "{part:?} of {steps:?}");
        }
    }
}
