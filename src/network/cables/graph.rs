//! Which wires of this host are one: every network's own switch, as the files say, and every cable that
//! is remembered, whether its ends are up or not.

use super::resolve;
use crate::dirs::Dirs;
use crate::store::definitions;
use crate::store::live_changes::LiveChanges;
use vmnet_access::name::NetName;
use vmnet_access::vde::Directory;
use vmnet_host::links::HostSnapshot;
use vmnet_model::cable::{Circle, Edge, End, Laid, Wires, lay};
use vmnet_model::error::Error;

/// All wires and cables of this host, for a cable that is to be added.
pub fn of(dirs: &Dirs) -> Result<Wires, Error> {
    let mut wires = Wires::default();
    // What closes a circle already is left out anyway.
    let (switches, cables) = (switches(dirs)?, cables(dirs)?);
    for edge in switches.into_iter().chain(cables.iter().map(real)) {
        let _ = wires.join(edge);
    }
    Ok(wires)
}

/// The cables that must not be plugged in now, looked at for this network.
pub fn left_out(dirs: &Dirs, name: &NetName, host: &HostSnapshot) -> Result<Vec<(Edge, Circle)>, Error> {
    let own = End::Network(name.clone());
    let laid = |cable: Edge| Laid {
        edge: real(&cable),
        plugged: is_plugged(&cable, host),
        own: cable.0 == own || cable.1 == own,
        cable,
    };
    Ok(lay(switches(dirs)?, cables(dirs)?.into_iter().map(laid).collect()))
}

/// Each network with its own switch. A file with mistakes has none that counts.
fn switches(dirs: &Dirs) -> Result<Vec<Edge>, Error> {
    let mut edges = Vec::new();
    for name in definitions::names(dirs)? {
        let Some(vde) = definitions::read(dirs, &name).ok().and_then(|network| network.vde) else {
            continue;
        };
        let own = dirs.run_dir(&name.bridge()).switch().switch();
        let own = || own.to_str().and_then(|path| Directory::new(path).ok());
        let Some(directory) = vde.socket.or_else(own) else { continue };
        edges.push(real(&Edge(End::Network(name), End::Switch(directory))));
    }
    Ok(edges)
}

/// Each cable once, though two networks remember it.
fn cables(dirs: &Dirs) -> Result<Vec<Edge>, Error> {
    let mut edges: Vec<Edge> = Vec::new();
    for name in LiveChanges::names(dirs) {
        let own = End::Network(name.clone());
        for to in LiveChanges::of(dirs, &name)?.cables() {
            if !edges.iter().any(|edge| edge.joins(&own, &to)) {
                edges.push(Edge(own.clone(), to));
            }
        }
    }
    Ok(edges)
}

/// By the paths that count now.
fn real(edge: &Edge) -> Edge {
    let end = |end: &End| resolve(end).unwrap_or_else(|_| end.clone());
    Edge(end(&edge.0), end(&edge.1))
}

fn is_plugged(cable: &Edge, host: &HostSnapshot) -> bool {
    let leads = |from: &End, to: &End| {
        let End::Network(name) = from else { return false };
        let (bridge, to) = (name.bridge(), to.to_string());
        let mut tags = host.links.iter().filter(|link| link.master.is_some()).filter_map(|link| link.wire());
        tags.any(|tag| tag.bridge == bridge && tag.cable.as_ref() == Some(&to))
    };
    leads(&cable.0, &cable.1) || leads(&cable.1, &cable.0)
}
