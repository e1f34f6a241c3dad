//! NetworkManager and systemd-networkd taking our links: they give a bridge addresses of their own,
//! ask for leases on a guest's port, or take the port off its bridge.

use super::files::{self, Networkd, SHIPPED};
use super::finding::{Finding, Report, Severity, Subject};
use super::host::{Host, entries, text};
use std::collections::BTreeMap;
use std::path::PathBuf;
use vmnet_access::name::IfName;
use vmnet_access::port_record::{PortTag, TAP_TEMPLATE, VETH_TEMPLATE, port_name};
use vmnet_host::links::SeenLink;

/// Each that runs: its files, and what it says of our links in its own directory below /run.
pub(super) fn check(host: &Host<'_>, report: &mut Report) {
    let subjects = host.subjects;
    let ours: Vec<&SeenLink> = host.seen.links.iter().filter(|link| is_ours(link, subjects)).collect();
    if host.runs("NetworkManager") {
        let facts =
            NetworkManager { files: network_manager_files(), links: states(&ours, network_manager_state) };
        report.findings.extend(judge_network_manager(&facts, subjects));
    }
    if host.runs("systemd-network") {
        let facts = NetworkdFacts { files: networkd_files(), links: states(&ours, networkd_state) };
        report.findings.extend(judge_networkd(&facts, subjects));
    }
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
        for entry in entries(directory) {
            if entry.file_name().to_string_lossy().ends_with(ending) {
                found.entry(entry.file_name()).or_insert_with(|| entry.path());
            }
        }
    }
    found.into_values().collect()
}

/// A link as one manager sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Link {
    /// Its name.
    name: IfName,
    /// The manager has it in its hands; none: it has not said so.
    managed: Option<bool>,
}

/// NetworkManager, running.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct NetworkManager {
    /// Its files, the one that wins last.
    files: Vec<String>,
    /// Our links that are there.
    links: Vec<Link>,
}

/// systemd-networkd, running.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct NetworkdFacts {
    /// Its `.network` files in the order in which it asks them: path and text.
    files: Vec<(String, String)>,
    /// Our links that are there.
    links: Vec<Link>,
}

/// A guest's ports, by any number, and their kinds.
fn any_ports() -> [(String, &'static str); 2] {
    [(port_name(TAP_TEMPLATE, 1), "tun"), (port_name(VETH_TEMPLATE, 1), "veth")]
}

/// The names in a cure, as patterns.
fn pattern(link: &str) -> String {
    let ports = [TAP_TEMPLATE, VETH_TEMPLATE].map(|template| template.replace("%d", "*"));
    let known = [SHIPPED.to_owned()].into_iter().chain(ports).find(|pattern| files::fits(pattern, link));
    known.unwrap_or_else(|| link.to_owned())
}

/// What is wrong with NetworkManager.
fn judge_network_manager(facts: &NetworkManager, subjects: &[Subject]) -> Vec<Finding> {
    let spares = |link: &str, kind: &str| files::network_manager_spares(&facts.files, link, kind);
    let bare = unspared(subjects, |link, kind| !spares(link, kind));
    let mut findings = Vec::new();
    if !bare.is_empty() {
        let patterns: Vec<String> = bare.iter().map(|p| format!("interface-name:{p}")).collect();
        let lines =
            format!("'[device-vmnet-{0}]' 'match-device={1}' managed=0", plain(&bare), patterns.join(","));
        let file = format!("/etc/NetworkManager/conf.d/vmnet-{}.conf", plain(&bare));
        findings.push(Finding {
            id: "networkmanager-config",
            severity: Severity::Warning,
            object: bare.join(" "),
            what: format!("NetworkManager is not told to leave {} alone", bare.join(" and ")),
            cause: "none of its files says managed=0 for them".to_owned(),
            cure: format!("printf '%s\\n' {lines} >{file} && nmcli general reload"),
            fix: None,
        });
    }
    findings.extend(taken(&facts.links).map(|link| Finding {
        id: "networkmanager-link",
        severity: Severity::Fault,
        object: link.to_string(),
        what: format!("NetworkManager manages {link}"),
        cause: "it may take its address away, ask for a lease on it, or take it off its bridge".to_owned(),
        cure: format!("nmcli device set {link} managed no"),
        fix: None,
    }));
    findings
}

/// What is wrong with systemd-networkd.
fn judge_networkd(facts: &NetworkdFacts, subjects: &[Subject]) -> Vec<Finding> {
    // The first file that matches decides.
    let taker = |link: &str, kind: &str| {
        facts.files.iter().find_map(|(path, text)| match files::networkd(text, link, kind) {
            Networkd::Passes => None,
            Networkd::Leaves => Some(None),
            Networkd::Takes => Some(Some(path.clone())),
        })?
    };
    let bare = unspared(subjects, |link, kind| taker(link, kind).is_some());
    let mut findings = Vec::new();
    if let Some(first) = bare.first() {
        let port = any_ports().into_iter().find(|(port, _)| files::fits(first, port));
        let sample = port.unwrap_or_else(|| (first.replace('*', "0"), "bridge"));
        let path = taker(&sample.0, sample.1).unwrap_or_else(|| "a file".to_owned());
        let lines = format!("'[Match]' 'Name={}' '[Link]' Unmanaged=yes", bare.join(" "));
        findings.push(Finding {
            id: "networkd-config",
            severity: Severity::Warning,
            object: bare.join(" "),
            what: format!("systemd-networkd takes {}", bare.join(" and ")),
            cause: format!("{path} matches, and no file before it says Unmanaged=yes"),
            cure: format!("printf '%s\\n' {lines} >{} && networkctl reload", networkd_file(&bare)),
            fix: None,
        });
    }
    findings.extend(taken(&facts.links).map(|link| Finding {
        id: "networkd-link",
        severity: Severity::Fault,
        object: link.to_string(),
        what: format!("systemd-networkd manages {link}"),
        cause: "it may take its address away or ask for a lease on it".to_owned(),
        cure: {
            let pattern = pattern(&link.to_string());
            let file = networkd_file(std::slice::from_ref(&pattern));
            format!(
                "printf '%s\\n' '[Match]' 'Name={pattern}' '[Link]' Unmanaged=yes >{file} && networkctl reload && networkctl reconfigure {link}"
            )
        },
        fix: None,
    }));
    findings
}

/// Each cure has a file of its own: it must not undo an earlier one.
fn networkd_file(patterns: &[String]) -> String {
    format!("/etc/systemd/network/05-vmnet-{}.network", plain(patterns))
}

/// Patterns as part of a file's name.
fn plain(patterns: &[String]) -> String {
    patterns.join("-").replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "")
}

fn taken(links: &[Link]) -> impl Iterator<Item = &IfName> {
    links.iter().filter(|link| link.managed == Some(true)).map(|link| &link.name)
}

/// The patterns of our links that a manager would take.
fn unspared(subjects: &[Subject], takes: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let bridges = subjects.iter().map(|subject| (subject.bridge.to_string(), "bridge"));
    let links = bridges.chain(any_ports());
    let mut patterns: Vec<String> =
        links.filter(|(link, kind)| takes(link, kind)).map(|(link, _)| pattern(&link)).collect();
    patterns.sort();
    patterns.dedup();
    patterns
}

#[cfg(test)]
mod tests {
    use super::super::finding::tests::subject;
    use super::*;

    fn link(name: &str, managed: Option<bool>) -> Link {
        Link { name: IfName::new(name.as_bytes()).unwrap(), managed }
    }

    #[test]
    fn our_snippet_is_enough_for_network_manager_but_not_for_another_name() {
        let ours = include_str!("../../conf/networkmanager.conf").to_owned();
        let facts = NetworkManager { files: vec![ours], links: vec![link("brmgr0", Some(false))] };
        assert_eq!(judge_network_manager(&facts, &[subject("brmgr0", 3)]), []);
        let lab = &judge_network_manager(&facts, &[subject("lab", 3)])[0];
        assert_eq!((lab.id, lab.object.as_str()), ("networkmanager-config", "lab"));
        let bare = &judge_network_manager(&NetworkManager::default(), &[subject("brmgr0", 3)])[0];
        assert_eq!(bare.object, "brmgr* vmtap* vmveth*");
        assert!(
            bare.cure
                .contains("match-device=interface-name:brmgr*,interface-name:vmtap*,interface-name:vmveth*"),
            "{}",
            bare.cure
        );
    }

    #[test]
    fn a_cure_cures() {
        let facts = NetworkManager::default();
        let cure = judge_network_manager(&facts, &[subject("lab", 3)])[0].cure.clone();
        let words = cure.split(" >").next().unwrap().trim_start_matches("printf '%s\\n' ");
        let text = words.replace("' '", "\n").replace("' ", "\n").replace('\'', "");
        let cured = NetworkManager { files: vec![text], links: Vec::new() };
        assert_eq!(judge_network_manager(&cured, &[subject("lab", 3)]), []);
    }

    #[test]
    fn a_link_that_a_manager_has_is_a_fault() {
        let links = vec![link("brmgr0", Some(true)), link("vmtap7", None), link("vmtap8", Some(false))];
        let ours =
            ("/lib/05-vmnet.network".to_owned(), include_str!("../../conf/networkd.network").to_owned());
        let all = ("/etc/50-all.network".to_owned(), "[Match]\nName=*\n[Network]\nDHCP=yes\n".to_owned());
        let facts = NetworkdFacts { files: vec![ours.clone(), all.clone()], links };
        let told = judge_networkd(&facts, &[subject("brmgr0", 3)]);
        assert_eq!(
            told.iter().map(|f| (f.id, f.object.as_str())).collect::<Vec<_>>(),
            [("networkd-link", "brmgr0")]
        );
        let facts = NetworkdFacts { files: vec![all, ours], links: Vec::new() };
        let told = &judge_networkd(&facts, &[subject("brmgr0", 3)])[0];
        assert_eq!((told.id, told.severity), ("networkd-config", Severity::Warning));
        assert!(told.cause.starts_with("/etc/50-all.network matches"), "{}", told.cause);
    }
}
