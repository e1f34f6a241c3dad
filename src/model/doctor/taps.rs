//! TAPs that somebody left behind. The helper's vanish with their last descriptor, unless whoever
//! held one made it persistent, which the kernel lets every holder do.

use super::{Finding, Fix, Severity, Subject};
use crate::name::IfName;
use crate::port::PortTag;

/// One TAP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tap {
    /// Its name.
    pub name: IfName,
    /// Its number.
    pub index: u32,
    /// Its alias.
    pub alias: Option<String>,
    /// It stays when nobody holds it (TUNSETPERSIST).
    pub persistent: bool,
    /// A user or group may open it (TUNSETOWNER, TUNSETGROUP).
    pub owned: bool,
    /// Whoever holds it: `qemu-system-x86 (pid 7)`.
    pub holder: Option<String>,
    /// The kernel says that somebody holds it, in sight or not.
    pub held: bool,
    /// The link it is a port of.
    pub master: Option<IfName>,
}

impl Tap {
    /// The helper's tag. Only CAP_NET_ADMIN can write one.
    fn tag(&self) -> Option<PortTag> {
        PortTag::parse(self.alias.as_deref()?.as_bytes())
    }
}

/// What is wrong with one beside these networks.
#[must_use]
pub fn findings(tap: &Tap, subjects: &[Subject]) -> Vec<Finding> {
    let is_home = |subject: &Subject| subject.is_there() && Some(&subject.bridge) == tap.master.as_ref();
    let at_home = subjects.iter().any(is_home);
    let mut findings = Vec::new();
    if let Some(tag) = tap.tag() {
        let own = subjects.iter().find(|subject| subject.bridge == tag.bridge);
        match tap.held {
            // The port of a network that is up and lost its bridge is a drift of that network.
            true if !at_home && !own.is_some_and(Subject::is_there) => {
                findings.push(cut_off(tap, &tag, own));
            }
            false if tap.persistent => findings.push(leaked(tap, &tag, !at_home)),
            _ => {}
        }
    }
    if tap.persistent && !tap.owned && !tap.held && findings.is_empty() {
        findings.push(unowned(tap));
    }
    findings
}

fn leaked(tap: &Tap, tag: &PortTag, alone: bool) -> Finding {
    let name = &tap.name;
    let place = if alone { "on no network that is up" } else { "still a port" };
    Finding {
        id: "tap-leaked",
        severity: Severity::Warning,
        object: name.to_string(),
        what: format!("{name} was left behind by pid {}, {place}", tag.pid),
        cause: "whoever held it made it persistent, and holds it no more".to_owned(),
        cure: format!("ip link delete {name}"),
        fix: alone.then(|| Fix::DeleteLink(name.clone(), tap.index)),
    }
}

fn cut_off(tap: &Tap, tag: &PortTag, own: Option<&Subject>) -> Finding {
    let (name, bridge) = (&tap.name, &tag.bridge);
    let holder = tap.holder.clone().unwrap_or_else(|| format!("pid {}", tag.pid));
    Finding {
        id: "tap-cut-off",
        severity: Severity::Warning,
        object: name.to_string(),
        what: format!("{name}, held by {holder}, is a port of no network that is up"),
        cause: format!("bridge {bridge} was taken away under it"),
        cure: match own {
            Some(own) => format!("vmnet up {}", own.network),
            None => format!("ip link set {name} master {bridge} up"),
        },
        fix: None,
    }
}

fn unowned(tap: &Tap) -> Finding {
    let name = &tap.name;
    Finding {
        id: "tap-unowned",
        severity: Severity::Warning,
        object: name.to_string(),
        what: format!("{name} is a persistent TAP that belongs to nobody, and nobody holds it"),
        cause: "whoever can open /dev/net/tun can take it, with the network behind it".to_owned(),
        cure: format!(
            "ip link delete {name}  # or give it away: ip tuntap add dev {name} mode tap user USER"
        ),
        fix: None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::subject;
    use super::*;

    fn tap() -> Tap {
        Tap {
            name: IfName::new(b"vmtap7").unwrap(),
            index: 9,
            alias: Some("vmnet lab uid=1000 pid=7".to_owned()),
            persistent: false,
            owned: false,
            holder: Some("qemu (pid 7)".to_owned()),
            held: true,
            master: Some(IfName::new(b"lab").unwrap()),
        }
    }

    /// The network `lab` is up; what is found, and whether `--fix` may do it.
    fn found(tap: &Tap) -> Vec<(&'static str, bool)> {
        findings(tap, &[subject("lab", 3), Subject { up: false, ..subject("old", 4) }])
            .iter()
            .map(|finding| (finding.id, finding.fix.is_some()))
            .collect()
    }

    #[test]
    fn a_tap_that_is_held_is_never_deleted() {
        assert_eq!(found(&tap()), []);
        for persistent in [false, true] {
            let away = Tap { persistent, master: None, ..tap() };
            assert_eq!(found(&away), []);
            let alias = Some("vmnet old uid=1000 pid=7".to_owned());
            assert_eq!(found(&Tap { alias, ..away }), [("tap-cut-off", false)]);
        }
    }

    #[test]
    fn a_tap_of_ours_that_nobody_holds_is_deleted_unless_it_is_a_port_of_a_network_that_is_up() {
        let left = Tap { persistent: true, held: false, holder: None, ..tap() };
        assert_eq!(found(&left), [("tap-leaked", false)]);
        assert_eq!(found(&Tap { master: None, ..left.clone() }), [("tap-leaked", true)]);
        assert_eq!(
            found(&Tap { master: Some(IfName::new(b"old").unwrap()), ..left }),
            [("tap-leaked", true)]
        );
    }

    #[test]
    fn a_strangers_tap_is_only_told_where_anybody_could_take_it() {
        let bare = Tap { alias: None, persistent: true, held: false, holder: None, ..tap() };
        assert_eq!(found(&bare), [("tap-unowned", false)]);
        assert_eq!(found(&Tap { owned: true, ..bare.clone() }), []);
        assert_eq!(found(&Tap { held: true, ..bare }), []);
    }
}
