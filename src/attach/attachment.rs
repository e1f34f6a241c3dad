//! One interface in a namespace: what is asked for, what it has, and the work between both.

use super::bridge_facts::Facts;
use super::existing::{Ends, ExistingInterface, look};
use super::namespace::{NamespaceRef, Target};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::PathBuf;
use vmnet_access::mac::MacAddr;
use vmnet_access::name::IfName;
use vmnet_access::request::{PortKind, PortRequest};
use vmnet_host::facts as host;
use vmnet_model::attach::{Cidr, mac_of};
use vmnet_model::error::{Error, ErrorKind};
use vmnet_network::dirs::Dirs;
use vmnet_network::ports;
use vmnet_sys::link::{self, Link};
use vmnet_sys::namespace::Inside;
use vmnet_sys::netlink::Netlink;
use vmnet_sys::packet::Packets;
use vmnet_sys::random;
use vmnet_sys::trust::plain;

/// An interface that a network namespace is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The bridge that it is to be on: that of a network of ours, or any other. An alternative name counts.
    pub bridge: IfName,
    /// The namespace.
    pub namespace: NamespaceRef,
    /// What the interface is called there.
    pub ifname: IfName,
    /// Its MAC. None: in a namespace with a name the same each time, in another a random one.
    pub mac: Option<MacAddr>,
    /// What it calls itself to a DHCP server. None: what the namespace or its host is called.
    pub hostname: Option<String>,
    /// Its addresses.
    pub addresses: AddressChoice,
}

/// Where the addresses of an interface come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressChoice {
    /// From whoever asks; there is at least one.
    Fixed(Vec<Cidr>),
    /// From a DHCP server, whatever the interface has already.
    Dhcp,
    /// Those that it has; from a DHCP server where it has no IPv4 address, or one that was leased.
    Kept,
}

impl AddressChoice {
    /// Those that whoever asks chose; none where they did not.
    pub fn fixed(&self) -> &[Cidr] {
        match self {
            Self::Fixed(addresses) => addresses,
            Self::Dhcp | Self::Kept => &[],
        }
    }
}

/// An interface of ours, and what it has.
#[derive(Debug)]
pub struct Attached {
    /// The namespace, in words.
    pub label: String,
    /// What the interface is called in the namespace.
    pub interface: IfName,
    /// The interface was there before.
    pub already: bool,
    /// The name of the interface's end on the host, the bridge's port.
    pub port: IfName,
    /// The bridge, by its own name.
    pub bridge: IfName,
    /// The MAC of the interface.
    pub mac: MacAddr,
    /// The largest packet, in bytes.
    pub mtu: u32,
    /// Its addresses, with the seconds that each still counts; none: for ever.
    pub addresses: Vec<(Cidr, Option<u32>)>,
    /// The ways out.
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

/// What became of an interface that is to go.
#[derive(Debug)]
pub enum Detached {
    /// It is gone.
    Gone(String),
    /// There was none; where.
    Absent(String),
}

/// The interface with its port, whether it was there before, and what is known of the network.
pub type Made = (bool, Ends, Facts);

/// What is being done with an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// An interface is made, or completed.
    Attach,
    /// It is looked at.
    Check,
    /// It is taken away.
    Detach,
}

impl Act {
    /// As a sentence says it.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Attach => "attach",
            Self::Check => "check",
            Self::Detach => "detach",
        }
    }

    /// `namespace 'web' to 'lab'`
    fn object(self, label: &str, bridge: &IfName) -> String {
        let preposition = match self {
            Self::Attach => "to",
            Self::Check => "on",
            Self::Detach => "from",
        };
        format!("{label} {preposition} '{bridge}'")
    }
}

/// The MAC of an interface: every Ethernet link has one.
pub fn mac(inner: &Link) -> MacAddr {
    inner.mac.unwrap_or(MacAddr([0; 6]))
}

/// One interface being worked on.
pub struct Work<'a> {
    act: Act,
    dirs: &'a Dirs,
    /// The namespace.
    pub target: Target,
    /// The bridge, by its own name where it is there.
    pub bridge: IfName,
    /// What the interface is called.
    pub interface: &'a IfName,
    /// The host's namespace.
    pub host: Netlink,
    /// Sockets that belong to the namespace.
    pub inside: Inside,
    /// For frames, where they are needed.
    pub packets: Option<Packets>,
}

impl<'a> Work<'a> {
    /// Go into the namespace.
    ///
    /// # Errors
    /// Its owner is somebody else, or the kernel's.
    pub fn begin(
        act: Act,
        dirs: &'a Dirs,
        target: Target,
        bridge: &IfName,
        interface: &'a IfName,
    ) -> Result<Self, Error> {
        let failed = |cause: &str| Error::new(act.verb(), &target.label, cause);
        let mut host = Netlink::open().map_err(|error| failed(&plain(&error)))?;
        let found = link::find(&mut host, bridge).map_err(|error| failed(&plain(&error)))?;
        let own = found.and_then(|link| IfName::new(&link.name).ok());
        let inside = target.space.inside().map_err(|error| {
            let failure = failed(&format!("cannot enter it: {}", plain(&error)));
            match error.kind() {
                std::io::ErrorKind::PermissionDenied => failure
                    .kind(ErrorKind::Denied)
                    .hint("yours are those that you made, as by 'unshare --user --map-root-user --net'"),
                _ => failure,
            }
        })?;
        let bridge = own.unwrap_or_else(|| bridge.clone());
        Ok(Self { act, dirs, bridge, target, interface, host, inside, packets: None })
    }

    /// What is at the interface's place already.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn look(&mut self) -> Result<ExistingInterface, Error> {
        look(&mut self.host, &mut self.inside.netlink, &self.target.space, &self.bridge, self.interface)
            .map_err(|error| self.failed(&format!("cannot look into it: {}", plain(&error))))
    }

    /// What is known of the bridge.
    ///
    /// # Errors
    /// It cannot be looked up.
    pub fn facts(&mut self) -> Result<Facts, Error> {
        Facts::learn(self.dirs, &mut self.host, &self.bridge)
    }

    /// Make the port, and the interface at its other end.
    ///
    /// # Errors
    /// Nobody makes it for us, or it cannot have what is asked for. What was begun is gone again.
    pub fn make(&mut self, asked: &Attachment) -> Result<Made, Error> {
        let (mac, addresses) = (asked.mac.map_or_else(|| self.choose_mac(), Ok)?, asked.addresses.fixed());
        // What can be seen to be wrong is said before anything is made.
        let known = self.facts()?;
        if known.is_up {
            self.check(&known, addresses, mac)?;
        }
        let wish = PortKind::Veth { interface: self.interface.clone(), mac };
        let ask = PortRequest { bridge: asked.bridge.clone(), for_itself: true, wish };
        if let Err(failure) = ports::acquire(&ask, Some(self.target.space.as_fd())) {
            // A half-made one, whose maker was killed.
            if let Ok(ExistingInterface::Stale { index }) = self.look() {
                let _ = link::delete(&mut self.inside.netlink, index);
            }
            return Err(failure);
        }
        let facts = if known.is_up { known } else { self.facts()? };
        match self.look()? {
            ExistingInterface::Ours(ends) => {
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
    fn choose_mac(&self) -> Result<MacAddr, Error> {
        match &self.target.name {
            Some(name) => Ok(mac_of(&host::machine(), &self.bridge, name, self.interface)),
            None => {
                let [a, b, c, d, e] = random::bytes().map_err(|error| self.failed(&plain(&error)))?;
                Ok(MacAddr([0x02, a, b, c, d, e]))
            }
        }
    }

    /// Can it have what is asked for?
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, facts: &Facts, addresses: &[Cidr], mac: MacAddr) -> Result<(), Error> {
        facts.check(addresses, mac).map_err(|(kind, cause)| self.failed(&cause).kind(kind))
    }

    /// `cannot attach namespace 'web' to 'lab': CAUSE`, whatever is being done.
    pub fn failed(&self, cause: &str) -> Error {
        Error::new(self.act.verb(), self.act.object(&self.target.label, &self.bridge), cause)
    }
}
