//! A network namespace gets an interface on a network: a port on the host's side, made directly inside
//! on the other, and there with address, route and resolver. All of it goes through
//! sockets that belong to the namespace, so that nothing else is done there by mistake.
//!
//! | file | knows |
//! |---|---|
//! | [`namespace`] | which namespace is meant |
//! | [`existing`] | what is there already, and whose |
//! | [`bridge_facts`] | what is known of the network |
//! | [`dhcp_client`] | the talk with a DHCP server |
//! | [`configure`] | what the interface is given |
//! | [`resolv_conf`] | a named namespace's resolver file |
//! | [`lease_keeper`] | the process that renews a lease |

mod bridge_facts;
mod configure;
mod dhcp_client;
mod existing;
mod lease_keeper;
mod namespace;
mod resolv_conf;

use crate::args::{AttachWords, SpaceWords};
use crate::places::Places;
use crate::plug;
use bridge_facts::Facts;
use existing::{Ends, Standing, look};
use namespace::Target;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;
use vmnet_access::mac::MacAddr;
use vmnet_access::name::IfName;
use vmnet_access::request::{Ask, Wish};
use vmnet_host::facts as host;
use vmnet_model::attach::{Cidr, mac_of};
use vmnet_model::error::Error;
use vmnet_sys::link;
use vmnet_sys::namespace::Inside;
use vmnet_sys::netlink::Netlink;
use vmnet_sys::packet::Packets;
use vmnet_sys::process::Interrupts;
use vmnet_sys::random;
use vmnet_sys::trust::plain;

/// How long to wait for another of us that is at work in the same namespace: longer than it may need for
/// a lease. Then we go on: whoever only pretends to be at work must not hold us up for ever.
const TURN: Duration = Duration::from_secs(12);

/// What an interface has.
#[derive(Debug)]
pub struct Attached {
    /// The namespace, in words.
    pub label: String,
    /// It was there before.
    pub already: bool,
    /// Its end on the host.
    pub port: IfName,
    /// The bridge, by its own name.
    pub bridge: IfName,
    /// Its MAC.
    pub mac: MacAddr,
    /// Bytes.
    pub mtu: u32,
    /// Its addresses, with the seconds that each still counts; none: for ever.
    pub addresses: Vec<(Cidr, Option<u32>)>,
    /// The ways out that it was given.
    pub gateways: Vec<IpAddr>,
    /// Whom to ask for names.
    pub resolvers: Vec<IpAddr>,
    /// In which domain.
    pub domain: Option<String>,
    /// The file that says so in the namespace.
    pub resolver_file: Option<PathBuf>,
    /// Addresses that DHCP may give to others.
    pub on_offer: Vec<IpAddr>,
}

/// The interface with its port, whether it was there before, and what is known of the network.
type Made = (bool, Ends, Facts);

/// What became of an interface that is to go.
#[derive(Debug)]
pub enum Detached {
    /// It is gone.
    Gone(String),
    /// There was none; where.
    Absent(String),
}

/// One attachment being made.
struct Work<'a> {
    places: &'a Places,
    target: Target,
    /// The bridge, by its own name where it is there.
    bridge: IfName,
    interface: &'a IfName,
    host: Netlink,
    inside: Inside,
    /// For frames, where they are needed.
    packets: Option<Packets>,
}

/// Give the namespace its interface, or what an interface of ours there lacks.
pub fn attach(places: &Places, words: &AttachWords) -> Result<Attached, Error> {
    let addresses = configure::parse(&words.address)?;
    let target = Target::open("attach", &words.space)?;
    let target =
        target.map_err(|absent| Error::new("attach", absent.label, absent.cause).hint(absent.hint))?;
    let _ = target.space.take_turn(TURN);
    let mut work = Work::begin("attach", places, target, &words.name, &words.ifname)?;
    let (already, ends, facts) = match work.look()? {
        Standing::Ours(ends) => {
            let facts = Facts::learn(places, &mut work.host, &work.bridge)?;
            work.check(&facts, &addresses, configure::mac(&ends.inner))?;
            (true, *ends, facts)
        }
        Standing::Stale { index } => {
            link::delete(&mut work.inside.netlink, index).map_err(|error| work.failed(&plain(&error)))?;
            work.make(words, &addresses)?
        }
        Standing::Absent => work.make(words, &addresses)?,
        Standing::Other(bridge) => {
            return Err(work.taken(&format!("its {} is on '{bridge}' already", words.ifname)));
        }
        Standing::Foreign => return Err(work.taken(&format!("it has another interface '{}'", words.ifname))),
    };
    let interrupts = Interrupts::hold().map_err(|error| work.failed(&plain(&error)))?;
    let wish = configure::Wishes { addresses: &addresses, dhcp: words.dhcp };
    let index = ends.inner.index;
    let given = configure::furnish(&mut work, already, &ends, &facts, &wish, &interrupts);
    if given.is_err() && !already {
        // Whatever was begun goes with it, the port on the host too.
        let _ = link::delete(&mut work.inside.netlink, index);
    }
    given
}

/// Take it away. That there is none is no failure.
pub fn detach(
    places: &Places,
    name: &IfName,
    space: &SpaceWords,
    interface: &IfName,
) -> Result<Detached, Error> {
    let target = match Target::open("detach", space)? {
        Ok(target) => target,
        Err(absent) => {
            if let Some(name_there) = &absent.name {
                resolv_conf::remove(name_there, name, interface)?;
            }
            return Ok(Detached::Absent(format!("{}: {}", absent.label, absent.cause)));
        }
    };
    let _ = target.space.take_turn(TURN);
    let mut work = Work::begin("detach", places, target, name, interface)?;
    let index = match work.look()? {
        Standing::Absent => None,
        Standing::Ours(ends) => {
            configure::give_back(&work.target.space, &mut work.inside.netlink, &ends.inner);
            Some(ends.inner.index)
        }
        Standing::Stale { index } => Some(index),
        Standing::Other(bridge) => {
            return Err(work.cannot_detach(&format!("{interface} there is on '{bridge}'")));
        }
        Standing::Foreign => return Err(work.cannot_detach(&format!("{interface} there is none of vmnet's"))),
    };
    if let Some(index) = index {
        match link::delete(&mut work.inside.netlink, index) {
            Err(error) if !existing::is_gone(&error) => return Err(work.cannot_detach(&plain(&error))),
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

impl<'a> Work<'a> {
    fn begin(
        act: &'static str,
        places: &'a Places,
        target: Target,
        name: &IfName,
        interface: &'a IfName,
    ) -> Result<Self, Error> {
        let failed = |cause: &str| Error::new(act, &target.label, cause);
        let mut host = Netlink::open().map_err(|error| failed(&plain(&error)))?;
        let found = link::find(&mut host, name).map_err(|error| failed(&plain(&error)))?;
        let own = found.and_then(|link| IfName::new(&link.name).ok());
        let inside = target.space.inside().map_err(|error| {
            let failure = failed(&format!("cannot enter it: {}", plain(&error)));
            match error.kind() {
                std::io::ErrorKind::PermissionDenied => failure
                    .hint("yours are those that you made, as by 'unshare --user --map-root-user --net'"),
                _ => failure,
            }
        })?;
        Ok(Self {
            places,
            bridge: own.unwrap_or_else(|| name.clone()),
            target,
            interface,
            host,
            inside,
            packets: None,
        })
    }

    fn look(&mut self) -> Result<Standing, Error> {
        look(&mut self.host, &mut self.inside.netlink, &self.target.space, &self.bridge, self.interface)
            .map_err(|error| self.failed(&format!("cannot look into it: {}", plain(&error))))
    }

    /// The port, and the interface at its other end.
    fn make(&mut self, words: &AttachWords, addresses: &[Cidr]) -> Result<Made, Error> {
        let mac = self.mac()?;
        // What can be seen to be wrong is said before anything is made.
        let known = Facts::learn(self.places, &mut self.host, &self.bridge)?;
        if known.is_up {
            self.check(&known, addresses, mac)?;
        }
        let wish = Wish::Veth { interface: self.interface.clone(), mac };
        let ask = Ask { bridge: words.name.clone(), for_itself: true, wish };
        if let Err(failure) = plug::ask(&ask, Some(self.target.space.as_fd())) {
            // A half-made one, whose maker was killed.
            if let Ok(Standing::Stale { index }) = self.look() {
                let _ = link::delete(&mut self.inside.netlink, index);
            }
            return Err(failure);
        }
        let facts =
            if known.is_up { known } else { Facts::learn(self.places, &mut self.host, &self.bridge)? };
        match self.look()? {
            Standing::Ours(ends) => {
                if let Err(failure) = self.check(&facts, addresses, mac) {
                    let _ = link::delete(&mut self.inside.netlink, ends.inner.index);
                    return Err(failure);
                }
                Ok((false, *ends, facts))
            }
            _ => Err(self.failed("the interface is gone again")),
        }
    }

    /// A named namespace's interface has the same MAC each time.
    fn mac(&self) -> Result<MacAddr, Error> {
        match &self.target.name {
            Some(name) => Ok(mac_of(&host::machine(), &self.bridge, name, self.interface)),
            None => {
                let [a, b, c, d, e] = random::bytes().map_err(|error| self.failed(&plain(&error)))?;
                Ok(MacAddr([0x02, a, b, c, d, e]))
            }
        }
    }

    /// Can it have what is asked for?
    fn check(&self, facts: &Facts, addresses: &[Cidr], mac: MacAddr) -> Result<(), Error> {
        facts.check(addresses, mac).map_err(|cause| self.failed(&cause))
    }

    fn failed(&self, cause: &str) -> Error {
        Error::new("attach", format!("{} to '{}'", self.target.label, self.bridge), cause)
    }

    fn taken(&self, cause: &str) -> Error {
        self.failed(cause).hint("--ifname gives it an interface of another name")
    }

    fn cannot_detach(&self, cause: &str) -> Error {
        Error::new("detach", format!("{} from '{}'", self.target.label, self.bridge), cause)
    }
}
