//! TAPs, who holds them, and how many ports the bridges have.

use crate::doctor::bridges;
use crate::doctor::finding::{Finding, Subject};
use crate::doctor::taps::{self, Tap};
use crate::doctor::{Host, text};
use std::path::Path;
use vmnet_access::name::IfName;
use vmnet_host::links::{Links, Seen, SeenLink};
use vmnet_host::listeners as sockets;
use vmnet_model::error::Error;
use vmnet_sys::process::program;

/// What is wrong with them. Strangers' TAPs are looked at only where all networks are.
pub fn findings(
    host: &Host,
    subjects: &[Subject],
    seen: &Seen,
    all: bool,
    unseen: &mut Vec<String>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for subject in subjects.iter().filter(|subject| subject.is_there()) {
        let ports = seen.links.iter().filter(|link| link.master == subject.index).count();
        findings.extend(bridges::full(&subject.bridge, ports));
    }
    let concerned = |tap: &Tap| {
        let bridges = tap.tag.as_ref().map(|tag| tag.bridge.clone()).into_iter().chain(tap.master.clone());
        all || bridges.into_iter().any(|bridge| subjects.iter().any(|subject| subject.bridge == bridge))
    };
    let taps: Vec<Tap> = seen.links.iter().filter_map(|link| tap(link, seen)).filter(concerned).collect();
    if !host.root && taps.iter().any(|tap| tap.persistent) {
        unseen.push("who holds a TAP: only root can look it up".to_owned());
    }
    findings.extend(taps.iter().flat_map(|tap| taps::findings(tap, subjects)));
    findings
}

/// A TAP among the links.
fn tap(link: &SeenLink, seen: &Seen) -> Option<Tap> {
    let state = link.tap?;
    let holder = holder(&link.name);
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

/// The process with a descriptor that is bound to this TAP: its fdinfo says `iff:`.
fn holder(tap: &IfName) -> Option<String> {
    let line = format!("iff:\t{}", String::from_utf8_lossy(tap.as_bytes()));
    let holds = |pid: u32| {
        let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let of_tun = descriptors
            .filter(|entry| std::fs::read_link(entry.path()).is_ok_and(|to| to == Path::new("/dev/net/tun")));
        of_tun.into_iter().any(|entry| {
            let number = entry.file_name();
            let info = text(Path::new("/proc").join(pid.to_string()).join("fdinfo").join(number));
            info.lines().any(|found| found.trim_end() == line)
        })
    };
    let pid = sockets::pids().find(|pid| holds(*pid))?;
    Some(format!("{} (pid {pid})", program(pid)?))
}

/// Delete one that nobody holds: looked at once more, because somebody may have taken it meanwhile.
///
/// # Errors
/// It is held now, or the kernel refused.
pub fn delete(name: &IfName, index: u32) -> Result<(), Error> {
    let failed = |cause: &dyn std::fmt::Display| Error::new("delete", format!("link '{name}'"), cause);
    let links = Links::open().map_err(|error| failed(&error))?;
    let seen = links.snapshot().map_err(|error| failed(&error))?;
    let Some(link) = seen.links.iter().find(|link| link.name == *name && link.index == index) else {
        return Ok(());
    };
    let tap = tap(link, &seen).ok_or_else(|| failed(&"it is no TAP"))?;
    if taps::findings(&tap, &[]).iter().all(|finding| finding.fix.is_none()) {
        return Err(failed(&"somebody holds it by now"));
    }
    links.delete(index).map_err(|error| failed(&error))
}
