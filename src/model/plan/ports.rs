//! The bridge's ports: those that are there have what the helper gives each; those that lost their
//! bridge get it back; TAPs whose holders went too far are put back or go.

use super::{Aspect, DesiredState, LoosePort, ObservedState, PortStep, SeenPort};
use crate::tap_policy::Enforcement;

pub(super) fn aspects(goal: &DesiredState, seen: &ObservedState) -> Vec<Aspect<PortStep>> {
    let wanted = |port: &SeenPort| SeenPort {
        mtu: if port.ours { goal.wanted.mtu } else { port.mtu },
        group: goal.port.group,
        isolated: goal.port.isolated,
        hairpin: goal.port.hairpin && !port.is_wire,
        ..port.clone()
    };
    let wrong = seen.ports.iter().filter(|port| wanted(port) != **port);
    let wrong = wrong.map(|port| {
        let cure = vec![PortStep::Set(wanted(port))];
        Aspect::new(format!("port {}", port.name), words(&wanted(port)), words(port), cure)
    });
    let strays = seen.strays.iter().map(|(index, name)| {
        let cure = vec![PortStep::Attach(*index, name.clone())];
        Aspect::new(format!("port {name}"), "attached", "not attached", cure)
    });
    let loose = seen.loose.iter().map(loose);
    loose.chain(wrong).chain(strays).collect()
}

fn loose(port: &LoosePort) -> Aspect<PortStep> {
    let cure = match port.act {
        Enforcement::PutBack(mac) => vec![PortStep::SetMac(port.index, port.name.clone(), mac)],
        Enforcement::Delete => vec![PortStep::Delete(port.index, port.name.clone())],
        Enforcement::Nothing | Enforcement::Wait => Vec::new(),
    };
    let actual: Vec<String> = port.breaches.iter().map(ToString::to_string).collect();
    Aspect::new(format!("holder of {}", port.name), "within the grant", actual.join(", "), cure)
}

fn words(port: &SeenPort) -> String {
    let flag = |is: bool, word: &str| if is { format!(", {word}") } else { String::new() };
    let flags = [flag(port.isolated, "isolated"), flag(port.hairpin, "hairpin")].concat();
    format!("mtu {}, group {}{flags}", port.mtu, port.group)
}

#[cfg(test)]
mod tests {
    use crate::plan::tests::{all_right, goal};
    use crate::plan::*;
    use crate::tap_policy::{Enforcement, GrantViolation};
    use vmnet_access::mac::MacAddr;

    #[test]
    fn a_tap_whose_holder_went_too_far_is_put_back_or_deleted_before_ports_are_set_up() {
        let goal = goal(|_| {});
        let name = IfName::new(b"vmtap7").unwrap();
        let mac = MacAddr([0xfe, 0, 0, 0, 0, 7]);
        for (act, steps) in [
            (Enforcement::PutBack(mac), vec![Step::Port(PortStep::SetMac(9, name.clone(), mac))]),
            (Enforcement::Delete, vec![Step::Port(PortStep::Delete(9, name.clone()))]),
            (Enforcement::Wait, vec![]),
        ] {
            let loose = LoosePort { index: 9, name: name.clone(), breaches: vec![GrantViolation::Mac], act };
            let seen = ObservedState { loose: vec![loose], ..all_right(&goal) };
            assert_eq!(up(&goal, &seen), Ok(steps));
        }
    }
}
