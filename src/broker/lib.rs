//! The broker: whoever has no rights of their own asks here for a port, and the same code serves
//! them that serves the setuid helper's callers. One thread, which waits for everybody and does nothing that could
//! hold it up; each request is a child's work. Who is served when is said by the fair queue, `fair_queue`.

#![forbid(unsafe_code)]

mod fair_queue;
mod socket;
mod work;

pub use socket::Socket;

use crate::fair_queue::{Entry, FairQueue, Limits, RequestId, Stage};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use vmnet_access::request::ASK_SIZE;
use vmnet_host::log::Log;
use vmnet_model::error::Error;
use vmnet_port::answer::{self, BadRequest};
use vmnet_sys::seqpacket::Channel;
use vmnet_sys::trust::plain;
use vmnet_sys::worker::{self, Worker};

/// Where the listener's events go; visitors' go to their tickets' numbers.
const DOOR: u64 = u64::MAX;
/// Where signals' go.
const SIGNALS: u64 = u64::MAX - 1;
/// So many come in before the others are looked after again.
const ADMITTED_MAX: usize = 64;
/// So many events are heard of at one time.
const EVENTS_MAX: usize = 256;
/// When nobody can be let in for want of the host's means, it is tried again so much later; what strangers left
/// behind is thrown away as often.
const PAUSE: Duration = Duration::from_millis(10);
/// Descriptors beside visitors: our own, and what waits to be thrown away.
const DESCRIPTORS_SPARE: u64 = 256;

/// The service.
pub struct Broker {
    socket: Socket,
    epoll: Epoll,
    signals: SignalFd,
    beginning: Instant,
    turns: FairQueue,
    visits: BTreeMap<RequestId, Visit>,
    workers: BTreeMap<RequestId, Worker>,
    /// Closed for a while.
    shut_until: Option<Duration>,
    /// To be closed by a child.
    left: Vec<Channel>,
    /// Not before this.
    clean_at: Duration,
    cleaners: Vec<Worker>,
    is_ending: bool,
}

struct Visit {
    channel: Channel,
    /// We hear of what they say.
    is_heard: bool,
    is_late: bool,
}

impl Broker {
    /// Ready to serve whoever comes to this socket.
    pub fn new(socket: Socket) -> Result<Self, Error> {
        let attempt = || -> std::io::Result<Self> {
            std::env::set_current_dir("/")?;
            worker::go_first();
            let limits = Limits { visitors: seats()?, ..Limits::BROKER };
            let mut heeded = SigSet::empty();
            // SIGHUP means nothing to us: the rules are read for each request.
            for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
                heeded.add(signal);
            }
            heeded.thread_block()?;
            let signals = SignalFd::with_flags(&heeded, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
            let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
            epoll.add(&signals, EpollEvent::new(EpollFlags::EPOLLIN, SIGNALS))?;
            epoll.add(&socket.listener, EpollEvent::new(EpollFlags::EPOLLIN, DOOR))?;
            Ok(Self {
                socket,
                epoll,
                signals,
                beginning: Instant::now(),
                turns: FairQueue::new(limits),
                visits: BTreeMap::new(),
                workers: BTreeMap::new(),
                shut_until: None,
                left: Vec::new(),
                clean_at: Duration::ZERO,
                cleaners: Vec::new(),
                is_ending: false,
            })
        };
        attempt().map_err(|error| Error::new("serve", "requests", plain(&error)))
    }

    /// Serve until SIGTERM, and then whoever is being served.
    pub fn serve(mut self) -> Result<(), Error> {
        let mut events = [EpollEvent::empty(); EVENTS_MAX];
        while !(self.is_ending && self.workers.is_empty()) {
            let count = match self.epoll.wait(&mut events, self.timeout()) {
                Ok(count) => count,
                Err(Errno::EINTR) => 0,
                Err(errno) => return Err(Error::new("wait for", "requests", plain(&errno.into()))),
            };
            for event in events.iter().take(count) {
                match event.data() {
                    DOOR => self.admit(),
                    SIGNALS => self.heed(),
                    number => self.hear(number),
                }
            }
            self.handle_the_late();
            self.put_to_work();
            self.clean();
            self.open_again();
        }
        self.socket.tidy();
        // Even our own end must not be held up.
        self.clean_at = Duration::ZERO;
        self.clean();
        Ok(())
    }

    fn now(&self) -> Duration {
        self.beginning.elapsed()
    }

    fn timeout(&self) -> EpollTimeout {
        let cleaning = (!self.left.is_empty()).then_some(self.clean_at);
        let Some(next) = [self.turns.alarm(), cleaning, self.shut_until].into_iter().flatten().min() else {
            return EpollTimeout::NONE;
        };
        // Up to the whole millisecond: down would be too early, again and again.
        let left = next.saturating_sub(self.now()) + Duration::from_micros(999);
        EpollTimeout::try_from(left).unwrap_or(EpollTimeout::MAX)
    }

    /// Let in whoever waits at the door.
    fn admit(&mut self) {
        let most = if self.is_ending { 0 } else { ADMITTED_MAX };
        for _ in 0..most {
            match self.socket.listener.accept_now() {
                Ok(Some(channel)) => self.welcome(channel),
                Ok(None) => return,
                Err(error) => return self.shut(&error),
            }
        }
    }

    /// A host without means: the door is shut for a moment, or we would be told of it without end.
    fn shut(&mut self, error: &std::io::Error) {
        Log::Foreground.trouble(&format!("cannot accept a connection: {}", plain(error)));
        if self.epoll.delete(&self.socket.listener).is_ok() {
            self.shut_until = Some(self.now() + PAUSE);
        }
    }

    fn open_again(&mut self) {
        if self.shut_until.is_some_and(|until| until <= self.now()) && !self.is_ending {
            let opened = self.epoll.add(&self.socket.listener, EpollEvent::new(EpollFlags::EPOLLIN, DOOR));
            self.shut_until = opened.is_err().then(|| self.now() + PAUSE);
        }
    }

    fn welcome(&mut self, channel: Channel) {
        let Ok(uid) = channel.peer_uid() else { return self.close(channel) };
        let ticket = match self.turns.enter(uid, self.now()) {
            Entry::Welcome(ticket) => ticket,
            Entry::InPlaceOf(ticket, out) => {
                self.refuse(out, "too many others came meanwhile");
                ticket
            }
            Entry::TooMany => return self.send_away(channel, "too many requests of yours at one time"),
            Entry::Full => return self.send_away(channel, "too many requests at one time"),
        };
        self.visits.insert(ticket, Visit { channel, is_heard: false, is_late: false });
        // Most have asked already.
        self.listen_to(ticket);
        if let Some(visit) = self.visits.get_mut(&ticket).filter(|_| self.turns.is_silent(ticket)) {
            let event = EpollEvent::new(EpollFlags::EPOLLIN, ticket.number());
            visit.is_heard = self.epoll.add(&visit.channel, event).is_ok();
        }
    }

    /// Something came from the visitor of this number, if they are still here.
    fn hear(&mut self, number: u64) {
        let ticket = RequestId::of(number);
        if self.turns.is_silent(ticket) {
            self.listen_to(ticket);
        }
    }

    fn listen_to(&mut self, ticket: RequestId) {
        let Some(visit) = self.visits.get_mut(&ticket) else { return };
        let seen = match visit.channel.glance(ASK_SIZE + 1) {
            Ok(seen) => seen,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
            Err(_) => return self.let_go(ticket),
        };
        match answer::foresee(&seen) {
            Ok(_) => {
                forget(&self.epoll, visit);
                self.turns.ask(ticket);
            }
            // Nothing is left in it that could hold us up.
            Err(BadRequest::Gone) => drop(self.take_leave(ticket)),
            Err(unheard) => self.refuse(ticket, &unheard.to_string()),
        }
    }

    /// Begin with every request whose turn it is.
    fn put_to_work(&mut self) {
        while let Some(ticket) = self.turns.next(self.now()) {
            let Some(visit) = self.visits.get(&ticket) else { return };
            if visit.channel.is_forsaken() {
                self.let_go(ticket);
                continue;
            }
            match work::serve(&visit.channel) {
                Ok(worker) => drop(self.workers.insert(ticket, worker)),
                Err(error) => self.refuse(ticket, &plain(&error)),
            }
        }
    }

    fn heed(&mut self) {
        while let Ok(Some(signal)) = self.signals.read_signal() {
            let number = i32::try_from(signal.ssi_signo).ok();
            match number.and_then(|number| Signal::try_from(number).ok()) {
                Some(Signal::SIGCHLD) => self.reap(),
                Some(Signal::SIGTERM | Signal::SIGINT) => self.end(),
                _ => {}
            }
        }
    }

    fn reap(&mut self) {
        let ended = self.workers.iter().filter_map(|(ticket, worker)| match worker.ended() {
            Ok(None) => None,
            Ok(Some(status)) => Some((*ticket, status)),
            Err(_) => Some((*ticket, None)),
        });
        for (ticket, status) in ended.collect::<Vec<_>>() {
            self.workers.remove(&ticket);
            let is_late = self.visits.get(&ticket).is_some_and(|visit| visit.is_late);
            match status {
                Some(0) => self.let_go(ticket),
                _ if is_late => self.refuse(ticket, "it took too long"),
                _ => self.refuse(ticket, "whoever was at work on it ended before it was done"),
            }
        }
        self.cleaners.retain(|cleaner| matches!(cleaner.ended(), Ok(None)));
    }

    fn handle_the_late(&mut self) {
        for (ticket, stage) in self.turns.late(self.now()) {
            match stage {
                Stage::Silent => self.refuse(ticket, "nothing was asked in time"),
                Stage::Waiting => self.refuse(ticket, "it took too long, because others came first"),
                Stage::AtWork => {
                    if let (Some(visit), Some(worker)) =
                        (self.visits.get_mut(&ticket), self.workers.get(&ticket))
                    {
                        visit.is_late = true;
                        worker.kill();
                    }
                }
            }
        }
    }

    /// Nobody comes in any more, and whoever is not being served goes.
    fn end(&mut self) {
        if self.is_ending {
            return;
        }
        self.is_ending = true;
        self.shut_until = None;
        let _ = self.epoll.delete(&self.socket.listener);
        const CAUSE: &str = "the broker is ending";
        // Those at systemd's door are for the next of us.
        if self.socket.remove() {
            while let Ok(Some(channel)) = self.socket.listener.accept_now() {
                self.send_away(channel, CAUSE);
            }
        }
        let is_served = |ticket: &RequestId| self.workers.contains_key(ticket);
        let unserved: Vec<RequestId> = self.visits.keys().copied().filter(|t| !is_served(t)).collect();
        for ticket in unserved {
            self.refuse(ticket, CAUSE);
        }
    }

    fn refuse(&mut self, ticket: RequestId, cause: &str) {
        if let Some(visit) = self.visits.get(&ticket) {
            let _ = visit.channel.send_now(&work::refusal(cause));
        }
        self.let_go(ticket);
    }

    fn let_go(&mut self, ticket: RequestId) {
        if let Some(visit) = self.take_leave(ticket) {
            self.close(visit.channel);
        }
    }

    fn take_leave(&mut self, ticket: RequestId) -> Option<Visit> {
        self.turns.leave(ticket, self.now());
        let mut visit = self.visits.remove(&ticket)?;
        forget(&self.epoll, &mut visit);
        Some(visit)
    }

    fn send_away(&mut self, channel: Channel, cause: &str) {
        let _ = channel.send_now(&work::refusal(cause));
        self.close(channel);
    }

    fn close(&mut self, channel: Channel) {
        self.left.extend(channel.hang_up().err());
    }

    fn clean(&mut self) {
        if self.left.is_empty() || self.clean_at > self.now() {
            return;
        }
        match work::close(std::mem::take(&mut self.left)) {
            Ok(cleaner) => self.cleaners.push(cleaner),
            Err((_, left)) => self.left = left,
        }
        self.clean_at = self.now() + PAUSE;
    }
}

/// Hear no more of a visitor. Closing alone would not do while a child has the same socket (epoll(7)).
fn forget(epoll: &Epoll, visit: &mut Visit) {
    if std::mem::take(&mut visit.is_heard) {
        let _ = epoll.delete(&visit.channel);
    }
}

/// Raise our limit of descriptors as far as it goes. How many visitors that leaves room for.
fn seats() -> std::io::Result<usize> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    let free = usize::try_from(hard.saturating_sub(DESCRIPTORS_SPARE)).unwrap_or(usize::MAX);
    Ok(free.clamp(1, Limits::BROKER.visitors))
}
