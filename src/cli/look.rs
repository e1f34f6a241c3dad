//! The host as it is, as far as one network is concerned.

use crate::failure::Failure;
use crate::forwarding;
use crate::host;
use crate::links::{Links, SeenAddress, SeenLink};
use crate::places::{Room, read_file};
use crate::process;
use crate::record::{Loaded, Record};
use std::path::Path;
use vmnet_model::plan::{Goal, Seen, SeenBridge, State};
use vmnet_tools::nft;

/// Look. The links come from one moment; the rest is read after them.
pub fn network(
    room: &Room,
    goal: &Goal,
    record: Option<&Record>,
    links: &[SeenLink],
    addresses: &[SeenAddress],
) -> Result<Seen, Failure> {
    let link = links.iter().find(|link| link.name == goal.wanted.bridge);
    let earlier_address = record.and_then(|record| Some((record.address, record.subnet()?.length())));
    Ok(Seen {
        bridge: link.map(|link| bridge(link, addresses)),
        earlier_address,
        forwarding: forwarding::is_on()?,
        ruleset: ruleset(goal, record)?,
        dnsmasq_file: file(&room.dnsmasq(), goal.dnsmasq.as_deref().unwrap_or_default())?,
        dnsmasq: process::server(room).map(|server| server.pid().as_raw().unsigned_abs()),
        port: file(&room.port(), &goal.port)?,
    })
}

fn bridge(link: &SeenLink, addresses: &[SeenAddress]) -> SeenBridge {
    let own = addresses.iter().filter(|address| address.index == link.index);
    SeenBridge {
        kind: link.kind.clone(),
        mac: link.mac,
        mtu: link.mtu,
        up: link.up,
        alias: link.alias.clone(),
        ipv6_off: host::ipv6_off(&link.name),
        addresses: own.map(|address| (address.address, address.length)).collect(),
    }
}

/// Without a record nothing was loaded, and no nft needs to be asked: loading replaces whatever
/// an interrupted run left.
fn ruleset(goal: &Goal, record: Option<&Record>) -> Result<State, Failure> {
    let Some(record) = record else { return Ok(State::Absent) };
    if !nix::unistd::geteuid().is_root() {
        return Ok(State::Hidden);
    }
    let table = goal.wanted.network.name.table();
    let listing =
        nft::list_table("inet", &table).map_err(|error| Failure::new("list", "the firewall", error))?;
    Ok(match listing {
        None => State::Absent,
        Some(listing) if record.ruleset == Some(Loaded::new(&goal.ruleset, &listing)) => State::Right,
        Some(_) => State::Other,
    })
}

fn file(path: &Path, wanted: &str) -> Result<State, Failure> {
    Ok(match read_file(path)? {
        None => State::Absent,
        Some(bytes) if bytes == wanted.as_bytes() => State::Right,
        Some(_) => State::Other,
    })
}

/// The ports of a bridge.
pub async fn ports(links: &Links, bridge: &vmnet_model::name::IfName) -> Result<Vec<SeenLink>, Failure> {
    let all =
        links.links().await.map_err(|error| Failure::new("look up", format!("bridge '{bridge}'"), error))?;
    let index = all.iter().find(|link| link.name == *bridge).map(|link| link.index);
    Ok(all.into_iter().filter(|link| index.is_some() && link.master == index).collect())
}
