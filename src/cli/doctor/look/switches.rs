//! The networks' VDE switches.

use crate::clients;
use crate::doctor::finding::{Finding, Subject};
use crate::doctor::switches::{self, Examined, SeenDirectory};
use crate::doctor::{Host, text};
use crate::networks;
use crate::places::Places;
use crate::switch;
use nix::unistd::Group;
use std::fs;
use std::os::unix::fs::MetadataExt;
use vmnet_model::network::Network;
use vmnet_model::vde_switch::Switch;
use vmnet_tools::find;

/// What is wrong with them.
pub fn findings(
    places: &Places,
    host: &Host,
    subjects: &[Subject],
    unseen: &mut Vec<String>,
) -> Vec<Finding> {
    let (mut findings, mut misses) = (Vec::new(), false);
    for subject in subjects {
        let room = places.room(&subject.bridge);
        let file = places.network_file(&subject.network).display().to_string();
        let number = room.switch_pid().display().to_string();
        let mut examined = Examined { network: &subject.network, file: &file, number: None };
        if let Ok(network) = networks::read(places, &subject.network) {
            findings.extend(wanting(&examined, &network, &mut misses));
        }
        let of = match switch::recorded(&room) {
            Ok(Some(of)) if subject.up => of,
            Ok(_) => continue,
            Err(failure) => {
                unseen.push(failure.to_string());
                continue;
            }
        };
        examined.number = of.run.map(|_| number.as_str());
        findings.extend(directory(&of));
        if !host.root {
            unseen
                .push(format!("who is on the switch of network '{}': only root can ask it", subject.network));
            continue;
        }
        match clients::look(places, &room) {
            Ok(clients) => findings.extend(plugged(&examined, &of, &clients)),
            Err(failure) => unseen.push(failure.to_string()),
        }
    }
    findings
}

/// What it needs and this host does not have. A program that several need is missed once.
fn wanting(examined: &Examined<'_>, network: &Network, misses: &mut bool) -> Vec<Finding> {
    let Some(vde) = &network.vde else { return Vec::new() };
    let mut findings = Vec::new();
    if vde.create && !*misses && find::program(crate::wire::switch::PROGRAM).is_err() {
        *misses = true;
        findings.push(switches::missing_program(examined.network, &text("/etc/os-release")));
    }
    if let Some(group) = vde.group.as_deref().filter(|group| matches!(Group::from_name(group), Ok(None))) {
        findings.push(switches::missing_group(examined, group));
    }
    findings
}

fn directory(of: &Switch) -> Option<Finding> {
    // That it is not there, `status` tells.
    let meta = fs::symlink_metadata(of.door.directory.as_str()).ok()?;
    switches::open_directory(&of.door, SeenDirectory { owner: meta.uid(), mode: meta.mode() })
}

fn plugged(examined: &Examined<'_>, of: &Switch, clients: &clients::Clients) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        clients.trouble.iter().map(|trouble| switches::silent(examined, trouble)).collect();
    if clients.damaged {
        findings.push(switches::mislaid(examined));
    }
    if let Some(run) = of.run.filter(|_| clients.is_full()) {
        // One of them is the pump's.
        findings.push(switches::full(examined, run.ports.saturating_sub(1)));
    }
    findings
}
