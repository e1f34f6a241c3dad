//! What the kernel says of a switch's sockets, beside what the switch says of its ports. It is not asked
//! for every port: Debian's aborts over one whose user has no name and a number of more than five digits, as
//! anybody's may be in a user namespace.

use super::{Client, Who};
use crate::console::{ConsoleError, Talk};
use crate::console_text::{PortView, SwitchView};
use crate::dir::{CABLES_DIR, SwitchDir};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use vmnet_access::mac::MacAddr;
use vmnet_access::vde::CONTROL;
use vmnet_access::vde_port_tag::VdePortTag;
use vmnet_model::vde_switch::{Switch, USER_MAX};
use vmnet_sys::open_sockets::{self, OpenSocket, open_sockets};
use vmnet_sys::process::Process;
use vmnet_sys::user_namespace::largest_user_seen_by;

/// One look.
pub(super) struct Facts {
    pub(super) switch: SwitchView,
    addresses: Vec<(MacAddr, u32)>,
    sockets: Vec<OpenSocket>,
    /// What the switch says of its ports, as far as it was asked.
    ports: Vec<PortView>,
    /// Why the addresses are missing.
    pub(super) trouble: Option<ConsoleError>,
}

impl Facts {
    /// Ask for all but the ports themselves.
    pub(super) fn ask(talk: &mut Talk, process: &Process) -> Result<Self, ConsoleError> {
        let switch = talk.switch()?;
        let sockets = open_sockets(process).map_err(ConsoleError::Broken)?;
        // Last: of a switch that was shown too many, the answer does not end.
        let (addresses, trouble) = match talk.addresses() {
            Ok(addresses) => (addresses, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        Ok(Self { switch, addresses, sockets, ports: Vec::new(), trouble })
    }

    /// Ask for the ports for which it may be asked.
    pub(super) fn ask_ports(
        &mut self,
        talk: &mut Talk,
        process: &Process,
        plugs: &Path,
        held: &BTreeSet<VdePortTag>,
    ) -> Result<(), ConsoleError> {
        let sees_none = largest_user_seen_by(process).is_ok_and(|largest| largest <= USER_MAX);
        let all: Vec<VdePortTag> = self.plugs(plugs).map(|(_, tag)| tag).collect();
        let mut ports = Vec::new();
        for (number, peers) in self.peers() {
            let ours =
                self.plugs(plugs).filter(|(port, tag)| *port == number && tag.is_certain(&all, held)).count();
            if !sees_none && ours != peers.len() {
                continue;
            }
            match talk.port(number) {
                Ok(port) => ports.push(port),
                // It went meanwhile.
                Err(ConsoleError::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        self.ports = ports;
        Ok(())
    }

    /// So many ports have lost the connection by which the switch would hear of their client's end: there are
    /// fewer connections than ports, with those not counted that have ended and that it has not let go. To close one by the console would free what another port's entry may
    /// still point to, and close whatever has its number now; so only the switch's end mends it.
    pub(super) fn mislaid(&self) -> usize {
        let data = self.peers().values().map(Vec::len).sum::<usize>();
        data.saturating_sub(self.connections().count())
    }

    /// Who is connected to the switch.
    fn connections(&self) -> impl Iterator<Item = (u32, open_sockets::Client)> {
        let control = self.sockets.iter().filter(|socket| socket.name() == Some(CONTROL));
        control.filter_map(|socket| Some((socket.number.try_into().ok()?, socket.client?)))
    }

    /// The ports, and where the sockets at their other ends are bound.
    fn peers(&self) -> BTreeMap<u32, Vec<&Option<PathBuf>>> {
        let mut ports: BTreeMap<u32, Vec<&Option<PathBuf>>> = BTreeMap::new();
        for socket in &self.sockets {
            if let Some(number) = socket.name().and_then(port_number) {
                ports.entry(number).or_default().push(&socket.peer);
            }
        }
        ports
    }

    /// The ports whose other ends are bound in root's directory.
    fn plugs(&self, directory: &Path) -> impl Iterator<Item = (u32, VdePortTag)> {
        let peers = self
            .peers()
            .into_iter()
            .flat_map(|(number, peers)| peers.into_iter().map(move |at| (number, at)));
        peers.filter_map(move |(number, at)| {
            Some((number, VdePortTag::of_data_socket(at.as_deref()?, directory)?))
        })
    }

    /// The switch's number for the one client of a port, and who that is by the kernel's word. None where it
    /// is not certain: the port is shared, or the switch has mislaid something, or was not asked.
    pub(super) fn connection_of(&self, port: u32) -> Option<(u32, open_sockets::Client)> {
        if self.mislaid() > 0 || self.peers().get(&port)?.len() != 1 {
            return None;
        }
        let id = |view: &PortView| view.endpoints.first().map(|endpoint| endpoint.id);
        let own = id(self.port(port)?)?;
        // Of a connection that is gone, another may have the number.
        let is_its_alone = self.ports.iter().filter(|view| id(view) == Some(own)).count() == 1;
        self.connections().find(|(number, _)| *number == own && is_its_alone)
    }

    fn port(&self, number: u32) -> Option<&PortView> {
        self.ports.iter().find(|port| port.number == number)
    }

    pub(super) fn clients(&self, run_dir: &Path, dir: &SwitchDir, switch: &Switch) -> Vec<Client> {
        let client = |(number, peers): (u32, Vec<&Option<PathBuf>>)| {
            let seen = self.addresses.iter().filter(|(_, port)| *port == number);
            let macs: Vec<MacAddr> = seen.map(|(mac, _)| *mac).collect();
            Client {
                port: Some(number),
                who: who(&peers, run_dir, dir, switch),
                macs,
                connected: self.connection_of(number).map(|(_, client)| client),
                view: self.port(number).cloned(),
            }
        };
        self.peers().into_iter().map(client).collect()
    }
}

/// The number of a port's socket, which the switch calls `NNN.ID`.
fn port_number(name: &str) -> Option<u32> {
    let (number, id) = name.split_once('.')?;
    let _: u32 = id.parse().ok()?;
    number.parse().ok()
}

/// By the sockets at the other ends.
fn who(peers: &[&Option<PathBuf>], run_dir: &Path, dir: &SwitchDir, switch: &Switch) -> Who {
    let is_cables = |part: Component<'_>| part.as_os_str() == CABLES_DIR;
    for peer in peers.iter().copied().flatten() {
        if let Some(tag) = VdePortTag::of_data_socket(peer, &dir.plugs()) {
            return if tag.uid == switch.pump { Who::Pump } else { Who::Granted(tag) };
        }
        if peer.starts_with(run_dir) && peer.components().any(is_cables) {
            return Who::Cable;
        }
    }
    Who::Joined
}
