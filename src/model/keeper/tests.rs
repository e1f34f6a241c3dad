use super::*;

const SERVER: KeeperEvent = KeeperEvent::Lost("dnsmasq");

fn s(seconds: u64) -> Moment {
    Moment::from_secs(seconds)
}

fn ms(ms: u64) -> Moment {
    Moment::from_millis(ms)
}

fn lost(what: &'static str) -> Vec<KeeperAction> {
    vec![KeeperAction::LookAtPorts, KeeperAction::Repair(Cause::Lost(what)), KeeperAction::CountPorts]
}

fn good(cause: Cause) -> KeeperEvent {
    KeeperEvent::Repaired { cause, changed: true }
}

fn failed(cause: Cause, trouble: &str) -> KeeperEvent {
    KeeperEvent::RepairFailed { cause, trouble: trouble.into() }
}

fn counted(attached: bool, held: bool) -> KeeperEvent {
    KeeperEvent::PortsCounted { attached, held, idle: Idle::After(30) }
}

fn told(trouble: &str) -> Vec<KeeperAction> {
    vec![KeeperAction::Tell(Trouble::Said(trouble.into()))]
}

fn waits(idle: Option<Moment>, owed: Option<Moment>) -> Wait {
    Wait::ForAll { idle, owed }
}

/// One that made good five losses just now, and is told of a sixth.
fn resting() -> KeeperState {
    let mut state = KeeperState::default();
    for _ in 0..REPAIRS_AT_ONCE {
        assert_eq!(state.step(SERVER, s(1)), lost("dnsmasq"));
        assert_eq!(state.step(good(Cause::Lost("dnsmasq")), s(1)), []);
    }
    assert_eq!(state.step(SERVER, s(2)), [KeeperAction::Tell(Trouble::LostAgain)]);
    assert_eq!(state.wait(), Wait::ForSignals { until: s(6) });
    state
}

#[test]
fn a_keeper_begins_with_what_came_before_it() {
    let begun = KeeperState::default().step(KeeperEvent::Began, s(0));
    assert_eq!(begun, [KeeperAction::LookAtPorts, KeeperAction::ForgetPorts, KeeperAction::FollowLeases]);
}

#[test]
fn five_losses_are_made_good_at_once_and_then_one_each_five_seconds() {
    let mut state = resting();
    for round in 0..3 {
        let due = s(6 + 5 * round);
        assert_eq!(state.wait(), Wait::ForSignals { until: due });
        assert_eq!(state.step(KeeperEvent::RestOver, due - ms(1)), [], "too early");
        assert_eq!(state.step(KeeperEvent::RestOver, due), lost("dnsmasq"));
        assert_eq!(state.step(good(Cause::Lost("dnsmasq")), due), []);
        assert_eq!(state.wait(), waits(None, None));
        assert_eq!(state.step(SERVER, due), [KeeperAction::Tell(Trouble::LostAgain)]);
    }
}

#[test]
fn five_seconds_without_trouble_make_a_new_row() {
    let mut state = resting();
    assert_eq!(state.step(KeeperEvent::RestOver, s(6)), lost("dnsmasq"));
    assert_eq!(state.step(good(Cause::Lost("dnsmasq")), s(6)), []);
    for _ in 0..REPAIRS_AT_ONCE {
        assert_eq!(state.step(SERVER, s(11)), lost("dnsmasq"));
    }
    assert_eq!(state.step(SERVER, s(11)), [KeeperAction::Tell(Trouble::LostAgain)]);
}

#[test]
fn a_repair_for_another_reason_makes_good_what_waited() {
    let mut state = resting();
    assert!(!state.step(KeeperEvent::Reload, s(3)).is_empty());
    assert_eq!(state.step(good(Cause::Reload), s(3)), []);
    // Quiet since the last one: a new row.
    for _ in 0..REPAIRS_AT_ONCE {
        assert_eq!(state.step(SERVER, s(20)), lost("dnsmasq"));
    }
}

#[test]
fn a_file_is_read_again_at_once_while_it_rests_and_nothing_owed_is_forgotten() {
    let mut state = resting();
    let repair = KeeperAction::Repair(Cause::Reload);
    let actions = [KeeperAction::LookAtPorts, repair.clone(), KeeperAction::CountPorts];
    assert_eq!(state.step(KeeperEvent::Reload, s(3)), actions);
    assert_eq!(state.step(failed(Cause::Reload, "no"), s(3)), told("no"));
    assert_eq!(state.wait(), waits(None, Some(s(6))));
    // It is found lost by the next look, or is tried in its time.
    assert_eq!(state.clone().step(SERVER, s(3)), [KeeperAction::Tell(Trouble::LostAgain)]);
    assert_eq!(state.clone().step(KeeperEvent::RepairDue, s(6)), lost("dnsmasq"));
    assert_eq!(state.step(KeeperEvent::Reload, s(4)), actions);
    assert_eq!(state.step(good(Cause::Reload), s(4)), []);
    assert_eq!(state.wait(), waits(None, None));
    assert_eq!(state.step(KeeperEvent::Reload, s(4)), [repair, KeeperAction::CountPorts]);
}

#[test]
fn a_firewall_is_asked_first_and_only_a_repair_that_did_something_is_counted() {
    let mut state = KeeperState::default();
    let repair = [KeeperAction::Repair(Cause::Firewall)];
    for _ in 0..3 * OPENINGS_AT_ONCE {
        assert_eq!(state.step(KeeperEvent::FirewallChanged, s(1)), [KeeperAction::CheckFirewalls]);
        assert_eq!(state.step(KeeperEvent::FirewallsShut, s(1)), repair);
        let nothing = KeeperEvent::Repaired { cause: Cause::Firewall, changed: false };
        assert_eq!(state.step(nothing, s(1)), []);
    }
    for _ in 0..OPENINGS_AT_ONCE {
        assert_eq!(state.step(KeeperEvent::FirewallsShut, s(1)), repair);
        assert_eq!(state.step(good(Cause::Firewall), s(2)), []);
    }
    assert_eq!(state.step(KeeperEvent::FirewallsShut, s(3)), []);
    // Everything else goes on meanwhile, and what is lost has a row of its own.
    assert_eq!(state.wait(), waits(None, Some(s(7))));
    assert_eq!(state.clone().step(SERVER, s(3)), lost("dnsmasq"));
    assert_eq!(state.step(KeeperEvent::RepairDue, s(6)), []);
    assert_eq!(state.step(KeeperEvent::RepairDue, s(7)), repair);
    // What fails counts too.
    assert_eq!(state.step(failed(Cause::Firewall, "no"), s(7)), told("no"));
    assert_eq!(state.wait(), waits(None, Some(s(12))));
    assert_eq!(state.step(KeeperEvent::FirewallsShut, s(8)), []);
    assert_eq!(state.wait(), waits(None, Some(s(12))));
    assert_eq!(state.step(KeeperEvent::RepairDue, s(12)), repair);
}

#[test]
fn what_shuts_guests_out_while_it_rests_is_made_good_with_what_was_lost() {
    let mut state = resting();
    assert_eq!(state.step(KeeperEvent::FirewallsShut, s(3)), []);
    assert_eq!(state.step(KeeperEvent::RestOver, s(6)), lost("dnsmasq"));
    let mut state = KeeperState::default();
    assert_eq!(state.step(KeeperEvent::LookFailed("busy".into()), s(1)), told("busy"));
    assert_eq!(state.step(KeeperEvent::FirewallsShut, s(2)), []);
    assert_eq!(state.step(KeeperEvent::LookFailed("busy".into()), s(3)), told("busy"));
    assert_eq!(state.step(KeeperEvent::RestOver, s(6)), []);
    assert_eq!(state.step(KeeperEvent::RestOver, s(8)), [KeeperAction::Repair(Cause::Firewall)]);
}

#[test]
fn a_repair_that_failed_is_tried_again_and_told_once() {
    let mut state = KeeperState::default();
    let cause = Cause::Lost("the bridge's address");
    assert_eq!(state.step(KeeperEvent::Lost("the bridge's address"), s(1)), lost("the bridge's address"));
    assert_eq!(state.step(failed(cause, "no"), s(1)), told("no"));
    for round in 0..9 {
        let due = s(6 + 5 * round);
        assert_eq!(state.wait(), waits(None, Some(due)));
        assert_eq!(state.step(KeeperEvent::RepairDue, due), lost("the bridge's address"));
        assert_eq!(state.step(failed(cause, "no"), due), []);
    }
    // A signal is answered each time; and another trouble is another.
    assert!(!state.step(KeeperEvent::Reload, s(50)).is_empty());
    assert_eq!(state.step(failed(Cause::Reload, "no"), s(50)), told("no"));
    assert_eq!(state.step(failed(cause, "never"), s(50)), told("never"));
    assert_eq!(state.step(good(cause), s(50)), []);
    assert_eq!(state.step(failed(cause, "never"), s(50)), told("never"));
}

#[test]
fn leases_are_followed_at_once_and_again_where_that_failed() {
    let mut state = resting();
    assert_eq!(state.step(KeeperEvent::LeasesChanged, s(2)), [KeeperAction::FollowLeases]);
    assert_eq!(state.step(KeeperEvent::LeasesFollowed, s(2)), []);
    assert_eq!(state.step(KeeperEvent::RestOver, s(6)), lost("dnsmasq"), "what was lost is owed still");
    let mut state = KeeperState::default();
    assert_eq!(state.step(KeeperEvent::LeasesChanged, s(2)), [KeeperAction::FollowLeases]);
    assert_eq!(state.step(failed(Cause::Lease, "no"), s(2)), told("no"));
    assert_eq!(state.step(KeeperEvent::RepairDue, s(7)), [KeeperAction::FollowLeases]);
    assert_eq!(state.step(KeeperEvent::LeasesFollowed, s(7)), []);
    assert_eq!(state.wait(), waits(None, None));
}

#[test]
fn a_look_that_failed_is_rested_from_and_then_looked_again() {
    let mut state = KeeperState::default();
    assert_eq!(state.step(KeeperEvent::LookFailed("busy".into()), s(1)), told("busy"));
    assert_eq!(state.wait(), Wait::ForSignals { until: s(6) });
    assert_eq!(state.step(KeeperEvent::RestOver, s(6)), []);
    assert_eq!(state.wait(), waits(None, None));
}

#[test]
fn stop_and_leave_are_heeded_while_it_rests() {
    assert_eq!(resting().step(KeeperEvent::Leave, s(3)), [KeeperAction::End(Ending::Left)]);
    let mut state = resting();
    assert_eq!(state.step(KeeperEvent::Stop, s(3)), [KeeperAction::TakeDownUnlessUsed]);
    assert_eq!(state.step(KeeperEvent::Stop, s(3)), [], "it is at it");
    assert_eq!(state.wait(), Wait::ForResults);
    let user = User::Attached(vec!["vmtap0".into()]);
    let goes_on = KeeperAction::End(Ending::GoesOn(user.clone()));
    assert_eq!(state.clone().step(KeeperEvent::InUse(user), s(3)), [goes_on]);
    assert_eq!(state.step(KeeperEvent::TakenDown, s(3)), [KeeperAction::End(Ending::Stopped)]);
    assert_eq!(state.step(SERVER, s(4)), [], "it has ended");
}

#[test]
fn time_runs_when_the_last_user_left_and_not_before_the_first() {
    let mut state = KeeperState::default();
    let seen =
        |is_uplink, is_vacant| KeeperEvent::PortsSeen(vec![SeenPort { port: 7, is_uplink, is_vacant }]);
    assert_eq!(state.step(counted(false, false), s(1)), []);
    assert_eq!(state.step(seen(true, true), s(1)), [KeeperAction::CountPorts]);
    let gone = [KeeperAction::ForgetPort { port: 7 }, KeeperAction::CountPorts];
    assert_eq!(state.step(KeeperEvent::PortGone { port: 7 }, s(1)), gone);
    assert_eq!(state.step(counted(false, false), s(1)), []);
    assert_eq!(state.wait(), waits(None, None), "an uplink is no user");
    assert_eq!(state.step(seen(false, false), s(2)), []);
    assert_eq!(state.step(counted(true, true), s(2)), []);
    assert_eq!(state.wait(), waits(None, None), "somebody is there");
    assert_eq!(state.step(KeeperEvent::PortGone { port: 7 }, s(3)), gone);
    assert_eq!(state.step(counted(false, false), s(3)), []);
    assert_eq!(state.step(counted(false, false), s(9)), [], "and it runs on");
    assert_eq!(state.wait(), waits(Some(s(33)), None));
    assert_eq!(state.clone().step(KeeperEvent::IdleOver, s(32)), []);
    assert_eq!(state.clone().step(KeeperEvent::IdleOver, s(33)), [KeeperAction::TakeDownUnlessUsed]);
    let stays = KeeperEvent::PortsCounted { attached: false, held: false, idle: Idle::Keep };
    assert_eq!(state.clone().step(stays, s(9)), []);
    assert_eq!(state.step(seen(false, false), s(9)), []);
    assert_eq!(state.wait(), waits(None, None), "somebody came");
    assert_eq!(state.step(KeeperEvent::IdleOver, s(33)), []);
}

#[test]
fn nobody_is_idle_while_it_rests_and_a_port_in_use_was_used() {
    let mut state = KeeperState::default();
    let held = SeenPort { port: 7, is_uplink: false, is_vacant: false };
    assert_eq!(state.step(KeeperEvent::PortsSeen(vec![held]), s(1)), []);
    assert_eq!(state.step(counted(false, false), s(1)), []);
    assert_eq!(state.wait(), waits(Some(s(31)), None));
    assert_eq!(state.step(KeeperEvent::LookFailed("busy".into()), s(30)), told("busy"));
    assert_eq!(state.step(KeeperEvent::IdleOver, s(32)), []);
    assert_eq!(state.step(KeeperEvent::RestOver, s(35)), []);
    assert_eq!(state.step(KeeperEvent::IdleOver, s(35)), [KeeperAction::TakeDownUnlessUsed]);
}

#[test]
fn any_port_that_came_and_went_unseen_has_used_the_network() {
    let mut state = KeeperState::default();
    assert!(!state.step(KeeperEvent::PortGone { port: 7 }, s(1)).is_empty());
    assert_eq!(state.step(counted(false, false), s(1)), []);
    assert_eq!(state.wait(), waits(Some(s(31)), None));
}

#[test]
fn a_network_that_is_idle_goes_down_unless_somebody_came() {
    let mut state = KeeperState::default();
    let clients = KeeperEvent::ClientsCounted { guests: 1, switch: SwitchHealth::Sound };
    assert_eq!(state.step(clients, s(1)), [KeeperAction::CountPorts, KeeperAction::TidyPlugs]);
    assert_eq!(state.step(counted(false, false), s(1)), []);
    assert_eq!(state.step(KeeperEvent::IdleOver, s(31)), [KeeperAction::TakeDownUnlessUsed]);
    assert_eq!(state.step(KeeperEvent::InUse(User::OnTheWayIn), s(31)), []);
    assert_eq!(state.wait(), waits(Some(s(32)), None), "who is on the way in may be refused");
    assert_eq!(state.step(KeeperEvent::IdleOver, s(32)), [KeeperAction::TakeDownUnlessUsed]);
    let user = KeeperEvent::InUse(User::Attached(vec!["vmtap0".into()]));
    assert_eq!(state.clone().step(user, s(32)), []);
    assert_eq!(state.clone().step(SERVER, s(32)), [], "whatever is lost meanwhile");
    let mut told = state.clone();
    assert_eq!(told.step(SERVER, s(32)), []);
    assert_eq!(told.step(KeeperEvent::InUse(User::Attached(vec![])), s(32)), []);
    assert_eq!(told.wait(), waits(None, Some(s(32))), "is made good if it stays up");
    assert_eq!(told.step(KeeperEvent::RepairDue, s(32)), lost("dnsmasq"));
    assert_eq!(state.step(KeeperEvent::TakenDown, s(32)), [KeeperAction::End(Ending::Idle)]);
}

#[test]
fn a_file_is_read_again_once_where_the_network_stays_up() {
    let mut state = KeeperState::default();
    assert!(!state.step(KeeperEvent::PortGone { port: 7 }, s(1)).is_empty());
    assert_eq!(state.step(counted(false, false), s(1)), []);
    assert_eq!(state.step(KeeperEvent::IdleOver, s(31)), [KeeperAction::TakeDownUnlessUsed]);
    assert_eq!(state.step(KeeperEvent::Reload, s(31)), []);
    assert_eq!(state.step(KeeperEvent::InUse(User::Attached(vec![])), s(31)), []);
    let actions = [KeeperAction::Repair(Cause::Reload), KeeperAction::CountPorts];
    assert_eq!(state.step(KeeperEvent::RepairDue, s(31)), actions);
    assert_eq!(state.step(failed(Cause::Reload, "no"), s(31)), told("no"));
    assert_eq!(state.wait(), waits(None, None));
}

#[test]
fn a_switch_is_stopped_for_what_it_mislaid_once_a_minute_and_under_nobody_who_would_lose() {
    let mut state = KeeperState::default();
    let mislaid = |under: Option<&str>| KeeperEvent::ClientsCounted {
        guests: 0,
        switch: SwitchHealth::Mislaid { under: under.map(Into::into) },
    };
    let looks = [KeeperAction::CountPorts, KeeperAction::TidyPlugs];
    let and = |action: KeeperAction| [looks.as_slice(), &[action]].concat();
    let under = KeeperAction::Tell(Trouble::NotStoppedUnder("alice".into()));
    assert_eq!(state.step(mislaid(Some("alice")), s(1)), and(under.clone()));
    assert_eq!(state.step(mislaid(Some("alice")), s(2)), looks);
    assert_eq!(state.step(mislaid(None), s(3)), and(KeeperAction::StopSwitch));
    assert_eq!(state.step(KeeperEvent::SwitchStopped, s(3)), [KeeperAction::Repair(Cause::SwitchStopped)]);
    assert_eq!(state.step(good(Cause::SwitchStopped), s(3)), []);
    assert_eq!(state.step(mislaid(None), s(62)), looks);
    assert_eq!(state.step(mislaid(None), s(63)), and(KeeperAction::StopSwitch));
    let sound = KeeperEvent::ClientsCounted { guests: 0, switch: SwitchHealth::Sound };
    assert_eq!(state.step(sound, s(64)), looks);
    assert_eq!(state.step(mislaid(Some("alice")), s(65)), and(under));
}

#[test]
fn one_trouble_of_a_switch_is_told_once() {
    let mut state = KeeperState::default();
    assert_eq!(state.step(KeeperEvent::ClientsUnknown("deaf".into()), s(1)), told("deaf"));
    assert_eq!(state.step(KeeperEvent::ClientsUnknown("deaf".into()), s(2)), []);
    let unclear = |trouble: &str| KeeperEvent::ClientsCounted {
        guests: 0,
        switch: SwitchHealth::Unclear(trouble.into()),
    };
    assert_eq!(state.step(unclear("deaf"), s(3)).len(), 2);
    assert_eq!(state.step(unclear("mute"), s(3)).last(), told("mute").last());
}

#[test]
fn one_thing_leads_to_another() {
    let mut state = KeeperState::default();
    let look = KeeperAction::LookAtPort { bridge: 1, port: 7 };
    assert_eq!(state.step(KeeperEvent::PortChanged { bridge: 1, port: 7 }, s(1)), [look]);
    assert_eq!(state.step(KeeperEvent::ClientsStirred, s(1)), [KeeperAction::TidyPlugs]);
    assert_eq!(state.step(KeeperEvent::ChildEnded, s(1)), []);
    assert_eq!(state.step(KeeperEvent::Stirred, s(1)), []);
}

#[test]
fn causes_and_troubles_are_told_as_before() {
    let causes = [
        (Cause::Lease, "a lease changed"),
        (Cause::Reload, "its file is read again"),
        (Cause::SwitchStopped, "its switch is stopped"),
        (Cause::Firewall, "a firewall changed"),
        (Cause::Lost("dnsmasq"), "dnsmasq is gone"),
    ];
    for (cause, words) in causes {
        assert_eq!(cause.to_string(), words);
    }
    assert_eq!(Trouble::LostAgain.to_string(), "it is lost again and again");
    let under = Trouble::NotStoppedUnder("alice".into()).to_string();
    assert_eq!(under, "its switch has mislaid a port, and is not started again under alice");
}
