//! The host's other firewalls, as each network meets them.

use crate::doctor::finding::{Finding, Subject};
use crate::doctor::firewall::{self, Firewalls, Zone};
use crate::doctor::{Host, text};
use crate::networks;
use crate::places::Places;
use std::path::Path;
use vmnet_access::name::IfName;
use vmnet_host::firewalls as foreign;
use vmnet_host::firewalls::firewalld::{self, Zone as Seen};
use vmnet_host::ipv6;
use vmnet_host::sysctl;
use vmnet_model::foreign::Guests;

/// What is closed to whom.
pub fn findings(
    places: &Places,
    host: &Host,
    subjects: &[Subject],
    unseen: &mut Vec<String>,
) -> Vec<Finding> {
    let firewalls = Firewalls { ufw: ufw_is_on(), frames: frames_are_shown() };
    let mut findings = Vec::new();
    if !host.root {
        unseen.push("the host's firewall: only root can look at it".to_owned());
    }
    for subject in subjects {
        let Ok(network) = networks::read(places, &subject.network) else { continue };
        if host.root {
            match foreign::look(&Guests::of(&network, ipv6::is_there())) {
                Ok(openings) => findings.extend(firewall::findings(subject, &openings, &firewalls)),
                Err(failure) => unseen.push(failure.to_string()),
            }
        }
        if host.runs("firewalld") {
            let zone = zone(&subject.bridge, unseen);
            findings.extend(firewall::firewalld(subject, zone));
        }
    }
    findings
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
