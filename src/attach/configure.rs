//! What the interface is given in its namespace: up, addresses, routes, names. All of it can be done
//! again; what is so already stays.

use super::attachment::{AddressChoice, Attached, Attachment, Work, mac};
use super::bridge_facts::Facts;
use super::dhcp_client::Talk;
use super::existing::Ends;
use super::lease_keeper::{self, LeaseJob};
use super::resolv_conf;
use std::net::IpAddr;
use std::os::fd::AsFd;
use vmnet_access::name::IfName;
use vmnet_model::attach::{Cidr, Mark, host_name};
use vmnet_model::dhcp::{self, Lease};
use vmnet_model::error::Error;
use vmnet_sys::address::{self, Address};
use vmnet_sys::link::{self, Link};
use vmnet_sys::namespace::Space;
use vmnet_sys::netlink::Netlink;
use vmnet_sys::process::Interrupts;
use vmnet_sys::random;
use vmnet_sys::trust::plain;

/// Give an interface all that it is to have: up, addresses, routes, resolver.
pub fn furnish(
    work: &mut Work<'_>,
    already: bool,
    Ends { inner, outer }: &Ends,
    facts: &Facts,
    asked: &Attachment,
    interrupts: &Interrupts,
) -> Result<Attached, Error> {
    let mac = mac(inner);
    let mark = inner.alias.as_deref().and_then(Mark::parse);
    let mut mark = mark.filter(|mark| already && mark.bridge == work.bridge).unwrap_or_else(|| Mark {
        bridge: work.bridge.clone(),
        server: None,
        keeper: None,
    });
    raise(work, inner, outer.mtu, &mark)?;
    let chosen = asked.addresses.fixed();
    for cidr in chosen {
        put(work, inner.index, *cidr)?;
    }
    let own = list(work, inner)?.into_iter().find(|own| own.address.is_ipv4());
    // One that ends is a lease's, even if whoever got it was killed before that was noted.
    let held = own.filter(|own| own.left.is_some() || mark.server.is_some());
    let asks = match asked.addresses {
        AddressChoice::Fixed(_) => false,
        AddressChoice::Dhcp => true,
        AddressChoice::Kept => own.is_none() || held.is_some(),
    };
    let talk = talk(work, inner, asked.hostname.as_deref());
    let lease = if asks { Some(lease(work, &talk, held, interrupts)?) } else { None };
    let gateways = route(work, inner, facts, chosen, lease.as_ref())?;
    let (resolvers, domain) = match &lease {
        Some(lease) => (lease.resolvers.iter().copied().map(IpAddr::V4).collect(), lease.domain.clone()),
        None => facts.resolvers(),
    };
    let resolver_file = match &work.target.name {
        Some(name) => resolv_conf::write(name, &work.bridge, work.interface, &resolvers, domain.as_deref())?,
        None => None,
    };
    if let Some(lease) = &lease {
        mark.server = Some(lease.server);
        hand_over(work, talk, outer, lease, &mut mark)?;
    }
    let on_offer = chosen.iter().map(|cidr| cidr.address);
    Ok(Attached {
        label: work.target.label.clone(),
        interface: work.interface.clone(),
        already,
        port: IfName::new(&outer.name).map_err(|why| work.failed(&why.to_string()))?,
        bridge: work.bridge.clone(),
        mac,
        mtu: outer.mtu,
        addresses: addresses(work, inner)?,
        gateways,
        on_offer: on_offer.filter(|address| facts.is_on_offer(mac, *address)).collect(),
        resolvers,
        domain,
        resolver_file,
    })
}

/// The addresses that it has, but for the link-local ones, with the seconds that each still counts.
pub fn addresses(work: &mut Work<'_>, inner: &Link) -> Result<Vec<(Cidr, Option<u32>)>, Error> {
    Ok(list(work, inner)?.iter().filter_map(shown).collect())
}

fn list(work: &mut Work<'_>, inner: &Link) -> Result<Vec<Address>, Error> {
    address::list(&mut work.inside.netlink, inner.index).map_err(|error| work.failed(&plain(&error)))
}

/// The ways out: one for each address that somebody chose, and the one that the DHCP server told.
fn route(
    work: &mut Work<'_>,
    inner: &Link,
    facts: &Facts,
    chosen: &[Cidr],
    lease: Option<&Lease>,
) -> Result<Vec<IpAddr>, Error> {
    let chosen = chosen.iter().filter_map(|cidr| facts.gateway(*cidr));
    let told = lease.and_then(|lease| lease.gateway).map(IpAddr::V4);
    let mut gateways: Vec<IpAddr> = chosen.chain(told).collect();
    gateways.dedup();
    for gateway in &gateways {
        address::route_by(&mut work.inside.netlink, inner.index, *gateway)
            .map_err(|error| work.failed(&format!("cannot route by {gateway}: {}", plain(&error))))?;
    }
    Ok(gateways)
}

/// Those that are worth telling: each link makes itself a link-local one.
fn shown(own: &Address) -> Option<(Cidr, Option<u32>)> {
    let local = matches!(own.address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    (!local).then_some((Cidr { address: own.address, length: own.length }, own.left))
}

/// `lo` and the interface.
fn raise(work: &mut Work<'_>, inner: &Link, mtu: u32, mark: &Mark) -> Result<(), Error> {
    let netlink = &mut work.inside.netlink;
    let raise = |netlink: &mut Netlink| {
        if let Ok(name) = IfName::new(b"lo")
            && let Some(lo) = link::find(netlink, &name)?
        {
            link::raise(netlink, lo.index, None, None)?;
        }
        link::raise(netlink, inner.index, (inner.mtu != mtu).then_some(mtu), Some(&mark.render()))
    };
    raise(netlink).map_err(|error| work.failed(&format!("cannot set it up: {}", plain(&error))))
}

fn put(work: &mut Work<'_>, index: u32, cidr: Cidr) -> Result<(), Error> {
    let own = Address { address: cidr.address, length: cidr.length, left: None };
    address::put(&mut work.inside.netlink, index, &own).map_err(|error| {
        let cause = match (cidr.address, error.kind()) {
            (IpAddr::V6(_), std::io::ErrorKind::PermissionDenied) => "IPv6 is turned off there".to_owned(),
            _ => plain(&error),
        };
        work.failed(&format!("cannot give it {cidr}: {cause}"))
    })
}

/// A new lease, or the one that it has for a new while; its address is then in place.
fn lease(
    work: &mut Work<'_>,
    talk: &Talk,
    held: Option<Address>,
    interrupts: &Interrupts,
) -> Result<Lease, Error> {
    // It is not closed before the lease is handed over: its keeper then has the wait.
    let packets = work.target.space.packets().map_err(|error| work.failed(&plain(&error)))?;
    let packets = work.packets.insert(packets);
    talk.hold(&mut work.inside.netlink, packets, held, Some(interrupts.as_fd()))
        .map_err(|error| work.failed(&error.to_string()))
}

fn talk(work: &Work<'_>, inner: &Link, hostname: Option<&str>) -> Talk {
    let name = hostname.or(work.target.name.as_deref()).or(work.inside.host_name.as_deref());
    Talk { mac: mac(inner), index: inner.index, name: name.and_then(host_name) }
}

/// See to it that the lease is renewed, and note on the interface where it is from.
fn hand_over(
    work: &mut Work<'_>,
    talk: Talk,
    outer: &Link,
    lease: &Lease,
    mark: &mut Mark,
) -> Result<(), Error> {
    let index = talk.index;
    let charge = LeaseJob { talk, port: outer.index, lease: lease.clone() };
    if lease.renewal.is_some() && !mark.keeper.is_some_and(lease_keeper::is_at_work) {
        mark.keeper = lease_keeper::start(charge, &work.target, &work.bridge, work.interface)
            .map_err(|error| work.failed(&format!("cannot keep its lease: {}", plain(&error))))?;
    }
    link::raise(&mut work.inside.netlink, index, None, Some(&mark.render()))
        .map_err(|error| work.failed(&plain(&error)))
}

/// Tell the server that the interface's address is free again, if it is from one. There is no answer to
/// wait for.
pub fn give_back(space: &Space, netlink: &mut Netlink, inner: &Link) {
    let mark = inner.alias.as_deref().and_then(Mark::parse);
    let Some(server) = mark.and_then(|mark| mark.server) else { return };
    let (Ok(addresses), Ok(packets)) = (address::list(netlink, inner.index), space.packets()) else { return };
    let number = random::bytes().map_or(0, u32::from_ne_bytes);
    for own in addresses {
        if let IpAddr::V4(address) = own.address
            && packets.bind(inner.index).is_ok()
        {
            let _ = packets.send(&dhcp::release(mac(inner), number, address, server));
        }
    }
    // Closing it takes as long as deleting the link: both at one time.
    let _ = std::thread::Builder::new().name("close".to_owned()).spawn(move || drop(packets));
}
