//! Hearing of changes: nf_tables by its announcements, the older iptables by its lock file,
//! firewalld by the bus. Several changes that follow each other closely are told as one. firewalld,
//! which may take seconds to answer, is told of the bridge from here, so that nothing else waits.

use super::listen::reached;
use crate::dirs::RunDir;
use crate::lease_watch::listen_to;
use std::collections::BTreeSet;
use std::pin::Pin;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;
use vmnet_access::name::{IfName, NetName};
use vmnet_host::firewalls::firewalld::{Listener, Told};
use vmnet_host::firewalls::{look, nftables, xtables};
use vmnet_host::log::Log;
use vmnet_model::error::{Error, network};
use vmnet_model::other_firewalls::{FIREWALLD, Family, Guests};
use vmnet_sys::trust::plain;

/// How long a change is waited upon for the next: a script of iptables commands is many of them.
const SETTLE: Duration = Duration::from_millis(50);

/// firewalld answers nobody while it loads its rules; so often is it told again, and so long after.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_secs(1);

/// What has changed since it was last told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// The tables of nf_tables in which something did.
    tables: BTreeSet<(Family, String)>,
    /// Announcements were lost: anything may have.
    missed: bool,
    /// The older iptables ran.
    older: bool,
}

impl Heard {
    /// Is there anything to be made good? Asked of the kernel, which takes a tenth of a
    /// millisecond, and not of nft.
    pub fn needs_repair(&self, guests: &Guests) -> Result<bool, Error> {
        let own = guests.network.table();
        if self.missed || self.tables.iter().any(|(_, table)| *table == own) {
            return Ok(true);
        }
        let foreign = self.older || self.tables.iter().any(|(_, table)| !table.starts_with("vmnet_"));
        Ok(foreign && look(guests)?.iter().any(|opening| !opening.open))
    }
}

/// All that is listened to on behalf of one network.
pub struct Watch {
    name: NetName,
    run_dir: RunDir,
    log: Log,
    tables: AsyncFd<nftables::Events>,
    older: AsyncFd<xtables::Events>,
    heard: Heard,
    due: Option<Instant>,
    /// None where firewalld does not run, or is just being told.
    firewalld: Option<Listener>,
    telling: Option<Telling>,
    /// When firewalld is to be told, and how often it may still give no answer.
    tell: Option<Instant>,
    tries: u32,
}

type Telling = Pin<Box<dyn Future<Output = (Option<Listener>, Result<Told, String>)> + Send>>;

/// What woke us.
enum Wake {
    Tables,
    Older,
    Due,
    /// firewalld has news, or (false) the bus is gone.
    Firewalld(bool),
    Tell,
    Told(Option<Listener>, Result<Told, String>),
}

impl Watch {
    /// Begin to listen. Look after this, not before, and nothing falls between.
    pub fn open(name: &NetName, run_dir: RunDir, log: Log) -> Result<Self, Error> {
        let failed = |error: std::io::Error| Error::new("keep", network(name), plain(&error));
        Ok(Self {
            name: name.clone(),
            run_dir,
            log,
            tables: nftables::Events::open().and_then(listen_to).map_err(failed)?,
            older: xtables::Events::open().and_then(listen_to).map_err(failed)?,
            heard: Heard::default(),
            due: None,
            firewalld: None,
            telling: None,
            tell: Some(Instant::now()),
            tries: TRIES,
        })
    }

    /// Waits until something has changed and `SETTLE` has passed. May be dropped while it waits
    /// (in a `select`) without losing anything.
    pub async fn changed(&mut self) -> Heard {
        loop {
            let tell = self.tell.filter(|_| self.telling.is_none());
            let wake = tokio::select! {
                () = reached(self.due) => Wake::Due,
                () = reached(tell) => Wake::Tell,
                ready = self.tables.readable() => {
                    ready.into_iter().for_each(|mut ready| ready.clear_ready());
                    Wake::Tables
                }
                ready = self.older.readable() => {
                    ready.into_iter().for_each(|mut ready| ready.clear_ready());
                    Wake::Older
                }
                alive = news(self.firewalld.as_mut()) => Wake::Firewalld(alive),
                (listener, told) = end(&mut self.telling) => Wake::Told(listener, told),
            };
            let news = match wake {
                Wake::Due => {
                    self.due = None;
                    return std::mem::take(&mut self.heard);
                }
                Wake::Tables => self.take_tables(),
                Wake::Older => {
                    let heard = self.older.get_ref().drain().unwrap_or(false);
                    self.heard.older |= heard;
                    heard
                }
                about_firewalld => {
                    self.handle_firewalld(about_firewalld);
                    false
                }
            };
            if news {
                self.due.get_or_insert_with(|| Instant::now() + SETTLE);
            }
        }
    }

    fn handle_firewalld(&mut self, wake: Wake) {
        match wake {
            Wake::Firewalld(alive) => {
                self.firewalld = self.firewalld.take().filter(|_| alive);
                (self.tell, self.tries) = (Some(Instant::now()), TRIES);
            }
            Wake::Tell => {
                self.tell = None;
                let (listener, bridge, run_dir) =
                    (self.firewalld.take(), self.name.bridge(), self.run_dir.clone());
                self.telling = Some(Box::pin(tell_firewalld(listener, bridge, run_dir)));
            }
            Wake::Told(listener, told) => {
                self.telling = None;
                self.firewalld = listener;
                self.note(told);
            }
            _ => {}
        }
    }

    fn note(&mut self, told: Result<Told, String>) {
        match told {
            Ok(Told::Now) => self.log.info(&format!("{}: firewalld lets it through", network(&self.name))),
            Ok(Told::Before) => {}
            // The bus has room for few; when firewalld comes, its table tells.
            Ok(Told::Absent) => self.firewalld = None,
            Err(_) if self.tries > 0 => {
                self.tries -= 1;
                self.tell.get_or_insert_with(|| Instant::now() + PAUSE);
            }
            Err(error) => {
                let failure = Error::new("tell firewalld of", network(&self.name), error);
                self.log.trouble(&failure.to_string());
            }
        }
    }

    fn take_tables(&mut self) -> bool {
        let Ok(changes) = self.tables.get_ref().drain() else { return false };
        let news = !changes.is_empty();
        self.heard.missed |= changes.missed;
        // By its table it is noticed where there was no bus before, or nobody on it.
        if changes.tables.iter().any(|(_, table)| table == FIREWALLD) {
            (self.tell, self.tries) = (Some(Instant::now()), TRIES);
        }
        self.heard.tables.extend(changes.tables);
        news
    }
}

/// Have firewalld let the bridge's packets through, if it runs.
async fn tell_firewalld(
    listener: Option<Listener>,
    bridge: IfName,
    run_dir: RunDir,
) -> (Option<Listener>, Result<Told, String>) {
    let listener = match listener {
        Some(listener) => Some(listener),
        None => Listener::open().await,
    };
    let told = match &listener {
        Some(listener) => listener.bus.open(&bridge, &run_dir.firewalld()).await,
        None => Ok(Told::Absent),
    };
    (listener, told)
}

async fn news(firewalld: Option<&mut Listener>) -> bool {
    match firewalld {
        Some(listener) => listener.changed().await,
        None => std::future::pending().await,
    }
}

async fn end(telling: &mut Option<Telling>) -> (Option<Listener>, Result<Told, String>) {
    match telling {
        Some(telling) => telling.await,
        None => std::future::pending().await,
    }
}
