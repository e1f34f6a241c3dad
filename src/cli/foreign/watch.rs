//! Hearing of changes: nf_tables by its announcements, the older iptables by its lock file,
//! firewalld by the bus. Several changes that follow each other closely are told as one. firewalld,
//! which may take seconds to answer, is told of the bridge from here, so that nobody else waits.

use super::firewalld::Listener;
use super::look;
use crate::failure::{Failure, io, network};
use crate::places::Room;
use crate::say::Log;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, sleep_until};
use vmnet_model::foreign::{Family, Guests};
use vmnet_model::name::NetName;
use vmnet_sys::{nftables, xtables};

/// How long a change is waited upon for the next: a script of iptables commands is many of them.
const SETTLE: Duration = Duration::from_millis(50);
/// firewalld's table of nf_tables, by which it is noticed where there was no bus before.
const FIREWALLD: &str = "firewalld";

/// What has changed since it was last told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// The tables of nf_tables in which something did.
    tables: BTreeSet<(Family, String)>,
    /// Anything may have: announcements were lost, or the older iptables ran.
    anything: bool,
    /// firewalld came or went, or read its files again.
    firewalld: bool,
}

impl Heard {
    /// Is there anything to be made good? Asked of the kernel, which takes a tenth of a
    /// millisecond, and not of nft.
    pub fn needs_repair(&self, guests: &Guests) -> Result<bool, Failure> {
        let own = guests.network.table();
        if self.anything || self.tables.iter().any(|(_, table)| *table == own) {
            return Ok(true);
        }
        let foreign = self.tables.iter().any(|(_, table)| !table.starts_with("vmnet_"));
        Ok(foreign && look(guests)?.iter().any(|opening| !opening.open))
    }
}

/// All that is listened to on behalf of one network.
pub struct Watch {
    name: NetName,
    room: Room,
    log: Log,
    tables: AsyncFd<nftables::Events>,
    older: AsyncFd<xtables::Events>,
    /// None where there is no bus.
    firewalld: Option<Listener>,
    heard: Heard,
    due: Option<Instant>,
}

/// What woke us.
enum Wake {
    Tables,
    Older,
    Firewalld(bool),
    Due,
}

impl Watch {
    /// Begin to listen. Look after this, not before, and nothing falls between. The first thing
    /// heard is that firewalld may have come.
    pub fn open(name: &NetName, room: Room, log: Log) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::new("keep", network(name), io(&error));
        Ok(Self {
            name: name.clone(),
            room,
            log,
            tables: nftables::Events::open().and_then(listen_to).map_err(failed)?,
            older: xtables::Events::open().and_then(listen_to).map_err(failed)?,
            firewalld: None,
            heard: Heard { firewalld: true, ..Heard::default() },
            due: Some(Instant::now()),
        })
    }

    /// Waits until something has changed and [`SETTLE`] has passed. May be dropped while it waits
    /// (in a `select`) without losing anything.
    pub async fn changed(&mut self) -> Heard {
        loop {
            let due = self.due;
            let wake = tokio::select! {
                () = until(due) => Wake::Due,
                ready = self.tables.readable() => {
                    ready.into_iter().for_each(|mut ready| ready.clear_ready());
                    Wake::Tables
                }
                ready = self.older.readable() => {
                    ready.into_iter().for_each(|mut ready| ready.clear_ready());
                    Wake::Older
                }
                alive = news(self.firewalld.as_mut()) => Wake::Firewalld(alive),
            };
            if matches!(wake, Wake::Due) {
                if self.heard.firewalld {
                    self.tell_firewalld().await;
                }
                self.due = None;
                return std::mem::take(&mut self.heard);
            }
            if self.take(&wake) {
                self.due.get_or_insert_with(|| Instant::now() + SETTLE);
            }
        }
    }

    /// True if there is news.
    fn take(&mut self, wake: &Wake) -> bool {
        match wake {
            Wake::Due => false,
            Wake::Tables => self.take_tables(),
            Wake::Older => {
                let heard = self.older.get_ref().drain().unwrap_or(false);
                self.heard.anything |= heard;
                heard
            }
            Wake::Firewalld(alive) => {
                if !alive {
                    self.firewalld = None;
                }
                self.heard.firewalld = true;
                true
            }
        }
    }

    /// Have firewalld let the bridge's packets through, if it runs.
    async fn tell_firewalld(&mut self) {
        if self.firewalld.is_none() {
            self.firewalld = Listener::open().await;
        }
        let Some(firewalld) = &self.firewalld else { return };
        match firewalld.bus.open(&self.name.bridge(), &self.room).await {
            Ok(true) => self.log.info(&format!("{}: firewalld lets it through", network(&self.name))),
            Ok(false) => {}
            Err(error) => {
                let failure = Failure::new("tell firewalld of", network(&self.name), error);
                self.log.trouble(&failure.to_string());
            }
        }
    }

    fn take_tables(&mut self) -> bool {
        let Ok(changes) = self.tables.get_ref().drain() else { return false };
        let news = !changes.is_empty();
        self.heard.anything |= changes.missed;
        self.heard.firewalld |= changes.tables.iter().any(|(_, table)| table == FIREWALLD);
        self.heard.tables.extend(changes.tables);
        news
    }
}

/// The safe way in is deprecated because its descriptor might be closed meanwhile; these own theirs,
/// and the room for `unsafe` is another.
#[expect(deprecated)]
fn listen_to<T: std::os::fd::AsRawFd>(events: T) -> std::io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(events, Interest::READABLE)
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

async fn news(firewalld: Option<&mut Listener>) -> bool {
    match firewalld {
        Some(listener) => listener.changed().await,
        None => std::future::pending().await,
    }
}
