//! `vmnet leases NAME [--watch]`

use crate::exit::Exit;
use crate::say;
use crate::show::leases::{duration, lease_json, time_left};
use serde_json::{Map, Value, json};
use std::net::Ipv6Addr;
use tokio::signal::unix::{SignalKind, signal};
use vmnet_access::mac::MacAddr;
use vmnet_access::name::{IfName, NetName};
use vmnet_host::links::Links;
use vmnet_host::runtime::events;
use vmnet_model::calendar::utc;
use vmnet_model::error::{Error, network};
use vmnet_model::guest::{self, Reservation};
use vmnet_model::lease::{Lease, LeaseChange, changes};
use vmnet_model::network::{LeaseTime, Network};
use vmnet_network::lease_watch::Event;
use vmnet_network::store::definitions;
use vmnet_network::{Dirs, Networks, leases};
use vmnet_sys::trust::plain;

/// dnsmasq makes shorter ones as long as this (MIN_LEASETIME in 2.90's option.c).
const SHORTEST: u32 = 120;

/// The leases that run; with `watch`, what becomes of them from now on.
pub fn run(networks: &Networks, name: &NetName, watch: bool, json: bool) -> Result<Exit, Error> {
    let leases = networks.get(name).leases()?;
    if watch {
        return events(|| follow(networks, name, json));
    }
    let knowledge = Knowledge::of(networks.dirs(), name);
    if json {
        let leases: Vec<Value> = leases.iter().map(|lease| knowledge.pairs(lease).into()).collect();
        say::json(&json!({ "leases": leases }));
    } else {
        say::table(&Knowledge::HEAD, leases.iter().map(|lease| knowledge.row(lease)));
    }
    Ok(Exit::Done)
}

/// A line for each change, until a signal comes, the network goes down, or nobody reads any more.
async fn follow(networks: &Networks, name: &NetName, json: bool) -> Result<Exit, Error> {
    let failed = |error: std::io::Error| Error::new("watch the leases of", network(name), plain(&error));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let watch = networks.get(name).watch_leases()?;
    // Not by the face: once it is down its last leases are still told.
    let run_dir = networks.dirs().run_dir(&name.bridge());
    let mut before = leases::leases(&run_dir)?;
    loop {
        let event = tokio::select! {
            event = watch.next() => event.map_err(failed)?,
            _ = interrupt.recv() => return Ok(Exit::Done),
            _ = terminate.recv() => return Ok(Exit::Done),
        };
        if event == Event::Down {
            return Ok(Exit::Done);
        }
        let after = leases::leases(&run_dir)?;
        // Reservations come and go too.
        let knowledge = Knowledge::of(networks.dirs(), name);
        for (fate, lease) in changes(&before, &after) {
            if !say::followed(&knowledge.line(fate, lease, json)) {
                return Ok(Exit::Done);
            }
        }
        before = after;
    }
}

/// What is known of guests besides their leases.
struct Knowledge {
    network: Option<Network>,
    heard: Vec<(Ipv6Addr, MacAddr)>,
}

impl Knowledge {
    const HEAD: [&'static str; 7] = ["ADDRESS", "MAC", "NAME", "AGE", "LEFT", "RESERVED", "IPV6"];

    /// A file with mistakes, or a kernel that does not tell, makes leases no secret.
    fn of(dirs: &Dirs, name: &NetName) -> Self {
        Self {
            network: definitions::with_live(dirs, name).ok(),
            heard: heard(&name.bridge()).unwrap_or_default(),
        }
    }

    fn hosts(&self) -> &[Reservation] {
        self.network.as_ref().map_or(&[], |network| &network.hosts)
    }

    /// The reserved one, and those that it was heard to have.
    fn addresses6(&self, lease: &Lease) -> Vec<String> {
        let reserved = self.host(lease).and_then(|host| host.address6);
        let heard = self.heard.iter().filter(|(_, mac)| *mac == lease.mac).map(|(address, _)| *address);
        let others = heard.filter(|address| reserved != Some(*address));
        reserved.into_iter().chain(others).map(|address| address.to_string()).collect()
    }

    fn host(&self, lease: &Lease) -> Option<&Reservation> {
        self.hosts().iter().find(|host| host.mac == lease.mac)
    }

    /// A reserved name is its owner's, whatever a guest calls itself.
    fn name(&self, lease: &Lease) -> Option<String> {
        match &self.network {
            None => lease.name.clone(),
            Some(network) => {
                let guests = guest::known(&network.hosts, std::slice::from_ref(lease));
                guests.into_iter().find(|guest| guest.mac == lease.mac)?.name
            }
        }
    }

    fn age(&self, lease: &Lease) -> Option<u64> {
        match self.network.as_ref()?.dhcp.lease_time {
            LeaseTime::Seconds(time) => lease.age(time.max(SHORTEST), leases::now()),
            LeaseTime::Infinite => None,
        }
    }

    fn row(&self, lease: &Lease) -> Vec<String> {
        let dash = || "-".to_owned();
        let (host, addresses6) = (self.host(lease), self.addresses6(lease));
        let reserved = match host.map(|host| host.address == Some(lease.address)) {
            None => "no",
            Some(true) => "yes",
            // Until it renews its lease.
            Some(false) if host.is_some_and(|host| host.address.is_some()) => "other",
            Some(false) => "name",
        };
        vec![
            lease.address.to_string(),
            lease.mac.to_string(),
            self.name(lease).unwrap_or_else(dash),
            self.age(lease).map_or_else(dash, duration),
            time_left(lease),
            reserved.to_owned(),
            if addresses6.is_empty() { dash() } else { addresses6.join(" ") },
        ]
    }

    /// `expires` and `time` are in seconds since 1970, `age` and `left` in seconds; null where unknown.
    fn pairs(&self, lease: &Lease) -> Map<String, Value> {
        let host = self.host(lease);
        let mut pairs = match lease_json(lease) {
            Value::Object(pairs) => pairs,
            _ => Map::new(),
        };
        pairs.insert("name".to_owned(), self.name(lease).into());
        pairs.insert("age".to_owned(), self.age(lease).into());
        let reserved = host.is_some_and(|host| host.address == Some(lease.address));
        pairs.insert("reserved".to_owned(), reserved.into());
        pairs.insert("addresses6".to_owned(), self.addresses6(lease).into());
        pairs
    }

    fn line(&self, fate: LeaseChange, lease: &Lease, json: bool) -> String {
        let now = leases::now();
        if json {
            let mut pairs = self.pairs(lease);
            pairs.insert("event".to_owned(), fate.as_str().into());
            pairs.insert("time".to_owned(), now.into());
            return Value::Object(pairs).to_string();
        }
        let name = self.name(lease).unwrap_or_else(|| "-".to_owned());
        format!("{} {:<7} {:<15} {} {name}", utc(now), fate.as_str(), lease.address.to_string(), lease.mac)
    }
}

/// The IPv6 addresses heard on a bridge.
fn heard(bridge: &IfName) -> Option<Vec<(Ipv6Addr, MacAddr)>> {
    let links = Links::open().ok()?;
    let index = links.find(bridge).ok()??.index;
    links.neighbours6(index).ok()
}
