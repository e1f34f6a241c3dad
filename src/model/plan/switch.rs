//! The VDE switch that is one wire with the bridge: the switch itself, the pump between the two, and
//! those who are plugged in.

use super::{Aspect, DesiredState, ObservedState, State, SwitchStep};

/// The switch as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenSwitch {
    /// Its record.
    pub record: State,
    /// The process of one that we run.
    pub process: Option<u32>,
    /// There is one in its directory, whoever runs it.
    pub there: bool,
    /// All that hold ports were plugged into this life of it.
    pub plugged: bool,
    /// The pump's process.
    pub pump: Option<u32>,
}

impl SeenSwitch {
    /// There is none, nor anything of one.
    pub const NONE: Self =
        Self { record: State::Absent, process: None, there: false, plugged: false, pump: None };
}

pub(super) fn aspects(goal: &DesiredState, seen: &ObservedState) -> Vec<Aspect<SwitchStep>> {
    let Some(is) = &seen.switch else {
        let hidden = State::Hidden.word();
        return goal.switch.iter().map(|_| Aspect::new("switch", hidden, hidden, Vec::new())).collect();
    };
    let Some(switch) = &goal.switch else { return none(is) };
    let right = is.record == State::Right;
    // A pump of another record would carry frames to another switch.
    let stop_pump = is.pump.filter(|_| !right).map(SwitchStep::StopPump);
    let mut cure: Vec<SwitchStep> = stop_pump.into_iter().collect();
    let (wanted, actual) = match (switch.run, is.process) {
        (Some(_), Some(_)) if right => ("running", "running"),
        (Some(_), process) => {
            cure.extend(process.map(SwitchStep::Stop));
            cure.extend((!right).then_some(SwitchStep::WriteRecord));
            cure.push(SwitchStep::Start);
            ("running", if process.is_some() { "running with other settings" } else { "not running" })
        }
        (None, _) if right && is.there => ("joined", "joined"),
        (None, process) => {
            // One of ours, from before the file said otherwise.
            cure.extend(process.map(SwitchStep::Stop));
            cure.extend((!right).then_some(SwitchStep::WriteRecord));
            ("joined", if is.there { "another one is" } else { "not there" })
        }
    };
    let starts = cure.contains(&SwitchStep::Start);
    let mut aspects = vec![Aspect::new("switch", wanted, actual, cure)];
    // Without a switch there is nothing to be plugged into.
    if !is.there && !starts {
        return aspects;
    }
    let again = starts || !is.plugged;
    let plugged =
        Aspect::yes("switch ports", "plugged in", !again, "not plugged in", vec![SwitchStep::PlugAgain]);
    let pumps = is.pump.is_some() && stop_pump.is_none();
    let pump = Aspect::yes("switch pump", "running", pumps, "not running", vec![SwitchStep::StartPump]);
    aspects.extend([plugged, pump]);
    aspects
}

fn none(is: &SeenSwitch) -> Vec<Aspect<SwitchStep>> {
    if is.record == State::Absent && is.process.is_none() && is.pump.is_none() {
        return Vec::new();
    }
    let stop = is.pump.map(SwitchStep::StopPump).into_iter().chain(is.process.map(SwitchStep::Stop));
    vec![Aspect::new("switch", "none", "running", stop.chain([SwitchStep::RemoveRecord]).collect())]
}

#[cfg(test)]
mod tests;
