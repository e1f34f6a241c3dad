//! VDE switches: what keeps one from running, who else could put something in its place, and what it has
//! come to.

use super::finding::{Finding, Report, Severity, quoted};
use super::host::{Host, text};
use super::remedy;
use nix::unistd::Group;
use std::fs;
use std::os::unix::fs::MetadataExt;
use vmnet_access::name::NetName;
use vmnet_access::port_record::SwitchAccess;
use vmnet_model::network::Network;
use vmnet_model::vde_switch::Switch;
use vmnet_network::store::definitions;
use vmnet_tools::find;
use vmnet_vswitch::process_switch::PROGRAM;
use vmnet_vswitch::{clients, settings};

/// Each network's switch: what it needs, and while it runs its directory and who is plugged in.
pub(super) fn check(host: &Host<'_>, report: &mut Report) {
    let mut misses = false;
    for subject in host.subjects {
        let run_dir = host.dirs.run_dir(&subject.bridge);
        let file = definitions::place(host.dirs, &subject.network).display().to_string();
        let number = run_dir.switch().pid().display().to_string();
        let mut examined = Examined { network: &subject.network, file: &file, number: None };
        if let Ok(network) = definitions::read(host.dirs, &subject.network) {
            report.findings.extend(wanting(&examined, &network, &mut misses));
        }
        let of = match settings::recorded(&run_dir.switch()) {
            Ok(Some(of)) if subject.up => of,
            Ok(_) => continue,
            Err(failure) => {
                report.unseen.push(failure.to_string());
                continue;
            }
        };
        examined.number = of.run.map(|_| number.as_str());
        report.findings.extend(directory(&of));
        if !host.root {
            let network = &subject.network;
            report.unseen.push(format!("who is on the switch of network '{network}': only root can ask it"));
            continue;
        }
        match clients::look(&host.dirs.run, &run_dir.switch()) {
            Ok(clients) => report.findings.extend(plugged(&examined, &of, &clients)),
            Err(failure) => report.unseen.push(failure.to_string()),
        }
    }
}

/// What it needs and this host does not have. A program that several need is missed once.
fn wanting(examined: &Examined<'_>, network: &Network, misses: &mut bool) -> Vec<Finding> {
    let Some(vde) = &network.vde else { return Vec::new() };
    let mut findings = Vec::new();
    if vde.create && !*misses && find::program(PROGRAM).is_err() {
        *misses = true;
        findings.push(missing_program(examined.network, &text("/etc/os-release")));
    }
    if let Some(group) = vde.group.as_deref().filter(|group| matches!(Group::from_name(group), Ok(None))) {
        findings.push(missing_group(examined, group));
    }
    findings
}

fn directory(of: &Switch) -> Option<Finding> {
    // That it is not there, `status` tells.
    let meta = fs::symlink_metadata(of.door.directory.as_str()).ok()?;
    open_directory(&of.door, SeenDirectory { owner: meta.uid(), mode: meta.mode() })
}

fn plugged(examined: &Examined<'_>, of: &Switch, clients: &clients::Clients) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        clients.trouble.iter().map(|trouble| silent(examined, trouble)).collect();
    if clients.damaged {
        findings.push(mislaid(examined));
    }
    if let Some(run) = of.run.filter(|_| clients.is_full()) {
        // One of them is the pump's.
        findings.push(full(examined, run.ports.saturating_sub(1)));
    }
    findings
}

/// A network's switch.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Examined<'a> {
    /// The network.
    network: &'a NetName,
    /// Its file.
    file: &'a str,
    /// The file of its switch's number, where we run it.
    number: Option<&'a str>,
}

/// A directory as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SeenDirectory {
    /// Whose it is.
    owner: u32,
    /// Its permissions.
    mode: u32,
}

/// A network has a switch of its own, and this host nothing to run it.
fn missing_program(network: &NetName, os_release: &str) -> Finding {
    Finding {
        id: "switch-program",
        severity: Severity::Fault,
        object: PROGRAM.to_owned(),
        what: format!("program {PROGRAM} is not installed"),
        cause: format!("network '{network}' has a VDE switch, and does not come up without it"),
        cure: remedy::install(os_release, PROGRAM),
        fix: None,
    }
}

/// The file gives the switch to a group that there is not.
fn missing_group(examined: &Examined<'_>, group: &str) -> Finding {
    Finding {
        id: "switch-group",
        severity: Severity::Fault,
        object: examined.file.to_owned(),
        what: format!("there is no group '{group}'"),
        cause: format!("network '{}' gives its VDE switch to it, and does not come up", examined.network),
        cure: format!("groupadd {}", quoted(group)),
        fix: None,
    }
}

/// The directory is another's, or everybody may put something in it.
fn open_directory(door: &SwitchAccess, is: SeenDirectory) -> Option<Finding> {
    let directory = door.directory.as_str();
    let path = quoted(directory);
    let (what, cure) = if is.owner != door.owner {
        let what = format!("{directory} belongs to uid {}, not to uid {}", is.owner, door.owner);
        (what, format!("chown {}:{} {path} && chmod 2770 {path}", door.owner, door.group))
    } else if is.mode & 0o002 != 0 {
        (format!("everybody may write in {directory}"), format!("chmod o-w {path}"))
    } else {
        return None;
    };
    Some(Finding {
        id: "switch-directory",
        severity: Severity::Fault,
        object: directory.to_owned(),
        what,
        cause: "others could put a switch of theirs there, and see and change all frames".to_owned(),
        cure,
        fix: None,
    })
}

/// No port is free.
fn full(examined: &Examined<'_>, ports: u32) -> Finding {
    let (network, file) = (examined.network, quoted(examined.file));
    let more = ports.saturating_mul(2);
    Finding {
        id: "switch-full",
        severity: Severity::Fault,
        object: network.to_string(),
        what: format!("all ports of the VDE switch of network '{network}' are taken"),
        cause: format!("key 'ports' of [vde] in {} says how many it has: {ports}", examined.file),
        cure: format!(
            "sed -i -e '/^ *\\[vde\\]/,/^ *\\[/{{/^ *ports *=/d}}' -e 's/^ *\\[vde\\].*/&\\nports = {more}/' {file} \
             && vmnet up {network}"
        ),
        fix: None,
    }
}

/// It has lost a client of its own.
fn mislaid(examined: &Examined<'_>) -> Finding {
    let network = examined.network;
    Finding {
        id: "switch-mislaid",
        severity: Severity::Warning,
        object: network.to_string(),
        what: format!("the VDE switch of network '{network}' has mislaid a port"),
        cause: "vde_switch mixes up its clients when one leaves while another comes; the next to leave may \
                take another with him"
            .to_owned(),
        cure: restart(examined, "kill"),
        fix: None,
    }
}

/// Its console does not answer, or not as a console does.
fn silent(examined: &Examined<'_>, trouble: &str) -> Finding {
    Finding {
        id: "switch-console",
        severity: Severity::Fault,
        object: examined.network.to_string(),
        what: trouble.to_owned(),
        cause: "who is plugged in is not known, and the switch may hang".to_owned(),
        // What hangs, or is stopped, hears no other.
        cure: restart(examined, "kill -9"),
        fix: None,
    }
}

/// The keeper starts it again at once, and plugs everybody in whose port was granted.
fn restart(examined: &Examined<'_>, kill: &str) -> String {
    examined.number.map(|file| format!("{kill} $(cat {})", quoted(file))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use vmnet_access::vde::Directory;

    #[test]
    fn a_directory_is_its_owners_and_nobody_elses_to_write() {
        let door = SwitchAccess { directory: Directory::new("/run/my vde").unwrap(), owner: 7, group: 8 };
        let found = |owner, mode| open_directory(&door, SeenDirectory { owner, mode }).map(|one| one.cure);
        assert_eq!(found(7, 0o2770), None);
        assert_eq!(found(7, 0o2772).as_deref(), Some("chmod o-w '/run/my vde'"));
        assert_eq!(found(9, 0o2770).as_deref(), Some("chown 7:8 '/run/my vde' && chmod 2770 '/run/my vde'"));
    }

    #[test]
    fn only_a_switch_of_ours_is_started_again() {
        let network = NetName::new("lab").unwrap();
        let ours = Examined { network: &network, file: "/f", number: Some("/run/vmnet/lab/switch.pid") };
        assert_eq!(mislaid(&ours).cure, "kill $(cat /run/vmnet/lab/switch.pid)");
        assert_eq!(silent(&Examined { number: None, ..ours }, "it hung up").cure, "");
    }
}
