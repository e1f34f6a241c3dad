//! What stands in the way of a forward: forwards of other networks that are up, and programs of this
//! host that listen. Refused with the holder's name.

use super::place;
use crate::dirs::Dirs;
use crate::store::run_record::Record;
use crate::store::{definitions, run_record};
use vmnet_access::name::NetName;
use vmnet_host::listeners::{self, Listener, listeners};
use vmnet_model::error::{Error, ErrorKind, network};
use vmnet_model::firewall::forwards::Opened;
use vmnet_model::forward::{Forward, Protocol};
use vmnet_model::plan::DesiredState;
use vmnet_model::port_conflicts::{Socket, services};

/// Everybody else with ports of this host.
pub struct Others {
    forwards: Vec<(NetName, Forward)>,
    listeners: Vec<(Socket, Listener)>,
}

impl Others {
    /// Ask them all. A network whose file is wrong now says nothing.
    pub fn of(dirs: &Dirs, name: &NetName) -> Result<Self, Error> {
        let mut forwards = Vec::new();
        for (_, record) in run_record::all(dirs)? {
            let Ok(other) = NetName::new(&record.network) else { continue };
            if other == *name {
                continue;
            }
            let Ok(network) = definitions::with_live(dirs, &other) else { continue };
            forwards.extend(network.forwards.into_iter().map(|forward| (other.clone(), forward)));
        }
        Ok(Self { forwards, listeners: listeners().into_iter().map(|one| (socket(&one), one)).collect() })
    }

    /// Is one of its ports taken?
    pub fn hold(&self, forward: &Forward) -> bool {
        self.forwards.iter().any(|(_, other)| other.overlaps(forward))
            || self.listeners.iter().any(|(socket, _)| socket.stands_against(forward))
    }

    /// Fail if this forward's port is taken, and say by whom.
    pub fn refuse(&self, forward: &Forward) -> Result<(), Error> {
        if let Some((name, other)) = self.forwards.iter().find(|(_, other)| other.overlaps(forward)) {
            let cause = format!("{} forwards {} to {}", network(name), place(other), other.to);
            return Err(Error::new("forward", forward, cause).kind(ErrorKind::Conflict));
        }
        let found = self.listeners.iter().find(|(socket, _)| socket.stands_against(forward));
        let Some((socket, listener)) = found else { return Ok(()) };
        let who = listeners::holder(listener).unwrap_or_else(|| "a program of this host".to_owned());
        Err(listens(forward, &who, socket))
    }
}

fn listens(forward: &Forward, who: &str, socket: &Socket) -> Error {
    let at = std::net::SocketAddr::new(socket.address, socket.port);
    let cause = format!("{who} listens on {} {at}", socket.protocol.as_str());
    Error::new("forward", forward, cause)
        .kind(ErrorKind::Conflict)
        .hint("forward another port, or on an address where nobody listens: 192.0.2.1:8080")
}

fn socket(listener: &Listener) -> Socket {
    let protocol = match listener.protocol {
        listeners::Protocol::Tcp => Protocol::Tcp,
        listeners::Protocol::Udp => Protocol::Udp,
    };
    Socket { protocol, address: listener.address, only_v6: listener.only_v6, port: listener.port }
}

/// Refuse what `up` would open and the record does not know yet. What is open stays open, whoever
/// came to listen there since: a running network is repaired all the same.
pub fn refuse_new(dirs: &Dirs, goal: &DesiredState, record: Option<&Record>) -> Result<(), Error> {
    let known = |opened: &&Opened| record.is_some_and(|record| record.counters.contains(&opened.counter()));
    let new: Vec<&Forward> =
        goal.forwards.iter().filter(|opened| !known(opened)).map(|opened| &opened.forward).collect();
    if new.is_empty() {
        return Ok(());
    }
    let own = services(&goal.wanted);
    let others = Others::of(dirs, goal.wanted.name())?;
    for forward in new {
        if let Some(socket) = own.iter().find(|socket| socket.stands_against(forward)) {
            return Err(listens(forward, "the network's own dnsmasq", socket));
        }
        others.refuse(forward)?;
    }
    Ok(())
}
