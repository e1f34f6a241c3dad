//! The access rules, as `check` reads them.

use crate::cmd::check::unknown;
use crate::doctor::finding::Finding;
use crate::doctor::rules::{matches_nothing, unknown_account, unreadable, without_bridge};
use crate::networks;
use crate::places::Places;
use vmnet_access::name::{IfName, NetName};
use vmnet_access::rules::{Account, Rule};
use vmnet_host::links::Seen;
use vmnet_port::policy::{self, PolicyError};
use vmnet_sys::trust::Reader;

/// Which of them match nothing.
pub fn findings(places: &Places, seen: &Seen, unseen: &mut Vec<String>) -> Vec<Finding> {
    let set = match policy::collect(&places.rules(), Reader::Myself) {
        Ok(set) => set,
        // Nobody was let in yet, which is where every host begins.
        Err(PolicyError::NoFile(_)) => return Vec::new(),
        Err(error) => return vec![unreadable(&error.to_string())],
    };
    let networks: Vec<IfName> =
        networks::names(places).unwrap_or_default().iter().map(NetName::bridge).collect();
    let known =
        |bridge: &IfName| networks.contains(bridge) || seen.links.iter().any(|link| link.name == *bridge);
    let mut findings = Vec::new();
    for rule in &set.rules {
        findings.extend(rule.remark().map(|remark| matches_nothing(&rule.place, &remark)));
        findings.extend(without_bridge(rule, known));
        findings.extend(accounts(rule));
    }
    for (place, path) in &set.missing {
        findings.push(matches_nothing(place, &format!("{} does not exist", path.display())));
    }
    unseen.extend(set.withheld.iter().map(|path| format!("{}: you may not read it", path.display())));
    findings
}

/// A rule for nobody but accounts that do not exist, or for some such.
fn accounts(rule: &Rule) -> Option<Finding> {
    let users = rule.who.users.iter().map(|user| ("user", user));
    let all: Vec<(&str, &Account)> =
        users.chain(rule.who.groups.iter().map(|group| ("group", group))).collect();
    let nobody = |(kind, account): &(&str, &Account)| match account {
        Account::Name(name) => unknown(kind, name),
        Account::Id(_) => None,
    };
    let unknown: Vec<String> = all.iter().filter_map(nobody).collect();
    if unknown.is_empty() {
        return None;
    }
    let why = unknown.join(", ");
    Some(if unknown.len() == all.len() {
        matches_nothing(&rule.place, &why)
    } else {
        unknown_account(&rule.place, &why)
    })
}
