//! The keeper's part about cables: what is lost of one is plugged in again, and a switch that was started
//! again gets its pump back.

use super::Keeper;
use super::wake::{Turn, ended, listen_to};
use crate::cables::{self, Site};
use crate::failure::{Failure, io};
use crate::memory::Memory;
use crate::record::Record;
use crate::wire;
use futures_util::future::select_all;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::sleep;
use vmnet_model::vde::Directory;
use vmnet_sys::process::Process;

/// How often a switch whose directory is gone is looked for.
const LOOK_OUT: Duration = Duration::from_secs(1);
/// A switch makes its socket first and listens a moment later.
pub(super) const A_MOMENT: Duration = Duration::from_millis(50);

/// What cables to switches end or come back by.
pub(super) struct Lines {
    /// Tells of changes in the switches' directories.
    places: Option<AsyncFd<Source>>,
    pumps: Vec<AsyncFd<Process>>,
    /// A switch is away.
    away: bool,
}

impl Lines {
    /// Pending until something may be different.
    pub(super) async fn stirred(&self) {
        let pumps = async {
            match self.pumps.is_empty() {
                true => std::future::pending().await,
                false => drop(select_all(self.pumps.iter().map(|pump| Box::pin(ended(Some(pump))))).await),
            }
        };
        let places = async {
            match &self.places {
                None => std::future::pending().await,
                Some(places) => drop(places.readable().await),
            }
            sleep(A_MOMENT).await;
        };
        tokio::select! {
            () = pumps => {}
            () = places => {}
            () = sleep(LOOK_OUT), if self.away => {}
        }
    }
}

impl Keeper<'_> {
    /// What of the cables is lost; or else what there is to be watched.
    pub(super) async fn lines(&self) -> Result<Result<Lines, Turn>, Failure> {
        let none = Lines { places: None, pumps: Vec::new(), away: false };
        if Memory::of(self.places, self.name)?.cables.is_empty()
            || !matches!(Record::read(&self.room), Ok(Some(_)))
        {
            return Ok(Ok(none));
        }
        let failed = |error: io::Error| self.failed(io(&error));
        // Before the look, so that nothing falls between.
        let switches = cables::switches(self.places, self.name)?;
        let places = watched(&switches).map_err(failed)?;
        let site = Site { name: self.name, links: &self.links, room: &self.room };
        if !site.steps(self.places).await?.is_empty() {
            return Ok(Err(Turn::Lost("a cable")));
        }
        let pumps = cables::pumps(&self.room).into_iter().map(listen_to).collect::<io::Result<_>>();
        let away = switches.iter().any(|switch| wire::life(switch).is_none());
        Ok(Ok(Lines { places, pumps: pumps.map_err(failed)?, away }))
    }
}

/// Tells when a switch of these begins: each makes its socket anew. A directory that is not there is looked
/// for again and again.
pub(super) fn watched(switches: &[Directory]) -> io::Result<Option<AsyncFd<Source>>> {
    if switches.is_empty() {
        return Ok(None);
    }
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
    let flags = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_DELETE;
    for switch in switches {
        let _ = inotify.add_watch(switch.as_str(), flags | AddWatchFlags::IN_ONLYDIR);
    }
    source(inotify).map(Some)
}

/// The safe way in is deprecated because its descriptor might be closed meanwhile; a [`Source`] owns
/// its own, and the room for `unsafe` is another.
#[expect(deprecated)]
fn source(inotify: Inotify) -> io::Result<AsyncFd<Source>> {
    AsyncFd::with_interest(Source(inotify), Interest::READABLE)
}

/// Tokio asks for the descriptor's number.
pub(super) struct Source(Inotify);

impl AsRawFd for Source {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}
