//! The keeper's part about cables: what is lost of one is plugged in again, and a switch that was started
//! again gets its pump back.

use super::event::ended;
use super::{Keeper, Orders};
use crate::cables::{self, Site};
use crate::lease_watch::{self, Source, listen_to};
use crate::store::live_changes::LiveChanges;
use futures_util::future::select_all;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::io;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::time::sleep;
use vmnet_access::vde::Directory;
use vmnet_model::error::Error;
use vmnet_model::keeper::KeeperEvent;
use vmnet_sys::process::Process;
use vmnet_sys::trust::plain;

/// How often a switch whose directory is gone is looked for.
const LOOK_OUT: Duration = Duration::from_secs(1);
/// A switch makes its socket first and listens a moment later.
const A_MOMENT: Duration = Duration::from_millis(50);

/// The processes of a switch and of cables, to be told of their end; other people's switches, to be told of
/// their beginning.
#[derive(Default)]
pub(super) struct Lines {
    pub(super) processes: Vec<AsyncFd<Process>>,
    /// Tells of changes in the switches' directories.
    pub(super) directories: Option<AsyncFd<Source>>,
    /// A switch is away.
    pub(super) away: bool,
}

impl Lines {
    /// Pending until something may be different.
    pub(super) async fn stirred(&self) {
        let processes = async {
            match self.processes.is_empty() {
                true => std::future::pending().await,
                false => drop(select_all(self.processes.iter().map(|one| Box::pin(ended(Some(one))))).await),
            }
        };
        let directories = async {
            match &self.directories {
                None => std::future::pending().await,
                Some(dirs) => drop(dirs.readable().await),
            }
            sleep(A_MOMENT).await;
        };
        tokio::select! {
            () = processes => {}
            () = directories => {}
            () = sleep(LOOK_OUT), if self.away => {}
        }
    }
}

impl<O: Orders> Keeper<'_, O> {
    /// What of the cables is lost; or else what there is to be watched.
    pub(super) fn lines(&self) -> Result<Result<Lines, KeeperEvent>, Error> {
        if LiveChanges::of(self.dirs, self.name)?.cables.is_empty() {
            return Ok(Ok(Lines::default()));
        }
        let failed = |error: io::Error| self.failed(plain(&error));
        // Before the look, so that nothing falls between.
        let switches = cables::switches(self.dirs, self.name)?;
        let directories = watched(&switches).map_err(failed)?;
        let site = Site { name: self.name, links: &self.links, run_dir: &self.run_dir };
        if !site.steps(self.dirs)?.is_empty() {
            return Ok(Err(KeeperEvent::Lost("a cable")));
        }
        let pumps = cables::pumps(&self.run_dir).into_iter().map(listen_to).collect::<io::Result<_>>();
        let away = switches.iter().any(|switch| vmnet_vswitch::life(switch).is_none());
        Ok(Ok(Lines { processes: pumps.map_err(failed)?, directories, away }))
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
    lease_watch::watched(inotify).map(Some)
}
