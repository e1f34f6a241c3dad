//! Who else holds the ports of DNS (53) and DHCP (67) where a network's own server needs them: on
//! the bridge's address, or on every address of the host.

use super::files::{self, Dnsmasq, Setting};
use super::finding::{Finding, Severity, Subject, quoted};
use super::remedy::Services;
use std::net::IpAddr;

/// DNS.
pub const DNS: u16 = 53;
/// DHCP's server side.
pub const DHCP: u16 = 67;

/// Where our snippet for the host's dnsmasq is.
const SNIPPET: &str = "/etc/dnsmasq.d/vmnet.conf";
/// The links that the shipped snippets name.
pub const SHIPPED: &str = "brmgr*";

/// One program that holds one of these ports, none of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// The port.
    pub port: u16,
    /// Every address it holds it on, with the link that this one is bound to.
    pub sockets: Vec<(IpAddr, Option<u32>)>,
    /// Its name and number; none if only root may know.
    pub program: Option<(String, u32)>,
    /// If it is a dnsmasq: what its command line and its files say.
    pub dnsmasq: Option<Vec<Setting>>,
}

impl Foreign {
    fn name(&self) -> String {
        match &self.program {
            Some((name, pid)) => format!("{name} (pid {pid})"),
            None => "another program".to_owned(),
        }
    }

    /// Does it hear what comes to this network's bridge?
    fn hears(&self, subject: &Subject) -> bool {
        self.sockets.iter().any(|(address, link)| match link {
            Some(link) => Some(*link) == subject.index,
            None => address.is_unspecified() || Some(*address) == subject.address.map(IpAddr::from),
        })
    }
}

/// What is wrong with them.
#[must_use]
pub fn findings(foreign: &[Foreign], subjects: &[Subject], services: Services) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for other in foreign {
        for subject in subjects {
            let finding = match &other.dnsmasq {
                Some(settings) => host_dnsmasq(other, settings, subject, services),
                None if other.hears(subject) => Some(stranger(other, services)),
                None => None,
            };
            // One that takes all is in the way of every network, and said once for each cure.
            findings.extend(finding.filter(|new| !findings.iter().any(|old| is_same(old, new))));
        }
    }
    findings
}

fn is_same(a: &Finding, b: &Finding) -> bool {
    (a.id, &a.object, &a.cure) == (b.id, &b.object, &b.cure)
}

/// The host's dnsmasq: without the snippet it takes our links, or will when it is next started.
fn host_dnsmasq(
    other: &Foreign,
    settings: &[Setting],
    subject: &Subject,
    services: Services,
) -> Option<Finding> {
    let bridge = subject.bridge.to_string();
    let hears = other.hears(subject);
    let restart = services.restart("dnsmasq");
    let finding = |severity, what: &str, cause: &str, cure: String| {
        let object = other.name();
        let what = format!("{object} {what}");
        Some(Finding {
            id: "dnsmasq-snippet",
            severity,
            object,
            what,
            cause: cause.to_owned(),
            cure,
            fix: None,
        })
    };
    let files = files::dnsmasq(settings, &bridge);
    if files == Dnsmasq::Spares {
        // With bind-interfaces it holds DHCP's port for all links and passes over those it spares.
        let stale = hears && other.port == DNS;
        let what =
            format!("listens where {} needs port {DNS}, though its files say otherwise", subject.network);
        return stale.then(|| finding(Severity::Fault, &what, "it was started before they did", restart))?;
    }
    let severity = if hears { Severity::Fault } else { Severity::Warning };
    let (what, cause) = match (files, hears) {
        (Dnsmasq::TakesAll, _) => (
            "listens on every address of this host".to_owned(),
            "its files say neither bind-interfaces nor bind-dynamic, so a network's server finds its port taken",
        ),
        (_, true) => (
            format!("listens on bridge {bridge}"),
            "its files do not except the bridge, so the network's server finds its port taken",
        ),
        (_, false) => (
            format!("will listen on bridge {bridge} when it is next started"),
            "its files do not except the bridge; whoever starts first then keeps the other out",
        ),
    };
    let link = if files::fits(SHIPPED, &bridge) { SHIPPED.to_owned() } else { bridge };
    let binds = settings.iter().any(|(key, _)| key == "bind-interfaces" || key == "bind-dynamic");
    let bind = if binds { "" } else { "bind-interfaces " };
    let reads_snippets =
        settings.iter().any(|(key, value)| key == "conf-dir" && value.starts_with("/etc/dnsmasq.d"));
    let file = if reads_snippets { SNIPPET } else { "/etc/dnsmasq.conf" };
    let line = quoted(&format!("except-interface={link}"));
    finding(severity, &what, cause, format!("printf '%s\\n' {bind}{line} >>{file} && {restart}"))
}

/// Known servers: what to do so that they leave other addresses than their own alone.
fn stranger(other: &Foreign, services: Services) -> Finding {
    let (id, service) = if other.port == DNS { ("foreign-dns", "DNS") } else { ("foreign-dhcp", "DHCP") };
    let everywhere = other.sockets.iter().any(|(address, link)| link.is_none() && address.is_unspecified());
    let port = other.port;
    let place = if everywhere { "every address of this host" } else { "a bridge of vmnet" };
    let cause = if port == DNS {
        "a network's server finds its port taken and does not start".to_owned()
    } else {
        "two servers may answer the same guest, or a network's own does not start".to_owned()
    };
    let object = other.name();
    Finding {
        id,
        severity: if port == DNS { Severity::Fault } else { Severity::Warning },
        what: format!("{object} listens on port {port} ({service}) of {place}"),
        cause,
        cure: cure(other, services),
        object,
        fix: None,
    }
}

fn cure(other: &Foreign, services: Services) -> String {
    let Some((name, pid)) = &other.program else {
        return format!("ss --listening --processes --tcp --udp 'sport = :{}'", other.port);
    };
    match name.as_str() {
        "unbound" => format!(
            "printf '%s\\n' server: '  interface: 127.0.0.1' >/etc/unbound/unbound.conf.d/vmnet.conf && {}",
            services.restart("unbound")
        ),
        "named" => format!(
            "editor /etc/bind/named.conf.options  # listen-on {{ 127.0.0.1; }};  then: {}",
            services.restart("named")
        ),
        "AdGuardHome" => format!(
            "editor /opt/AdGuardHome/AdGuardHome.yaml  # dns: bind_hosts: [127.0.0.1]  then: {}",
            services.restart("AdGuardHome")
        ),
        "dhcpd" => services.disable("isc-dhcp-server"),
        "pihole-FTL" => {
            format!("pihole-FTL --config dns.listeningMode BIND && {}", services.restart("pihole-FTL"))
        }
        _ => format!("kill {pid}  # or have {name} listen on its own addresses only"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::tests::subject;
    use super::*;

    fn foreign(name: &str, port: u16, address: &str, link: Option<u32>) -> Foreign {
        Foreign {
            port,
            sockets: vec![(address.parse().unwrap(), link)],
            program: Some((name.to_owned(), 7)),
            dnsmasq: None,
        }
    }

    fn ids(foreign: &Foreign) -> Vec<(&'static str, Severity)> {
        let subjects = [subject("brmgr0", 3), subject("brmgr1", 4)];
        let found = findings(std::slice::from_ref(foreign), &subjects, Services::Systemd);
        found.iter().map(|finding| (finding.id, finding.severity)).collect()
    }

    #[test]
    fn a_dns_server_on_every_address_or_ours_is_told_once_and_one_elsewhere_never() {
        for (address, link, found) in [
            ("0.0.0.0", None, 1),
            ("::", None, 1),
            ("10.0.1.1", None, 1),
            ("127.0.0.53", None, 0),
            ("192.168.122.1", None, 0),
            ("0.0.0.0", Some(3), 1),
            ("0.0.0.0", Some(9), 0),
        ] {
            let told = ids(&foreign("named", DNS, address, link));
            assert_eq!(told, vec![("foreign-dns", Severity::Fault); found], "{address} {link:?}");
        }
    }

    #[test]
    fn a_dhcp_server_bound_to_another_link_is_in_nobodys_way() {
        assert_eq!(ids(&foreign("dnsmasq", DHCP, "0.0.0.0", Some(9))), []);
        assert_eq!(ids(&foreign("dhcpd", DHCP, "0.0.0.0", None)), [("foreign-dhcp", Severity::Warning)]);
    }

    #[test]
    fn the_hosts_dnsmasq_needs_the_snippet_and_a_restart() {
        let told = |text: &str, address: &str| {
            let mut other = foreign("dnsmasq", DNS, address, None);
            other.dnsmasq = Some(files::dnsmasq_file(text));
            findings(&[other], &[subject("brmgr0", 3)], Services::Systemd)
        };
        let bare = &told("conf-dir=/etc/dnsmasq.d\n", "0.0.0.0")[0];
        assert_eq!((bare.id, bare.severity), ("dnsmasq-snippet", Severity::Fault));
        let lines = "printf '%s\\n' bind-interfaces 'except-interface=brmgr*' >>/etc/dnsmasq.d/vmnet.conf";
        assert_eq!(bare.cure, format!("{lines} && systemctl restart dnsmasq"));
        let later = &told("bind-dynamic\n", "127.0.0.1")[0];
        assert_eq!(later.severity, Severity::Warning);
        assert!(later.cure.starts_with("printf '%s\\n' 'except-interface=brmgr*' >>/etc/dnsmasq.conf"));
        let stale = &told("bind-interfaces\nexcept-interface=brmgr*\n", "0.0.0.0")[0];
        assert_eq!(stale.cure, "systemctl restart dnsmasq");
        assert_eq!(told("bind-interfaces\nexcept-interface=brmgr*\n", "127.0.0.1"), []);
    }
}
