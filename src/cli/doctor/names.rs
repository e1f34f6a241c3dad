//! How this host can resolve its guests' names where no systemd-resolved runs, which `vmnet` tells
//! by itself: one line for whatever resolver there is.

use super::finding::{Finding, Severity, Subject, quoted};
use super::remedy::Services;
use std::net::Ipv4Addr;

/// Who answers the host's own questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolver {
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
#[must_use]
pub fn finding(
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
    let mut lines = resolv_conf.lines().map(str::split_whitespace);
    lines.any(|mut words| words.next() == Some("nameserver") && words.next() == Some(&address.to_string()))
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
        let note = |resolver, conf: &str, files: &str| finding(&lab, resolver, conf, files, Services::OpenRc);
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
        assert_eq!(finding(&down, Resolver::Remote, "", "", Services::Other), None);
    }
}
