//! A request as it comes over a socket, and its answer: the end of whoever makes ports.

use crate::accounts::HostAccounts;
use crate::audit;
use crate::serve::Request;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use vmnet_access::request::{ASK_SIZE, BadMessage, PortReply, PortRequest};
use vmnet_sys::privilege::Privilege;
use vmnet_sys::seqpacket::{Channel, Glance, Message};

/// Most descriptors that any request comes with.
pub const DESCRIPTORS_MAX: usize = 1;

/// A message that is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadRequest {
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

impl fmt::Display for BadRequest {
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

impl std::error::Error for BadRequest {}

/// A message as a request and the network namespace that came with it.
///
/// # Errors
/// It is none.
pub fn read(message: Message) -> Result<(PortRequest, Option<OwnedFd>), BadRequest> {
    if message.cut {
        return Err(BadRequest::TooMuch);
    }
    if message.bytes.is_empty() {
        return Err(BadRequest::Gone);
    }
    let ask = PortRequest::parse(&message.bytes).map_err(BadRequest::Bad)?;
    let count = message.descriptors.len();
    if count != ask.descriptors() {
        return Err(BadRequest::Descriptors(count));
    }
    Ok((ask, message.descriptors.into_iter().next()))
}

/// A request that is still to be received, by what can be seen of it.
///
/// # Errors
/// It is none, or the other end is closed.
pub fn foresee(seen: &Glance) -> Result<PortRequest, BadRequest> {
    if seen.is_end {
        return Err(BadRequest::Gone);
    }
    if seen.bytes.len() > ASK_SIZE {
        return Err(BadRequest::TooMuch);
    }
    let ask = PortRequest::parse(&seen.bytes).map_err(BadRequest::Bad)?;
    match (ask.descriptors(), seen.with_descriptors) {
        (0, true) => Err(BadRequest::Strange),
        (1.., false) => Err(BadRequest::Descriptors(0)),
        _ => Ok(ask),
    }
}

/// What became of an answer, and of its line in the log.
#[derive(Debug)]
pub struct Delivery {
    /// The port was made.
    pub served: bool,
    /// To the system log.
    pub log: io::Result<()>,
    /// To whoever asked. A port that was not to stay is gone then.
    pub answer: io::Result<()>,
}

/// Serve a request and answer it. This process has no privilege afterwards.
pub fn answer(channel: &Channel, request: &Request, privilege: Privilege, program: &str) -> Delivery {
    let accounts = HostAccounts::new(privilege);
    match request.serve(privilege, &accounts) {
        Ok(served) => {
            let user = accounts.name_of(request.caller.uid);
            let log = audit::granted(program, &user, request, &served);
            let message = PortReply::Done { port: served.port.clone(), mtu: served.mtu }.render();
            let answer = channel.send(&message, &served.handed.descriptors());
            Delivery { served: true, log, answer }
        }
        Err(refusal) => {
            let user = accounts.name_of(request.caller.uid);
            let log = audit::refused(program, &user, request, &refusal);
            let answer = PortReply::Refused { sentence: refusal.to_string(), hint: refusal.hint() };
            Delivery { served: false, log, answer: channel.send(&answer.render(), &[]) }
        }
    }
}
