//! What is shown of a network, and the words of each step: kept in `golden/plan.txt`.

use super::tests::{all_right, goal, nothing};
use super::*;
use crate::forward::{Forward, Protocol};
use crate::golden;
use crate::network::{HostAccess, Mode, Network, Prefix6Choice, Vde};
use crate::other_firewalls::{Backend, Family, Hook, Opening, Place, Purpose};
use crate::tap_policy::{Enforcement, GrantViolation};
use crate::vde_switch::Run;
use std::net::Ipv4Addr;
use vmnet_access::mac::MacAddr;
use vmnet_access::port_record::SwitchAccess;
use vmnet_access::vde::Directory;

const FAR: FarBridge = FarBridge { index: 5, group: 6, mtu: 1400 };
const WELL: SeenSwitch =
    SeenSwitch { record: State::Right, process: Some(5), there: true, plugged: true, pump: Some(6) };

fn name(name: &str) -> IfName {
    IfName::new(name.as_bytes()).unwrap()
}

fn forward(listen: &str, to: &str, protocol: Protocol) -> Forward {
    Forward::new(listen.parse().unwrap(), to.parse().unwrap(), protocol).unwrap()
}

fn vde(run: bool) -> Switch {
    let door = SwitchAccess { directory: Directory::new("/x").unwrap(), owner: 1, group: 2 };
    Switch { door, pump: 3, run: run.then(|| Run::of(&Vde::DEFAULT)), console: None }
}

fn cable(to: &str, can: Can) -> CableGoal {
    CableGoal { to: to.parse().unwrap(), can }
}

/// A network that has of everything.
fn full() -> DesiredState {
    let plain = goal(|n| {
        n.guard = true;
        n.forwards = vec![
            forward("80", "web:8080", Protocol::Both),
            forward("192.0.2.7:81", "web", Protocol::Udp),
            forward("82", "nobody", Protocol::Tcp),
        ];
        n.more_subnets = vec!["10.9.0.0/16".parse().unwrap()];
    });
    let cables = vec![
        cable("b", Can::Pair(FAR)),
        cable("down", Can::Wait),
        cable("round", Can::Never("b - lab".to_owned())),
        cable("vde:///y", Can::Pump(vde(false))),
    ];
    DesiredState { switch: Some(vde(true)), cables, ..plain }
}

fn well(goal: &DesiredState) -> ObservedState {
    let pair = By::Pair { index: 9, mtu: Some(1400), whole: true };
    let pump = By::Pump { record: State::Right, process: Some(7), plugged: true };
    let cables = [("b", pair), ("vde:///y", pump)];
    ObservedState {
        switch: Some(WELL),
        cables: cables.map(|(to, by)| SeenCable { to: to.parse().unwrap(), by }).to_vec(),
        ..all_right(goal)
    }
}

/// The rows, each with its steps; of a network that has drifted only what is otherwise than wanted.
fn told(title: &str, goal: &DesiredState, seen: &ObservedState, every: bool) -> String {
    let rows = match compare(goal, seen) {
        Ok(rows) => rows,
        Err(conflict) => return format!("# {title}\n{conflict}\n\n"),
    };
    let mut text = format!("# {title}\n");
    for row in rows.into_iter().filter(|row| every || row.has_drifted()) {
        let wanted = if row.has_drifted() { format!(" -> {}", row.wanted) } else { String::new() };
        text += &format!("{}: {}{wanted}\n", row.what, row.actual);
        text.extend(row.cure.iter().map(|step| format!("    {step}\n")));
    }
    text + "\n"
}

fn rows(title: &str, goal: &DesiredState, seen: &ObservedState) -> String {
    told(title, goal, seen, true)
}

fn drift(title: &str, goal: &DesiredState, seen: &ObservedState) -> String {
    told(title, goal, seen, false)
}

fn whole_networks() -> String {
    let full = full();
    let opening = |open| {
        let table = Place {
            backend: Backend::Nft,
            family: Family::Ip,
            table: "filter".to_owned(),
            chain: "FORWARD".to_owned(),
        };
        Opening { place: table, hook: Hook::Forward, needs: vec![Purpose::From], has: vec![], open }
    };
    let closed = ObservedState { foreign: Some(vec![opening(false)]), ..nothing() };
    let hidden = ObservedState {
        ruleset: State::Hidden,
        known: State::Hidden,
        forwards: None,
        port: State::Hidden,
        names: State::Hidden,
        reservations: State::Hidden,
        switch: None,
        cables: Vec::new(),
        foreign: None,
        ..well(&full)
    };
    let unseen = DesiredState { cables: vec![cable("b", Can::Hidden)], ..full.clone() };
    let opened = ObservedState { foreign: Some(vec![opening(true)]), ..well(&full) };
    [
        rows("nothing is there yet", &full, &closed),
        rows("all is as it should be", &full, &opened),
        rows("only root may look", &unseen, &hidden),
        rows("a bare wire", &goal(|n| *n = Network::bare_wire(n.name.clone())), &nothing()),
        rows("an isolated network", &goal(|n| n.mode = Mode::Isolated), &nothing()),
    ]
    .concat()
}

fn bridges() -> String {
    let plain = goal(|_| {});
    let with = |title: &str, change: &dyn Fn(&mut SeenBridge)| {
        let mut seen = all_right(&plain);
        change(seen.bridge.as_mut().unwrap());
        drift(title, &plain, &seen)
    };
    let four = |last| (Ipv4Addr::new(10, 8, 0, last), 24);
    let old =
        ObservedState { earlier: vec![(four(1).0.into(), 24), (four(2).0.into(), 24)], ..all_right(&plain) };
    let addressed = |addresses: Vec<(Ipv4Addr, u8)>| {
        let mut seen = old.clone();
        seen.bridge.as_mut().unwrap().addresses = addresses;
        seen
    };
    let mut second = well(&full());
    let bridge = second.bridge.as_mut().unwrap();
    bridge.addresses.retain(|(_, length)| *length == 16);
    bridge.addresses6.push(("fd00:8::1".parse().unwrap(), 64));
    let bare = goal(|n| *n = Network::bare_wire(n.name.clone()));
    let mut wire = ObservedState { ..all_right(&bare) };
    (wire.bridge.as_mut().unwrap().addresses, wire.earlier) = (vec![four(1), four(3)], old.earlier.clone());
    [
        with("another kind of link", &|b| b.kind = Some("veth".to_owned())),
        with("a link of no kind", &|b| b.kind = None),
        with("somebody else's bridge", &|b| b.alias = Some("docker".to_owned())),
        with("no alias", &|b| b.alias = None),
        with("another MAC", &|b| b.mac = Some(MacAddr([2, 0, 0, 0, 0, 1]))),
        with("no MAC", &|b| b.mac = None),
        with("another MTU, group, and down", &|b| (b.mtu, b.group, b.up) = (9000, 0, false)),
        with("IPv6 as a host's", &|b| b.ipv6 = Ipv6Role::Host),
        with("IPv6 off", &|b| b.ipv6 = Ipv6Role::Off),
        with("no addresses", &|b| (b.addresses, b.addresses6) = (vec![], vec![])),
        drift("old addresses instead", &plain, &addressed(vec![four(1), four(2), four(3)])),
        drift("old addresses too", &plain, &addressed(vec![four(2), (plain.wanted.address, 24), four(1)])),
        drift("somebody's address instead", &plain, &addressed(vec![four(3)])),
        drift("the gateway's address is gone, not the second", &full(), &second),
        drift("addresses on a bare wire", &bare, &wire),
        drift(
            "IPv6 where there is to be none",
            &goal(|n| n.subnet6 = Prefix6Choice::None),
            &all_right(&plain),
        ),
    ]
    .concat()
}

fn servers_and_tables() -> String {
    let full = full();
    let with = |title: &str, change: &dyn Fn(&mut ObservedState)| {
        let mut seen = well(&full);
        change(&mut seen);
        drift(title, &full, &seen)
    };
    let silent = goal(|n| (n.dhcp.enabled, n.host_access) = (false, HostAccess::None));
    let lone = DesiredState { cables: Vec::new(), ..full.clone() };
    let strange = || "forward tcp 1 to x at 10.0.1.9".to_owned();
    [
        with("the server is gone", &|s| s.dnsmasq = None),
        with("the server has another file", &|s| s.dnsmasq_file = State::Other),
        with("names differ", &|s| s.names = State::Other),
        with("reservations differ", &|s| s.reservations = State::Absent),
        with("both differ", &|s| (s.names, s.reservations) = (State::Absent, State::Other)),
        drift("no server is wanted", &silent, &all_right(&silent)),
        drift("only its file is left", &silent, &ObservedState { dnsmasq: None, ..all_right(&silent) }),
        with("the tables differ", &|s| (s.ruleset, s.known) = (State::Other, State::Other)),
        with("guests differ", &|s| s.known = State::Other),
        with("no forwards", &|s| s.forwards = Some(vec![])),
        with("one more forward", &|s| s.forwards.as_mut().unwrap().push(strange())),
        with("a forward twice", &|s| {
            let all = s.forwards.as_mut().unwrap();
            all.push(all[0].clone());
            all.sort();
        }),
        with("one more, and other tables", &|s| {
            s.forwards.as_mut().unwrap().push(strange());
            s.ruleset = State::Other;
        }),
        with("another record", &|s| s.port = State::Other),
        with("the switch is gone", &|s| s.switch = Some(SeenSwitch { process: None, ..WELL })),
        with("the switch differs", &|s| s.switch = Some(SeenSwitch { record: State::Other, ..WELL })),
        with("its pump is gone", &|s| s.switch = Some(SeenSwitch { pump: None, ..WELL })),
        with("its ports are lost", &|s| s.switch = Some(SeenSwitch { plugged: false, ..WELL })),
        drift(
            "no switch is wanted",
            &DesiredState { switch: None, ..lone.clone() },
            &ObservedState { cables: vec![], ..well(&lone) },
        ),
        joined("a switch is joined as it should be", SeenSwitch { process: None, ..WELL }),
        joined("a switch to join is away", SeenSwitch { there: false, process: None, ..WELL }),
        joined("another switch was joined", SeenSwitch { record: State::Other, process: None, ..WELL }),
        joined("one of our own was there before", SeenSwitch { record: State::Other, ..WELL }),
    ]
    .concat()
}

fn joined(title: &str, is: SeenSwitch) -> String {
    let goal = DesiredState { switch: Some(vde(false)), ..goal(|_| {}) };
    drift(title, &goal, &ObservedState { switch: Some(is), ..all_right(&goal) })
}

fn ports_and_cables() -> String {
    let plain = goal(|n| n.isolated = true);
    let own = all_right(&plain).ports[0].clone();
    let loose = |name: &str, breaches: Vec<GrantViolation>, act| LoosePort {
        index: 9,
        name: self::name(name),
        breaches,
        act,
    };
    let seen = ObservedState {
        ports: vec![
            SeenPort { index: 1, name: name("p1"), mtu: 900, ..own.clone() },
            SeenPort { index: 2, name: name("p2"), ours: false, mtu: 900, ..own.clone() },
            SeenPort { index: 3, name: name("p3"), ours: false, mtu: 900, group: 7, ..own.clone() },
            SeenPort { index: 4, name: name("p4"), isolated: false, hairpin: true, ..own },
        ],
        strays: vec![(5, name("p5"))],
        loose: vec![
            loose(
                "t1",
                vec![GrantViolation::Mac, GrantViolation::Persistent],
                Enforcement::PutBack(MacAddr([2; 6])),
            ),
            loose("t2", vec![GrantViolation::GivenAway], Enforcement::Delete),
            loose("t3", vec![GrantViolation::Persistent], Enforcement::Wait),
        ],
        ..all_right(&plain)
    };
    let looped = DesiredState {
        port: PortRecord { hairpin: true, isolated: false, ..plain.port.clone() },
        ..plain.clone()
    };
    let cables = |title: &str, by: By| {
        let to = if matches!(by, By::Pair { .. }) { "b" } else { "vde:///y" };
        let goals = [cable("b", Can::Pair(FAR)), cable("vde:///y", Can::Pump(vde(false)))];
        let wired = DesiredState {
            cables: goals.into_iter().filter(|goal| goal.to.to_string() == to).collect(),
            ..plain.clone()
        };
        let cables = vec![SeenCable { to: to.parse().unwrap(), by }];
        drift(title, &wired, &ObservedState { cables, ..all_right(&plain) })
    };
    let pair = |mtu, whole| By::Pair { index: 9, mtu, whole };
    let pump = |record, process, plugged| By::Pump { record, process, plugged };
    let left = SeenCable { to: "c".parse().unwrap(), by: pair(None, false) };
    let waits = DesiredState { cables: vec![cable("c", Can::Wait)], ..plain.clone() };
    let never = DesiredState { cables: vec![cable("c", Can::Never("b - c".to_owned()))], ..plain.clone() };
    let one = ObservedState { cables: vec![left.clone()], ..all_right(&plain) };
    let two = ObservedState { cables: vec![left.clone(), left], ..all_right(&plain) };
    let paired = DesiredState { cables: vec![cable("c", Can::Pair(FAR))], ..plain.clone() };
    [
        drift("ports of all kinds", &plain, &seen),
        drift("frames may leave by the port that they came from", &looped, &all_right(&plain)),
        cables("another MTU", pair(Some(1500), true)),
        cables("half a cable", pair(Some(1400), false)),
        drift("twice the same cable", &paired, &two),
        cables("a pump that is not plugged in", pump(State::Right, Some(7), false)),
        cables("a pump that is gone", pump(State::Right, None, true)),
        cables("a pump of another switch", pump(State::Other, Some(7), true)),
        drift("half a cable to a network that is down", &waits, &one),
        drift("a cable that is left", &plain, &one),
        drift("a cable that would close a circle", &never, &one),
    ]
    .concat()
}

#[test]
fn each_row_and_each_step_is_told_in_the_words_that_are_kept() {
    let text = [whole_networks(), bridges(), servers_and_tables(), ports_and_cables()].concat();
    golden::check("plan", "txt", Some(&text));
}

#[test]
fn frames_go_back_by_the_port_they_came_from_only_where_forwards_are_translated_on_the_bridge() {
    for (bridged_nat, forwards, hairpin) in
        [(false, false, false), (false, true, false), (true, false, false), (true, true, true)]
    {
        let place = crate::dnsmasq::Place {
            run_dir: "/run".to_owned(),
            user: "u".to_owned(),
            group: "g".to_owned(),
            resolver: None,
        };
        let wanted =
            goal(|n| n.forwards.extend(forwards.then(|| forward("80", "web", Protocol::Tcp)))).wanted;
        let made = DesiredState::new(wanted.clone(), &place, &[], bridged_nat, Some(vde(true)));
        let port = PortRecord {
            network: wanted.name().clone(),
            isolated: false,
            hairpin,
            group: wanted.group,
            switch: Some(vde(true).door),
        };
        assert_eq!((made.port.clone(), made.forwards.len()), (port, usize::from(forwards)));
        assert_eq!(made.guests(), Guests::of(&wanted.network, true));
    }
}
