//! The bridge that was asked for: looked up by the kernel's own name, started on demand when it
//! is a network of ours and down, and kept from going down until there is a port on it.

use crate::refusal::Refusal;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;
use vmnet_access::name::{IfName, NetName};
use vmnet_access::paths;
use vmnet_access::port_record::PortRecord;
use vmnet_sys::child::{self, Outcome};
use vmnet_sys::link::{self, Link};
use vmnet_sys::lock;
use vmnet_sys::netlink::Netlink;
use vmnet_sys::privilege::Privilege;
use vmnet_sys::trust::{self, Untrusted};

/// How long a network may take to come up while QEMU waits.
const START_LIMIT: Duration = Duration::from_secs(10);

/// A network that goes down just as we come is started again; not for ever.
const STARTS: usize = 3;

/// Most characters of a reason that another program gave.
const REASON_MAX: usize = 400;

/// A name that was asked for, as the kernel knows it.
#[derive(Debug)]
pub struct RequestedBridge {
    /// The canonical name, which alone the rules are asked about; as asked while there is no such link.
    pub name: IfName,
}

/// Look the name up. An alternative name leads to the link's own.
///
/// # Errors
/// The kernel would not tell.
pub fn look_up(netlink: &mut Netlink, asked: &IfName) -> Result<RequestedBridge, Refusal> {
    let link = link::find(netlink, asked).map_err(Refusal::Links)?;
    let name = match &link {
        Some(link) => IfName::new(&link.name).map_err(|_| Refusal::OtherName(asked.clone()))?,
        None => asked.clone(),
    };
    Ok(RequestedBridge { name })
}

/// A bridge that is up. As long as this lives its keeper does not take it down for want of ports.
#[derive(Debug)]
pub struct PinnedBridge {
    /// The bridge.
    pub link: Link,
    /// What its network says of ports; a bridge that is no network of ours says nothing.
    pub record: Option<PortRecord>,
    _door: Option<File>,
}

impl PinnedBridge {
    /// The bridge's name.
    ///
    /// # Errors
    /// The kernel told one that is none.
    pub fn name(&self) -> Result<IfName, Refusal> {
        IfName::new(&self.link.name).map_err(|_| Refusal::Links(std::io::ErrorKind::InvalidData.into()))
    }
}

impl RequestedBridge {
    /// The bridge, up. Call this only for a caller whom the rules let in: it may start a network.
    ///
    /// # Errors
    /// There is no such bridge and none could be started.
    pub fn bridge(self, netlink: &mut Netlink, privilege: Privilege) -> Result<PinnedBridge, Refusal> {
        for _ in 0..STARTS {
            if let Some(held) = self.hold(netlink, privilege)? {
                return Ok(held);
            }
            let network = network_of(&self.name).ok_or_else(|| Refusal::NoBridge(self.name.clone()))?;
            start(network, privilege)?;
        }
        self.hold(netlink, privilege)?.ok_or(Refusal::NoBridge(self.name))
    }

    /// The bridge if it is ready. It is looked for from within the door, because it may have gone while
    /// we waited to come in; only root can stand there.
    fn hold(&self, netlink: &mut Netlink, privilege: Privilege) -> Result<Option<PinnedBridge>, Refusal> {
        let door = match privilege {
            Privilege::Root => {
                lock::stand_in_door(&run_dir(&self.name).join(paths::KEEPER_FILE)).map_err(Refusal::Turn)?
            }
            _ => None,
        };
        let Some(link) = link::find(netlink, &self.name).map_err(Refusal::Links)? else { return Ok(None) };
        if link.name != self.name.as_bytes() {
            return Err(Refusal::OtherName(self.name.clone()));
        }
        if !link.is_bridge() {
            return Err(Refusal::NotABridge(self.name.clone()));
        }
        let record = record(&self.name)?;
        // The network's own record comes before the bridge, and what ports must have is told last, when
        // the firewall is in place.
        let coming_up = record.is_none() && run_dir(&self.name).join(paths::RECORD_FILE).exists();
        Ok((!coming_up).then_some(PinnedBridge { link, record, _door: door }))
    }
}

/// The run directory of the network whose bridge this is.
pub(crate) fn run_dir(bridge: &IfName) -> PathBuf {
    paths::run_dir(Path::new(paths::RUN_DIR), bridge)
}

/// The network of ours whose bridge has this name: by its file, by another program's definition, or the
/// built-in one.
fn network_of(bridge: &IfName) -> Option<NetName> {
    let directories =
        [paths::CONFIG_DIR, paths::STATE_DIR].map(|directory| Path::new(directory).join(paths::NETWORKS_DIR));
    let same = std::str::from_utf8(bridge.as_bytes()).ok().and_then(|name| NetName::new(name).ok());
    if let Some(network) = same {
        let file = format!("{network}{}", paths::NETWORK_ENDING);
        let is_described = || directories.iter().any(|directory| directory.join(&file).exists());
        if network.as_str() == paths::BUILT_IN || is_described() {
            return Some(network);
        }
    }
    let named = |file: &[u8]| NetName::of_file(file).filter(|network| network.bridge() == *bridge);
    directories.iter().find_map(|directory| {
        let files = trust::list(directory, &|file| named(file).is_some()).ok()?;
        files.first().and_then(|path| named(path.file_name()?.as_encoded_bytes()))
    })
}

fn start(network: NetName, privilege: Privilege) -> Result<(), Refusal> {
    if privilege != Privilege::Root {
        return Err(Refusal::CannotStart(network));
    }
    match child::run_as_root(paths::VMNET, &["up", network.as_str(), "--on-demand"], START_LIMIT) {
        Ok(Outcome::Done(_)) => Ok(()),
        Ok(Outcome::Failed(said)) => Err(Refusal::StartFailed(network, reason(&said))),
        Ok(Outcome::TimedOut) => Err(Refusal::StartTimedOut(network)),
        Err(error) => {
            Err(Refusal::StartFailed(network, format!("{}: {}", paths::VMNET, trust::plain(&error))))
        }
    }
}

/// The first line of what was said, less the program's name; no more than a line should hold, and
/// nothing that a terminal would obey.
fn reason(said: &str) -> String {
    let line = said.lines().next().unwrap_or_default();
    let line = line.strip_prefix("vmnet: ").unwrap_or(line);
    let clean: String = line.chars().take(REASON_MAX).map(|c| if c.is_control() { '?' } else { c }).collect();
    if clean.is_empty() { "no reason given".to_owned() } else { clean }
}

/// What the network's record says of its ports; a bridge that is no network of ours has none.
///
/// # Errors
/// There is a record, and it cannot be believed or read.
fn record(bridge: &IfName) -> Result<Option<PortRecord>, Refusal> {
    match trust::read(&run_dir(bridge).join(paths::PORT_FILE)) {
        Ok(text) => match PortRecord::parse(&text.bytes) {
            Ok(record) => Ok(Some(record)),
            Err(bad) => Err(Refusal::Record(bridge.clone(), bad.to_string())),
        },
        Err(Untrusted::Missing) => Ok(None),
        Err(why) => Err(Refusal::Record(bridge.clone(), why.to_string())),
    }
}
