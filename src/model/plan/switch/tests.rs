use crate::network::Vde;
use crate::plan::tests::{all_right, goal, nothing};
use crate::plan::*;
use crate::vde_switch::{Run, Switch};
use vmnet_access::port_record::SwitchAccess;
use vmnet_access::vde::Directory;

fn switch(run: bool) -> Switch {
    let door = SwitchAccess { directory: Directory::new("/run/vde").unwrap(), owner: 7, group: 8 };
    Switch { door, pump: 7, run: run.then(|| Run::of(&Vde::DEFAULT)), console: None }
}

fn goal_with(switch: Option<Switch>) -> DesiredState {
    let plain = goal(|_| {});
    let port = PortRecord { switch: switch.as_ref().map(|switch| switch.door.clone()), ..plain.port };
    DesiredState { switch, port, ..plain }
}

fn steps(goal: &DesiredState, switch: SeenSwitch) -> Vec<Step> {
    up(goal, &ObservedState { switch: Some(switch), ..all_right(goal) }).unwrap()
}

const WELL: SeenSwitch =
    SeenSwitch { record: State::Right, process: Some(5), there: true, plugged: true, pump: Some(6) };

#[test]
fn a_network_without_one_has_no_row_of_it() {
    let goal = goal_with(None);
    assert!(compare(&goal, &all_right(&goal)).unwrap().iter().all(|aspect| aspect.what != "switch"));
    let left = steps(&goal, SeenSwitch { record: State::Other, ..WELL });
    assert_eq!(
        left,
        [
            Step::Switch(SwitchStep::StopPump(6)),
            Step::Switch(SwitchStep::Stop(5)),
            Step::Switch(SwitchStep::RemoveRecord)
        ]
    );
}

#[test]
fn the_switch_comes_first_then_its_ports_then_the_helpers_record() {
    let goal = goal_with(Some(switch(true)));
    let steps = up(&goal, &nothing()).unwrap();
    let at = |wanted: Step| steps.iter().position(|step| *step == wanted).unwrap();
    let order = [
        Step::Bridge(BridgeStep::Raise),
        Step::Switch(SwitchStep::WriteRecord),
        Step::Switch(SwitchStep::Start),
        Step::Switch(SwitchStep::PlugAgain),
        Step::Switch(SwitchStep::StartPump),
        Step::Port(PortStep::WriteRecord),
    ]
    .map(at);
    assert!(order.is_sorted(), "{order:?}");
}

#[test]
fn a_switch_that_runs_as_wanted_is_left_alone() {
    assert_eq!(steps(&goal_with(Some(switch(true))), WELL), []);
    assert_eq!(steps(&goal_with(Some(switch(false))), SeenSwitch { process: None, ..WELL }), []);
}

#[test]
fn a_dead_switch_is_started_again_under_its_pump() {
    let dead = SeenSwitch { process: None, there: false, plugged: false, ..WELL };
    assert_eq!(
        steps(&goal_with(Some(switch(true))), dead),
        [Step::Switch(SwitchStep::Start), Step::Switch(SwitchStep::PlugAgain)]
    );
    let dead = SeenSwitch { process: None, ..WELL };
    assert_eq!(
        steps(&goal_with(Some(switch(true))), dead),
        [Step::Switch(SwitchStep::Start), Step::Switch(SwitchStep::PlugAgain)]
    );
}

#[test]
fn other_settings_mean_another_life_and_another_pump() {
    let other = SeenSwitch { record: State::Other, ..WELL };
    let steps = steps(&goal_with(Some(switch(true))), other);
    let expected = [
        Step::Switch(SwitchStep::StopPump(6)),
        Step::Switch(SwitchStep::Stop(5)),
        Step::Switch(SwitchStep::WriteRecord),
        Step::Switch(SwitchStep::Start),
        Step::Switch(SwitchStep::PlugAgain),
        Step::Switch(SwitchStep::StartPump),
    ];
    assert_eq!(steps, expected);
}

#[test]
fn ones_own_pump_alone_is_started_again() {
    let goal = goal_with(Some(switch(true)));
    assert_eq!(steps(&goal, SeenSwitch { pump: None, ..WELL }), [Step::Switch(SwitchStep::StartPump)]);
    assert_eq!(steps(&goal, SeenSwitch { plugged: false, ..WELL }), [Step::Switch(SwitchStep::PlugAgain)]);
}

#[test]
fn a_foreign_switch_is_waited_for() {
    let goal = goal_with(Some(switch(false)));
    let away = SeenSwitch { process: None, there: false, plugged: false, ..WELL };
    assert_eq!(steps(&goal, away), []);
    let aspects = compare(&goal, &ObservedState { switch: Some(away), ..all_right(&goal) }).unwrap();
    let row = aspects.iter().find(|aspect| aspect.what == "switch").unwrap();
    assert!(row.has_drifted());
    let back = SeenSwitch { there: true, pump: None, ..away };
    assert_eq!(
        steps(&goal, back),
        [Step::Switch(SwitchStep::PlugAgain), Step::Switch(SwitchStep::StartPump)]
    );
}
