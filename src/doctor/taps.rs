//! TAPs that somebody left behind. The helper's vanish with their last descriptor, unless whoever
//! held one made it persistent, which the kernel lets every holder do.

use super::finding::{Finding, Fix, Report, Severity, Subject};
use super::host::{Host, text};
use std::collections::BTreeMap;
use std::path::Path;
use vmnet_access::name::IfName;
use vmnet_access::port_record::PortTag;
use vmnet_host::links::{HostSnapshot, Links, SeenLink};
use vmnet_model::error::{Error, ErrorKind};
use vmnet_model::tap_policy::GrantViolation;
use vmnet_sys::process::{self, program};

/// Who holds each TAP, by its name: `qemu-system-x86 (pid 7)`.
type Holders = BTreeMap<String, String>;

/// TAPs on these networks; where all networks are examined, strangers' too.
pub(super) fn check(host: &Host<'_>, report: &mut Report) {
    let concerned = |tap: &Tap| {
        let bridges = tap.tag.as_ref().map(|tag| tag.bridge.clone()).into_iter().chain(tap.master.clone());
        host.all || bridges.into_iter().any(|bridge| host.subjects.iter().any(|s| s.bridge == bridge))
    };
    let taps: Vec<Tap> = taps(host.seen).into_iter().filter(concerned).collect();
    if !host.root && taps.iter().any(|tap| tap.persistent) {
        report.unseen.push("who holds a TAP: only root can look it up".to_owned());
    }
    report.findings.extend(taps.iter().flat_map(|tap| judge(tap, host.subjects)));
}

/// The TAPs among the links. All descriptors of all processes are walked once, if there is a TAP.
fn taps(seen: &HostSnapshot) -> Vec<Tap> {
    if seen.links.iter().all(|link| link.tap.is_none()) {
        return Vec::new();
    }
    let holders = holders();
    seen.links.iter().filter_map(|link| tap(link, seen, &holders)).collect()
}

fn tap(link: &SeenLink, seen: &HostSnapshot, holders: &Holders) -> Option<Tap> {
    let state = link.tap?;
    let holder = holders.get(String::from_utf8_lossy(link.name.as_bytes()).as_ref()).cloned();
    let master = seen.links.iter().find(|other| Some(other.index) == link.master);
    Some(Tap {
        name: link.name.clone(),
        index: link.index,
        tag: link.tag(),
        breaches: link.tethered().map(|tap| tap.breaches()).unwrap_or_default(),
        persistent: state.persistent,
        owned: state.owner.is_some() || state.group.is_some(),
        // The driver has a carrier while a queue is attached (drivers/net/tun.c).
        held: !state.persistent || link.carrier || holder.is_some(),
        holder,
        master: master.map(|master| master.name.clone()),
    })
}

/// The processes with a descriptor that is bound to a TAP: its fdinfo says `iff:` and the TAP's name.
fn holders() -> Holders {
    let mut holders = Holders::new();
    for pid in process::all() {
        for (number, _) in process::descriptors(pid).filter(|(_, to)| to == Path::new("/dev/net/tun")) {
            let info = text(format!("/proc/{pid}/fdinfo/{number}"));
            let tap = info.lines().find_map(|line| line.strip_prefix("iff:\t"));
            if let (Some(tap), Some(program)) = (tap, program(pid)) {
                holders.entry(tap.trim_end().to_owned()).or_insert_with(|| format!("{program} (pid {pid})"));
            }
        }
    }
    holders
}

/// Delete one that nobody holds: looked at once more, because somebody may have taken it meanwhile.
///
/// # Errors
/// The TAP is held now, or the kernel refused.
pub(super) fn delete(name: &IfName, index: u32) -> Result<(), Error> {
    let failed = |cause: &dyn std::fmt::Display| Error::new("delete", format!("link '{name}'"), cause);
    let links = Links::open().map_err(|error| failed(&error))?;
    let seen = links.snapshot().map_err(|error| failed(&error))?;
    let Some(link) = seen.links.iter().find(|link| link.name == *name && link.index == index) else {
        return Ok(());
    };
    let tap =
        tap(link, &seen, &holders()).ok_or_else(|| failed(&"it is no TAP").kind(ErrorKind::Conflict))?;
    if judge(&tap, &[]).iter().all(|finding| finding.fix.is_none()) {
        return Err(failed(&"somebody holds it by now").kind(ErrorKind::InUse));
    }
    links.delete(index).map_err(|error| failed(&error))
}

/// One TAP.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Tap {
    /// Its name.
    name: IfName,
    /// Its number.
    index: u32,
    /// The tag of one that was made for somebody. Only CAP_NET_ADMIN can write one.
    tag: Option<PortTag>,
    /// How its holder went further than the grant.
    breaches: Vec<GrantViolation>,
    /// It stays when nobody holds it (TUNSETPERSIST).
    persistent: bool,
    /// A user or group may open it (TUNSETOWNER, TUNSETGROUP).
    owned: bool,
    /// Whoever holds it: `qemu-system-x86 (pid 7)`.
    holder: Option<String>,
    /// The kernel says that somebody holds it, in sight or not.
    held: bool,
    /// The link it is a port of.
    master: Option<IfName>,
}

/// What is wrong with one beside these networks.
fn judge(tap: &Tap, subjects: &[Subject]) -> Vec<Finding> {
    let is_home = |subject: &Subject| subject.is_there() && Some(&subject.bridge) == tap.master.as_ref();
    let at_home = subjects.iter().any(is_home);
    let mut findings = Vec::new();
    if let Some(tag) = &tap.tag {
        let own = subjects.iter().find(|subject| subject.bridge == tag.bridge);
        let is_kept = at_home || own.is_some_and(Subject::is_there);
        // A bridge that is no network of ours.
        let at_home = is_kept || own.is_none() && tap.master.as_ref() == Some(&tag.bridge);
        match (tap.held, tag.kept) {
            // The port of a network that is up and lost its bridge is a drift of that network.
            (true, _) if !at_home => findings.push(cut_off(tap, tag, own)),
            // So is a changed MAC, and whatever its holder left behind there.
            (true, _) if tap.breaches.iter().any(|breach| *breach != GrantViolation::Mac) => {
                findings.push(loose(tap, tag));
            }
            (false, false) if tap.persistent && !is_kept => findings.push(leaked(tap, tag)),
            (false, true) if !at_home => findings.push(forgotten(tap, tag, own)),
            _ => {}
        }
    }
    if tap.tag.is_none() && tap.persistent && !tap.owned && !tap.held {
        findings.push(unowned(tap));
    }
    findings
}

fn leaked(tap: &Tap, tag: &PortTag) -> Finding {
    let name = &tap.name;
    Finding {
        id: "tap-leaked",
        severity: Severity::Warning,
        object: name.to_string(),
        what: format!("{name} was left behind by pid {}, on no network that is up", tag.pid),
        cause: "whoever held it made it persistent, and holds it no more".to_owned(),
        cure: format!("ip link delete {name}"),
        fix: Some(Fix::DeleteLink(name.clone(), tap.index)),
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

/// Its network went under its holder, who ended later.
fn forgotten(tap: &Tap, tag: &PortTag, own: Option<&Subject>) -> Finding {
    let name = &tap.name;
    let cure = match own {
        Some(own) => format!("vmnet tap rm {name}  # or have it attached again: vmnet up {}", own.network),
        None => format!("vmnet tap rm {name}"),
    };
    Finding {
        id: "tap-forgotten",
        severity: Severity::Warning,
        object: name.to_string(),
        what: format!("{name}, kept for uid {}, is a port of no network that is up", tag.uid),
        cause: format!("bridge {} was taken away under it", tag.bridge),
        cure,
        fix: None,
    }
}

fn loose(tap: &Tap, tag: &PortTag) -> Finding {
    let name = &tap.name;
    let holder = tap.holder.clone().unwrap_or_else(|| format!("pid {}", tag.pid));
    let breaches: Vec<String> = tap.breaches.iter().map(ToString::to_string).collect();
    Finding {
        id: "tap-loose",
        severity: Severity::Warning,
        object: name.to_string(),
        what: format!("{name}, held by {holder}: {}", breaches.join(", ")),
        cause: "the kernel lets whoever holds a TAP do that; it goes when nobody holds it".to_owned(),
        cure: format!("ip link delete {name}  # takes it from its holder now"),
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
    use super::super::finding::tests::subject;
    use super::*;

    fn tag(bridge: &str, kept: bool) -> Option<PortTag> {
        Some(PortTag { bridge: IfName::new(bridge.as_bytes()).unwrap(), uid: 1000, pid: 7, kept })
    }

    fn tap() -> Tap {
        Tap {
            name: IfName::new(b"vmtap7").unwrap(),
            index: 9,
            tag: tag("lab", false),
            breaches: Vec::new(),
            persistent: false,
            owned: false,
            holder: Some("qemu (pid 7)".to_owned()),
            held: true,
            master: Some(IfName::new(b"lab").unwrap()),
        }
    }

    /// The network `lab` is up; what is found, and whether `--fix` may do it.
    fn found(tap: &Tap) -> Vec<(&'static str, bool)> {
        judge(tap, &[subject("lab", 3), Subject { up: false, ..subject("old", 4) }])
            .iter()
            .map(|finding| (finding.id, finding.fix.is_some()))
            .collect()
    }

    #[test]
    fn a_link_that_is_no_tap_is_somebody_elses_and_stays() {
        let failure = delete(&IfName::new(b"lo").unwrap(), 1).unwrap_err();
        assert_eq!((failure.cause.as_str(), failure.kind), ("it is no TAP", ErrorKind::Conflict));
    }

    #[test]
    fn a_tap_that_is_held_is_never_deleted() {
        assert_eq!(found(&tap()), []);
        for persistent in [false, true] {
            let away = Tap { persistent, master: None, ..tap() };
            assert_eq!(found(&away), []);
            assert_eq!(found(&Tap { tag: tag("old", false), ..away }), [("tap-cut-off", false)]);
        }
    }

    #[test]
    fn a_tap_of_ours_that_nobody_holds_is_deleted_where_no_network_that_is_up_does_so() {
        let left = Tap { persistent: true, held: false, holder: None, ..tap() };
        assert_eq!(found(&left), [], "the network has drifted, and `up` deletes it");
        assert_eq!(found(&Tap { master: None, ..left.clone() }), []);
        let alone = Tap { tag: tag("old", false), master: None, ..left };
        assert_eq!(found(&alone), [("tap-leaked", true)]);
        let elsewhere = Tap { master: Some(IfName::new(b"old").unwrap()), ..alone };
        assert_eq!(found(&elsewhere), [("tap-leaked", true)]);
    }

    #[test]
    fn one_that_was_made_to_stay_is_found_only_where_its_network_is_gone() {
        let kept =
            Tap { tag: tag("lab", true), persistent: true, owned: true, held: false, holder: None, ..tap() };
        assert_eq!(found(&kept), []);
        assert_eq!(found(&Tap { held: true, ..kept.clone() }), []);
        let lost = Tap { tag: tag("old", true), master: None, ..kept };
        assert_eq!(found(&lost), [("tap-forgotten", false)]);
        assert_eq!(found(&Tap { held: true, ..lost.clone() }), [("tap-cut-off", false)]);
        // On a bridge that is no network of ours.
        let plain = Tap { tag: tag("br0", true), master: Some(IfName::new(b"br0").unwrap()), ..lost };
        assert_eq!(found(&plain), []);
        assert_eq!(found(&Tap { held: true, ..plain }), []);
    }

    #[test]
    fn a_holder_who_went_too_far_is_named_while_he_holds_it() {
        let loose = Tap { persistent: true, breaches: vec![GrantViolation::Persistent], ..tap() };
        assert_eq!(found(&loose), [("tap-loose", false)]);
        assert_eq!(
            found(&Tap { breaches: vec![GrantViolation::Mac], ..tap() }),
            [],
            "the network has drifted"
        );
    }

    #[test]
    fn a_strangers_tap_is_only_told_where_anybody_could_take_it() {
        let bare = Tap { tag: None, persistent: true, held: false, holder: None, ..tap() };
        assert_eq!(found(&bare), [("tap-unowned", false)]);
        assert_eq!(found(&Tap { owned: true, ..bare.clone() }), []);
        assert_eq!(found(&Tap { held: true, ..bare }), []);
    }
}
