//! What on a host breaks the networking of virtual machines, and what cures it. A host in order gives
//! no finding. Nothing here changes anything but [`cure`], and nothing prints.
//!
//! A check is one file: it gathers facts, judges them and names the remedy. Gathering asks the host;
//! judging and remedy are pure, and tested without root. **To add one**, write its file with a `check`
//! and list it in `CHECKS`, beside its `mod`; the compiler tells of one that is not listed.
//!
//! Checks know none of each other. What they share lies below them:
//!
//! | file | knows |
//! |---|---|
//! | `finding` | what a check says |
//! | `host` | what a check is given |
//! | `remedy` | the commands of this host's service manager and package manager |
//! | `files` | what the files of dnsmasq, NetworkManager and networkd say of our links |
//! | `subjects` | the networks that are examined |

#![forbid(unsafe_code)]

mod bridges;
mod dns_ports;
mod files;
mod finding;
mod firewall;
mod helper;
mod host;
mod kernel;
mod managers;
mod names;
mod remedy;
mod rules;
mod subjects;
mod subnets;
mod switches;
mod taps;

pub use self::finding::{Finding, Fix, Report, Severity};
use self::host::Host;
use vmnet_access::name::NetName;
use vmnet_host::links::Links;
use vmnet_model::error::Error;
use vmnet_network::dirs::Dirs;
use vmnet_network::{Log, Networks, Start};

/// It looks at the host and adds what it finds, and what it could not see.
type Check = fn(&Host<'_>, &mut Report);

/// Every check, in the order in which they are made.
const CHECKS: &[Check] = &[
    kernel::check,    // features of the kernel and programs that are missing
    helper::check,    // a helper without rights
    firewall::check,  // other firewalls that are closed to guests
    dns_ports::check, // other holders of the ports of DNS and DHCP
    managers::check,  // NetworkManager and networkd taking our links
    subnets::check,   // routes that overlap a network's subnet
    rules::check,     // access rules that match nothing
    taps::check,      // TAPs that somebody left behind
    switches::check,  // VDE switches that cannot run, are open to others, full or confused
    names::check,     // a host that cannot resolve its guests' names
    bridges::check,   // bridges near their last port, networks that drifted
];

/// Examine one network and its host, or all of them.
///
/// # Errors
/// The named network does not exist, or the kernel does not answer.
pub fn examine(dirs: &Dirs, name: Option<&NetName>) -> Result<Report, Error> {
    let links = Links::open().map_err(|error| Error::new("examine", "this host", error))?;
    let seen = links.snapshot().map_err(|error| Error::new("examine", "this host", error))?;
    let (subjects, findings) = subjects::look(dirs, name, &seen)?;
    let host = Host::look(dirs, &links, &seen, &subjects, name.is_none());
    let mut report = Report { findings, unseen: Vec::new() };
    CHECKS.iter().for_each(|check| check(&host, &mut report));
    report.findings.sort_by_key(|finding| finding.severity);
    Ok(report)
}

/// Do what is safe about a finding.
///
/// # Errors
/// It could not be done.
pub fn cure(dirs: &Dirs, fix: &Fix) -> Result<(), Error> {
    match fix {
        Fix::DeleteLink(name, index) => taps::delete(name, *index),
        Fix::Raise(network) => {
            Networks::open(dirs.clone(), Log::Background).get(network).up(Start::Always).map(drop)
        }
    }
}
