//! NetworkManager and systemd-networkd, where they run: their files, and what each says of our links
//! in its own directory below /run.

use crate::doctor::finding::{Finding, Subject};
use crate::doctor::managers::{self, Link, NetworkManager, NetworkdFacts};
use crate::doctor::{Host, text};
use std::collections::BTreeMap;
use std::path::PathBuf;
use vmnet_access::port_record::PortTag;
use vmnet_host::links::{Seen, SeenLink};

/// What is wrong with them.
pub fn findings(host: &Host, subjects: &[Subject], seen: &Seen) -> Vec<Finding> {
    let ours: Vec<&SeenLink> = seen.links.iter().filter(|link| is_ours(link, subjects)).collect();
    let mut findings = Vec::new();
    if host.runs("NetworkManager") {
        let facts =
            NetworkManager { files: network_manager_files(), links: states(&ours, network_manager_state) };
        findings.extend(managers::network_manager(&facts, subjects));
    }
    if host.runs("systemd-network") {
        let facts = NetworkdFacts { files: networkd_files(), links: states(&ours, networkd_state) };
        findings.extend(managers::networkd(&facts, subjects));
    }
    findings
}

fn is_ours(link: &SeenLink, subjects: &[Subject]) -> bool {
    let tag = || link.alias.as_deref().and_then(|alias| PortTag::parse(alias.as_bytes()));
    subjects.iter().any(|subject| {
        let bridge = subject.up && subject.bridge == link.name;
        bridge || tag().is_some_and(|tag| tag.bridge == subject.bridge)
    })
}

fn states(links: &[&SeenLink], state: impl Fn(u32) -> Option<bool>) -> Vec<Link> {
    links.iter().map(|link| Link { name: link.name.clone(), managed: state(link.index) }).collect()
}

/// The value of a `KEY=` line.
fn value(text: &str, key: &str) -> Option<String> {
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
        .map(|value| value.trim().to_owned())
}

/// `managed=` in what NetworkManager keeps of each device.
fn network_manager_state(index: u32) -> Option<bool> {
    value(&text(format!("/run/NetworkManager/devices/{index}")), "managed").map(|word| word == "true")
}

/// A link that networkd found a file for and does not leave unmanaged.
fn networkd_state(index: u32) -> Option<bool> {
    let state = text(format!("/run/systemd/netif/links/{index}"));
    let word = value(&state, "ADMIN_STATE")?;
    Some(word != "unmanaged" && value(&state, "NETWORK_FILE").is_some())
}

/// Its files in the order in which it reads them. One below /etc hides one of the same name below
/// /run, and that one below /usr/lib (NetworkManager.conf(5)).
fn network_manager_files() -> Vec<String> {
    let directories =
        ["/etc/NetworkManager/conf.d", "/run/NetworkManager/conf.d", "/usr/lib/NetworkManager/conf.d"];
    let files: Vec<PathBuf> = in_force(&directories, ".conf");
    let (own, vendors): (Vec<PathBuf>, Vec<PathBuf>) =
        files.into_iter().partition(|path| path.starts_with("/etc"));
    let main = PathBuf::from("/etc/NetworkManager/NetworkManager.conf");
    vendors.into_iter().chain([main]).chain(own).map(text).collect()
}

/// Its files in the order in which it asks them; an empty one is as good as none
/// (systemd.network(5)).
fn networkd_files() -> Vec<(String, String)> {
    let directories = [
        "/etc/systemd/network",
        "/run/systemd/network",
        "/usr/local/lib/systemd/network",
        "/usr/lib/systemd/network",
    ];
    let files = in_force(&directories, ".network").into_iter();
    files.map(|path| (path.display().to_string(), text(&path))).filter(|(_, text)| !text.is_empty()).collect()
}

/// The files with this ending, by their names; of those with the same name the first directory's.
fn in_force(directories: &[&str], ending: &str) -> Vec<PathBuf> {
    let mut found = BTreeMap::new();
    for directory in directories {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().ends_with(ending) {
                found.entry(entry.file_name()).or_insert_with(|| entry.path());
            }
        }
    }
    found.into_values().collect()
}
