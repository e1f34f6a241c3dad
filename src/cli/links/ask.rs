//! One netlink request and its answers, with a time limit, and what can go wrong with it. The library is
//! asynchronous: its socket lives on a thread of its own, to which each request is handed.

use crate::runtime;
use futures_util::StreamExt;
use rtnetlink::Handle;
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::packet_route::RouteNetlinkMessage;
use std::fmt;
use std::io;
use std::num::NonZeroI32;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

/// How long the kernel has for one answer. It holds one lock for all changes of links, so a host
/// that removes a thousand interfaces may keep us waiting for seconds.
pub const TIME_LIMIT: Duration = Duration::from_secs(15);
/// How much longer its thread is waited for, which may itself be kept in the kernel.
const GRACE: Duration = Duration::from_secs(1);
/// How often a listing is begun anew when links came or went meanwhile.
const TRIES: usize = 4;

// The kernel's error numbers that decide something (include/uapi/asm-generic/errno*.h).
const ENODEV: i32 = 19;
const EEXIST: i32 = 17;
const EADDRNOTAVAIL: i32 = 99;

/// A netlink socket for questions and changes, on a thread of its own, which ends when this value does.
/// Each verb waits for its answers; it may be called from any thread, and from within an asynchronous
/// runtime, which stands still meanwhile. The requests of several threads are done one after the other.
#[derive(Debug)]
pub struct Links {
    requests: UnboundedSender<Request>,
    /// Dropping it ends the thread, at once unless it is kept in the kernel.
    _end: oneshot::Sender<()>,
}

/// Something to be done on the thread. What it makes of the socket stays there.
type Request = Box<dyn FnOnce(Handle) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

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
    /// It exists already.
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
    /// When the kernel gives no such socket, or no thread for it.
    pub fn open() -> Result<Self, LinkError> {
        let (requests, waiting) = unbounded_channel();
        let (end, ended) = oneshot::channel::<()>();
        let begin = || {
            // Strict checking makes the kernel honour a listing's filters instead of ignoring them.
            let (mut connection, handle, _) = rtnetlink::new_connection_with_strict_check()?;
            // An answer without its end would otherwise look like an answer.
            connection.set_forward_ack(true);
            connection.set_forward_done(true);
            tokio::spawn(connection);
            Ok(async {
                tokio::select! {
                    _ = ended => {}
                    () = attend(handle, waiting) => {}
                }
            })
        };
        runtime::beside("rtnetlink", begin).map_err(|error| cannot_open(&error))?;
        Ok(Self { requests, _end: end })
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

    /// Asks for all objects.
    pub(super) fn list<T: Send + 'static>(
        &self,
        message: RouteNetlinkMessage,
        read: impl Fn(&RouteNetlinkMessage) -> Option<T> + Copy + Send + 'static,
    ) -> Result<Vec<T>, Cause> {
        self.begin_list(message, read)?.finish()
    }

    /// Asks for all objects without waiting for them yet.
    pub(super) fn begin_list<T: Send + 'static, R>(
        &self,
        message: RouteNetlinkMessage,
        read: R,
    ) -> Result<Asked<'_, T, R>, Cause>
    where
        R: Fn(&RouteNetlinkMessage) -> Option<T> + Copy + Send + 'static,
    {
        let told = self.hand_over(message.clone(), NLM_F_REQUEST | NLM_F_DUMP, read)?;
        Ok(Asked { links: self, message, read, told })
    }

    /// Sends a request and waits for what is read from its answers.
    fn exchange<T: Send + 'static>(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
        read: impl Fn(&RouteNetlinkMessage) -> Option<T> + Send + 'static,
    ) -> Result<Listing<T>, Cause> {
        wait(&self.hand_over(message, flags, read)?)
    }

    /// Has the thread send a request and read its answers.
    fn hand_over<T: Send + 'static>(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
        read: impl Fn(&RouteNetlinkMessage) -> Option<T> + Send + 'static,
    ) -> Result<Told<T>, Cause> {
        let mut request = NetlinkMessage::from(message);
        request.header.flags = flags;
        let due = Instant::now() + TIME_LIMIT;
        let (tell, told) = sync_channel(1);
        let work: Request = Box::new(move |handle| {
            Box::pin(async move {
                // One whose turn comes too late is not begun: it was given up.
                let answered = match Instant::now() < due {
                    true => timeout_at(due, answers(handle, request, read)).await,
                    false => Ok(Err(Cause::TimedOut)),
                };
                let _ = tell.send(answered.unwrap_or(Err(Cause::TimedOut)));
            })
        });
        self.requests.send(work).map_err(|_| Cause::Closed)?;
        Ok(told)
    }
}

type Told<T> = Receiver<Result<Listing<T>, Cause>>;

fn wait<T>(told: &Told<T>) -> Result<Listing<T>, Cause> {
    told.recv_timeout(TIME_LIMIT + GRACE).unwrap_or_else(|error| match error {
        RecvTimeoutError::Disconnected => Err(Cause::Closed),
        RecvTimeoutError::Timeout => Err(Cause::TimedOut),
    })
}

/// A listing on its way.
pub(super) struct Asked<'a, T, R> {
    links: &'a Links,
    message: RouteNetlinkMessage,
    read: R,
    told: Told<T>,
}

impl<T: Send + 'static, R> Asked<'_, T, R>
where
    R: Fn(&RouteNetlinkMessage) -> Option<T> + Copy + Send + 'static,
{
    /// Waits for it, and asks again from the start when the kernel says that something changed
    /// meanwhile. On a host that never rests the last listing is taken, which may lack an object
    /// that came or went during it: that is better than no answer while a hundred guests start.
    pub(super) fn finish(self) -> Result<Vec<T>, Cause> {
        let mut listing = wait(&self.told)?;
        for _ in 1..TRIES {
            if listing.is_consistent {
                break;
            }
            listing = self.links.exchange(self.message.clone(), NLM_F_REQUEST | NLM_F_DUMP, self.read)?;
        }
        Ok(listing.objects)
    }
}

/// One after the other: the kernel makes only one listing at a time for a socket.
async fn attend(handle: Handle, mut waiting: UnboundedReceiver<Request>) {
    while let Some(request) = waiting.recv().await {
        request(handle.clone()).await;
    }
}

/// Sends a request and reads the answers up to their end.
async fn answers<T>(
    mut handle: Handle,
    request: NetlinkMessage<RouteNetlinkMessage>,
    read: impl Fn(&RouteNetlinkMessage) -> Option<T>,
) -> Result<Listing<T>, Cause> {
    let mut answers = handle.request(request).map_err(|_| Cause::Closed)?;
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
