//! The host's other firewalls: Docker's, ufw's, firewalld's, a policy of somebody's own. What they
//! drop, no accept in our table lets through, so each that is closed gets accepts of ours while a
//! network is up ([`vmnet_model::other_firewalls`]).

use super::finding::{Finding, Fix, Report, Severity, Subject};
use super::host::{Host, text};
use std::path::Path;
use vmnet_access::name::IfName;
use vmnet_host::firewalls::firewalld::{self, Zone as Seen};
use vmnet_host::{firewalls as foreign, ipv6, sysctl};
use vmnet_model::other_firewalls::{FIREWALLD, Guests, Hook, Opening, Place};
use vmnet_network::store::definitions;

/// What is closed to whom.
pub(super) fn check(host: &Host<'_>, report: &mut Report) {
    let firewalls = Firewalls { ufw: ufw_is_on(), frames: frames_are_shown() };
    if !host.root {
        report.unseen.push("the host's firewall: only root can look at it".to_owned());
    }
    for subject in host.subjects {
        let Ok(network) = definitions::read(host.dirs, &subject.network) else { continue };
        if host.root {
            match foreign::look(&Guests::of(&network, ipv6::is_there())) {
                Ok(openings) => report.findings.extend(judge(subject, &openings, &firewalls)),
                Err(failure) => report.unseen.push(failure.to_string()),
            }
        }
        if host.runs("firewalld") {
            let zone = zone(&subject.bridge, &mut report.unseen);
            report.findings.extend(judge_firewalld(subject, zone));
        }
    }
}

/// ufw's own word (`/etc/ufw/ufw.conf`).
fn ufw_is_on() -> bool {
    text("/etc/ufw/ufw.conf").lines().any(|line| line.trim().eq_ignore_ascii_case("enabled=yes"))
}

/// br_netfilter's switches; they are not there while it is not loaded.
fn frames_are_shown() -> bool {
    let switches = ["bridge-nf-call-iptables", "bridge-nf-call-ip6tables"];
    let on = |switch: &&str| {
        sysctl::read(&Path::new("/proc/sys/net/bridge").join(switch)).is_ok_and(|now| now == "1")
    };
    switches.iter().any(on)
}

fn zone(bridge: &IfName, unseen: &mut Vec<String>) -> Zone {
    match firewalld::zone(bridge) {
        Some(Ok(Seen::Some(_))) => Zone::Chosen,
        Some(Ok(Seen::None)) => Zone::Default,
        None | Some(Ok(Seen::Absent)) => Zone::Unknown,
        Some(Err(why)) => {
            unseen.push(format!("firewalld's zone of {bridge}: {why}"));
            Zone::Unknown
        }
    }
}

/// What is known besides the chains themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Firewalls {
    /// ufw is on.
    ufw: bool,
    /// br_netfilter shows the frames between guests to the host's FORWARD chains.
    frames: bool,
}

impl Firewalls {
    /// Whose chain it is.
    fn owner(&self, place: &Place) -> &'static str {
        match place.chain.as_str() {
            "DOCKER-USER" => "Docker",
            _ if place.table == FIREWALLD => "firewalld",
            _ if self.ufw && place.table == "filter" => "ufw",
            _ => "the host's firewall",
        }
    }
}

/// How firewalld treats a bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Zone {
    /// It is in a zone of its own.
    Chosen,
    /// The default zone holds for it.
    Default,
    /// It was not asked.
    Unknown,
}

/// What is wrong for one network.
fn judge(subject: &Subject, openings: &[Opening], firewalls: &Firewalls) -> Vec<Finding> {
    let closed = |opening: &&Opening| !opening.needs.is_empty() && !opening.open;
    let open = |opening: &&Opening| !opening.needs.is_empty() && opening.open;
    let mut findings = Vec::new();
    findings.extend(closed_to(subject, &openings.iter().filter(closed).collect::<Vec<_>>(), firewalls));
    findings.extend(opened_for(subject, &openings.iter().filter(open).collect::<Vec<_>>(), firewalls));
    if firewalls.frames && openings.iter().filter(closed).any(|opening| opening.hook == Hook::Forward) {
        findings.push(Finding {
            id: "br-netfilter",
            severity: Severity::Fault,
            object: "br_netfilter".to_owned(),
            what: format!(
                "what guests of '{}' send each other passes the host's FORWARD chains",
                subject.network
            ),
            cause: "br_netfilter is on, and a FORWARD chain is closed".to_owned(),
            cure: "sysctl -w net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0"
                .to_owned(),
            fix: None,
        });
    }
    findings
}

fn closed_to(subject: &Subject, closed: &[&Opening], firewalls: &Firewalls) -> Option<Finding> {
    let name = &subject.network;
    let (owners, dirs) = words(closed, firewalls)?;
    let part = match (
        closed.iter().any(|c| c.hook == Hook::Forward),
        closed.iter().any(|c| c.hook == Hook::Input),
    ) {
        (true, true) => "and its host",
        (true, false) => "and the world",
        _ => "and its host (DHCP, DNS)",
    };
    Some(Finding {
        id: "firewall-closed",
        severity: Severity::Fault,
        object: dirs.clone(),
        what: format!("{owners} drops what passes between guests of '{name}' {part}"),
        cause: if subject.up {
            format!("the accepts of vmnet are not, or not first, in {dirs}")
        } else {
            format!("{dirs} is closed; vmnet opens it while the network is up")
        },
        cure: format!("vmnet up {name}"),
        fix: subject.up.then(|| Fix::Raise(name.clone())),
    })
}

fn opened_for(subject: &Subject, open: &[&Opening], firewalls: &Firewalls) -> Option<Finding> {
    let name = &subject.network;
    let (owners, dirs) = words(open, firewalls)?;
    Some(Finding {
        id: "firewall-opened",
        severity: Severity::Note,
        object: dirs.clone(),
        what: format!("{owners} refuses what it does not know, and vmnet has opened it for '{name}'"),
        cause: format!("accepts with the comment 'vmnet {name}' stand in {dirs} while the network is up"),
        cure: String::new(),
        fix: None,
    })
}

/// Owners and places of these chains, in words.
fn words(openings: &[&Opening], firewalls: &Firewalls) -> Option<(String, String)> {
    let sorted = |mut list: Vec<String>| {
        list.sort();
        list.dedup();
        list.join(", ")
    };
    let owners = openings.iter().map(|opening| firewalls.owner(&opening.place).to_owned()).collect();
    let dirs = openings.iter().map(|opening| opening.place.to_string()).collect();
    (!openings.is_empty()).then(|| (sorted(owners), sorted(dirs)))
}

/// What firewalld, running, does to one network.
fn judge_firewalld(subject: &Subject, zone: Zone) -> Option<Finding> {
    let (name, bridge) = (&subject.network, &subject.bridge);
    let finding = |id, severity, what: String, cause: &str, cure: String| Finding {
        id,
        severity,
        object: "firewalld".to_owned(),
        what,
        cause: cause.to_owned(),
        cure,
        fix: None,
    };
    match (subject.up, zone) {
        (_, Zone::Unknown) => None,
        (true, Zone::Chosen) => Some(finding(
            "firewall-opened",
            Severity::Note,
            format!("firewalld runs, and bridge {bridge} has a zone of its own"),
            "vmnet puts it into one while the network is up, unless an administrator did",
            String::new(),
        )),
        (true, Zone::Default) => Some(finding(
            "firewall-closed",
            Severity::Fault,
            format!("firewalld drops what guests of '{name}' ask their host (DHCP, DNS)"),
            "the bridge is in no zone of its own, so the default zone holds",
            format!("firewall-cmd --zone=trusted --add-interface={bridge}"),
        )),
        (false, Zone::Chosen) => None,
        (false, Zone::Default) => Some(finding(
            "firewall-closed",
            Severity::Fault,
            format!("firewalld drops what guests of '{name}' ask their host (DHCP, DNS)"),
            "vmnet puts the bridge into the zone trusted while the network is up",
            format!("vmnet up {name}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::tests::subject;
    use super::*;
    use vmnet_model::other_firewalls::Backend;
    use vmnet_model::other_firewalls::Family;
    use vmnet_model::other_firewalls::Purpose;

    fn opening(chain: &str, hook: Hook, open: bool) -> Opening {
        let table = "filter".to_owned();
        let place = Place { backend: Backend::Nft, family: Family::Ip, table, chain: chain.to_owned() };
        Opening { place, hook, needs: vec![Purpose::From], has: Vec::new(), open }
    }

    fn ids(up: bool, openings: &[Opening], frames: bool) -> Vec<(&'static str, bool)> {
        let subject = Subject { up, ..subject("lab", 3) };
        let found = judge(&subject, openings, &Firewalls { ufw: true, frames });
        found.iter().map(|finding| (finding.id, finding.fix.is_some())).collect()
    }

    #[test]
    fn a_closed_chain_is_a_fault_and_one_that_was_opened_a_note() {
        let closed = [opening("INPUT", Hook::Input, false), opening("DOCKER-USER", Hook::Forward, false)];
        assert_eq!(ids(false, &closed, false), [("firewall-closed", false)]);
        assert_eq!(ids(true, &closed, false), [("firewall-closed", true)]);
        assert_eq!(ids(true, &[opening("INPUT", Hook::Input, true)], true), [("firewall-opened", false)]);
        assert_eq!(ids(true, &[], true), []);
    }

    #[test]
    fn owners_are_named() {
        let closed = [opening("INPUT", Hook::Input, false), opening("DOCKER-USER", Hook::Forward, false)];
        let told = judge(&subject("lab", 3), &closed, &Firewalls { ufw: true, frames: false });
        assert!(told[0].what.starts_with("Docker, ufw drops"), "{}", told[0].what);
        assert_eq!(told[0].object, "ip filter DOCKER-USER, ip filter INPUT");
    }

    #[test]
    fn br_netfilter_is_told_only_where_a_forward_chain_is_closed() {
        let forward = [opening("FORWARD", Hook::Forward, false)];
        assert_eq!(ids(true, &forward, true), [("firewall-closed", true), ("br-netfilter", false)]);
        assert_eq!(ids(true, &[opening("INPUT", Hook::Input, false)], true), [("firewall-closed", true)]);
        assert_eq!(ids(true, &forward, false), [("firewall-closed", true)]);
    }
}
