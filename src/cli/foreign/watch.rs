//! Hearing of changes: nf_tables by its announcements, the older iptables by its lock file,
//! firewalld by the bus. Several changes that follow each other closely are told as one.

use super::firewalld::Listener;
use crate::failure::{Failure, io, network};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, sleep_until};
use vmnet_model::foreign::Family;
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
    pub firewalld: bool,
}

impl Heard {
    /// Was it in one of this network's own tables, or may it have been?
    pub fn concerns(&self, network: &NetName) -> bool {
        let own = network.table();
        self.anything || self.tables.iter().any(|(_, table)| *table == own)
    }

    /// Was it in anybody else's?
    pub fn is_foreign(&self) -> bool {
        self.anything || self.tables.iter().any(|(_, table)| !table.starts_with("vmnet_"))
    }
}

/// All that is listened to.
pub struct Watch {
    tables: AsyncFd<nftables::Events>,
    older: AsyncFd<xtables::Events>,
    /// For questions to firewalld; none where there is no bus.
    pub firewalld: Option<Listener>,
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
    /// Begin to listen. Look after this, not before, and nothing falls between.
    pub async fn open(name: &NetName) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::new("keep", network(name), io(&error));
        Ok(Self {
            tables: nftables::Events::open().and_then(listen_to).map_err(failed)?,
            older: xtables::Events::open().and_then(listen_to).map_err(failed)?,
            firewalld: Listener::open().await,
            heard: Heard::default(),
            due: None,
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
            self.take(&wake);
            if matches!(wake, Wake::Due) {
                if self.heard.firewalld && self.firewalld.is_none() {
                    self.firewalld = Listener::open().await;
                }
                self.due = None;
                return std::mem::take(&mut self.heard);
            }
        }
    }

    fn take(&mut self, wake: &Wake) {
        let news = match wake {
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
        };
        if news {
            self.due.get_or_insert_with(|| Instant::now() + SETTLE);
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
