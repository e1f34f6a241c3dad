//! The parts of a running network: ports with their holders, and leases.

use crate::dirs::Dirs;
use crate::observe;
use std::os::fd::BorrowedFd;
use vmnet_access::mac::MacAddr;
use vmnet_access::name::{IfName, NetName};
use vmnet_access::port_record::PortTag;
use vmnet_access::request::PortRequest;
use vmnet_host::links::{Links, SeenLink};
use vmnet_model::error::{Error, ErrorKind, network};
use vmnet_model::lease::Lease;
use vmnet_port::acquire::{self, NotAcquired, Plugged};
use vmnet_sys::caller::name_of;
use vmnet_sys::trust::plain;
use vmnet_vswitch::clients::{self, Client, Who};

/// One port and whoever holds it.
#[derive(Clone, Debug)]
pub struct Port {
    /// The link.
    pub link: SeenLink,
    /// The holder, if the helper made it.
    pub tag: Option<PortTag>,
    /// The MACs seen behind it.
    pub macs: Vec<MacAddr>,
    /// The leases of those.
    pub leases: Vec<Lease>,
}

/// The ports of a bridge, with what is known of each: whose MACs were heard there, and which of `leases` they have.
///
/// # Errors
/// The host cannot be looked at.
pub(crate) fn ports(links: &Links, bridge: &IfName, leases: &[Lease]) -> Result<Vec<Port>, Error> {
    let failed = |error| Error::new("look up", format!("bridge '{bridge}'"), error);
    let Some(link) = links.find(bridge).map_err(failed)? else { return Ok(Vec::new()) };
    let known = links.fdb(link.index).map_err(failed)?;
    let port = |link: SeenLink| {
        let macs: Vec<MacAddr> =
            known.iter().filter(|(port, _)| *port == link.index).map(|(_, mac)| *mac).collect();
        Port {
            tag: link.tag(),
            leases: leases.iter().filter(|lease| macs.contains(&lease.mac)).cloned().collect(),
            macs,
            link,
        }
    };
    Ok(observe::ports(links, bridge)?.into_iter().map(port).collect())
}

impl Port {
    /// The process that it was made for. One that stays was made by a process that is gone, and whose
    /// number may be another's by now.
    pub fn pid(&self) -> Option<u32> {
        self.tag.as_ref().filter(|tag| !tag.kept && !is_veth(&self.link)).map(|tag| tag.pid)
    }

    /// It leads to the network's own switch.
    pub fn is_switch(&self) -> bool {
        self.link.wire().is_some_and(|tag| tag.cable.is_none())
    }

    /// In a few words, for a list of those in the way.
    pub fn phrase(&self) -> String {
        phrase(&self.link)
    }
}

/// One end of a pair, whose other is in a namespace: whoever asked for it is gone.
fn is_veth(link: &SeenLink) -> bool {
    link.kind.as_deref() == Some("veth")
}

/// A port and its holder in a few words, for a list of those in the way.
pub(crate) fn phrase(link: &SeenLink) -> String {
    match link.tag() {
        Some(tag) if tag.kept => format!("{} (kept for user {})", link.name, name_of(tag.uid)),
        Some(tag) if is_veth(link) => format!("{} (a namespace of user {})", link.name, name_of(tag.uid)),
        Some(tag) => format!("{} (user {}, pid {})", link.name, name_of(tag.uid), tag.pid),
        None => link.name.to_string(),
    }
}

/// Under whom a network does not go down unasked: who is attached, on the bridge, each as `say` puts it, and on
/// the switch. What stays and is held by nobody, or leads to another wire, is nobody.
///
/// # Errors
/// The host cannot be looked at.
pub(crate) fn attached(
    dirs: &Dirs,
    links: &Links,
    bridge: &IfName,
    say: impl Fn(&SeenLink) -> String,
) -> Result<Vec<String>, Error> {
    let ports = observe::ports(links, bridge)?;
    let clients = clients::look(&dirs.run, &dirs.run_dir(bridge).switch())?;
    let held = ports.iter().filter(|port| !port.is_vacant()).map(say);
    Ok(held.chain(clients.guests().map(Client::phrase)).collect())
}

/// How many are plugged in, on the bridge and on the switch, but for what joins the two with each other or with
/// other wires.
///
/// # Errors
/// The host cannot be looked at.
pub fn count(dirs: &Dirs, links: &Links, bridge: &IfName) -> Result<usize, Error> {
    let on_bridge = observe::ports(links, bridge)?;
    let clients = clients::look(&dirs.run, &dirs.run_dir(bridge).switch())?;
    let on_switch = clients.list.iter().filter(|client| client.who != Who::Pump).count();
    Ok(on_bridge.iter().filter(|link| link.wire().is_none()).count() + on_switch)
}

/// Ask whoever may make ports for one ([`acquire::ask`]), and say in a sentence why there is none. To be called
/// before there is a second thread.
///
/// # Errors
/// It was refused ([`vmnet_model::error::ErrorKind::Denied`], in the words of whoever refused), or nobody could
/// be asked.
pub fn acquire(request: &PortRequest, namespace: Option<BorrowedFd<'_>>) -> Result<Plugged, Error> {
    acquire::ask(request, namespace).map_err(|why| match why {
        NotAcquired::Refused { sentence, hint } => Error::told(sentence, hint),
        NotAcquired::Unasked(error) => Error::new("ask for", "a port", plain(&error)),
    })
}

/// A port that was taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Who held it; `-` where that is not known.
    pub user: String,
    /// `port`, or `vde` for one on the network's switch.
    pub kind: &'static str,
    /// The port and its holder, in a few words.
    pub phrase: String,
}

/// Take a port away from whoever holds it.
pub(crate) fn revoke(dirs: &Dirs, name: &NetName, port: &IfName) -> Result<Revoked, Error> {
    let object = format!("port '{port}'");
    let failed = |cause: &dyn std::fmt::Display| Error::new("revoke", &object, cause);
    let bridge = name.bridge();
    let run_dir = dirs.run_dir(&bridge);
    let links = Links::open().map_err(|error| failed(&error))?;
    if links.find(&bridge).map_err(|error| failed(&error))?.is_none() {
        return Err(Error::not_up("revoke a port of", name));
    }
    let ports = observe::ports(&links, &bridge)?;
    let Some(found) = ports.iter().find(|found| found.name == *port) else {
        let (user, phrase) =
            clients::revoke(&dirs.run, &run_dir.switch(), &port.to_string()).map_err(|cause| {
                let none = || (ErrorKind::Invalid, format!("it is no port of {}", network(name)));
                let (kind, cause) = cause.unwrap_or_else(none);
                failed(&cause).kind(kind)
            })?;
        return Ok(Revoked { user, kind: "vde", phrase });
    };
    if let Some(to) = found.wire().and_then(|tag| tag.cable) {
        let refusal = failed(&format!("it is the end of the cable to {to}"));
        return Err(refusal
            .kind(ErrorKind::Conflict)
            .hint(format!("'vmnet cable {name} {to} --remove' parts them")));
    }
    links.delete(found.index).map_err(|error| failed(&error.cause))?;
    let user = found.tag().map_or_else(|| "-".to_owned(), |tag| name_of(tag.uid));
    Ok(Revoked { user, kind: "port", phrase: phrase(found) })
}
