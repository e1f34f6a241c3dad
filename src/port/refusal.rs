//! Every way a request for a port can fail, one variant a situation, each with all its words.
//! QEMU's searchable phrases stand inside them, because libvirt and the web show and know those.

use crate::policy::PolicyError;
use crate::refusal_special::Unfit;
use std::fmt;
use std::io;
use vmnet_access::name::{IfName, NetName};
use vmnet_access::paths;
use vmnet_access::port_record::BRIDGE_PORTS_MAX;
use vmnet_access::rules::Place;
use vmnet_sys::privilege::WhyNot;
use vmnet_sys::trust::plain;

/// Why there is no port.
#[derive(Debug)]
pub enum Refusal {
    /// The rules cannot be read.
    Policy(PolicyError),
    /// The rules say no: by this line, or by none.
    Denied(IfName, Option<Place>),
    /// The caller has as many ports as the rule allows.
    Quota(IfName, u32, Place),
    /// No link of that name, and no network of ours.
    NoBridge(IfName),
    /// A link, but not a bridge.
    NotABridge(IfName),
    /// After the start the bridge went by another name than the rules were asked about.
    OtherName(IfName),
    /// The program has no rights.
    Unprivileged(WhyNot),
    /// The network is down, and only root could start it.
    CannotStart(NetName),
    /// The network did not start; what was said.
    StartFailed(NetName, String),
    /// The network did not start in time.
    StartTimedOut(NetName),
    /// The network's port record is unreadable.
    Record(IfName, String),
    /// /dev/net/tun cannot be opened.
    Tun(io::Error),
    /// TUNSETIFF failed.
    Tap(io::Error),
    /// The bridge has all the ports it can have.
    Full(IfName),
    /// The TAP could not be attached.
    Attach(IfName, io::Error),
    /// The kernel would not tell about links.
    Links(io::Error),
    /// Privileges could not be given up.
    Shed(io::Error),
    /// The user's turn could not be waited for.
    Turn(io::Error),
    /// What was asked for cannot be, whatever the rules say.
    Unfit(Unfit),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy(error) => {
                write!(f, "cannot read the access rules: {error} (failed to parse default acl file)")
            }
            Self::Denied(bridge, Some(place)) => {
                write!(f, "cannot use bridge '{bridge}': access denied by acl file ({place})")
            }
            Self::Denied(bridge, None) => {
                write!(f, "cannot use bridge '{bridge}': access denied by acl file (no rule allows it)")
            }
            Self::Quota(bridge, ports, place) => {
                write!(
                    f,
                    "cannot use bridge '{bridge}': all {ports} ports allowed to you are in use ({place})"
                )
            }
            Self::NoBridge(bridge) => {
                write!(f, "cannot attach to '{bridge}': failed to get mtu of bridge: no such device")
            }
            Self::NotABridge(name) => {
                write!(f, "cannot attach to '{name}': failed to add interface: '{name}' is not a bridge")
            }
            Self::OtherName(bridge) => {
                write!(f, "cannot use bridge '{bridge}': it changed its name meanwhile")
            }
            Self::Unprivileged(why) => {
                write!(f, "cannot create a tap: failed to create tun device: operation not permitted: {why}")
            }
            Self::CannotStart(network) => write!(f, "cannot start network '{network}': only root can"),
            Self::StartFailed(network, said) => write!(f, "cannot start network '{network}': {said}"),
            Self::StartTimedOut(network) => write!(f, "cannot start network '{network}': it took too long"),
            Self::Record(bridge, why) => write!(f, "cannot read the port record of '{bridge}': {why}"),
            Self::Tun(error) => {
                write!(f, "cannot create a tap: failed to open /dev/net/tun: {}", plain(error))
            }
            Self::Tap(error) => {
                write!(f, "cannot create a tap: failed to create tun device: {}", plain(error))
            }
            Self::Full(bridge) => write!(
                f,
                "cannot attach to '{bridge}': failed to add interface: the bridge has {BRIDGE_PORTS_MAX} ports, the kernel's limit"
            ),
            Self::Attach(bridge, error) => {
                write!(f, "cannot attach to '{bridge}': failed to add interface: {}", plain(error))
            }
            Self::Links(error) => write!(f, "cannot look up the bridge: {}", plain(error)),
            Self::Shed(error) => {
                write!(f, "cannot give up root: failed to drop privileges: {}", plain(error))
            }
            Self::Turn(error) => write!(f, "cannot count your ports: {}", plain(error)),
            Self::Unfit(unfit) => write!(f, "{unfit}"),
        }
    }
}

impl std::error::Error for Refusal {}

impl Refusal {
    /// What would help, where something is known to.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let rules = format!("{}/{}", paths::CONFIG_DIR, paths::RULES_FILE);
        match self {
            Self::Denied(bridge, None) => {
                Some(format!("an administrator lets you in with the line 'allow {bridge}' in {rules}"))
            }
            Self::Policy(PolicyError::NoFile(_)) => {
                Some(format!("an administrator lets you in with the line 'allow BRIDGE' in {rules}"))
            }
            Self::NoBridge(bridge) => Some(format!("'vmnet init {bridge}' describes a network of that name")),
            Self::CannotStart(network) => Some(format!("ask an administrator to run 'vmnet up {network}'")),
            Self::Unfit(unfit) => unfit.hint(),
            Self::Unprivileged(WhyNot::NoNewPrivileges) => Some(
                "QEMU's -sandbox, systemd's NoNewPrivileges= and containers set it; with a running 'vmnet broker' nothing is lost"
                    .to_owned(),
            ),
            Self::Unprivileged(WhyNot::NotInstalled) => Some(format!(
                "'chown root:root {0} && chmod 4755 {0}' installs it with its rights; 'vmnet broker' serves it without",
                paths::HELPER
            )),
            Self::Unprivileged(WhyNot::NoSuid) => {
                Some("install it on a file system that is mounted without nosuid".to_owned())
            }
            Self::Unprivileged(WhyNot::NotHonoured) => {
                Some("start it outside the user namespace, where root owns it".to_owned())
            }
            Self::Tun(error) if error.kind() == io::ErrorKind::PermissionDenied => Some(
                "with a file capability the caller must be able to open it; setuid needs no such thing"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

impl From<PolicyError> for Refusal {
    fn from(error: PolicyError) -> Self {
        Self::Policy(error)
    }
}

impl From<Unfit> for Refusal {
    fn from(unfit: Unfit) -> Self {
        Self::Unfit(unfit)
    }
}
