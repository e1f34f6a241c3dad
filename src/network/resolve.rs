//! Which subnet a network gets: the one it has, the one its file gives, the one remembered, or
//! the first that is free.

use crate::dirs::Dirs;
use crate::store::live_changes::LiveChanges;
use crate::store::run_record::Record;
use crate::store::{definitions, run_record};
use vmnet_access::name::NetName;
use vmnet_host::links::HostSnapshot;
use vmnet_host::{facts as host, ipv6};
use vmnet_model::error::{Error, ErrorKind, network};
use vmnet_model::free_subnet::{self, Taken};
use vmnet_model::network::{Mode, Network, SubnetChoice};
use vmnet_model::settle::{Circumstances, NetworkSpec};
use vmnet_model::subnet::Subnet;

/// Settle what the file leaves open. Call it under the lock: what is chosen is written down at
/// once, unless this is only a rehearsal. What whoever asked should hear of it goes to `notes`, a sentence each.
pub fn settle(
    dirs: &Dirs,
    network: &Network,
    seen: &HostSnapshot,
    record: Option<&Record>,
    rehearsal: bool,
    notes: &mut Vec<String>,
) -> Result<NetworkSpec, Error> {
    let subnet = match network.subnet {
        // Nobody has an address of it; nothing is looked for, and nothing kept.
        _ if network.mode == Mode::Vde => Subnet::NOWHERE,
        SubnetChoice::Fixed(subnet) => {
            fixed(dirs, network, subnet, seen)?;
            subnet
        }
        SubnetChoice::Auto => match record.and_then(Record::subnet) {
            // Never another one under guests that have addresses in it.
            Some(subnet) => subnet,
            None => chosen(dirs, network, seen, rehearsal, notes)?,
        },
    };
    for more in &network.more_subnets {
        fixed(dirs, network, *more, seen)?;
    }
    Ok(LiveChanges::of(dirs, &network.name)?.add_to(network).settle(&Circumstances {
        subnet,
        machine: &host::machine(),
        uplink_mtu: host::uplink_mtu(seen),
        has_ipv6: ipv6::is_there(),
    }))
}

fn chosen(
    dirs: &Dirs,
    wanted: &Network,
    seen: &HostSnapshot,
    rehearsal: bool,
    notes: &mut Vec<String>,
) -> Result<Subnet, Error> {
    let mut taken = taken(dirs, wanted, seen);
    let own = wanted.more_subnets.iter();
    taken.extend(own.map(|subnet| Taken { subnet: *subnet, reason: "its own file".to_owned() }));
    let remembered = LiveChanges::subnet_of(dirs, &wanted.name)?;
    if let Some(subnet) = remembered {
        match free_subnet::conflict(subnet, &taken) {
            None => return Ok(subnet),
            Some(other) => notes.push(format!(
                "{} moves from its subnet {subnet}, which {} took meanwhile",
                network(&wanted.name),
                other.reason
            )),
        }
    }
    let subnet = free_subnet::first_free(&taken)
        .map_err(|error| Error::new("start", network(&wanted.name), error).kind(ErrorKind::Conflict))?;
    if !rehearsal {
        LiveChanges::remember(dirs, &wanted.name, subnet)?;
    }
    Ok(subnet)
}

/// A subnet that an administrator chose may lie inside a wider route: the narrower one wins. It
/// may not hold or equal one that somebody else has.
fn fixed(dirs: &Dirs, wanted: &Network, subnet: Subnet, seen: &HostSnapshot) -> Result<(), Error> {
    let mut taken = on_host(wanted, seen);
    taken.extend(of_others(dirs, &wanted.name));
    taken.retain(|other| other.subnet.length() >= subnet.length());
    match free_subnet::conflict(subnet, &taken) {
        None => Ok(()),
        Some(other) => {
            let cause = format!("subnet {subnet} overlaps {} of {}", other.subnet, other.reason);
            Err(Error::new("start", network(&wanted.name), cause).kind(ErrorKind::Conflict))
        }
    }
}

/// Everything an automatic choice keeps clear of.
fn taken(dirs: &Dirs, wanted: &Network, seen: &HostSnapshot) -> Vec<Taken> {
    let mut taken = on_host(wanted, seen);
    taken.extend(of_others(dirs, &wanted.name));
    taken.extend(host::claimed());
    taken
}

/// Addresses and routes of the host, but for our own bridge's.
fn on_host(wanted: &Network, seen: &HostSnapshot) -> Vec<Taken> {
    let bridge = wanted.name.bridge();
    let own = seen.links.iter().find(|link| link.name == bridge).map(|link| link.index);
    let name = |index: Option<u32>| {
        let link = seen.links.iter().find(|link| Some(link.index) == index);
        link.map_or_else(|| "the host".to_owned(), |link| format!("interface {}", link.name))
    };
    let addresses = seen.addresses.iter().filter(|address| Some(address.index) != own);
    let addresses = addresses.map(|a| Taken { subnet: a.subnet(), reason: name(Some(a.index)) });
    let routes = seen.routes.iter().filter(|route| own.is_none() || route.interface != own);
    let routes = routes
        .filter(|route| free_subnet::counts(route.destination))
        .map(|r| Taken { subnet: r.destination, reason: format!("a route by {}", name(r.interface)) });
    addresses.chain(routes).collect()
}

/// Subnets of our own other networks, up or down.
fn of_others(dirs: &Dirs, own: &NetName) -> Vec<Taken> {
    let mut taken = Vec::new();
    let mut add = |name: &str, subnet: Option<Subnet>| {
        if name != own.as_str() {
            taken.extend(subnet.map(|subnet| Taken { subnet, reason: network(name) }));
        }
    };
    for (_, record) in run_record::all(dirs).unwrap_or_default() {
        add(&record.network, record.subnet());
    }
    for name in LiveChanges::names(dirs) {
        add(name.as_str(), LiveChanges::subnet_of(dirs, &name).ok().flatten());
    }
    for name in definitions::names(dirs).unwrap_or_default() {
        let Ok(network) = definitions::read(dirs, &name) else { continue };
        if let SubnetChoice::Fixed(subnet) = network.subnet {
            add(name.as_str(), Some(subnet));
        }
        network.more_subnets.iter().for_each(|subnet| add(name.as_str(), Some(*subnet)));
    }
    taken
}
