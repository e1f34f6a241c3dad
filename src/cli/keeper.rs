//! The keeper: watches a network's server, bridge and address and makes good what somebody or
//! something took away, until it is told to stop. When it is killed, all it made goes on; the
//! next keeper takes over.

use crate::failure::{Failure, io, network};
use crate::links::{Event, Links, Watch};
use crate::look;
use crate::places::{Places, Room};
use crate::process;
use crate::record::Record;
use crate::say::Log;
use crate::take_down::take_down;
use crate::up::raise;
use std::io::{Seek, Write};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep_until};
use vmnet_model::name::NetName;
use vmnet_sys::lock::Claim;
use vmnet_sys::process::{Process, adopt_orphans, reap_all};

/// So many repairs in a row, one after the other at once; then one each [`PAUSE`], so that a
/// fight with another program costs little.
const REPAIRS_AT_ONCE: u32 = 5;
/// And this long without trouble makes a new row.
const PAUSE: Duration = Duration::from_secs(5);

/// One network's keeper.
pub struct Keeper<'a> {
    places: &'a Places,
    name: &'a NetName,
    room: Room,
    log: Log,
    links: Links,
    watch: Watch,
    signals: Signals,
    _claim: Claim,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    leave: Signal,
    reload: Signal,
    child: Signal,
}

/// What happened.
enum Turn {
    /// Take the network down and end.
    Stop,
    /// End, and leave the network running: `vmnet down` goes on by itself.
    Leave,
    /// The file may have changed.
    Reload,
    /// The server, the bridge or its address went.
    Lost(&'static str),
    /// Something else; look again.
    Nothing,
}

/// The file that says who keeps a network; none if somebody does.
pub fn claim(room: &Room) -> Result<Option<Claim>, Failure> {
    room.make()?;
    let path = room.keeper();
    let failed = |error: std::io::Error| Failure::new("lock", path.display(), io(&error));
    let Some(claim) = Claim::try_now(&path).map_err(failed)? else { return Ok(None) };
    let mut file = claim.file();
    file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
    file.write_all(format!("{}\n", std::process::id()).as_bytes()).map_err(failed)?;
    Ok(Some(claim))
}

impl<'a> Keeper<'a> {
    /// Take over a network. From here on signals are heeded and changes noticed.
    pub fn new(places: &'a Places, name: &'a NetName, log: Log, claim: Claim) -> Result<Self, Failure> {
        let failed = |cause: &dyn std::fmt::Display| Failure::new("keep", network(name), cause);
        let catch = |kind| signal(kind).map_err(|error| failed(&io(&error)));
        // dnsmasq becomes a daemon under our eyes; without this its end would never be reaped.
        adopt_orphans().map_err(|error| failed(&io(&error)))?;
        Ok(Self {
            places,
            name,
            room: places.room(&name.bridge()),
            log,
            links: Links::open().map_err(|error| failed(&error))?,
            watch: Watch::open().map_err(|error| failed(&error))?,
            signals: Signals {
                terminate: catch(SignalKind::terminate())?,
                interrupt: catch(SignalKind::interrupt())?,
                leave: catch(SignalKind::user_defined2())?,
                reload: catch(SignalKind::hangup())?,
                child: catch(SignalKind::child())?,
            },
            _claim: claim,
        })
    }

    /// Keep the network until told otherwise.
    pub async fn keep(mut self) -> Result<(), Failure> {
        let (mut repairs, mut last) = (0, Instant::now());
        loop {
            // Nobody waits for a child of ours here: what we start is waited for while it runs.
            reap_all();
            let server = process::server(&self.room);
            let turn = match (server, self.wants_server()) {
                (None, true) => Turn::Lost("dnsmasq"),
                (server, _) => match self.wait(server).await {
                    Ok(turn) => turn,
                    // The network goes on, and so do we: a kernel that is too busy now will answer later.
                    Err(failure) => {
                        self.log.trouble(&failure.to_string());
                        self.rest(Instant::now() + PAUSE).await
                    }
                },
            };
            match turn {
                Turn::Leave => return Ok(()),
                Turn::Stop => return self.stop().await,
                Turn::Reload => self.repair("its file is read again").await,
                Turn::Nothing => {}
                Turn::Lost(what) => {
                    if last.elapsed() > PAUSE {
                        repairs = 0;
                    }
                    if repairs >= REPAIRS_AT_ONCE {
                        let again = "it is lost again and again";
                        self.log.trouble(&self.failed(again).to_string());
                        match self.rest(last + PAUSE).await {
                            Turn::Leave => return Ok(()),
                            Turn::Stop => return self.stop().await,
                            _ => {}
                        }
                    }
                    (repairs, last) = (repairs + 1, Instant::now());
                    self.repair(&format!("{what} is gone")).await;
                }
            }
        }
    }

    /// A network that is down, or whose server was never written, needs none.
    fn wants_server(&self) -> bool {
        self.room.dnsmasq().exists() && matches!(Record::read(&self.room), Ok(Some(_)))
    }

    async fn wait(&mut self, server: Option<Process>) -> Result<Turn, Failure> {
        let bridge = self.name.bridge();
        let index =
            self.links.find(&bridge).await.map_err(|error| self.failed(error))?.map(|link| link.index);
        let Some(index) = index else {
            // Without a record the network is down on purpose.
            let up = matches!(Record::read(&self.room), Ok(Some(_)));
            return if up { Ok(Turn::Lost("the bridge")) } else { Ok(Turn::Leave) };
        };
        let server = server.map(listen_to).transpose().map_err(|error| self.failed(io(&error)))?;
        tokio::select! {
            _ = self.signals.terminate.recv() => Ok(Turn::Stop),
            _ = self.signals.interrupt.recv() => Ok(Turn::Stop),
            _ = self.signals.leave.recv() => Ok(Turn::Leave),
            _ = self.signals.reload.recv() => Ok(Turn::Reload),
            event = self.watch.next() => Ok(match event {
                Some(Event::LinkGone { index: gone }) if gone == index => Turn::Lost("the bridge"),
                Some(Event::LinkChanged(link)) if link.index == index && !link.up => Turn::Lost("the bridge's up state"),
                Some(Event::AddressGone(address)) if address.index == index => Turn::Lost("the bridge's address"),
                Some(_) => Turn::Nothing,
                None => {
                    self.watch = Watch::open().map_err(|error| self.failed(error))?;
                    Turn::Nothing
                }
            }),
            _ = self.signals.child.recv() => Ok(Turn::Nothing),
            () = ended(server.as_ref()) => Ok(Turn::Nothing),
        }
    }

    /// Wait, but heed signals.
    async fn rest(&mut self, until: Instant) -> Turn {
        tokio::select! {
            () = sleep_until(until) => Turn::Nothing,
            _ = self.signals.leave.recv() => Turn::Leave,
            _ = self.signals.terminate.recv() => Turn::Stop,
            _ = self.signals.interrupt.recv() => Turn::Stop,
        }
    }

    async fn repair(&mut self, why: &str) {
        // Somebody may have taken the network down, or up again, while we waited for our turn.
        if !self.room.record().exists() {
            return;
        }
        match raise(self.places, self.name).await {
            Ok(raised) if raised.steps.is_empty() => {}
            Ok(raised) => {
                let steps: Vec<String> = raised.steps.iter().map(ToString::to_string).collect();
                self.log.info(&format!("{}: {why}: {}", network(self.name), steps.join(", ")));
            }
            Err(failure) => self.log.trouble(&failure.to_string()),
        }
    }

    /// Told to stop: as `down` does, and like it not under attached guests.
    async fn stop(&mut self) -> Result<(), Failure> {
        let ports = look::ports(&self.links, &self.name.bridge()).await?;
        if !ports.is_empty() {
            let names: Vec<String> = ports.iter().map(|port| port.name.to_string()).collect();
            self.log.info(&format!("{} goes on: {} attached", network(self.name), names.join(" ")));
            return Ok(());
        }
        take_down(self.places, self.name).await
    }

    fn failed(&self, cause: impl std::fmt::Display) -> Failure {
        Failure::new("keep", network(self.name), cause)
    }
}

/// The safe way in is deprecated because its descriptor might be closed meanwhile; a [`Process`]
/// owns its own, and the room for `unsafe` is another.
#[expect(deprecated)]
fn listen_to(server: Process) -> std::io::Result<AsyncFd<Process>> {
    AsyncFd::with_interest(server, Interest::READABLE)
}

/// Pending until the server ends; for ever where there is none.
async fn ended(server: Option<&AsyncFd<Process>>) {
    match server {
        Some(server) => drop(server.readable().await),
        None => std::future::pending().await,
    }
}
