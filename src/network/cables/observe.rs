//! The cables that a network is to have, and those that it has.

use super::apply::{place_of, places_in};
use super::graph;
use crate::dirs::{Dirs, RunDir};
use crate::store::definitions;
use crate::store::live_changes::LiveChanges;
use crate::store::run_record::{Phase, Record};
use vmnet_access::name::NetName;
use vmnet_access::port_record::group_of;
use vmnet_access::vde::{Directory, MTU_MAX};
use vmnet_host::links::{HostSnapshot, SeenLink};
use vmnet_model::cable::{End, unfit};
use vmnet_model::error::Error;
use vmnet_model::network::{MtuChoice, Network};
use vmnet_model::plan::{By, CableGoal, Can, FarBridge, SeenCable, State, bridge_alias};
use vmnet_model::vde_switch::{Switch, user_of};
use vmnet_vswitch::settings;

/// Why a network cannot be joined with a switch.
pub(super) fn too_wide(network: &Network) -> Option<String> {
    match network.mtu {
        MtuChoice::Fixed(mtu) if mtu > MTU_MAX => Some(format!(
            "an MTU of {mtu} is too large for a VDE switch, which cuts packets off after {MTU_MAX} bytes"
        )),
        _ => None,
    }
}

/// Those it is to have. Its MTU is that of its bridge where it is not said.
pub fn goals(
    dirs: &Dirs,
    name: &NetName,
    mtu: Option<u32>,
    host: &HostSnapshot,
) -> Result<Vec<CableGoal>, Error> {
    let mut ends: Vec<End> = LiveChanges::of(dirs, name)?.cables().collect();
    // Somebody was killed between writing down one end and the other.
    let (bridge, own) = (name.bridge(), End::Network(name.clone()));
    for tag in host.links.iter().filter_map(SeenLink::wire).filter(|tag| tag.bridge == bridge) {
        let Some(Ok(End::Network(other))) = tag.cable.map(|cable| cable.parse()) else { continue };
        let end = End::Network(other.clone());
        if !ends.contains(&end) && LiveChanges::of(dirs, &other)?.cables().any(|cable| cable == own) {
            ends.push(end);
        }
    }
    if ends.is_empty() {
        return Ok(Vec::new());
    }
    let mtu = mtu.or_else(|| host.links.iter().find(|link| link.name == bridge).map(|link| link.mtu));
    let left_out = graph::left_out(dirs, name, host)?;
    let network = definitions::read(dirs, name).ok();
    let can = |to: &End| -> Result<Can, Error> {
        if let Some((_, circle)) = left_out.iter().find(|(cable, _)| cable.joins(&own, to)) {
            return Ok(Can::Never(format!("it would close a circle: {circle}")));
        }
        if let Some(why) = network.as_ref().and_then(unfit) {
            return Ok(Can::Never(why.to_owned()));
        }
        match to {
            End::Network(other) => pair(dirs, other, mtu, host),
            End::Switch(directory) => match network.as_ref().and_then(too_wide) {
                Some(why) => Ok(Can::Never(why)),
                None => pump(dirs, name, to, directory),
            },
        }
    };
    ends.into_iter().map(|to| Ok(CableGoal { can: can(&to)?, to })).collect()
}

fn pair(dirs: &Dirs, other: &NetName, mtu: Option<u32>, host: &HostSnapshot) -> Result<Can, Error> {
    if let Some(why) = definitions::read(dirs, other).ok().as_ref().and_then(unfit) {
        return Ok(Can::Never(format!("'{other}': {why}")));
    }
    let record = Record::read(&dirs.run_dir(&other.bridge()))?;
    if !record.is_some_and(|record| record.network == other.as_str() && record.phase == Phase::Up) {
        return Ok(Can::Wait);
    }
    let alias = bridge_alias(other.as_str());
    let is = |link: &&SeenLink| link.name == other.bridge() && link.alias.as_ref() == Some(&alias);
    let Some(far) = host.links.iter().find(is) else { return Ok(Can::Wait) };
    let mtu = mtu.map_or(far.mtu, |mtu| mtu.min(far.mtu));
    Ok(Can::Pair(FarBridge { index: far.index, group: group_of(&far.name), mtu }))
}

fn pump(dirs: &Dirs, name: &NetName, to: &End, directory: &Directory) -> Result<Can, Error> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(Can::Hidden);
    }
    if vmnet_vswitch::life(directory).is_none() {
        return Ok(Can::Wait);
    }
    Ok(match vmnet_vswitch::join_check(directory) {
        Ok(door) => Can::Pump(Switch { door, pump: user_of(name), run: None, console: None }),
        // It is just going.
        Err(_) if place_of(&dirs.run_dir(&name.bridge()), to).record().exists() => Can::Wait,
        Err(failure) => Can::Never(failure.to_string()),
    })
}

/// The cables that a network has.
pub fn seen(
    run_dir: &RunDir,
    name: &NetName,
    goals: &[CableGoal],
    host: &HostSnapshot,
) -> Result<Vec<SeenCable>, Error> {
    let bridge = name.bridge();
    let near = host.links.iter().filter(|link| link.kind.as_deref() == Some("veth"));
    let pairs = near.filter_map(|link| {
        let tag = link.wire().filter(|tag| tag.bridge == bridge)?;
        let to: End = tag.cable?.parse().ok()?;
        let by = ends(name, link, &to, host);
        Some(SeenCable { to, by })
    });
    let mut cables: Vec<SeenCable> = pairs.collect();
    if nix::unistd::geteuid().is_root() {
        cables.extend(pumps(run_dir, goals)?);
    }
    Ok(cables)
}

fn ends(name: &NetName, near: &SeenLink, to: &End, host: &HostSnapshot) -> By {
    let mine = name.as_str();
    let far_bridge = match to {
        End::Network(other) => Some(other.bridge()),
        End::Switch(_) => None,
    };
    let is_far = |link: &&SeenLink| {
        link.wire()
            .is_some_and(|tag| Some(&tag.bridge) == far_bridge.as_ref() && tag.cable.as_deref() == Some(mine))
    };
    let far = host.links.iter().find(is_far);
    let index_of = |bridge| host.links.iter().find(|link| link.name == bridge).map(|link| link.index);
    let plugged =
        |link: &SeenLink, bridge| link.master.is_some() && link.master == bridge && link.up && link.carrier;
    By::Pair {
        index: near.index,
        mtu: Some(near.mtu).filter(|mtu| far.is_some_and(|far| far.mtu == *mtu)),
        whole: plugged(near, index_of(name.bridge()))
            && far.is_some_and(|far| plugged(far, far_bridge.and_then(index_of))),
    }
}

/// By what `apply` wrote down of each.
fn pumps(run_dir: &RunDir, goals: &[CableGoal]) -> Result<Vec<SeenCable>, Error> {
    let mut cables = Vec::new();
    for place in places_in(run_dir) {
        let Ok(Some(switch)) = settings::recorded(&place) else { continue };
        let to = End::Switch(switch.door.directory.clone());
        let wanted = goals.iter().find(|goal| goal.to == to).map(|goal| &goal.can);
        let other = matches!(wanted, Some(Can::Pump(wanted)) if *wanted != switch);
        let process = vmnet_vswitch::pump(&place.pump());
        let by = By::Pump {
            record: if other { State::Other } else { State::Right },
            process: process.map(|process| process.pid().as_raw().unsigned_abs()),
            plugged: vmnet_vswitch::is_plugged(&place, &switch.door.directory)?,
        };
        cables.push(SeenCable { to, by });
    }
    Ok(cables)
}
