use super::*;
use crate::forward::Forward;
use crate::guest::known;
use crate::lease::Lease;
use crate::network::{HostAccess, Mode, Network, Prefix6Choice};
use crate::settle::Circumstances;
use std::net::{IpAddr, Ipv4Addr};
use vmnet_access::mac::MacAddr;
use vmnet_access::name::NetName;
use vmnet_access::port_record::BRIDGES_GROUP;

pub(super) fn goal(change: impl FnOnce(&mut Network)) -> DesiredState {
    let mut network = Network::with_defaults(NetName::new("lab").unwrap());
    change(&mut network);
    let wanted = network.settle(&Circumstances {
        subnet: "10.0.1.0/24".parse().unwrap(),
        machine: b"machine",
        uplink_mtu: None,
        has_ipv6: true,
    });
    let place = Place {
        run_dir: "/run/vmnet/lab".into(),
        user: "dnsmasq".into(),
        group: "nogroup".into(),
        resolver: None,
    };
    let web = Lease {
        expires: None,
        mac: MacAddr([2, 0, 0, 0, 0, 5]),
        address: Ipv4Addr::new(10, 0, 1, 5),
        name: Some("web".into()),
    };
    let guests = known(&wanted.network.hosts, &[web]);
    DesiredState::new(wanted, &place, &guests, false, None)
}

pub(super) fn nothing() -> ObservedState {
    ObservedState {
        bridge: None,
        earlier: Vec::new(),
        forwarding: false,
        forwarding6: false,
        ruleset: State::Absent,
        known: State::Absent,
        forwards: Some(Vec::new()),
        dnsmasq_file: State::Absent,
        dnsmasq: None,
        names: State::Absent,
        reservations: State::Absent,
        switch: Some(SeenSwitch::NONE),
        cables: Vec::new(),
        port: State::Absent,
        ports: Vec::new(),
        foreign: Some(Vec::new()),
        strays: Vec::new(),
        loose: Vec::new(),
    }
}

pub(super) fn all_right(goal: &DesiredState) -> ObservedState {
    ObservedState {
        bridge: Some(SeenBridge {
            kind: Some("bridge".into()),
            mac: Some(goal.wanted.mac),
            mtu: goal.wanted.mtu,
            group: BRIDGES_GROUP,
            up: true,
            alias: Some(goal.bridge_alias()),
            ipv6: if goal.wanted.subnet6.is_some() { Ipv6Role::Router } else { Ipv6Role::Off },
            loopback: true,
            addresses: goal.wanted.addresses(),
            addresses6: goal.wanted.address6().map(|address| (address, 64)).into_iter().collect(),
        }),
        earlier: vec![(goal.wanted.address.into(), 24)],
        forwarding: true,
        forwarding6: true,
        ruleset: State::Right,
        known: State::Right,
        forwards: Some(forwards::shown(&goal.forwards)),
        dnsmasq_file: State::Right,
        dnsmasq: Some(42),
        names: State::Right,
        reservations: State::Right,
        switch: Some(SeenSwitch::NONE),
        cables: Vec::new(),
        port: State::Right,
        ports: vec![port(goal)],
        foreign: Some(Vec::new()),
        strays: Vec::new(),
        loose: Vec::new(),
    }
}

fn port(goal: &DesiredState) -> SeenPort {
    SeenPort {
        index: 9,
        name: IfName::new(b"vmtap9").unwrap(),
        ours: true,
        is_wire: false,
        mtu: goal.wanted.mtu,
        group: goal.port.group,
        isolated: goal.port.isolated,
        hairpin: goal.port.hairpin,
    }
}

fn set_bridge(goal: &DesiredState) -> Step {
    Step::Bridge(bridge::set_bridge(goal))
}

fn v4(text: &str) -> IpAddr {
    IpAddr::V4(text.parse().unwrap())
}

#[test]
fn from_nothing_every_step_comes_in_its_order() {
    let goal = goal(|_| {});
    let prefix = goal.wanted.subnet6.unwrap();
    assert_eq!(
        up(&goal, &nothing()).unwrap(),
        [
            Step::Bridge(BridgeStep::Create(goal.wanted.mac)),
            set_bridge(&goal),
            Step::Bridge(BridgeStep::PrepareIpv6),
            Step::Bridge(BridgeStep::Raise),
            Step::Bridge(BridgeStep::AddAddress(v4("10.0.1.1"), 24)),
            Step::Bridge(BridgeStep::AddAddress(prefix.gateway().into(), 64)),
            Step::Host(HostStep::EnableForwarding),
            Step::Host(HostStep::EnableForwarding6),
            Step::Firewall(FirewallStep::LoadTables),
            Step::Server(ServerStep::WriteNames),
            Step::Server(ServerStep::WriteReservations),
            Step::Server(ServerStep::WriteFile),
            Step::Server(ServerStep::Start),
            Step::Port(PortStep::WriteRecord),
        ]
    );
}

#[test]
fn what_is_right_needs_no_step() {
    let goal = goal(|_| {});
    assert_eq!(up(&goal, &all_right(&goal)).unwrap(), []);
    assert!(!compare(&goal, &all_right(&goal)).unwrap().iter().any(Aspect::has_drifted));
}

#[test]
fn a_network_without_ipv6_keeps_the_host_off_it() {
    let goal = goal(|n| n.subnet6 = Prefix6Choice::None);
    let steps = up(&goal, &nothing()).unwrap();
    assert!(
        steps.contains(&Step::Bridge(BridgeStep::DisableIpv6))
            && !steps.contains(&Step::Host(HostStep::EnableForwarding6))
    );
    assert_eq!(up(&goal, &all_right(&goal)).unwrap(), []);
}

#[test]
fn only_what_drifted_is_touched() {
    let goal = goal(|_| {});
    let with = |change: &dyn Fn(&mut ObservedState)| {
        let mut seen = all_right(&goal);
        change(&mut seen);
        up(&goal, &seen).unwrap()
    };
    assert_eq!(with(&|s| s.bridge.as_mut().unwrap().mtu = 9000), [set_bridge(&goal)]);
    assert_eq!(with(&|s| s.ruleset = State::Other), [Step::Firewall(FirewallStep::LoadTables)]);
    assert_eq!(with(&|s| s.dnsmasq = None), [Step::Server(ServerStep::Start)]);
    assert_eq!(
        with(&|s| s.dnsmasq_file = State::Other),
        [
            Step::Server(ServerStep::Stop(42)),
            Step::Server(ServerStep::WriteFile),
            Step::Server(ServerStep::Start)
        ]
    );
    assert_eq!(with(&|s| s.forwarding = false), [Step::Host(HostStep::EnableForwarding)]);
    let moved = with(&|s| {
        s.bridge.as_mut().unwrap().addresses = vec![(Ipv4Addr::new(10, 0, 9, 1), 24)];
        s.earlier = vec![(v4("10.0.9.1"), 24)];
    });
    assert_eq!(
        moved,
        [
            Step::Bridge(BridgeStep::RemoveAddress(v4("10.0.9.1"), 24)),
            Step::Bridge(BridgeStep::AddAddress(v4("10.0.1.1"), 24)),
            Step::Server(ServerStep::Stop(42)),
            Step::Server(ServerStep::Start)
        ]
    );
}

#[test]
fn a_reservation_is_read_by_the_server_that_runs() {
    let goal = goal(|_| {});
    let mut seen = all_right(&goal);
    (seen.names, seen.reservations) = (State::Other, State::Other);
    assert_eq!(
        up(&goal, &seen).unwrap(),
        [
            Step::Server(ServerStep::WriteNames),
            Step::Server(ServerStep::WriteReservations),
            Step::Server(ServerStep::Reread(42))
        ]
    );
}

#[test]
fn a_second_subnet_leaves_the_first_alone() {
    let goal = goal(|n| n.more_subnets = vec!["10.9.0.0/16".parse().unwrap()]);
    let mut seen = all_right(&goal);
    seen.bridge.as_mut().unwrap().addresses.pop();
    assert_eq!(up(&goal, &seen).unwrap(), [Step::Bridge(BridgeStep::AddAddress(v4("10.9.0.1"), 16))]);
    let goal = self::goal(|_| {});
    let mut seen = all_right(&goal);
    seen.bridge.as_mut().unwrap().addresses.push((Ipv4Addr::new(10, 9, 0, 1), 16));
    seen.earlier.push((v4("10.9.0.1"), 16));
    assert_eq!(up(&goal, &seen).unwrap()[0], Step::Bridge(BridgeStep::RemoveAddress(v4("10.9.0.1"), 16)));
}

#[test]
fn forwards_come_and_go_alone() {
    let forward = |listen: &str, to: &str| {
        crate::forward::Forward::new(
            listen.parse().unwrap(),
            to.parse().unwrap(),
            crate::forward::Protocol::Tcp,
        )
        .unwrap()
    };
    let goal = goal(|n| n.forwards = vec![forward("8080", "web:80"), forward("8081", "nobody")]);
    assert_eq!(up(&goal, &all_right(&goal)).unwrap(), []);
    let mut seen = all_right(&goal);
    seen.forwards = Some(Vec::new());
    assert_eq!(up(&goal, &seen).unwrap(), [Step::Firewall(FirewallStep::LoadForwards)]);
    seen.ruleset = State::Absent;
    assert_eq!(up(&goal, &seen).unwrap(), [Step::Firewall(FirewallStep::LoadTables)]);
    let goal = self::goal(|_| {});
    let mut seen = all_right(&goal);
    seen.forwards = Some(vec!["forward tcp 1 to x at 10.0.1.9".into()]);
    assert_eq!(up(&goal, &seen).unwrap(), [Step::Firewall(FirewallStep::LoadForwards)]);
}

#[test]
fn ports_get_what_the_helper_gives_them_and_lost_ones_come_back() {
    let goal = goal(|n| n.isolated = true);
    let mut seen = all_right(&goal);
    seen.ports[0].isolated = false;
    let other = IfName::new(b"vmtap7").unwrap();
    seen.strays = vec![(7, other.clone())];
    assert_eq!(
        up(&goal, &seen).unwrap(),
        [Step::Port(PortStep::Set(port(&goal))), Step::Port(PortStep::Attach(7, other))]
    );
    seen = all_right(&goal);
    (seen.ports[0].mtu, seen.ports[0].ours) = (9000, false);
    assert_eq!(up(&goal, &seen).unwrap(), [], "the MTU of another's port is his");
}

#[test]
fn an_isolated_network_never_turns_forwarding_on() {
    let goal = goal(|n| n.mode = Mode::Isolated);
    assert!(!up(&goal, &nothing()).unwrap().contains(&Step::Host(HostStep::EnableForwarding)));
}

#[test]
fn a_network_that_becomes_a_bare_wire_takes_the_hosts_addresses_off_it() {
    let before = goal(|_| {});
    let bare = goal(|network| *network = Network::bare_wire(network.name.clone()));
    let mut seen = all_right(&before);
    seen.earlier = before.addresses();
    let steps = up(&bare, &seen).unwrap();
    for (address, length) in before.addresses() {
        assert!(steps.contains(&Step::Bridge(BridgeStep::RemoveAddress(address, length))), "{steps:?}");
    }
    assert!(steps.contains(&Step::Bridge(BridgeStep::DisableIpv6)));
    let fresh = up(&bare, &nothing()).unwrap();
    let unwanted = |step: &&Step| {
        matches!(
            step,
            Step::Bridge(BridgeStep::AddAddress(..))
                | Step::Host(HostStep::EnableForwarding)
                | Step::Server(ServerStep::Start)
                | Step::Bridge(BridgeStep::PrepareIpv6)
        )
    };
    assert_eq!(fresh.iter().find(unwanted), None);
}

#[test]
fn a_network_without_server_stops_one_that_runs() {
    let goal = goal(|n| {
        n.dhcp.enabled = false;
        n.host_access = HostAccess::None;
    });
    assert_eq!(
        up(&goal, &all_right(&goal)).unwrap(),
        [Step::Server(ServerStep::Stop(42)), Step::Server(ServerStep::RemoveFile)]
    );
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

#[test]
fn a_reservation_that_comes_changes_its_files_and_what_leads_to_the_guest_and_restarts_nothing() {
    let goal = goal(|n| {
        n.forwards.push(
            Forward::new("8080".parse().unwrap(), "web:80".parse().unwrap(), "tcp".parse().unwrap()).unwrap(),
        );
    });
    assert_eq!(live(&goal, &all_right(&goal)), []);
    let edited = ObservedState { dnsmasq_file: State::Other, port: State::Absent, ..all_right(&goal) };
    assert_eq!(live(&goal, &edited), []);
    let old = ObservedState {
        names: State::Other,
        reservations: State::Other,
        forwards: Some(Vec::new()),
        ..all_right(&goal)
    };
    let pid = old.dnsmasq.unwrap();
    let files = [
        Step::Server(ServerStep::WriteNames),
        Step::Server(ServerStep::WriteReservations),
        Step::Server(ServerStep::Reread(pid)),
    ];
    assert_eq!(live(&goal, &old), [&[Step::Firewall(FirewallStep::LoadForwards)], files.as_slice()].concat());
    let unloaded = ObservedState { ruleset: State::Other, dnsmasq: None, ..old };
    assert_eq!(live(&goal, &unloaded), files[..2]);
}

#[test]
fn what_another_firewall_closes_is_opened_and_shown() {
    use crate::other_firewalls::Backend;
    use crate::other_firewalls::Family;
    use crate::other_firewalls::Hook;
    use crate::other_firewalls::Opening;
    use crate::other_firewalls::Place;
    use crate::other_firewalls::Purpose;
    let goal = goal(|_| {});
    let opening = |open| Opening {
        place: Place {
            backend: Backend::Nft,
            family: Family::Ip,
            table: "filter".to_owned(),
            chain: "FORWARD".to_owned(),
        },
        hook: Hook::Forward,
        needs: vec![Purpose::From, Purpose::To],
        has: if open { vec![7, 8] } else { Vec::new() },
        open,
    };
    let row = |open| {
        let seen = ObservedState { foreign: Some(vec![opening(open)]), ..all_right(&goal) };
        let aspects = compare(&goal, &seen).unwrap();
        aspects.into_iter().find(|aspect| aspect.what == "other firewalls").unwrap()
    };
    let closed = row(false);
    assert_eq!(
        (closed.wanted.as_str(), closed.actual.as_str()),
        ("opened in ip filter FORWARD", "nothing opened")
    );
    assert_eq!(closed.cure, [Step::Firewall(FirewallStep::OpenOthers)]);
    assert!(!row(true).has_drifted() && row(true).cure.is_empty());
}
