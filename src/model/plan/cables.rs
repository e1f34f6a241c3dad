//! A network's cables: to another network by a pair of ends, one in each bridge, and to somebody's VDE
//! switch by a pump. What must go goes before anything that comes could close a circle with it.

use super::{Aspect, CableStep, State, Step};
use crate::cable::End;
use crate::vde_switch::Switch;

/// A cable that the network is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CableGoal {
    /// Where the cable leads.
    pub to: End,
    /// What can be done about the cable now.
    pub can: Can,
}

/// What can be done about a cable now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Can {
    /// The other network is up.
    Pair(FarBridge),
    /// The switch is there.
    Pump(Switch),
    /// The other end is not there.
    Wait,
    /// It must not be plugged in, because of this.
    Never(String),
    /// Only root may look.
    Hidden,
}

/// The other network's bridge, and what a cable's end there must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FarBridge {
    /// The bridge's number.
    pub index: u32,
    /// The group of its ports.
    pub group: u32,
    /// The MTU of both ends: that of the narrower bridge.
    pub mtu: u32,
}

/// A cable as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenCable {
    /// Where it leads.
    pub to: End,
    /// What the cable is made of.
    pub by: By,
}

/// By what a cable leads there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The end here of a pair.
    Pair {
        /// The link's number.
        index: u32,
        /// The MTU of both ends; none where they differ.
        mtu: Option<u32>,
        /// Both ends are ports of their bridges, and up.
        whole: bool,
    },
    /// A pump.
    Pump {
        /// Its record.
        record: State,
        /// Its process.
        process: Option<u32>,
        /// It was plugged into this life of the switch.
        plugged: bool,
    },
}

impl SeenCable {
    /// What takes it away.
    fn removal(&self) -> CableStep {
        match self.by {
            By::Pair { index, .. } => CableStep::Remove(index, self.to.clone()),
            By::Pump { .. } => CableStep::Stop(self.to.clone()),
        }
    }
}

type Rows = Vec<Aspect<CableStep>>;

/// The rows of those that go, and of the others.
pub(super) fn aspects(goals: &[CableGoal], seen: &[SeenCable]) -> (Rows, Rows) {
    let strange = seen.iter().filter(|cable| !goals.iter().any(|goal| goal.to == cable.to));
    let mut going: Rows =
        strange.map(|cable| Aspect::new(what(&cable.to), "none", "plugged", vec![cable.removal()])).collect();
    let mut coming = Vec::new();
    for goal in goals {
        let own: Vec<&SeenCable> = seen.iter().filter(|cable| cable.to == goal.to).collect();
        let removal = own.iter().map(|cable| cable.removal()).collect();
        match &goal.can {
            Can::Never(why) => {
                going.push(Aspect::new(what(&goal.to), "plugged", format!("left out: {why}"), removal));
            }
            Can::Wait | Can::Hidden => coming.push(waiting(goal, &own)),
            Can::Pair(far) => coming.push(pair(&goal.to, far, &own, removal)),
            Can::Pump(switch) => coming.push(pump(&goal.to, switch, &own, removal)),
        }
    }
    (going, coming)
}

/// The steps about cables alone.
#[must_use]
pub fn steps(goals: &[CableGoal], seen: &[SeenCable]) -> Vec<CableStep> {
    let (going, coming) = aspects(goals, seen);
    going.into_iter().chain(coming).flat_map(|aspect| aspect.cure).collect()
}

/// The rows about cables alone.
#[must_use]
pub fn rows(goals: &[CableGoal], seen: &[SeenCable]) -> Vec<Aspect> {
    let (going, coming) = aspects(goals, seen);
    going.into_iter().chain(coming).map(|aspect| aspect.of(Step::Cable)).collect()
}

fn what(to: &End) -> String {
    format!("cable to {to}")
}

/// A pump waits better than we: it is there when its switch is back.
fn waiting(goal: &CableGoal, own: &[&SeenCable]) -> Aspect<CableStep> {
    let halves = own.iter().filter(|cable| matches!(cable.by, By::Pair { .. }));
    let cure: Vec<CableStep> = halves.map(|cable| cable.removal()).collect();
    let waits = match goal.can {
        Can::Hidden => State::Hidden.word().to_owned(),
        _ => format!("waits for {}", goal.to),
    };
    let actual = if cure.is_empty() { waits.clone() } else { "half a cable".to_owned() };
    Aspect::new(what(&goal.to), waits, actual, cure)
}

fn pair(to: &End, far: &FarBridge, own: &[&SeenCable], removal: Vec<CableStep>) -> Aspect<CableStep> {
    let actual = match own.iter().map(|cable| cable.by).collect::<Vec<_>>()[..] {
        [] => "not plugged",
        [By::Pair { mtu, whole: true, .. }] if mtu == Some(far.mtu) => "plugged",
        [By::Pair { whole: true, .. }] => "plugged with another MTU",
        [_] => "half plugged",
        [..] => "plugged more than once",
    };
    let mut cure = removal;
    cure.push(CableStep::Make(to.clone(), far.clone()));
    Aspect::yes(&what(to), "plugged", actual == "plugged", actual, cure)
}

fn pump(to: &End, switch: &Switch, own: &[&SeenCable], removal: Vec<CableStep>) -> Aspect<CableStep> {
    let start = CableStep::Start(to.clone(), switch.clone());
    let (actual, cure) = match own.first().map(|cable| cable.by) {
        Some(By::Pump { record: State::Right, process: Some(_), plugged: true }) => ("plugged", Vec::new()),
        Some(By::Pump { record: State::Right, process: Some(_), plugged: false }) => {
            ("not plugged", vec![CableStep::Plug(to.clone())])
        }
        Some(By::Pump { record: State::Right, process: None, .. }) => ("not plugged", vec![start]),
        Some(_) => ("plugged otherwise", removal.into_iter().chain([start]).collect()),
        None => ("not plugged", vec![start]),
    };
    Aspect::new(what(to), "plugged", actual, cure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use vmnet_access::port_record::SwitchAccess;
    use vmnet_access::vde::Directory;

    const FAR: FarBridge = FarBridge { index: 5, group: 6, mtu: 1400 };

    fn end(text: &str) -> End {
        text.parse().unwrap()
    }

    fn goal(to: &str, can: Can) -> CableGoal {
        CableGoal { to: end(to), can }
    }

    fn ends(to: &str, mtu: Option<u32>, whole: bool) -> SeenCable {
        SeenCable { to: end(to), by: By::Pair { index: 9, mtu, whole } }
    }

    fn switch() -> Switch {
        let door = SwitchAccess { directory: Directory::new("/x").unwrap(), owner: 1, group: 2 };
        Switch { door, pump: 3, run: None, console: None }
    }

    #[test]
    fn a_cable_is_made_once() {
        let goals = [goal("b", Can::Pair(FAR))];
        let make = CableStep::Make(end("b"), FAR);
        let remove = CableStep::Remove(9, end("b"));
        assert_eq!(steps(&goals, &[]), std::slice::from_ref(&make));
        assert_eq!(steps(&goals, &[ends("b", Some(1400), true)]), []);
        for wrong in [ends("b", Some(1500), true), ends("b", None, true), ends("b", Some(1400), false)] {
            assert_eq!(steps(&goals, &[wrong]), [remove.clone(), make.clone()]);
        }
        let twice = [ends("b", Some(1400), true), ends("b", Some(1400), true)];
        assert_eq!(steps(&goals, &twice), [remove.clone(), remove, make]);
    }

    #[test]
    fn a_network_that_is_down_is_waited_for_without_drift() {
        let goals = [goal("b", Can::Wait)];
        let (_, rows) = aspects(&goals, &[]);
        assert_eq!((rows[0].actual.as_str(), rows[0].has_drifted()), ("waits for b", false));
        assert_eq!(steps(&goals, &[ends("b", Some(1400), false)]), [CableStep::Remove(9, end("b"))]);
    }

    #[test]
    fn what_must_go_goes_before_anything_comes() {
        let goals = [goal("a", Can::Pair(FAR)), goal("b", Can::Never("a - b".to_owned()))];
        let seen = [ends("b", Some(1400), true), ends("c", Some(1400), true)];
        let removals = [CableStep::Remove(9, end("c")), CableStep::Remove(9, end("b"))];
        let [first, second, make] = &steps(&goals, &seen)[..] else { panic!("three steps") };
        assert_eq!([first.clone(), second.clone()], removals);
        assert_eq!(*make, CableStep::Make(end("a"), FAR));
        // It must not be there, so that it is not there is no cure.
        let (rows, _) = aspects(&goals[1..], &[]);
        assert!(rows[0].has_drifted() && rows[0].cure.is_empty());
    }

    #[test]
    fn a_pump_follows_its_switch_and_waits_for_it() {
        let to = end("vde:///x");
        let by = |record, process, plugged| By::Pump { record, process, plugged };
        let is = |by| [SeenCable { to: to.clone(), by }];
        let there = [goal("vde:///x", Can::Pump(switch()))];
        let start = CableStep::Start(to.clone(), switch());
        assert_eq!(steps(&there, &[]), std::slice::from_ref(&start));
        assert_eq!(steps(&there, &is(by(State::Right, Some(7), true))), []);
        let again = steps(&there, &is(by(State::Right, Some(7), false)));
        assert_eq!(again, [CableStep::Plug(to.clone())]);
        assert_eq!(steps(&there, &is(by(State::Right, None, true))), std::slice::from_ref(&start));
        let stop = CableStep::Stop(to.clone());
        assert_eq!(steps(&there, &is(by(State::Other, Some(7), true))), [stop.clone(), start]);
        let away = [goal("vde:///x", Can::Wait)];
        assert_eq!(steps(&away, &is(by(State::Right, Some(7), false))), []);
        assert_eq!(steps(&[], &is(by(State::Right, Some(7), true))), [stop]);
    }
}
