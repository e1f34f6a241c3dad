//! Looking at the host with a doctor's eyes: each file gathers the facts of one group and has the
//! model say what they mean. Nothing here changes anything but [`cure`].
//!
//! Each gatherer is in [`look`].

mod bridges;
mod dns_ports;
mod files;
mod finding;
mod firewall;
mod helper;
mod kernel;
mod look;
mod managers;
mod names;
mod remedy;
mod rules;
mod subnets;
mod switches;
mod taps;

pub use self::finding::{Finding, Fix, Severity};
use self::look::{ports53, subjects};
use self::remedy::Services;
use crate::background;
use crate::places::Places;
use crate::up;
use std::collections::BTreeSet;
use std::path::Path;
use vmnet_access::name::NetName;
use vmnet_host::files::read_file;
use vmnet_host::links::Links;
use vmnet_host::listeners as sockets;
use vmnet_model::error::Error;
use vmnet_sys::process::program;

/// What came of looking.
#[derive(Debug)]
pub struct Report {
    /// The findings, the worst first.
    pub findings: Vec<Finding>,
    /// What could not be looked at, and why.
    pub unseen: Vec<String>,
}

/// What every group may need of the host.
struct Host {
    services: Services,
    /// The short names of all processes.
    programs: BTreeSet<String>,
    root: bool,
}

impl Host {
    fn look() -> Self {
        let there = |path: &str| Path::new(path).exists();
        let services = if there("/run/systemd/system") {
            Services::Systemd
        } else if there("/run/openrc") {
            Services::OpenRc
        } else if there("/run/runit") {
            Services::Runit
        } else {
            Services::Other
        };
        let programs = sockets::pids().filter_map(program).collect();
        Self { services, programs, root: nix::unistd::geteuid().is_root() }
    }

    /// Does a program of this short name run? The kernel keeps 15 bytes of it.
    fn runs(&self, program: &str) -> bool {
        self.programs.contains(program)
    }
}

/// A file's text; nothing where it cannot be read.
fn text(path: impl AsRef<Path>) -> String {
    let bytes = read_file(path.as_ref()).ok().flatten().unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Examine one network and its host, or all of them.
///
/// # Errors
/// The named network does not exist, or the kernel does not answer.
pub fn examine(places: &Places, name: Option<&NetName>) -> Result<Report, Error> {
    let host = Host::look();
    let links = Links::open().map_err(|error| Error::new("examine", "this host", error))?;
    let seen = links.snapshot().map_err(|error| Error::new("examine", "this host", error))?;
    let (subjects, mut findings) = subjects::look(places, name, &seen)?;
    let mut unseen = Vec::new();
    findings.extend(look::kernel::findings(&host, &links, &mut unseen));
    findings.extend(look::helper::findings());
    findings.extend(look::firewall::findings(places, &host, &subjects, &mut unseen));
    findings.extend(ports53::findings(places, &host, &subjects, &mut unseen));
    findings.extend(look::managers::findings(&host, &subjects, &seen));
    findings.extend(look::subnets::findings(places, &subjects, &seen));
    findings.extend(look::rules::findings(places, &seen, &mut unseen));
    findings.extend(look::taps::findings(&host, &subjects, &seen, name.is_none(), &mut unseen));
    findings.extend(look::switches::findings(places, &host, &subjects, &mut unseen));
    findings.extend(look::names::findings(&host, &subjects));
    findings.extend(subjects::drift(places, &subjects, &mut unseen));
    findings.sort_by_key(|finding| finding.severity);
    Ok(Report { findings, unseen })
}

/// Do what is safe about a finding.
///
/// # Errors
/// It could not be done.
pub fn cure(places: &Places, fix: &Fix) -> Result<(), Error> {
    match fix {
        Fix::DeleteLink(name, index) => look::taps::delete(name, *index),
        Fix::Raise(network) => {
            up::raise(places, network)?;
            background::ensure_keeper(places, network)
        }
    }
}
