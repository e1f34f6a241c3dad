//! A network namespace gets an interface on a network: a port on the host's side, made directly inside
//! on the other, and there with address, route and resolver. All of it goes through
//! sockets that belong to the namespace, so that nothing else is done there by mistake.
//!
//! | file | knows |
//! |---|---|
//! | `attachment` | what is asked for, and what an interface has |
//! | `namespace` | which namespace is meant |
//! | `existing` | what is there already, and whose |
//! | `bridge_facts` | what is known of the network |
//! | `dhcp_client` | the talk with a DHCP server |
//! | `configure` | what the interface is given |
//! | [`check`] | whether it has what it is to have |
//! | `resolv_conf` | a named namespace's resolver file |
//! | `lease_keeper` | the process that renews a lease |

#![forbid(unsafe_code)]

mod attachment;
mod bridge_facts;
pub mod check;
mod configure;
mod dhcp_client;
mod existing;
mod lease_keeper;
mod namespace;
mod resolv_conf;

pub use attachment::{AddressChoice, Attached, Attachment, Detached};
pub use namespace::NamespaceRef;

use attachment::{Act, Work, mac};
use existing::ExistingInterface;
use namespace::Target;
use std::time::Duration;
use vmnet_access::name::IfName;
use vmnet_model::error::{Error, ErrorKind};
use vmnet_network::dirs::Dirs;
use vmnet_sys::link;
use vmnet_sys::process::Interrupts;
use vmnet_sys::trust::plain;

/// How long to wait for another of us that is at work in the same namespace: longer than it may need for
/// a lease. Then we go on: whoever only pretends to be at work must not hold us up for ever.
const TURN: Duration = Duration::from_secs(12);

/// Give the namespace its interface, or what an interface of ours there lacks. To be called before there is
/// a second thread; SIGINT and SIGTERM are held back while it is given, and end the wait for a lease.
///
/// # Errors
/// There is no such namespace, it is another's, its place is taken, or the interface cannot have what is
/// asked for. An interface that was not there before is then gone again.
pub fn attach(dirs: &Dirs, asked: &Attachment) -> Result<Attached, Error> {
    let target = Target::open("attach", &asked.namespace)?;
    let target = target.map_err(|absent| absent.failure("attach"))?;
    let _ = target.space.take_turn(TURN);
    let mut work = Work::begin(Act::Attach, dirs, target, &asked.bridge, &asked.ifname)?;
    let taken = |work: &Work<'_>, cause: &str| {
        work.failed(cause).kind(ErrorKind::Exists).hint("--ifname gives it an interface of another name")
    };
    let (already, ends, facts) = match work.look()? {
        ExistingInterface::Ours(ends) => {
            let (facts, own) = (work.facts()?, mac(&ends.inner));
            work.check(&facts, asked.addresses.fixed(), own)?;
            if asked.mac.is_some_and(|asked| asked != own) {
                return Err(taken(&work, &format!("its {} has the MAC {own}", asked.ifname)));
            }
            (true, *ends, facts)
        }
        ExistingInterface::Stale { index } => {
            link::delete(&mut work.inside.netlink, index).map_err(|error| work.failed(&plain(&error)))?;
            work.make(asked)?
        }
        ExistingInterface::Absent => work.make(asked)?,
        ExistingInterface::Other(bridge) => {
            return Err(taken(&work, &format!("its {} is on '{bridge}' already", asked.ifname)));
        }
        ExistingInterface::Foreign => {
            return Err(taken(&work, &format!("it has another interface '{}'", asked.ifname)));
        }
    };
    let interrupts = Interrupts::hold().map_err(|error| work.failed(&plain(&error)))?;
    let index = ends.inner.index;
    let given = configure::furnish(&mut work, already, &ends, &facts, asked, &interrupts);
    if given.is_err() && !already {
        // Whatever was begun goes with it, the port on the host too.
        let _ = link::delete(&mut work.inside.netlink, index);
    }
    given
}

/// Take an interface of ours away from a namespace. That there is none is no failure.
///
/// # Errors
/// The namespace is another's, or what is at the interface's place is none of ours on this bridge.
pub fn detach(
    dirs: &Dirs,
    bridge: &IfName,
    namespace: &NamespaceRef,
    interface: &IfName,
) -> Result<Detached, Error> {
    let target = match Target::open("detach", namespace)? {
        Ok(target) => target,
        Err(absent) => {
            if let Some(name_there) = &absent.name {
                resolv_conf::remove(name_there, bridge, interface)?;
            }
            return Ok(Detached::Absent(format!("{}: {}", absent.label, absent.cause)));
        }
    };
    let _ = target.space.take_turn(TURN);
    let mut work = Work::begin(Act::Detach, dirs, target, bridge, interface)?;
    let index = match work.look()? {
        ExistingInterface::Absent => None,
        ExistingInterface::Ours(ends) => {
            configure::give_back(&work.target.space, &mut work.inside.netlink, &ends.inner);
            Some(ends.inner.index)
        }
        ExistingInterface::Stale { index } => Some(index),
        ExistingInterface::Other(bridge) => {
            return Err(work
                .failed(&format!("{interface} there is on '{bridge}'"))
                .kind(ErrorKind::Conflict));
        }
        ExistingInterface::Foreign => {
            return Err(work
                .failed(&format!("{interface} there is none of vmnet's"))
                .kind(ErrorKind::Conflict));
        }
    };
    if let Some(index) = index {
        match link::delete(&mut work.inside.netlink, index) {
            Err(error) if !existing::is_gone(&error) => return Err(work.failed(&plain(&error))),
            _ => {}
        }
    }
    if let Some(name_there) = &work.target.name {
        resolv_conf::remove(name_there, &work.bridge, interface)?;
    }
    let label = work.target.label.clone();
    Ok(if index.is_some() {
        Detached::Gone(label)
    } else {
        Detached::Absent(format!("{label} has no {interface}"))
    })
}
