//! What wakes the keeper: signals, the kernel's announcements about links and addresses, the
//! server's end.

use super::clients;
use crate::firewall_watch::Heard;
use std::io;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};
use vmnet_host::links::{Event, LinkError, Watch};
use vmnet_sys::process::Process;

/// What happened.
#[derive(Debug)]
pub enum Turn {
    /// Take the network down and end.
    Stop,
    /// End, and leave the network running: `vmnet down` goes on by itself.
    Leave,
    /// The file may have changed.
    Reload,
    /// The server, the bridge or an address of it went.
    Lost(&'static str),
    /// A link became a port of this bridge, or something about it changed.
    Port {
        /// The bridge.
        bridge: u32,
        /// The link.
        port: u32,
    },
    /// A port went.
    PortGone {
        /// Its number.
        port: u32,
    },
    /// A guest got a lease, or lost one.
    Leases,
    /// Somebody is plugged into the switch, or was.
    Clients(clients::Heard),
    /// Somebody changed a firewall of the host.
    Firewalls(Heard),
    /// It has had no port for as long as its file says.
    Idle,
    /// Something else; look again.
    Nothing,
}

/// The signals that a keeper heeds.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    leave: Signal,
    reload: Signal,
    child: Signal,
}

impl Signals {
    /// From here on they no longer end the process.
    pub fn heed() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            leave: signal(SignalKind::user_defined2())?,
            reload: signal(SignalKind::hangup())?,
            child: signal(SignalKind::child())?,
        })
    }

    /// The next one.
    pub async fn next(&mut self) -> Turn {
        tokio::select! {
            _ = self.terminate.recv() => Turn::Stop,
            _ = self.interrupt.recv() => Turn::Stop,
            _ = self.leave.recv() => Turn::Leave,
            _ = self.reload.recv() => Turn::Reload,
            _ = self.child.recv() => Turn::Nothing,
        }
    }
}

/// The next announcement, as far as it concerns the bridge of this number.
pub async fn next_event(watch: &mut Watch, bridge: u32) -> Result<Turn, LinkError> {
    Ok(match watch.next().await {
        Some(Event::LinkGone { index }) if index == bridge => Turn::Lost("the bridge"),
        Some(Event::LinkChanged(link)) if link.index == bridge && !link.up => {
            Turn::Lost("the bridge's up state")
        }
        Some(Event::AddressGone(address)) if address.index == bridge => Turn::Lost("the bridge's address"),
        Some(Event::Address6Gone(address)) if address.index == bridge => {
            Turn::Lost("the bridge's IPv6 address")
        }
        Some(Event::PortChanged { bridge: of, port }) if of == bridge => Turn::Port { bridge, port },
        Some(Event::PortGone { bridge: of, port }) if of == bridge => Turn::PortGone { port },
        Some(Event::Missed) => Turn::Lost("an announcement of the kernel"),
        Some(_) => Turn::Nothing,
        None => {
            *watch = Watch::open()?;
            Turn::Nothing
        }
    })
}

/// The safe way in is deprecated because its descriptor might be closed meanwhile; a [`Process`]
/// owns its own, and the room for `unsafe` is another.
#[expect(deprecated)]
pub fn listen_to(server: Process) -> io::Result<AsyncFd<Process>> {
    AsyncFd::with_interest(server, Interest::READABLE)
}

/// Pending until the server ends; for ever where there is none.
pub async fn ended(server: Option<&AsyncFd<Process>>) {
    match server {
        Some(server) => drop(server.readable().await),
        None => std::future::pending().await,
    }
}
