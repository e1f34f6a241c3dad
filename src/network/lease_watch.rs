//! A network's lease file, listened to. dnsmasq writes it anew in place at each change, so between
//! the first event and the last a reader finds it empty or cut short.

use crate::dirs::RunDir;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent};
use std::cell::Cell;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, sleep_until};
use vmnet_model::dnsmasq::LEASE_FILE;

/// Written, and nothing more for so long: it is whole. dnsmasq needs microseconds; a busy host may
/// interrupt it.
const STILL: Duration = Duration::from_millis(20);
/// So long at most, where it is written again and again.
const PATIENCE: Duration = Duration::from_secs(1);

/// What happened to a lease file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The leases changed, and can be read.
    Leases,
    /// The network went down.
    Down,
}

/// The listener.
pub struct LeaseWatch {
    source: AsyncFd<Source>,
    record: Box<OsStr>,
    /// The first and the last change that nobody was told of. Kept here, because whoever waits may
    /// turn to something else meanwhile.
    stirred: Cell<Option<(Instant, Instant)>>,
    down: Cell<bool>,
}

impl LeaseWatch {
    /// Begin to listen. The file need not be there yet.
    pub fn open(run_dir: &RunDir) -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let flags = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_DELETE;
        inotify.add_watch(run_dir.path(), flags | AddWatchFlags::IN_ONLYDIR)?;
        Ok(Self {
            source: watched(inotify)?,
            record: run_dir.record().file_name().unwrap_or_default().into(),
            stirred: Cell::new(None),
            down: Cell::new(false),
        })
    }

    /// Pending until the leases change.
    pub async fn changed(&self) -> io::Result<()> {
        while self.next().await? != Event::Leases {}
        Ok(())
    }

    /// Pending until something happens. May be dropped and called again.
    pub async fn next(&self) -> io::Result<Event> {
        loop {
            if self.down.take() {
                return Ok(Event::Down);
            }
            let Some((first, last)) = self.stirred.get() else {
                self.listen().await?;
                continue;
            };
            tokio::select! {
                heard = self.listen() => heard?,
                () = sleep_until((last + STILL).min(first + PATIENCE)) => {
                    self.stirred.set(None);
                    return Ok(Event::Leases);
                }
            }
        }
    }

    /// Note what inotify says next.
    async fn listen(&self) -> io::Result<()> {
        loop {
            let mut ready = self.source.readable().await?;
            match ready.get_inner().0.read_events() {
                Ok(events) => {
                    events.iter().for_each(|event| self.note(event));
                    return Ok(());
                }
                Err(nix::errno::Errno::EAGAIN) => ready.clear_ready(),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn note(&self, event: &InotifyEvent) {
        let gone = AddWatchFlags::IN_DELETE | AddWatchFlags::IN_IGNORED;
        let name = event.name.as_deref();
        if event.mask.intersects(gone) {
            let down = name.is_none_or(|name| *name == *self.record);
            self.down.set(self.down.get() || down);
        } else if name == Some(LEASE_FILE.as_ref()) {
            let now = Instant::now();
            let first = self.stirred.get().map_or(now, |(first, _)| first);
            self.stirred.set(Some((first, now)));
        }
    }
}

/// Its events can be waited for.
pub fn watched(inotify: Inotify) -> io::Result<AsyncFd<Source>> {
    listen_to(Source(inotify))
}

/// Something with a descriptor, which can be waited for until there is something to read. The safe way in is
/// deprecated because the descriptor might be closed meanwhile; what is given here owns its own, and the room
/// for `unsafe` is another.
#[expect(deprecated)]
pub fn listen_to<T: AsRawFd>(source: T) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(source, Interest::READABLE)
}

/// Tokio asks for the descriptor's number.
pub struct Source(Inotify);

impl AsRawFd for Source {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}
