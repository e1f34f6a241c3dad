//! A request as it comes over a socket, and its answer: the end of whoever makes ports.

use crate::accounts::HostAccounts;
use crate::audit;
use crate::serve::Request;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use vmnet_access::request::{ASK_SIZE, Answer, Ask, BadMessage};
use vmnet_sys::privilege::Privilege;
use vmnet_sys::seqpacket::{Channel, Glance, Message};

/// Most descriptors that any request comes with.
pub const DESCRIPTORS_MAX: usize = 1;

/// A message that is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unheard {
    /// The other end is closed.
    Gone,
    /// More than a request has.
    TooMuch,
    /// No request.
    Bad(BadMessage),
    /// A request that comes with other descriptors than it should.
    Descriptors(usize),
    /// Descriptors beside something that has none.
    Strange,
}

impl fmt::Display for Unheard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("the other end is closed"),
            Self::TooMuch => write!(f, "more than {ASK_SIZE} bytes or {DESCRIPTORS_MAX} descriptors"),
            Self::Bad(bad) => write!(f, "{bad}"),
            Self::Descriptors(count) => write!(f, "it comes with {count} descriptors"),
            Self::Strange => f.write_str("descriptors beside a message that has none"),
        }
    }
}

impl std::error::Error for Unheard {}

/// A message as a request and the network namespace that came with it.
///
/// # Errors
/// It is none.
pub fn read(message: Message) -> Result<(Ask, Option<OwnedFd>), Unheard> {
    if message.cut {
        return Err(Unheard::TooMuch);
    }
    if message.bytes.is_empty() {
        return Err(Unheard::Gone);
    }
    let ask = Ask::parse(&message.bytes).map_err(Unheard::Bad)?;
    let count = message.descriptors.len();
    if count != ask.descriptors() {
        return Err(Unheard::Descriptors(count));
    }
    Ok((ask, message.descriptors.into_iter().next()))
}

/// A request that is still to be received, by what can be seen of it.
///
/// # Errors
/// It is none, or the other end is closed.
pub fn foresee(seen: &Glance) -> Result<Ask, Unheard> {
    if seen.is_end {
        return Err(Unheard::Gone);
    }
    if seen.bytes.len() > ASK_SIZE {
        return Err(Unheard::TooMuch);
    }
    let ask = Ask::parse(&seen.bytes).map_err(Unheard::Bad)?;
    match (ask.descriptors(), seen.with_descriptors) {
        (0, true) => Err(Unheard::Strange),
        (1.., false) => Err(Unheard::Descriptors(0)),
        _ => Ok(ask),
    }
}

/// What could not be told.
#[derive(Debug)]
pub struct Told {
    /// The port was made.
    pub served: bool,
    /// To the system log.
    pub log: io::Result<()>,
    /// To whoever asked. A port that was not to stay is gone then.
    pub answer: io::Result<()>,
}

/// Serve a request and answer it. This process has no privilege afterwards.
pub fn answer(channel: &Channel, request: &Request, privilege: Privilege, program: &str) -> Told {
    let accounts = HostAccounts::new(privilege);
    match request.serve(privilege, &accounts) {
        Ok(served) => {
            let user = accounts.name_of(request.caller.uid);
            let log = audit::granted(program, &user, request, &served);
            let message = Answer::Done { port: served.port.clone(), mtu: served.mtu }.render();
            let answer = channel.send(&message, &served.handed.descriptors());
            Told { served: true, log, answer }
        }
        Err(refusal) => {
            let user = accounts.name_of(request.caller.uid);
            let log = audit::refused(program, &user, request, &refusal);
            let answer = Answer::Refused { sentence: refusal.to_string(), hint: refusal.hint() };
            Told { served: false, log, answer: channel.send(&answer.render(), &[]) }
        }
    }
}
