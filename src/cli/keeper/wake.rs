//! What wakes the keeper: signals, the kernel's announcements about links and addresses, the
//! server's end, and the server's lease file.

use crate::links::{Event, LinkError, Watch};
use crate::places::Room;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};
use vmnet_model::dnsmasq::LEASE_FILE;
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
    /// A link became a port, or something about it changed.
    Port(u32),
    /// A port went.
    PortGone,
    /// A guest got a lease, or lost one.
    Leases,
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
        Some(Event::LinkChanged(link)) if link.index == bridge && !link.up => Turn::Lost("the bridge's up state"),
        Some(Event::AddressGone(address)) if address.index == bridge => Turn::Lost("the bridge's address"),
        Some(Event::Address6Gone(address)) if address.index == bridge => {
            Turn::Lost("the bridge's IPv6 address")
        }
        Some(Event::PortChanged { bridge: of, port }) if of == bridge => Turn::Port(port),
        Some(Event::PortGone { bridge: of, .. }) if of == bridge => Turn::PortGone,
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

/// The lease file, listened to: dnsmasq writes it anew in place at each change.
pub struct LeaseWatch(AsyncFd<Source>);

impl LeaseWatch {
    /// Begin to listen. The file need not be there yet.
    pub fn open(room: &Room) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let flags = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_ONLYDIR;
        inotify.add_watch(room.path(), flags)?;
        Ok(Self(watched(inotify)?))
    }

    /// Pending until the leases change.
    pub async fn changed(&self) -> io::Result<()> {
        loop {
            let mut ready = self.0.readable().await?;
            match ready.get_inner().0.read_events() {
                Ok(events) => {
                    if events.iter().any(|event| event.name.as_deref() == Some(LEASE_FILE.as_ref())) {
                        return Ok(());
                    }
                }
                Err(nix::errno::Errno::EAGAIN) => ready.clear_ready(),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

/// As for [`listen_to`].
#[expect(deprecated)]
fn watched(inotify: Inotify) -> io::Result<AsyncFd<Source>> {
    AsyncFd::with_interest(Source(inotify), Interest::READABLE)
}

/// Tokio asks for the descriptor's number.
struct Source(Inotify);

impl AsRawFd for Source {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}
