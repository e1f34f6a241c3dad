//! How this host can resolve its guests' names where no systemd-resolved runs, which `vmnet` tells
//! by itself: one line for whatever resolver there is.

use super::finding::{Finding, Report, Severity, Subject, quoted};
use super::host::{DNS, Host, entries, text};
use super::remedy::Services;
use std::net::Ipv4Addr;
use vmnet_host::listeners::{Protocol, listeners, process};

/// The networks whose names this host cannot resolve.
pub(super) fn check(host: &Host<'_>, report: &mut Report) {
    let conf = text("/etc/resolv.conf");
    let (resolver, files) = match local_server(&conf).as_deref() {
        _ if host.runs("systemd-resolve") => (Resolver::Resolved, String::new()),
        Some("unbound") => (Resolver::Unbound, files("/etc/unbound/unbound.conf.d")),
        Some("dnsmasq") => (Resolver::Dnsmasq, text("/etc/dnsmasq.conf") + &files("/etc/dnsmasq.d")),
        _ => (Resolver::Remote, String::new()),
    };
    let finding = |subject| judge(subject, resolver, &conf, &files, host.services);
    report.findings.extend(host.subjects.iter().filter_map(finding));
}

/// The program behind the first name server, if that is on this host's loopback.
fn local_server(conf: &str) -> Option<String> {
    let address = servers(conf).next()?.parse().ok().filter(Ipv4Addr::is_loopback)?;
    let listener = listeners().into_iter().find(|listener| listener.takes(Protocol::Udp, address, DNS))?;
    process(&listener).map(|holder| holder.program)
}

/// The texts of a directory's files.
fn files(directory: &str) -> String {
    entries(directory).map(|entry| text(entry.path())).collect()
}

/// Who answers the host's own questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resolver {
    /// systemd-resolved.
    Resolved,
    /// A dnsmasq of the host's own.
    Dnsmasq,
    /// unbound.
    Unbound,
    /// The servers of /etc/resolv.conf.
    Remote,
}

/// A note for a network that is up and whose names the host cannot resolve. `resolv_conf` is the
/// text of that file, `configured` the text of the local resolver's files.
fn judge(
    subject: &Subject,
    resolver: Resolver,
    resolv_conf: &str,
    configured: &str,
    services: Services,
) -> Option<Finding> {
    let address = subject.address.filter(|_| subject.up && subject.serves)?;
    let domain = subject.domain.as_deref()?;
    if resolver == Resolver::Resolved || asks(resolv_conf, address) || names(configured, domain, address) {
        return None;
    }
    let cure = match resolver {
        Resolver::Dnsmasq => {
            let line = quoted(&format!("server=/{domain}/{address}"));
            format!("echo {line} >>/etc/dnsmasq.d/vmnet.conf && {}", services.restart("dnsmasq"))
        }
        Resolver::Unbound => format!(
            "printf '%s\\n' server: '  domain-insecure: \"{domain}\"' forward-zone: '  name: \"{domain}\"' '  forward-addr: {address}' >/etc/unbound/unbound.conf.d/vmnet-{}.conf && {}",
            subject.network,
            services.restart("unbound")
        ),
        // Not a `nameserver` line: every name would be asked of the guests' server, and each question
        // wait for its end while the network is down.
        Resolver::Remote | Resolver::Resolved => match services {
            Services::Systemd => "systemctl enable --now systemd-resolved".to_owned(),
            _ => format!("run a dnsmasq for the host itself, with the line 'server=/{domain}/{address}'"),
        },
    };
    Some(Finding {
        id: "host-names",
        severity: Severity::Note,
        object: subject.network.to_string(),
        what: format!("this host does not resolve the names of its guests in {domain}"),
        cause: "no systemd-resolved runs, and the host's resolver does not ask the network's server"
            .to_owned(),
        cure,
        fix: None,
    })
}

/// Does resolv.conf(5) name this server?
fn asks(resolv_conf: &str, address: Ipv4Addr) -> bool {
    servers(resolv_conf).any(|server| server == address.to_string())
}

/// The name servers of resolv.conf(5), the first one first.
fn servers(resolv_conf: &str) -> impl Iterator<Item = &str> {
    resolv_conf.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        words.next().filter(|word| *word == "nameserver").and(words.next())
    })
}

fn names(configured: &str, domain: &str, address: Ipv4Addr) -> bool {
    configured.contains(domain) && configured.contains(&address.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::finding::tests::subject;
    use super::*;

    #[test]
    fn a_host_that_asks_the_network_needs_no_note() {
        let lab = subject("lab", 3);
        let note = |resolver, conf: &str, files: &str| judge(&lab, resolver, conf, files, Services::OpenRc);
        let other = "nameserver 192.0.2.1\n";
        assert_eq!(note(Resolver::Remote, "search x\nnameserver 10.0.1.1\n", ""), None);
        assert_eq!(note(Resolver::Resolved, other, ""), None);
        assert_eq!(note(Resolver::Dnsmasq, other, "server=/lab.vm/10.0.1.1\n"), None);
        let told = note(Resolver::Dnsmasq, "nameserver 127.0.0.1\n", "").unwrap();
        let line = "echo server=/lab.vm/10.0.1.1 >>/etc/dnsmasq.d/vmnet.conf && rc-service dnsmasq restart";
        assert_eq!((told.severity, told.cure.as_str()), (Severity::Note, line));
        assert!(note(Resolver::Unbound, other, "").unwrap().cure.contains("forward-addr: 10.0.1.1"));
        assert!(note(Resolver::Unbound, other, "").unwrap().cure.contains("domain-insecure: \"lab.vm\""));
        assert!(note(Resolver::Remote, other, "").unwrap().cure.contains("server=/lab.vm/10.0.1.1"));
    }

    #[test]
    fn a_network_that_is_down_has_no_names() {
        let down = Subject { up: false, ..subject("lab", 3) };
        assert_eq!(judge(&down, Resolver::Remote, "", "", Services::Other), None);
    }
}
