//! The keeper's part about those who are plugged into the switch: it hears who comes and goes, counts them,
//! removes what the gone leave behind, and mends a switch that has mislaid one.

use super::listen::reached;
use super::{Keeper, Orders};
use crate::dirs::{Dirs, RunDir};
use std::io::{self, ErrorKind};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use vmnet_model::error::{Error, network};
use vmnet_model::keeper::{KeeperEvent, SwitchHealth};
use vmnet_vswitch::clients::{Client, Clients, Who};
use vmnet_vswitch::console::{Console, ConsoleError};
use vmnet_vswitch::console_text::tells_of_a_port;
use vmnet_vswitch::{clients, settings};

/// Several who come together are looked at together.
const TOGETHER: Duration = Duration::from_millis(100);
/// Once more so long after: what a switch has mislaid is told by nobody. And no two looks are nearer.
const AFTERWARDS: Duration = Duration::from_secs(2);
/// While somebody is plugged in, and for another try where the console did not answer.
const NOW_AND_THEN: Duration = Duration::from_secs(30);
/// How often those are looked for of whom no feed tells.
const WITHOUT_FEED: Duration = Duration::from_secs(5);
/// So much is read of the feed at one time; what it tells more than once does not matter.
const GULP: usize = 64 << 10;

/// What came of asking.
enum Answer {
    Feed(Result<std::os::unix::net::UnixStream, ConsoleError>),
    Clients(Result<Clients, Error>),
}

/// What is known of who is plugged in.
#[derive(Default)]
pub(super) struct Feed {
    stream: Option<UnixStream>,
    /// A switch that hangs does not hold us up: somebody else waits for its answer.
    asking: Option<JoinHandle<Answer>>,
    /// When to look next.
    look: Option<Instant>,
    looked: Option<Instant>,
    /// Somebody came or went since.
    stirred: bool,
    /// Not before then is the feed asked for again.
    closed_until: Option<Instant>,
    /// So many are there for whom the network is.
    pub(super) guests: usize,
}

/// What the feed wakes the keeper for.
#[derive(Debug)]
pub enum Heard {
    /// Somebody came or went, or it is time to look.
    Something,
    /// These are plugged in.
    Clients(Clients),
    /// That could not be found out.
    Trouble(String),
}

impl Feed {
    /// Ask what is to be asked. A network without a switch, or one whose switch is away, is not asked.
    pub(super) fn tend(&mut self, dirs: &Dirs, run_dir: &RunDir) {
        let Some(of) = settings::recorded(&run_dir.switch()).ok().flatten() else {
            *self = Self::default();
            return;
        };
        if self.asking.is_some() {
            return;
        }
        let now = Instant::now();
        let console = clients::console(&of);
        let open = self.closed_until.is_none_or(|until| until <= now);
        if let Some(console) = console.filter(|_| self.stream.is_none() && open) {
            self.closed_until = Some(now + NOW_AND_THEN);
            self.ask(move || Answer::Feed(Console::feed(&console)));
        } else if *self.look.get_or_insert(now) <= now {
            self.look = None;
            self.looked = Some(now);
            let (dirs, run_dir) = (dirs.clone(), run_dir.clone());
            self.ask(move || {
                let clients = clients::look(&dirs.run, &run_dir.switch());
                vmnet_vswitch::widen_queues(&run_dir.switch());
                Answer::Clients(clients)
            });
        }
    }

    fn ask(&mut self, question: impl FnOnce() -> Answer + Send + 'static) {
        self.asking = Some(tokio::task::spawn_blocking(question));
    }

    /// Pending until there is something to be done.
    pub(super) async fn heard(&mut self) -> Heard {
        // While one is on its way, the next look waits for it.
        let look = self.look.filter(|_| self.asking.is_none());
        let answered = async {
            match &mut self.asking {
                Some(asking) => asking.await,
                None => std::future::pending().await,
            }
        };
        let told = async {
            match &self.stream {
                // Not so soon after the last time that somebody who comes and goes without end keeps us.
                Some(stream) => {
                    reached(self.looked.map(|looked| looked + TOGETHER).or(Some(Instant::now()))).await;
                    drink(stream).await
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            answer = answered => {
                self.asking = None;
                self.take(answer.unwrap_or_else(|_| Answer::Feed(Err(ConsoleError::Nonsense))))
            }
            told = told => {
                match told {
                    Ok(true) => self.stir(),
                    Ok(false) => {}
                    // The switch has ended, or closed it; asked for again at once.
                    Err(_) => (self.stream, self.closed_until) = (None, None),
                }
                Heard::Something
            }
            () = reached(look) => Heard::Something,
        }
    }

    fn stir(&mut self) {
        self.stirred = true;
        let soon = Instant::now() + TOGETHER;
        let soon = self.looked.map_or(soon, |looked| soon.max(looked + AFTERWARDS));
        self.look = Some(self.look.map_or(soon, |look| look.min(soon)));
    }

    fn take(&mut self, answer: Answer) -> Heard {
        match answer {
            Answer::Feed(Ok(stream)) => {
                self.stream = UnixStream::from_std(stream).ok();
                // Those who came before it.
                self.look = Some(Instant::now());
                Heard::Something
            }
            Answer::Feed(Err(error)) => Heard::Trouble(format!("cannot ask the switch's console: {error}")),
            Answer::Clients(looked) => {
                let clients = match looked {
                    Ok(clients) => clients,
                    Err(failure) => {
                        self.look = Some(Instant::now() + NOW_AND_THEN);
                        return Heard::Trouble(failure.to_string());
                    }
                };
                self.guests = clients.guests().count();
                let pause = match (&self.stream, std::mem::take(&mut self.stirred)) {
                    (None, _) => WITHOUT_FEED,
                    (Some(_), true) => AFTERWARDS,
                    (Some(_), false) => NOW_AND_THEN,
                };
                let next = Instant::now() + pause;
                self.look = Some(self.look.map_or(next, |look| look.min(next)));
                Heard::Clients(clients)
            }
        }
    }
}

/// What the feed has: does it tell that somebody came or went?
async fn drink(stream: &UnixStream) -> io::Result<bool> {
    stream.readable().await?;
    let mut gulp = vec![0; GULP];
    match stream.try_read(&mut gulp) {
        Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
        Ok(count) => Ok(gulp.get(..count).is_some_and(tells_of_a_port)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

impl<O: Orders> Keeper<'_, O> {
    /// What the feed's word means to the keeper.
    pub(super) fn of_clients(&self, heard: Heard) -> KeeperEvent {
        match heard {
            Heard::Something => KeeperEvent::ClientsStirred,
            Heard::Trouble(trouble) => KeeperEvent::ClientsUnknown(self.failed(trouble).to_string()),
            Heard::Clients(clients) => {
                KeeperEvent::ClientsCounted { guests: self.feed.guests, switch: self.health(&clients) }
            }
        }
    }

    /// A switch that has mislaid a port has lost its way among its descriptors: sooner or later it closes
    /// another's. It is started again, which those who were given their ports do not notice; but not
    /// under those who plugged themselves in, and would not come back.
    fn health(&self, clients: &Clients) -> SwitchHealth {
        match &clients.trouble {
            Some(trouble) => SwitchHealth::Unclear(self.failed(trouble).to_string()),
            None if !clients.damaged || clients.is_anothers => SwitchHealth::Sound,
            None => {
                let joined = |client: &&Client| client.who == Who::Joined;
                let cable = clients.list.iter().find(|client| client.who == Who::Cable);
                let under = clients.guests().find(joined).or(cable).map(Client::phrase);
                SwitchHealth::Mislaid { under }
            }
        }
    }

    /// What is left of the gone. Where it cannot be removed now, it can be the next time.
    pub(super) fn tidy_plugs(&self) {
        let _ = vmnet_vde::held_port::tidy(&self.run_dir.switch().plugs());
    }

    /// The switch is started again by the repair that follows.
    pub(super) fn stop_switch(&self) -> Option<KeeperEvent> {
        match self.dirs.lock().and_then(|_lock| vmnet_vswitch::stop_switch(&self.run_dir.switch())) {
            Ok(()) => {
                self.log.info(&format!("{}: its switch has mislaid a port", network(self.name)));
                Some(KeeperEvent::SwitchStopped)
            }
            Err(failure) => {
                self.log.trouble(&failure.to_string());
                None
            }
        }
    }
}
