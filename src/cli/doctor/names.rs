//! The host's own resolver.

use super::{Host, text};
use std::path::Path;
use vmnet_model::doctor::names::{self, Resolver};
use vmnet_model::doctor::{Finding, Subject};

/// The networks whose names this host cannot resolve.
pub fn findings(host: &Host, subjects: &[Subject]) -> Vec<Finding> {
    let conf = text("/etc/resolv.conf");
    let local = conf.lines().any(|line| {
        let mut words = line.split_whitespace();
        words.next() == Some("nameserver") && words.next().is_some_and(|word| word.starts_with("127."))
    });
    let (resolver, files) = if host.runs("systemd-resolve") {
        (Resolver::Resolved, String::new())
    } else if local && host.runs("unbound") {
        (Resolver::Unbound, files("/etc/unbound/unbound.conf.d"))
    } else if local && host.runs("dnsmasq") {
        (Resolver::Dnsmasq, text("/etc/dnsmasq.conf") + &files("/etc/dnsmasq.d"))
    } else {
        (Resolver::Remote, String::new())
    };
    let finding = |subject| names::finding(subject, resolver, &conf, &files, host.services);
    subjects.iter().filter_map(finding).collect()
}

/// The texts of a directory's files.
fn files(directory: &str) -> String {
    let entries = std::fs::read_dir(Path::new(directory)).into_iter().flatten().flatten();
    entries.map(|entry| text(entry.path())).collect()
}
