//! Who else holds the ports of DNS (53) and DHCP (67) where a network's own server needs them: on
//! the bridge's address, or on every address of the host.

use super::files::{self, Dnsmasq, SHIPPED, Setting, dnsmasq_arguments, dnsmasq_file};
use super::finding::{Finding, Report, Severity, Subject, quoted};
use super::host::{DNS, Host, entries, text};
use super::remedy::Services;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use vmnet_host::listeners::{Holder, Listener, listeners, process as holder};
use vmnet_network::dirs::Dirs;
use vmnet_network::server;
use vmnet_network::store::run_record;
use vmnet_sys::process::command_line;

/// DHCP's server side.
const DHCP: u16 = 67;
/// Where our snippet for the host's dnsmasq is.
const SNIPPET: &str = "/etc/dnsmasq.d/vmnet.conf";
/// How many files one dnsmasq's configuration is followed through.
const FILES_MAX: usize = 200;

/// Who holds them besides our own servers.
pub(super) fn check(host: &Host<'_>, report: &mut Report) {
    let findings = judge(&foreign(host), host.subjects, host.services);
    if !host.root && !findings.is_empty() {
        report.unseen.push("who holds port 53 or 67: only root can look it up".to_owned());
    }
    report.findings.extend(findings);
}

/// Every program with a socket on one of them that is none of our servers.
fn foreign(host: &Host<'_>) -> Vec<Foreign> {
    let of_interest = |listener: &Listener| matches!(listener.port, DNS | DHCP);
    let mut foreign: Vec<Foreign> = Vec::new();
    for listener in listeners().into_iter().filter(of_interest) {
        if is_our_servers(&listener, host.subjects) {
            continue;
        }
        let holder = holder(&listener);
        if holder.as_ref().is_some_and(|holder| is_ours(host.dirs, holder.pid)) {
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
    foreign
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
fn is_ours(dirs: &Dirs, pid: u32) -> bool {
    let ours = format!("--conf-file={}/", dirs.run.display()).into_bytes();
    command_line(pid).iter().any(|word| word.starts_with(&ours))
        || run_record::all(dirs).unwrap_or_default().iter().any(|(bridge, _)| {
            server::find(&dirs.run_dir(bridge)).is_some_and(|own| own.pid().as_raw().unsigned_abs() == pid)
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
    let mut files: Vec<PathBuf> = entries(directory)
        .filter(|entry| entry.file_name().to_str().is_some_and(wanted))
        .map(|entry| entry.path())
        .collect();
    files.sort();
    files
}

/// One program that holds one of these ports, none of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Foreign {
    /// The port.
    port: u16,
    /// Every address it holds it on, with the link that this one is bound to.
    sockets: Vec<(IpAddr, Option<u32>)>,
    /// Its name and number; none if only root may know.
    program: Option<(String, u32)>,
    /// If it is a dnsmasq: what its command line and its files say.
    dnsmasq: Option<Vec<Setting>>,
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
fn judge(foreign: &[Foreign], subjects: &[Subject], services: Services) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for other in foreign {
        for subject in subjects {
            let finding = match &other.dnsmasq {
                Some(settings) => judge_dnsmasq(other, settings, subject, services),
                None if other.hears(subject) => Some(judge_stranger(other, services)),
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
fn judge_dnsmasq(
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
fn judge_stranger(other: &Foreign, services: Services) -> Finding {
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
        let found = judge(std::slice::from_ref(foreign), &subjects, Services::Systemd);
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
            judge(&[other], &[subject("brmgr0", 3)], Services::Systemd)
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
