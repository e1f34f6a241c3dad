//! Why a port of a special kind cannot be, whatever the rules say: one that stays, one in a network
//! namespace, one on a switch.

use std::fmt;
use std::io;
use vmnet_access::name::IfName;
use vmnet_access::request::OWN_NAME_PREFIX;
use vmnet_access::vde::Directory;
use vmnet_sys::trust::plain;
use vmnet_vde::port::JoinError;

/// What is wrong with a request for a port of a special kind.
#[derive(Debug)]
pub enum Unfit {
    /// Another link has the name.
    Taken(IfName),
    /// An ordinary user may not call a TAP so.
    Reserved(IfName),
    /// The kernel would fill in a number.
    Template(IfName),
    /// Only root makes TAPs for others.
    NotTheOwner(u32),
    /// A TAP that stays and has no owner would be everybody's.
    NoOwner,
    /// Another process has a queue of a TAP that was just made.
    NotAlone(IfName),
    /// What came beside the request is no network namespace.
    NotASpace,
    /// The namespace is another user's.
    ForeignSpace(u32),
    /// The namespace cannot be asked whose it is.
    Space(io::Error),
    /// The veth pair could not be made; its other end's name.
    Veth(IfName, io::Error),
    /// No such TAP, or not one that was kept for anybody.
    NotKept(IfName),
    /// A TAP that was kept for another user.
    NotYours(IfName),
    /// It could not be removed.
    Remove(IfName, io::Error),
    /// A bridge, or a network, without a switch.
    NoSwitch(IfName),
    /// A file capability does not make a process somebody else.
    SwitchTakesRoot,
    /// The sockets of a port on the switch could not be made or counted.
    Plug(io::Error),
    /// The switch gave no port.
    Join(Directory, JoinError),
    /// The switch is root's, and root asks.
    RootsSwitch(Directory),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken(name) => write!(f, "cannot make '{name}': there is an interface of that name"),
            Self::Reserved(name) => {
                write!(
                    f,
                    "cannot make '{name}': a name that you choose begins with '{}'",
                    OWN_NAME_PREFIX.escape_ascii()
                )
            }
            Self::Template(name) => write!(f, "cannot make '{name}': '%' may not be in the name"),
            Self::NotTheOwner(uid) => {
                write!(f, "cannot make a tap for uid {uid}: only root makes them for others")
            }
            Self::NoOwner => f.write_str("cannot make a tap without an owner: everybody could open it"),
            Self::NotAlone(name) => {
                write!(f, "cannot create a tap: another process opened '{name}' while it was made")
            }
            Self::NotASpace => f.write_str("cannot use the namespace: it is not a network namespace"),
            Self::ForeignSpace(uid) => {
                write!(f, "cannot use the namespace: its user namespace belongs to uid {uid}, not to you")
            }
            Self::Space(error) => write!(f, "cannot use the namespace: {}", plain(error)),
            Self::Veth(name, error) => write!(f, "cannot make '{name}' in the namespace: {}", plain(error)),
            Self::NotKept(tap) => write!(f, "cannot remove '{tap}': it is no tap that 'vmnet tap add' made"),
            Self::NotYours(tap) => write!(f, "cannot remove '{tap}': it belongs to another user"),
            Self::Remove(name, error) => write!(f, "cannot remove '{name}': {}", plain(error)),
            Self::NoSwitch(bridge) => write!(f, "cannot use '{bridge}': it has no switch"),
            Self::SwitchTakesRoot => {
                f.write_str("cannot ask for a port on a switch: a file capability is not enough")
            }
            Self::Plug(error) => write!(f, "cannot make a port for the switch: {}", plain(error)),
            Self::Join(switch, error) => write!(f, "cannot join the switch at {switch}: {error}"),
            Self::RootsSwitch(switch) => {
                write!(f, "cannot join the switch at {switch}: it is root's, and root asks no switch")
            }
        }
    }
}

impl std::error::Error for Unfit {}

impl Unfit {
    /// What would help, where something is known to.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoOwner => Some("--owner USER says whose it is".to_owned()),
            Self::NoSwitch(_) => Some("a section '[vde]' in its network's file gives it one".to_owned()),
            Self::SwitchTakesRoot => {
                Some("install the helper setuid root, or let 'vmnet broker' serve it".to_owned())
            }
            Self::RootsSwitch(_) => Some("a plain user whom the access rules let in may".to_owned()),
            _ => None,
        }
    }
}
