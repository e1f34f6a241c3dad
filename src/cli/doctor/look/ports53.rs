//! Who holds the ports of DNS and DHCP besides our own servers.

use crate::doctor::dns_ports::{self as ports, DHCP, DNS, Foreign};
use crate::doctor::files::{Setting, dnsmasq_arguments, dnsmasq_file};
use crate::doctor::finding::{Finding, Subject};
use crate::doctor::{Host, text};
use crate::places::Places;
use crate::process;
use std::path::{Path, PathBuf};
use vmnet_host::listeners::{Holder, Listener, listeners, process as holder};
use vmnet_sys::process::command_line;

/// How many files one dnsmasq's configuration is followed through.
const FILES_MAX: usize = 200;

/// What is wrong with the ports.
pub fn findings(
    places: &Places,
    host: &Host,
    subjects: &[Subject],
    unseen: &mut Vec<String>,
) -> Vec<Finding> {
    let of_interest = |listener: &Listener| matches!(listener.port, DNS | DHCP);
    let mut foreign: Vec<Foreign> = Vec::new();
    for listener in listeners().into_iter().filter(of_interest) {
        if is_our_servers(&listener, subjects) {
            continue;
        }
        let holder = holder(&listener);
        if holder.as_ref().is_some_and(|holder| is_ours(places, holder.pid)) {
            continue;
        }
        let socket = (listener.address, listener.interface);
        let program = holder.as_ref().map(|holder| (holder.program.clone(), holder.pid));
        let same = |other: &&mut Foreign| other.program == program && other.port == listener.port;
        match foreign.iter_mut().find(same) {
            Some(other) => other.sockets.push(socket),
            None => foreign.push(Foreign {
                port: listener.port,
                sockets: vec![socket],
                dnsmasq: holder.as_ref().and_then(settings),
                program,
            }),
        }
    }
    let findings = ports::findings(&foreign, subjects, host.services);
    if !host.root && !findings.is_empty() {
        unseen.push("who holds port 53 or 67: only root can look it up".to_owned());
    }
    findings
}

/// A socket where our own server has its, while it runs. Its process is not asked, because only root
/// could.
fn is_our_servers(listener: &Listener, subjects: &[Subject]) -> bool {
    subjects.iter().filter(|subject| subject.serves).any(|subject| match listener.interface {
        Some(link) => Some(link) == subject.index,
        None => listener.port == DNS && Some(listener.address) == subject.address.map(Into::into),
    })
}

/// A server of a network of ours, examined or not.
fn is_ours(places: &Places, pid: u32) -> bool {
    let ours = format!("--conf-file={}/", places.run.display()).into_bytes();
    command_line(pid).iter().any(|word| word.starts_with(&ours))
        || crate::record::all(places).unwrap_or_default().iter().any(|(bridge, _)| {
            process::server(&places.room(bridge)).is_some_and(|own| own.pid().as_raw().unsigned_abs() == pid)
        })
}

/// What a dnsmasq was told by its command line and its files.
fn settings(holder: &Holder) -> Option<Vec<Setting>> {
    if holder.program != "dnsmasq" {
        return None;
    }
    let words = command_line(holder.pid).into_iter().skip(1);
    let words: Vec<String> = words.map(|word| String::from_utf8_lossy(&word).into_owned()).collect();
    let mut all = dnsmasq_arguments(&words);
    if !all.iter().any(|(key, _)| key == "conf-file") {
        all.push(("conf-file".to_owned(), "/etc/dnsmasq.conf".to_owned()));
    }
    // The list grows while it is read: a file may name more.
    let mut at = 0;
    let mut files = 0;
    while let Some((key, value)) = all.get(at).cloned() {
        at += 1;
        let more = match key.as_str() {
            "conf-file" => vec![PathBuf::from(value)],
            "conf-dir" => files_of(&value),
            _ => continue,
        };
        for file in more.into_iter().take(FILES_MAX.saturating_sub(files)) {
            files += 1;
            all.extend(dnsmasq_file(&text(&file)));
        }
    }
    Some(all)
}

/// `DIR[,ENDING…]`: all files but those with these endings; with `*` in front, only those.
fn files_of(value: &str) -> Vec<PathBuf> {
    let mut words = value.split(',');
    let directory = Path::new(words.next().unwrap_or_default());
    let endings: Vec<&str> = words.collect();
    let (only, but): (Vec<&str>, Vec<&str>) = endings.into_iter().partition(|ending| ending.starts_with('*'));
    let wanted = |name: &str| {
        let hidden = name.starts_with('.') || name.ends_with('~') || name.starts_with('#');
        let listed =
            only.is_empty() || only.iter().any(|ending| name.ends_with(ending.trim_start_matches('*')));
        !hidden && listed && !but.iter().any(|ending| name.ends_with(ending))
    };
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_str().is_some_and(wanted))
        .map(|entry| entry.path())
        .collect();
    files.sort();
    files
}
