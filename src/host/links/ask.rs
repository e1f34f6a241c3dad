//! One netlink request and its answers, with a time limit, and what can go wrong with it. The library is
//! asynchronous: each socket has a runtime of its own, which runs while somebody waits for an answer.

use crate::runtime::Runtime;
use futures_util::StreamExt;
use rtnetlink::Handle;
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::packet_route::RouteNetlinkMessage;
use std::fmt;
use std::io;
use std::num::NonZeroI32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::timeout;

/// How long the kernel has for one answer. It holds one lock for all changes of links, so a host
/// that removes a thousand interfaces may keep us waiting for seconds.
pub const TIME_LIMIT: Duration = Duration::from_secs(15);
/// How often a listing is begun anew when links came or went meanwhile.
const TRIES: usize = 4;

// The kernel's error numbers that decide something (include/uapi/asm-generic/errno*.h).
const ENODEV: i32 = 19;
const EEXIST: i32 = 17;
const EADDRNOTAVAIL: i32 = 99;

/// A netlink socket for questions and changes, in the network namespace of the thread that opened it. Each
/// verb waits for its answers; it may be called from any thread, and from within an asynchronous runtime,
/// which stands still meanwhile. The requests of several threads are done one after the other.
pub struct Links(Mutex<Socket>);

/// What the library needs to be driven.
struct Socket {
    /// First, so that it ends first: the connection, told by its last handle's end, would wake it.
    runtime: Runtime,
    handle: Handle,
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Links").finish_non_exhaustive()
    }
}

/// What could not be done with which object, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkError {
    /// The act, such as `create bridge`.
    pub act: &'static str,
    /// The object's name, or `link 7` where its name cannot be had.
    pub object: String,
    /// The reason.
    pub cause: Cause,
}

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The kernel refused, with this error number.
    Kernel(i32),
    /// No answer within [`TIME_LIMIT`].
    TimedOut,
    /// The socket is gone.
    Closed,
    /// The answer was of another kind than the question.
    Unexpected,
    /// The name is not UTF-8; the kernel allows that, the netlink library does not.
    NotText,
}

impl Cause {
    /// The request failed because what was to be made exists already.
    #[must_use]
    pub fn is_exists(self) -> bool {
        self == Self::Kernel(EEXIST)
    }

    /// The link or the address is not there.
    #[must_use]
    pub fn is_absent(self) -> bool {
        matches!(self, Self::Kernel(ENODEV | EADDRNOTAVAIL))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel(number) => {
                let text = io::Error::from_raw_os_error(*number).to_string();
                f.write_str(text.split(" (os error").next().unwrap_or(&text))
            }
            Self::TimedOut => write!(f, "no answer from the kernel within {} s", TIME_LIMIT.as_secs()),
            Self::Closed => f.write_str("the netlink socket is closed"),
            Self::Unexpected => f.write_str("unexpected answer from the kernel"),
            Self::NotText => f.write_str("the name is not UTF-8"),
        }
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}: {}", self.act, self.object, self.cause)
    }
}

impl std::error::Error for LinkError {}

impl Links {
    /// Opens a netlink socket in this thread's network namespace.
    ///
    /// # Errors
    /// When the kernel gives no such socket.
    pub fn open() -> Result<Self, LinkError> {
        // Within the runtime: to begin something from outside would wake it by a descriptor.
        let begin = async {
            // Strict checking makes the kernel honour a listing's filters instead of ignoring them.
            let (mut connection, handle, _) = rtnetlink::new_connection_with_strict_check()?;
            // An answer without its end would otherwise look like an answer.
            connection.set_forward_ack(true);
            connection.set_forward_done(true);
            tokio::spawn(connection);
            io::Result::Ok(handle)
        };
        let opened = Runtime::new().and_then(|runtime| {
            let handle = runtime.wait_for(begin)??;
            Ok(Socket { handle, runtime })
        });
        opened.map(|socket| Self(Mutex::new(socket))).map_err(|error| cannot_open(&error))
    }

    /// Asks for a change; the kernel acknowledges or refuses it.
    pub(super) fn order(&self, message: RouteNetlinkMessage, flags: u16) -> Result<(), Cause> {
        self.exchange(message, NLM_F_REQUEST | NLM_F_ACK | flags, |_| None::<()>).map(drop)
    }

    /// Asks for one object.
    pub(super) fn ask(&self, message: RouteNetlinkMessage) -> Result<RouteNetlinkMessage, Cause> {
        let mut answer = self.exchange(message, NLM_F_REQUEST | NLM_F_ACK, |answer| Some(answer.clone()))?;
        answer.objects.pop().ok_or(Cause::Unexpected)
    }

    /// Asks for all objects, and again from the start when the kernel says that something changed
    /// meanwhile. On a host that never rests the last listing is taken, which may lack an object
    /// that came or went during it: that is better than no answer while a hundred guests start.
    pub(super) fn list<T: Send>(
        &self,
        message: &RouteNetlinkMessage,
        read: impl Fn(&RouteNetlinkMessage) -> Option<T> + Send + Sync,
    ) -> Result<Vec<T>, Cause> {
        let again = || self.exchange(message.clone(), NLM_F_REQUEST | NLM_F_DUMP, &read);
        let mut listing = again()?;
        for _ in 1..TRIES {
            if listing.is_consistent {
                break;
            }
            listing = again()?;
        }
        Ok(listing.objects)
    }

    /// Sends a request and waits for what is read from its answers.
    fn exchange<T: Send>(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
        read: impl Fn(&RouteNetlinkMessage) -> Option<T> + Send,
    ) -> Result<Listing<T>, Cause> {
        let mut request = NetlinkMessage::from(message);
        request.header.flags = flags;
        // A request that panicked has left nothing half-done here.
        let socket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let handle = socket.handle.clone();
        let answered = async { timeout(TIME_LIMIT, answers(handle, request, read)).await };
        match socket.runtime.wait_for(answered) {
            Ok(answered) => answered.unwrap_or(Err(Cause::TimedOut)),
            Err(error) => Err(error.raw_os_error().map_or(Cause::Closed, Cause::Kernel)),
        }
    }
}

async fn answers<T>(
    handle: Handle,
    request: NetlinkMessage<RouteNetlinkMessage>,
    read: impl Fn(&RouteNetlinkMessage) -> Option<T>,
) -> Result<Listing<T>, Cause> {
    let mut answers = handle.clone().request(request).map_err(|_| Cause::Closed)?;
    let mut listing = Listing { objects: Vec::new(), is_consistent: true };
    while let Some(answer) = answers.next().await {
        listing.is_consistent &= answer.header.flags & NLM_F_DUMP_INTR == 0;
        match answer.payload {
            NetlinkPayload::InnerMessage(message) => listing.objects.extend(read(&message)),
            NetlinkPayload::Done(done) => return refusal(NonZeroI32::new(done.code)).map(|()| listing),
            NetlinkPayload::Error(error) => return refusal(error.code).map(|()| listing),
            _ => return Err(Cause::Unexpected),
        }
    }
    Err(Cause::Closed)
}

/// What was listed, and how that went.
pub(super) struct Listing<T> {
    objects: Vec<T>,
    is_consistent: bool,
}

/// The kernel sends its error numbers negated; none is an acknowledgement.
fn refusal(code: Option<NonZeroI32>) -> Result<(), Cause> {
    match code {
        Some(code) => Err(Cause::Kernel(code.get().saturating_abs())),
        None => Ok(()),
    }
}

/// The words for a socket that did not open.
pub(super) fn cannot_open(error: &io::Error) -> LinkError {
    let cause = error.raw_os_error().map_or(Cause::Closed, Cause::Kernel);
    LinkError { act: "open", object: "netlink socket".into(), cause }
}
