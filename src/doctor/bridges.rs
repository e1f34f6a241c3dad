//! Bridges near the kernel's last port, and networks that are not what their files say.

use super::finding::{Finding, Fix, Report, Severity};
use super::host::Host;
use vmnet_access::name::{IfName, NetName};
use vmnet_access::port_record::BRIDGE_PORTS_MAX;
use vmnet_network::status;
use vmnet_network::store::definitions;

/// From so many ports on a bridge is nearly full: nine tenths.
const NEARLY: usize = BRIDGE_PORTS_MAX * 9 / 10;

/// So many of a network's differences are named.
const ASPECTS_MAX: usize = 5;

/// How many ports each bridge has, and whether its network is what its file says.
pub(super) fn check(host: &Host<'_>, report: &mut Report) {
    for subject in host.subjects {
        if subject.is_there() {
            let ports = host.seen.links.iter().filter(|link| link.master == subject.index).count();
            report.findings.extend(full(&subject.bridge, ports));
        }
        // A file that cannot be read is told already.
        if definitions::read(host.dirs, &subject.network).is_err() {
            continue;
        }
        match status::drift(host.dirs, &subject.network) {
            Ok(aspects) => report.findings.extend(drifted(&subject.network, &aspects)),
            Err(failure) => report.unseen.push(failure.to_string()),
        }
    }
}

/// A bridge of ours that has no room, or soon has none.
fn full(bridge: &IfName, ports: usize) -> Option<Finding> {
    if ports < NEARLY {
        return None;
    }
    let is_full = ports >= BRIDGE_PORTS_MAX;
    Some(Finding {
        id: "bridge-full",
        severity: if is_full { Severity::Fault } else { Severity::Warning },
        object: bridge.to_string(),
        what: format!("bridge {bridge} has {ports} ports of the {BRIDGE_PORTS_MAX} that a bridge can have"),
        cause: "the kernel numbers a bridge's ports with ten bits".to_owned(),
        cure: format!("vmnet init {bridge}-2 && vmnet up {bridge}-2"),
        fix: None,
    })
}

/// A network that differs from its file in these aspects.
fn drifted(network: &NetName, aspects: &[String]) -> Option<Finding> {
    let mut shown: Vec<String> = aspects.iter().take(ASPECTS_MAX).cloned().collect();
    if aspects.len() > shown.len() {
        shown.push(format!("and {} more", aspects.len() - shown.len()));
    }
    (!aspects.is_empty()).then(|| Finding {
        id: "network-drifted",
        severity: Severity::Fault,
        object: network.to_string(),
        what: format!("network '{network}' is not what its file says: {}", shown.join(", ")),
        cause: "its file changed, or somebody else did".to_owned(),
        cure: format!("vmnet up {network}"),
        fix: Some(Fix::Raise(network.clone())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bridge_is_told_from_nine_tenths_on_and_a_full_one_is_a_fault() {
        let bridge = IfName::new(b"brmgr0").unwrap();
        let severity = |ports| full(&bridge, ports).map(|finding| finding.severity);
        assert_eq!(severity(919), None);
        assert_eq!(severity(920), Some(Severity::Warning));
        assert_eq!(severity(1022), Some(Severity::Warning));
        assert_eq!(severity(1023), Some(Severity::Fault));
    }

    #[test]
    fn of_many_differences_a_few_are_named() {
        let aspects: Vec<String> = (1..=7).map(|n| format!("port p{n}")).collect();
        let lab = NetName::new("lab").unwrap();
        assert_eq!(drifted(&lab, &[]), None);
        let what = drifted(&lab, &aspects).unwrap().what;
        assert!(what.ends_with("port p5, and 2 more"), "{what}");
    }
}
