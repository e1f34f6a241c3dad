use super::*;
use proptest::prelude::*;

const NOW: Duration = Duration::ZERO;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[track_caller]
fn enter(turns: &mut FairQueue, uid: u32, now: Duration) -> RequestId {
    match turns.enter(uid, now) {
        Entry::Welcome(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn ask(turns: &mut FairQueue, uid: u32) -> RequestId {
    let ticket = enter(turns, uid, NOW);
    turns.ask(ticket);
    ticket
}

#[test]
fn a_hundred_requests_of_one_user_are_all_served_four_at_a_time_in_their_order() {
    let mut turns = FairQueue::new(Limits::BROKER);
    let asked: Vec<RequestId> = (0..100).map(|_| ask(&mut turns, 1000)).collect();
    let (mut served, mut at_work) = (Vec::new(), VecDeque::new());
    while served.len() < asked.len() {
        while let Some(ticket) = turns.next(NOW) {
            served.push(ticket);
            at_work.push_back(ticket);
        }
        assert!(at_work.len() <= 4, "{}", at_work.len());
        turns.leave(at_work.pop_front().unwrap(), NOW);
    }
    assert_eq!(served, asked);
}

#[test]
fn users_take_turns_however_many_requests_one_has() {
    let mut turns = FairQueue::new(Limits { at_work_each: 100, at_work: 100, ..Limits::BROKER });
    let many: Vec<RequestId> = (0..10).map(|_| ask(&mut turns, 1)).collect();
    let two: Vec<RequestId> = (0..2).map(|_| ask(&mut turns, 2)).collect();
    let one = ask(&mut turns, 3);
    let order: Vec<RequestId> = std::iter::from_fn(|| turns.next(NOW)).collect();
    assert_eq!(order[..6], [many[0], two[0], one, many[1], two[1], many[2]]);
    assert_eq!(order.len(), 13);
}

#[test]
fn the_last_places_at_work_are_for_users_who_have_none() {
    let mut turns = FairQueue::new(Limits::BROKER);
    for uid in 0..4 {
        for _ in 0..10 {
            ask(&mut turns, uid);
        }
    }
    assert_eq!(std::iter::from_fn(|| turns.next(NOW)).count(), 12);
    let newcomer = ask(&mut turns, 99);
    ask(&mut turns, 99);
    assert_eq!(turns.next(NOW), Some(newcomer));
    assert_eq!(turns.next(NOW), None);
}

#[test]
fn beyond_the_burst_requests_are_put_off_and_not_refused() {
    let limits = Limits { at_work: 1000, at_work_each: 1000, visitors_each: 1000, ..Limits::BROKER };
    let mut turns = FairQueue::new(limits);
    for _ in 0..300 {
        ask(&mut turns, 1);
    }
    assert_eq!(std::iter::from_fn(|| turns.next(NOW)).count(), 200);
    assert_eq!(turns.alarm(), Some(ms(10)));
    assert_eq!(std::iter::from_fn(|| turns.next(ms(9))).count(), 0);
    assert_eq!(std::iter::from_fn(|| turns.next(ms(10))).count(), 1);
    assert_eq!(std::iter::from_fn(|| turns.next(ms(500))).count(), 49);
    let other = ask(&mut turns, 2);
    assert_eq!(turns.next(ms(500)), Some(other), "another user's time is their own");
}

#[test]
fn a_user_with_too_many_visitors_is_sent_away_and_others_are_not() {
    let mut turns = FairQueue::new(Limits::BROKER);
    let first = enter(&mut turns, 1, NOW);
    for _ in 0..127 {
        enter(&mut turns, 1, NOW);
    }
    assert_eq!(turns.enter(1, NOW), Entry::TooMany);
    enter(&mut turns, 2, NOW);
    turns.leave(first, NOW);
    enter(&mut turns, 1, NOW);
}

#[test]
fn when_all_is_full_the_user_with_most_loses_whoever_was_silent_longest() {
    let mut turns = FairQueue::new(Limits { visitors: 6, ..Limits::BROKER });
    let asked = ask(&mut turns, 1);
    let silent: Vec<RequestId> = (0..3).map(|_| enter(&mut turns, 1, NOW)).collect();
    let lone = enter(&mut turns, 2, NOW);
    enter(&mut turns, 3, NOW);
    for expected in [silent[0], silent[1]] {
        let Entry::InPlaceOf(_, out) = turns.enter(4, NOW) else { panic!() };
        assert_eq!(out, expected);
    }
    assert_eq!(turns.visitors(), 6);
    assert_eq!(turns.next(NOW), Some(asked));
    let mut turns = FairQueue::new(Limits { visitors: 2, ..Limits::BROKER });
    ask(&mut turns, 1);
    ask(&mut turns, 1);
    assert_eq!(turns.enter(2, NOW), Entry::Full);
    assert_ne!(lone, asked);
}

#[test]
fn who_says_nothing_is_late_after_two_seconds_and_everybody_after_fourteen_and_each_is_told_once() {
    let mut turns = FairQueue::new(Limits::BROKER);
    let silent = enter(&mut turns, 1, NOW);
    let working = ask(&mut turns, 2);
    turns.next(NOW);
    let waiting = ask(&mut turns, 3);
    assert_eq!(turns.alarm(), Some(NOW), "somebody could be served");
    turns.next(NOW);
    assert_eq!(turns.alarm(), Some(ms(2000)));
    assert_eq!(turns.late(ms(1999)), []);
    assert_eq!(turns.late(ms(2000)), [(silent, Stage::Silent)]);
    assert_eq!(turns.late(ms(2000)), []);
    turns.leave(silent, ms(2000));
    assert_eq!(turns.alarm(), Some(ms(14_000)));
    let late = turns.late(ms(14_000));
    assert_eq!(late, [(working, Stage::AtWork), (waiting, Stage::AtWork)]);
    assert_eq!(turns.alarm(), None);
}

#[test]
fn nothing_is_remembered_of_users_for_ever() {
    let mut turns = FairQueue::new(Limits { visitors: 4, ..Limits::BROKER });
    for uid in 0..1000 {
        let now = ms(u64::from(uid));
        let ticket = enter(&mut turns, uid, now);
        turns.ask(ticket);
        assert_eq!(turns.next(now), Some(ticket));
        turns.leave(ticket, now);
    }
    assert!(turns.users.len() <= 12, "{}", turns.users.len());
}

/// What visitors and the service may do, in any order.
#[derive(Clone, Debug)]
enum Act {
    Enter(u32),
    Ask(usize),
    Serve,
    Leave(usize),
    Wait(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0u32..5).prop_map(Act::Enter),
        4 => any::<usize>().prop_map(Act::Ask),
        3 => Just(Act::Serve),
        2 => any::<usize>().prop_map(Act::Leave),
        1 => (0u64..3000).prop_map(Act::Wait),
    ]
}

const SMALL: Limits = Limits {
    visitors: 8,
    visitors_each: 4,
    at_work: 3,
    at_work_each: 2,
    at_work_spare: 1,
    pause: Duration::from_millis(100),
    burst: 2,
    silence: Duration::from_secs(2),
    patience: Duration::from_secs(15),
};

/// The counts agree with the visitors, and none is above its limit.
fn check(turns: &FairQueue) {
    let of = |uid: Option<u32>, stage: Option<Stage>| {
        let fits = |visit: &&Client| {
            uid.is_none_or(|uid| uid == visit.uid) && stage.is_none_or(|stage| stage == visit.stage)
        };
        turns.visits.values().filter(fits).count()
    };
    assert!(of(None, None) <= SMALL.visitors);
    assert_eq!(turns.at_work, of(None, Some(Stage::AtWork)));
    assert!(turns.at_work <= SMALL.at_work);
    assert_eq!(turns.silent.len(), of(None, Some(Stage::Silent)));
    for (uid, user) in &turns.users {
        assert_eq!(user.visitors(), of(Some(*uid), None));
        assert!(user.visitors() <= SMALL.visitors_each);
        assert!(user.at_work <= SMALL.at_work_each);
        assert_eq!(user.at_work, of(Some(*uid), Some(Stage::AtWork)));
        let in_line = turns.line.iter().filter(|other| *other == uid).count();
        assert_eq!(in_line, usize::from(!user.waiting.is_empty()));
    }
}

proptest! {
    #[test]
    fn whatever_happens_no_limit_is_passed_and_whoever_asked_is_served_in_the_end(
        acts in proptest::collection::vec(act(), 0..200),
    ) {
        let mut turns = FairQueue::new(SMALL);
        let (mut now, mut here, mut served) = (NOW, Vec::new(), 0_u32);
        for act in acts {
            let pick = |at: usize, here: &[RequestId]| here.get(at % here.len().max(1)).copied();
            match act {
                Act::Enter(uid) => match turns.enter(uid, now) {
                    Entry::Welcome(ticket) => here.push(ticket),
                    Entry::InPlaceOf(ticket, out) => {
                        here.retain(|other| *other != out);
                        here.push(ticket);
                    }
                    Entry::TooMany | Entry::Full => {}
                },
                Act::Ask(at) => pick(at, &here).into_iter().for_each(|ticket| turns.ask(ticket)),
                Act::Serve => served += u32::from(turns.next(now).is_some()),
                Act::Leave(at) => if let Some(ticket) = pick(at, &here) {
                    turns.leave(ticket, now);
                    here.retain(|other| *other != ticket);
                },
                Act::Wait(ms) => now += Duration::from_millis(ms),
            }
            check(&turns);
        }
        prop_assert_eq!(turns.visitors(), here.len());
        // At most the burst at once, and then one for each pause.
        let users = 5;
        let most = users * (u128::from(SMALL.burst) + now.as_millis() / SMALL.pause.as_millis());
        prop_assert!(u128::from(served) <= most, "{} of {}", served, most);
        // Those at work end one after the other; the clock goes on by alarms.
        for _ in 0..100 {
            while turns.next(now).is_some() {}
            let at_work = turns.visits.iter().find(|(_, visit)| visit.stage == Stage::AtWork);
            match at_work.map(|(ticket, _)| *ticket) {
                Some(ticket) => turns.leave(ticket, now),
                None => now += SMALL.pause,
            }
            check(&turns);
        }
        prop_assert!(turns.line.is_empty());
    }
}
