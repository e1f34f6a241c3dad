//! What a libvirt domain asks of our networks, from the plain words of its XML: the bridges that it is on,
//! and, in its metadata, a name and forwards for its guest. Whoever reads the XML hands over strings.

use std::fmt;
use std::net::Ipv4Addr;
use vmnet_access::mac::MacAddr;
use vmnet_access::name::{IfName, NetName};
use vmnet_model::forward::{Forward, Listen, Ports, Protocol, Target};
use vmnet_model::guest::{Who, is_host_name};

/// The namespace of our elements in a domain's metadata. It names no host, so nobody is asked for it.
pub const NAMESPACE: &str = "urn:vmnet:domain:1";

/// A domain's UUID as libvirt writes it: 32 hexadecimal digits in lower case, in five groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainId(String);

impl DomainId {
    /// The UUID; none if the text is none, so that it can be a file's name.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let fits = |(at, byte): (usize, u8)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        };
        let legal = text.len() == 36 && text.bytes().enumerate().all(fits);
        legal.then(|| Self(text.to_ascii_lowercase()))
    }
}

impl fmt::Display for DomainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An element of ours: its name, its attributes, and what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// Its name without the namespace.
    pub name: String,
    /// Names and values.
    pub attributes: Vec<(String, String)>,
    /// The elements in it.
    pub children: Vec<Element>,
}

/// A domain as its XML tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// `<uuid>`
    pub uuid: String,
    /// The interfaces on a bridge, or on one of libvirt's networks.
    pub interfaces: Vec<ToldInterface>,
    /// Our elements directly below `<metadata>`.
    pub metadata: Vec<Element>,
}

/// An `<interface>`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToldInterface {
    /// Its bridge; none as long as libvirt has not asked its network for one.
    pub bridge: Option<String>,
    /// `<mac address=…>`
    pub mac: Option<String>,
}

/// What is wrong with what a domain asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake(String);

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn mistake<T>(text: impl Into<String>) -> Result<T, Mistake> {
    Err(Mistake(text.into()))
}

/// A domain, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    interfaces: Vec<Interface>,
    wishes: Vec<Wish>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Interface {
    bridge: Option<IfName>,
    mac: Option<MacAddr>,
}

/// `<vmnet:network>`
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wish {
    network: NetName,
    mac: Option<MacAddr>,
    host: Option<String>,
    address: Option<Ipv4Addr>,
    forwards: Vec<(Listen, Option<Ports>, Protocol)>,
}

/// When libvirt calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookPhase {
    /// Before anything is made: an interface on one of libvirt's networks has no bridge yet.
    Prepare,
    /// Before the guest runs: each has one.
    Start,
}

/// What is to be done for one interface of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// The network.
    pub network: NetName,
    /// The guest's MAC there.
    pub mac: MacAddr,
    /// Its name, in lower case, and its address; no address: vmnet chooses.
    pub host: Option<(String, Option<Ipv4Addr>)>,
    /// Its forwards, to its name or, without one, to its MAC.
    pub forwards: Vec<Forward>,
}

impl Domain {
    /// Understand what was told. An interface that makes no sense is none of ours.
    ///
    /// # Errors
    /// The metadata asks for something that makes no sense.
    pub fn understand(told: &Told) -> Result<Self, Mistake> {
        let interface = |told: &ToldInterface| {
            let bridge = told.bridge.as_deref().map(|name| IfName::new(name.as_bytes()));
            let mac = told.mac.as_deref().and_then(|mac| mac.parse().ok());
            Some(Interface { bridge: bridge.transpose().ok()?, mac })
        };
        let mut wishes = Vec::new();
        for element in &told.metadata {
            match element.name.as_str() {
                "network" => wishes.push(Wish::read(element)?),
                "networks" => {
                    only_attributes(element, &[])?;
                    for inner in &element.children {
                        expect(inner, "network", element)?;
                        wishes.push(Wish::read(inner)?);
                    }
                }
                other => return mistake(format!("<{other}> is not <network> or <networks>")),
            }
        }
        Ok(Self { interfaces: told.interfaces.iter().filter_map(interface).collect(), wishes })
    }

    /// The bridges that its interfaces are on, each once.
    #[must_use]
    pub fn bridges(&self) -> Vec<&IfName> {
        let mut bridges: Vec<_> = self.interfaces.iter().filter_map(|one| one.bridge.as_ref()).collect();
        bridges.sort();
        bridges.dedup();
        bridges
    }

    /// What its metadata asks for. While bridges are unknown, what is asked for them is left out.
    ///
    /// # Errors
    /// Something is asked for a network that none of its interfaces is on, for one of several, or twice.
    pub fn wants(&self, moment: HookPhase) -> Result<Vec<Want>, Mistake> {
        let mut wants: Vec<Want> = Vec::new();
        for wish in &self.wishes {
            let Some(mac) = self.mac_for(wish, moment)? else { continue };
            if wants.iter().any(|want| want.network == wish.network && want.mac == mac) {
                return mistake(format!("network '{}' is asked for {mac} twice", wish.network));
            }
            wants.push(wish.on(mac)?);
        }
        Ok(wants)
    }

    fn mac_for(&self, wish: &Wish, moment: HookPhase) -> Result<Option<MacAddr>, Mistake> {
        let bridge = wish.network.bridge();
        let fits = |one: &&Interface| wish.mac.is_none_or(|mac| one.mac == Some(mac));
        let here: Vec<MacAddr> = self
            .interfaces
            .iter()
            .filter(|one| one.bridge.as_ref() == Some(&bridge))
            .filter(fits)
            .filter_map(|one| one.mac)
            .collect();
        let undecided = self.interfaces.iter().filter(fits).any(|one| one.bridge.is_none());
        match (here.as_slice(), moment) {
            ([mac], _) => Ok(Some(*mac)),
            ([], HookPhase::Prepare) if undecided => Ok(None),
            ([], _) => {
                let which = wish.mac.map_or_else(String::new, |mac| format!(" with the MAC {mac}"));
                mistake(format!(
                    "no interface{which} is on the bridge {bridge} of network '{}'",
                    wish.network
                ))
            }
            _ => mistake(format!(
                "{} interfaces are on network '{}': say which one by its mac",
                here.len(),
                wish.network
            )),
        }
    }
}

impl Wish {
    fn read(element: &Element) -> Result<Self, Mistake> {
        only_attributes(element, &["name", "host", "address", "mac"])?;
        let Some(network) = element.value("name") else { return mistake("<network> has no name") };
        let network =
            NetName::new(network).or_else(|why| mistake(format!("<network name=\"{network}\">: {why}")))?;
        let host = element.value("host").map(str::to_ascii_lowercase);
        if let Some(host) = host.as_deref().filter(|host| !is_host_name(host)) {
            return mistake(format!("host=\"{host}\": not a host's name"));
        }
        let address = element.parsed::<Ipv4Addr>("address")?;
        if host.is_none() && address.is_some() {
            return mistake("an address is reserved for a host: say its name too");
        }
        let mac = element.parsed::<MacAddr>("mac")?;
        let forwards = element.children.iter().map(|child| {
            expect(child, "forward", element)?;
            read_forward(child)
        });
        Ok(Self { network, mac, host, address, forwards: forwards.collect::<Result<_, _>>()? })
    }

    fn on(&self, mac: MacAddr) -> Result<Want, Mistake> {
        let who = self.host.clone().map_or(Who::Mac(mac), Who::Name);
        let forward = |(listen, ports, protocol): &(Listen, Option<Ports>, Protocol)| {
            Forward::new(*listen, Target { who: who.clone(), ports: *ports }, *protocol)
                .or_else(|why| mistake(format!("<forward listen=\"{listen}\">: {why}")))
        };
        Ok(Want {
            network: self.network.clone(),
            mac,
            host: self.host.clone().map(|name| (name, self.address)),
            forwards: self.forwards.iter().map(forward).collect::<Result<_, _>>()?,
        })
    }
}

fn read_forward(element: &Element) -> Result<(Listen, Option<Ports>, Protocol), Mistake> {
    only_attributes(element, &["listen", "to", "protocol"])?;
    if let Some(inner) = element.children.first() {
        return mistake(format!("<{}> has no place in <forward>", inner.name));
    }
    let Some(listen) = element.parsed::<Listen>("listen")? else {
        return mistake("<forward> has no listen");
    };
    // Nobody would be told which one was chosen.
    if listen.ports.first == 0 {
        return mistake(format!("listen=\"{listen}\": not a port of this host"));
    }
    let ports = element.parsed::<Ports>("to")?;
    if ports.is_some_and(|ports| ports.first == 0) {
        return mistake("to=\"0\": not a port of the guest");
    }
    Ok((listen, ports, element.parsed("protocol")?.unwrap_or(Protocol::Tcp)))
}

impl Element {
    fn value(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    fn parsed<T: std::str::FromStr<Err: fmt::Display>>(&self, name: &str) -> Result<Option<T>, Mistake> {
        let parse = |value: &str| {
            value.parse().or_else(|why| mistake(format!("<{} {name}=\"{value}\">: {why}", self.name)))
        };
        self.value(name).map(parse).transpose()
    }
}

fn only_attributes(element: &Element, known: &[&str]) -> Result<(), Mistake> {
    match element.attributes.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        Some((name, _)) => mistake(format!("<{}> has no attribute {name}", element.name)),
        None => Ok(()),
    }
}

fn expect(element: &Element, name: &str, parent: &Element) -> Result<(), Mistake> {
    if element.name == name {
        return Ok(());
    }
    mistake(format!("<{}> has no place in <{}>", element.name, parent.name))
}

#[cfg(test)]
mod tests;
