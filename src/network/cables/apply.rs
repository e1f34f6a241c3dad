//! Plugging cables in and out: a pair of links between two bridges, a pump between a bridge and a switch.

use super::{goals, seen};
use crate::dirs::{Dirs, RunDir};
use crate::store::live_changes::LiveChanges;
use std::fs;
use vmnet_access::name::{IfName, NetName, fnv1a};
use vmnet_access::port_record::{UplinkTag, WIRE_TEMPLATE, group_of, port_name};
use vmnet_access::vde::Directory;
use vmnet_host::files::gone;
use vmnet_host::ipv6;
use vmnet_host::links::{LinkError, Links, Port, SeenLink};
use vmnet_model::cable::End;
use vmnet_model::error::{Error, network};
use vmnet_model::plan::{self, CableStep, FarBridge};
use vmnet_model::vde_switch::Switch;
use vmnet_sys::process::Process;
use vmnet_sys::trust::plain;
use vmnet_vswitch::dir::SwitchDir;
use vmnet_vswitch::settings;

/// Pumps take numbers at the same time; so often is another one tried.
const TRIES: usize = 8;

/// The network whose cables are worked on.
pub struct Site<'a> {
    /// Its name.
    pub name: &'a NetName,
    /// The kernel's links.
    pub links: &'a Links,
    /// Its run directory.
    pub run_dir: &'a RunDir,
}

impl Site<'_> {
    /// What is to be done about its cables now; nothing where it has none.
    pub fn steps(&self, dirs: &Dirs) -> Result<Vec<CableStep>, Error> {
        let host = self.links.snapshot().map_err(|error| self.failed(error))?;
        let goals = goals(dirs, self.name, None, &host)?;
        Ok(plan::cables(&goals, &seen(self.run_dir, self.name, &goals, &host)?))
    }

    fn failed(&self, cause: impl std::fmt::Display) -> Error {
        Error::new("change the cables of", network(self.name), cause)
    }
}

/// The directory of this cable to a switch: one of its own, as the network's is.
pub(super) fn place_of(run_dir: &RunDir, to: &End) -> SwitchDir {
    SwitchDir::new(run_dir.cables().join(format!("{:016x}", fnv1a(to.to_string().as_bytes()))))
}

/// Those that are there.
pub(super) fn places_in(run_dir: &RunDir) -> Vec<SwitchDir> {
    let entries = fs::read_dir(run_dir.cables()).into_iter().flatten().flatten();
    entries.map(|entry| SwitchDir::new(entry.path())).collect()
}

/// One step about cables.
pub fn apply(site: &Site<'_>, step: &CableStep) -> Result<(), Error> {
    match step {
        CableStep::Make(End::Network(other), far) => {
            make_pair(site, other, far).map_err(|cause| site.failed(cause))
        }
        CableStep::Remove(index, _) => site.links.delete(*index).map_err(|error| site.failed(error)),
        CableStep::Start(to, switch) => start(site, to, switch),
        CableStep::Plug(to) => plug_again(site.run_dir, to),
        CableStep::Stop(to) => stop_one(&place_of(site.run_dir, to)),
        CableStep::Make(End::Switch(_), _) => Err(site.failed("a pair of links leads to no switch")),
    }
}

fn make_pair(site: &Site<'_>, other: &NetName, far: &FarBridge) -> Result<(), String> {
    let words = |error: LinkError| error.to_string();
    let links = site.links;
    let bridge = links.find(&site.name.bridge()).map_err(words)?.ok_or("its bridge is gone")?;
    remove_untagged(links).map_err(words)?;
    let names = name_pair(links)?;
    let near_tag = UplinkTag { bridge: site.name.bridge(), cable: Some(other.to_string()) };
    let far_tag = UplinkTag { bridge: other.bridge(), cable: Some(site.name.to_string()) };
    let ends = [(near_tag, bridge.index, group_of(&bridge.name)), (far_tag, far.index, far.group)];
    for (name, (tag, bridge, group)) in names.iter().zip(ends) {
        let port = Port { mtu: far.mtu, group, isolated: false, hairpin: false };
        let done = plug_end(links, name, &tag, bridge, &port);
        if let Err(cause) = done {
            let [one, _] = &names;
            if let Some(link) = links.find(one).map_err(words)? {
                links.delete(link.index).map_err(words)?;
            }
            return Err(cause);
        }
    }
    Ok(())
}

/// Two links with names that nobody has.
fn name_pair(links: &Links) -> Result<[IfName; 2], String> {
    for _ in 0..TRIES {
        let taken = links.links().map_err(|error| error.to_string())?;
        let free = (0..u32::MAX).filter_map(|number| {
            let name = IfName::new(port_name(WIRE_TEMPLATE, number).as_bytes()).ok()?;
            (!taken.iter().any(|link| link.name == name)).then_some(name)
        });
        let mut free = free.take(2);
        let (Some(one), Some(other)) = (free.next(), free.next()) else { break };
        match links.create_veth(&one, &other) {
            Ok(()) => return Ok([one, other]),
            Err(error) if error.cause.is_exists() => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Err("no name is free for it".to_owned())
}

/// The tag first: from then on it is known as a cable's.
fn plug_end(links: &Links, name: &IfName, tag: &UplinkTag, bridge: u32, port: &Port) -> Result<(), String> {
    let words = |error: LinkError| error.to_string();
    let link = links.find(name).map_err(words)?.ok_or("it is gone already")?;
    links.set_alias(link.index, &String::from_utf8_lossy(&tag.render())).map_err(words)?;
    // An end has nothing to say itself.
    ipv6::turn_off(name).map_err(|failure| failure.to_string())?;
    links.set_port(link.index, bridge, port).map_err(words)
}

/// Pairs of which a run that was killed did not say whose they are. Call it under the lock: nobody else
/// is just making one.
fn remove_untagged(links: &Links) -> Result<(), LinkError> {
    let prefix = WIRE_TEMPLATE.trim_end_matches("%d").as_bytes();
    let all = links.links()?;
    let is_left = |link: &&SeenLink| {
        link.kind.as_deref() == Some("veth")
            && link.name.as_bytes().starts_with(prefix)
            && link.alias.is_none()
            && link.master.is_none()
    };
    // One end may be known already; then it is removed as that.
    for link in all.iter().filter(is_left) {
        links.delete(link.index)?;
    }
    Ok(())
}

/// The pairs of a network that goes down.
pub fn remove_pairs(links: &Links, bridge: &IfName) -> Result<(), LinkError> {
    let all = links.links()?;
    let own = |link: &&SeenLink| {
        link.kind.as_deref() == Some("veth") && link.wire().is_some_and(|tag| tag.bridge == *bridge)
    };
    for link in all.iter().filter(own) {
        links.delete(link.index)?;
    }
    remove_untagged(links)
}

fn start(site: &Site<'_>, to: &End, wanted: &Switch) -> Result<(), Error> {
    let place = place_of(site.run_dir, to);
    settings::write(&place, wanted)?;
    settings::tidy(&place)?;
    let life = vmnet_vswitch::life(&wanted.door.directory);
    vmnet_vswitch::start_pump(site.name, &place.record(), Some(&to.to_string()))?;
    vmnet_vswitch::remember(&place, life)
}

fn plug_again(run_dir: &RunDir, to: &End) -> Result<(), Error> {
    let place = place_of(run_dir, to);
    let End::Switch(directory) = to else { return Ok(()) };
    // Before: a switch that is started once more meanwhile is another one.
    let life = vmnet_vswitch::life(directory);
    settings::tidy(&place)?;
    vmnet_vswitch::plug_again(&place.record(), &place.plugs())?;
    vmnet_vswitch::remember(&place, life)
}

fn stop_one(place: &SwitchDir) -> Result<(), Error> {
    vmnet_vswitch::stop_pump(&place.pump())?;
    gone(fs::remove_dir_all(place.path()))
        .map_err(|error| Error::new("remove", place.path().display(), plain(&error)))
}

/// The pumps that run for a network's cables.
pub fn pumps(run_dir: &RunDir) -> Vec<Process> {
    places_in(run_dir).iter().filter_map(|place| vmnet_vswitch::pump(&place.pump())).collect()
}

/// Stop all pumps of a network's cables.
pub fn stop(run_dir: &RunDir) -> Result<(), Error> {
    places_in(run_dir).iter().try_for_each(|place| vmnet_vswitch::stop_pump(&place.pump()))
}

/// Where the switches of its cables are, for whoever watches them.
pub fn switches(dirs: &Dirs, name: &NetName) -> Result<Vec<Directory>, Error> {
    let directories = LiveChanges::of(dirs, name)?
        .cables()
        .filter_map(|end| match end {
            End::Switch(directory) => Some(directory),
            End::Network(_) => None,
        })
        .collect();
    Ok(directories)
}
