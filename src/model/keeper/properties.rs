//! What holds for every sequence of events.

use super::world::{AT_ONCE, Happening, MS, PortKind, World, live};
use super::*;
use proptest::prelude::*;

fn port_kind() -> impl Strategy<Value = PortKind> {
    prop_oneof![Just(PortKind::Guest), Just(PortKind::KeptTap), Just(PortKind::Uplink)]
}

/// What a keeper that is not told to end meets.
fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => Just(Happening::AddressLost),
        4 => Just(Happening::ServerLost),
        3 => Just(Happening::FirewallShut),
        1 => Just(Happening::FirewallTouched),
        2 => any::<bool>().prop_map(|named| Happening::LeaseChanged { named }),
        2 => Just(Happening::Reload),
        2 => port_kind().prop_map(Happening::Attach),
        2 => Just(Happening::Detach),
        1 => (0_usize..2).prop_map(Happening::Plugged),
        1 => Just(Happening::PortMislaid),
        1 => Just(Happening::KnockAtTheDoor),
        1 => (1_u8..8).prop_map(Happening::RepairsFail),
        1 => (1_u8..4).prop_map(Happening::LooksFail),
        1 => Just(Happening::ChildEnded),
    ]
}

/// So many milliseconds after the last one: most come thick and fast.
fn script() -> impl Strategy<Value = Vec<(u16, Happening)>> {
    let gap = prop_oneof![3 => 0_u16..10, 4 => 0_u16..800, 2 => 0_u16..12_000];
    proptest::collection::vec((gap, happening()), 0..40)
}

/// Another program that takes away again and again what is made good.
fn fight() -> impl Strategy<Value = Vec<(u16, Happening)>> {
    let blow = prop_oneof![
        3 => Just(Happening::FirewallShut),
        2 => Just(Happening::AddressLost),
        1 => Just(Happening::ServerLost),
        1 => happening(),
    ];
    proptest::collection::vec((0_u16..300, blow), 0..120)
}

fn settings() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(settings())]

    #[test]
    fn whatever_happens_all_is_made_good_and_nothing_right_is_repaired(script in script(), has_server: bool) {
        let mut world = World::of(&script, has_server);
        let ending = live(&mut world);
        if ending.is_none() {
            prop_assert!(world.wrong.is_empty(), "{:?} is not made good", world.wrong);
            prop_assert!(world.is_held() || !world.was_used, "it is not used any more, and goes on");
        } else {
            prop_assert_eq!(ending, Some(Ending::Idle));
        }
    }

    #[test]
    fn a_fight_costs_no_more_than_a_row_of_repairs_and_then_one_each_pause(script in fight()) {
        let mut world = World::of(&script, true);
        live(&mut world);
        for (times, at_once) in [(world.repairs, REPAIRS_AT_ONCE), (world.openings, OPENINGS_AT_ONCE)] {
            for row in times.windows(at_once as usize + 1) {
                // Decided on is it a little earlier than done.
                let pauses = row.windows(2).any(|two| two[1] - two[0] >= PAUSE - AT_ONCE);
                prop_assert!(pauses, "{row:?}");
            }
        }
    }

    #[test]
    fn stop_and_leave_are_heeded_whatever_the_keeper_is_at(
        script in script(), after in 0_usize..40, gap in 0_u16..6000, stop: bool,
    ) {
        let mut script = script;
        let word = if stop { Happening::Stop } else { Happening::Leave };
        script.insert(after.min(script.len()), (gap, word));
        let mut world = World::of(&script, true);
        let ending = live(&mut world);
        prop_assert!(ending.is_some());
    }

    #[test]
    fn what_is_owed_has_a_moment_and_ended_is_ended(events in proptest::collection::vec(event(), 0..60)) {
        let (mut state, mut now, mut lost, mut ended) = (KeeperState::default(), Moment::ZERO, false, false);
        for event in events {
            now += MS * 70;
            lost |= matches!(event, KeeperEvent::Lost(_));
            let actions = state.step(event, now);
            prop_assert!(!ended || actions.is_empty());
            ended |= actions.iter().any(|action| matches!(action, KeeperAction::End(_)));
            lost &= !actions.iter().any(|action| matches!(action, KeeperAction::Repair(_)));
        }
        for _ in 0..4 {
            let due = match state.wait() {
                Wait::ForAll { owed: Some(at), .. } => Some((KeeperEvent::RepairDue, at)),
                Wait::ForSignals { until } => Some((KeeperEvent::RestOver, until)),
                Wait::ForResults if !ended => Some((KeeperEvent::InUse(User::OnTheWayIn), now)),
                Wait::ForAll { owed: None, .. } | Wait::ForResults => None,
            };
            let Some((event, at)) = due else { break };
            now = now.max(at);
            for action in state.step(event, now) {
                ended |= matches!(action, KeeperAction::End(_));
                lost &= !matches!(action, KeeperAction::Repair(_));
            }
        }
        prop_assert!(ended || !lost, "a repair is lost: {state:?}");
    }
}

/// Anything in any order, but for repairs that nobody asked for.
fn event() -> impl Strategy<Value = KeeperEvent> {
    prop_oneof![
        3 => Just(KeeperEvent::Lost("server")),
        2 => Just(KeeperEvent::FirewallsShut),
        2 => Just(KeeperEvent::LeasesChanged),
        1 => Just(KeeperEvent::Reload),
        1 => Just(KeeperEvent::LookFailed("busy".into())),
        1 => Just(KeeperEvent::LeasesFollowed),
        1 => Just(KeeperEvent::RestOver),
        1 => Just(KeeperEvent::RepairDue),
        1 => Just(KeeperEvent::IdleOver),
        1 => (1_u32..4).prop_map(|port| KeeperEvent::PortGone { port }),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(attached, held)| {
            KeeperEvent::PortsCounted { attached, held, idle: Idle::After(0) }
        }),
        1 => Just(KeeperEvent::InUse(User::OnTheWayIn)),
        1 => Just(KeeperEvent::InUse(User::Attached(Vec::new()))),
        1 => Just(KeeperEvent::RepairFailed { cause: Cause::Lost("server"), trouble: "busy".into() }),
        1 => Just(KeeperEvent::Stop),
    ]
}
