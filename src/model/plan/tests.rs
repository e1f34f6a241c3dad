use super::*;
use crate::name::NetName;
use crate::network::{HostAccess, Network};

fn goal(change: impl FnOnce(&mut Network)) -> Goal {
    let mut network = Network::with_defaults(NetName::new("lab").unwrap());
    change(&mut network);
    let wanted = network.settle("10.0.1.0/24".parse().unwrap(), b"machine");
    let place = Place {
        run_dir: "/run/vmnet/lab".into(),
        user: "dnsmasq".into(),
        group: "nogroup".into(),
        resolver: None,
    };
    Goal::new(wanted, &place)
}

fn nothing() -> Seen {
    Seen {
        bridge: None,
        earlier_address: None,
        forwarding: false,
        ruleset: State::Absent,
        dnsmasq_file: State::Absent,
        dnsmasq: None,
        port: State::Absent,
    }
}

fn all_right(goal: &Goal) -> Seen {
    Seen {
        bridge: Some(SeenBridge {
            kind: Some("bridge".into()),
            mac: Some(goal.wanted.mac),
            mtu: goal.wanted.network.mtu,
            up: true,
            alias: Some(goal.bridge_alias()),
            ipv6_off: true,
            addresses: vec![(goal.wanted.address, 24)],
        }),
        earlier_address: Some((goal.wanted.address, 24)),
        forwarding: true,
        ruleset: State::Right,
        dnsmasq_file: State::Right,
        dnsmasq: Some(42),
        port: State::Right,
    }
}

#[test]
fn from_nothing_every_step_comes_in_its_order() {
    let goal = goal(|_| {});
    let address = Ipv4Addr::new(10, 0, 1, 1);
    assert_eq!(
        up(&goal, &nothing()).unwrap(),
        [
            Step::CreateBridge(goal.wanted.mac),
            set_bridge(&goal),
            Step::DisableIpv6,
            Step::AddAddress(address, 24),
            Step::Raise,
            Step::EnableForwarding,
            Step::LoadRuleset,
            Step::WriteDnsmasq,
            Step::StartDnsmasq,
            Step::WritePort,
        ]
    );
}

#[test]
fn what_is_right_needs_no_step() {
    let goal = goal(|_| {});
    assert_eq!(up(&goal, &all_right(&goal)).unwrap(), []);
    assert!(compare(&goal, &all_right(&goal)).unwrap().iter().all(|a| a.wanted == a.actual));
}

#[test]
fn only_what_drifted_is_touched() {
    let goal = goal(|_| {});
    let with = |change: &dyn Fn(&mut Seen)| {
        let mut seen = all_right(&goal);
        change(&mut seen);
        up(&goal, &seen).unwrap()
    };
    assert_eq!(with(&|s| s.bridge.as_mut().unwrap().mtu = 9000), [set_bridge(&goal)]);
    assert_eq!(with(&|s| s.ruleset = State::Other), [Step::LoadRuleset]);
    assert_eq!(with(&|s| s.dnsmasq = None), [Step::StartDnsmasq]);
    assert_eq!(
        with(&|s| s.dnsmasq_file = State::Other),
        [Step::StopDnsmasq(42), Step::WriteDnsmasq, Step::StartDnsmasq]
    );
    assert_eq!(with(&|s| s.forwarding = false), [Step::EnableForwarding]);
    let moved = with(&|s| {
        s.bridge.as_mut().unwrap().addresses = vec![(Ipv4Addr::new(10, 0, 9, 1), 24)];
        s.earlier_address = Some((Ipv4Addr::new(10, 0, 9, 1), 24));
    });
    assert_eq!(
        moved,
        [
            Step::RemoveAddress(Ipv4Addr::new(10, 0, 9, 1), 24),
            Step::AddAddress(Ipv4Addr::new(10, 0, 1, 1), 24),
            Step::StopDnsmasq(42),
            Step::StartDnsmasq
        ]
    );
}

#[test]
fn an_isolated_network_never_turns_forwarding_on() {
    let goal = goal(|n| n.mode = Mode::Isolated);
    assert!(!up(&goal, &nothing()).unwrap().contains(&Step::EnableForwarding));
}

#[test]
fn a_network_without_server_stops_one_that_runs() {
    let goal = goal(|n| {
        n.dhcp.enabled = false;
        n.host_access = HostAccess::None;
    });
    assert_eq!(up(&goal, &all_right(&goal)).unwrap(), [Step::StopDnsmasq(42), Step::RemoveDnsmasq]);
}

#[test]
fn somebody_elses_link_is_left_alone() {
    let goal = goal(|_| {});
    let with = |change: &dyn Fn(&mut SeenBridge)| {
        let mut seen = all_right(&goal);
        change(seen.bridge.as_mut().unwrap());
        up(&goal, &seen)
    };
    assert!(matches!(with(&|b| b.kind = Some("veth".into())), Err(Conflict::NotABridge(..))));
    assert!(matches!(with(&|b| b.alias = Some("mine".into())), Err(Conflict::Foreign(_))));
    let no_alias = |mac| with(&move |b: &mut SeenBridge| (b.alias, b.mac) = (None, mac));
    assert!(matches!(no_alias(Some(MacAddr([2, 0, 0, 0, 0, 1]))), Err(Conflict::Foreign(_))));
    assert_eq!(no_alias(Some(goal.wanted.mac)).unwrap(), [set_bridge(&goal)]);
}

#[test]
fn every_difference_that_is_shown_has_a_cure_and_the_reverse() {
    let goal = goal(|_| {});
    for seen in [nothing(), all_right(&goal)] {
        let aspects = compare(&goal, &seen).unwrap();
        let drift = aspects.iter().any(|a| a.wanted != a.actual);
        assert_eq!(drift, aspects.iter().any(|a| !a.cure.is_empty()));
    }
}
