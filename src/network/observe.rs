//! The host as it is, as far as one network is concerned.

use crate::cables;
use crate::dirs::RunDir;
use crate::server;
use crate::store::run_record::{Loaded, Record};
use std::path::Path;
use vmnet_host::files::read_file;
use vmnet_host::firewalls::nftables::Nftables;
use vmnet_host::links::{self, Links, SeenLink};
use vmnet_host::{facts as host, firewalls as foreign, forwarding, ipv6};
use vmnet_model::error::Error;
use vmnet_model::firewall;
use vmnet_model::other_firewalls::{Family, Opening};
use vmnet_model::plan::{DesiredState, LoosePort, ObservedState, SeenBridge, SeenPort, SeenSwitch, State};
use vmnet_model::tap_policy::Enforcement;
use vmnet_model::vde_switch::Switch;
use vmnet_sys::process::Process;
use vmnet_sys::trust::plain;

/// Look. The links come from one moment; the rest is read after them.
pub fn network(
    run_dir: &RunDir,
    goal: &DesiredState,
    record: Option<&Record>,
    host: &links::HostSnapshot,
) -> Result<ObservedState, Error> {
    let link = host.links.iter().find(|link| link.name == goal.wanted.bridge);
    let tables = tables(goal, record)?;
    Ok(ObservedState {
        bridge: link.map(|link| bridge(link, host)),
        earlier: record.map(Record::given).unwrap_or_default(),
        forwarding: forwarding::is_on()?,
        forwarding6: ipv6::forwards(),
        ruleset: tables.state,
        known: known(goal, record),
        forwards: tables.forwards,
        dnsmasq_file: file(&run_dir.dnsmasq(), goal.dnsmasq.as_deref().unwrap_or_default())?,
        dnsmasq: server::find(run_dir).map(|server| server.pid().as_raw().unsigned_abs()),
        names: file(&run_dir.names(), &goal.names)?,
        reservations: file(&run_dir.reservations(), &goal.reservations)?,
        switch: switch(run_dir, goal)?,
        cables: cables::seen(run_dir, goal.wanted.name(), &goal.cables, host)?,
        port: file(&run_dir.port(), &goal.port.render())?,
        ports: host
            .links
            .iter()
            .filter(|l| l.master.is_some() && l.master == link.map(|l| l.index))
            .map(port)
            .collect(),
        foreign: others(goal)?,
        strays: host
            .links
            .iter()
            .filter(|link| is_stray(link, goal))
            .map(|l| (l.index, l.name.clone()))
            .collect(),
        loose: host.links.iter().filter_map(|l| loose(l, goal, link)).collect(),
    })
}

/// The switch, for root, who alone can look into its directory.
fn switch(run_dir: &RunDir, goal: &DesiredState) -> Result<Option<SeenSwitch>, Error> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(None);
    }
    let record =
        file(&run_dir.switch().record(), &goal.switch.as_ref().map(Switch::render).unwrap_or_default())?;
    if record == State::Absent && goal.switch.is_none() {
        return Ok(Some(SeenSwitch::NONE));
    }
    let number = |process: Process| process.pid().as_raw().unsigned_abs();
    let directory = goal.switch.as_ref().map(|switch| &switch.door.directory);
    let plugged =
        directory.map_or(Ok(false), |directory| vmnet_vswitch::is_plugged(&run_dir.switch(), directory))?;
    Ok(Some(SeenSwitch {
        record,
        process: vmnet_vswitch::switch(&run_dir.switch()).map(number),
        there: directory.and_then(vmnet_vswitch::life).is_some(),
        plugged,
        pump: vmnet_vswitch::pump(&run_dir.switch().pump()).map(number),
    }))
}

/// Other firewalls, for root.
fn others(goal: &DesiredState) -> Result<Option<Vec<Opening>>, Error> {
    nix::unistd::geteuid().is_root().then(|| foreign::look(&goal.guests())).transpose()
}

fn port(link: &SeenLink) -> SeenPort {
    SeenPort {
        index: link.index,
        name: link.name.clone(),
        // A cable's end may be narrower than the bridge.
        ours: link.tag().is_some() || link.wire().is_some_and(|_| link.kind.as_deref() != Some("veth")),
        is_wire: link.wire().is_some(),
        mtu: link.mtu,
        group: link.group,
        isolated: link.isolated,
        hairpin: link.hairpin,
    }
}

/// A TAP that the helper made for this bridge and that is no port of any: somebody took the
/// bridge away under it.
fn is_stray(link: &SeenLink, goal: &DesiredState) -> bool {
    let lost = link.master.is_none() && link.tag().is_some_and(|tag| tag.bridge == goal.wanted.bridge);
    // Without a carrier nobody holds it, and it was either meant to stay or is deleted.
    lost && (link.carrier || link.tag().is_some_and(|tag| tag.kept)) && act(link, goal) != Enforcement::Delete
}

/// What is to be done about a TAP's holder, who may have been alone with it until now.
fn act(link: &SeenLink, goal: &DesiredState) -> Enforcement {
    link.tethered().map_or(Enforcement::Nothing, |tap| tap.act(goal.wanted.network.guard, 0))
}

fn loose(link: &SeenLink, goal: &DesiredState, bridge: Option<&SeenLink>) -> Option<LoosePort> {
    let tap = link.tethered()?;
    let ours = match link.master {
        Some(master) => bridge.is_some_and(|bridge| bridge.index == master),
        None => tap.tag.bridge == goal.wanted.bridge,
    };
    let act = act(link, goal);
    (ours && !matches!(act, Enforcement::Nothing | Enforcement::Wait)).then(|| LoosePort {
        index: link.index,
        name: link.name.clone(),
        breaches: tap.breaches(),
        act,
    })
}

fn bridge(link: &SeenLink, host: &links::HostSnapshot) -> SeenBridge {
    let own = host.addresses.iter().filter(|address| address.index == link.index);
    let own6 = host.addresses6.iter().filter(|address| address.index == link.index);
    SeenBridge {
        kind: link.kind.clone(),
        mac: link.mac,
        mtu: link.mtu,
        group: link.group,
        up: link.up,
        alias: link.alias.clone(),
        ipv6: ipv6::role(&link.name),
        loopback: host::has_loopback(&link.name),
        addresses: own.map(|address| (address.address, address.length)).collect(),
        addresses6: own6.map(|address| (address.address, address.length)).collect(),
    }
}

/// nft would have to print every guest; the record says what it was told.
fn known(goal: &DesiredState, record: Option<&Record>) -> State {
    match record {
        _ if !nix::unistd::geteuid().is_root() => State::Hidden,
        None => State::Absent,
        Some(record) if record.knows(goal) => State::Right,
        Some(_) => State::Other,
    }
}

struct Tables {
    state: State,
    forwards: Option<Vec<String>>,
}

/// Without a record nothing was loaded, and no nft needs to be asked: loading replaces whatever
/// an interrupted run left.
fn tables(goal: &DesiredState, record: Option<&Record>) -> Result<Tables, Error> {
    let Some(record) = record else { return Ok(Tables { state: State::Absent, forwards: Some(Vec::new()) }) };
    if !nix::unistd::geteuid().is_root() {
        return Ok(Tables { state: State::Hidden, forwards: None });
    }
    let listing = list(&goal.wanted.name().table(), record.filtered)
        .map_err(|error| Error::new("list", "the firewall", plain(&error)))?;
    let state = match &listing {
        None => State::Absent,
        Some(listing) if record.ruleset == Some(Loaded::new(goal, listing)) => State::Right,
        Some(_) => State::Other,
    };
    Ok(Tables { state, forwards: Some(firewall::forwards_shown(&listing.unwrap_or_default())) })
}

/// A network's tables as the kernel has them; none where the first of them is absent. Not by nft:
/// it takes a quarter of the time that `up` has.
pub fn list(table: &str, filtered: bool) -> std::io::Result<Option<String>> {
    let mut tables = Nftables::open()?;
    let Some(mut listing) = tables.marks(Family::Inet, table)? else { return Ok(None) };
    if filtered {
        listing.push_str(&tables.marks(Family::Bridge, table)?.unwrap_or_default());
    }
    Ok(Some(listing))
}

fn file(path: &Path, wanted: &str) -> Result<State, Error> {
    Ok(match read_file(path)? {
        None => State::Absent,
        Some(bytes) if bytes == wanted.as_bytes() => State::Right,
        Some(_) => State::Other,
    })
}

/// The ports of a bridge.
pub fn ports(links: &Links, bridge: &vmnet_access::name::IfName) -> Result<Vec<SeenLink>, Error> {
    let all = links.links().map_err(|error| Error::new("look up", format!("bridge '{bridge}'"), error))?;
    let index = all.iter().find(|link| link.name == *bridge).map(|link| link.index);
    Ok(all.into_iter().filter(|link| index.is_some() && link.master == index).collect())
}
