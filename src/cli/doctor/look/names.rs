//! The host's own resolver.

use crate::doctor::dns_ports::DNS;
use crate::doctor::finding::{Finding, Subject};
use crate::doctor::names::{self, Resolver};
use crate::doctor::{Host, text};
use std::net::Ipv4Addr;
use std::path::Path;
use vmnet_host::listeners::{Protocol, listeners, process};

/// The networks whose names this host cannot resolve.
pub fn findings(host: &Host, subjects: &[Subject]) -> Vec<Finding> {
    let conf = text("/etc/resolv.conf");
    let (resolver, files) = match local_server(&conf).as_deref() {
        _ if host.runs("systemd-resolve") => (Resolver::Resolved, String::new()),
        Some("unbound") => (Resolver::Unbound, files("/etc/unbound/unbound.conf.d")),
        Some("dnsmasq") => (Resolver::Dnsmasq, text("/etc/dnsmasq.conf") + &files("/etc/dnsmasq.d")),
        _ => (Resolver::Remote, String::new()),
    };
    let finding = |subject| names::finding(subject, resolver, &conf, &files, host.services);
    subjects.iter().filter_map(finding).collect()
}

/// The program behind the first name server, if that is on this host's loopback.
fn local_server(conf: &str) -> Option<String> {
    let server = conf.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        words.next().filter(|word| *word == "nameserver").and(words.next())
    })?;
    let address = server.parse().ok().filter(Ipv4Addr::is_loopback)?;
    let listener = listeners().into_iter().find(|listener| listener.takes(Protocol::Udp, address, DNS))?;
    process(&listener).map(|holder| holder.program)
}

/// The texts of a directory's files.
fn files(directory: &str) -> String {
    let entries = std::fs::read_dir(Path::new(directory)).into_iter().flatten().flatten();
    entries.map(|entry| text(entry.path())).collect()
}
