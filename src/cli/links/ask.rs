//! One netlink request and its answers, with a time limit, and what can go wrong with it.

use futures_util::StreamExt;
use rtnetlink::Handle;
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::packet_route::RouteNetlinkMessage;
use std::fmt;
use std::io;
use std::num::NonZeroI32;
use std::time::Duration;
use tokio::task::JoinHandle;
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

/// A netlink socket for questions and changes. It belongs to the tokio runtime it was opened in
/// and ends when this value does.
#[derive(Debug)]
pub struct Links {
    handle: Handle,
    connection: JoinHandle<()>,
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

impl Drop for Links {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Links {
    /// Opens a netlink socket in this thread's network namespace. Needs a tokio runtime around it
    /// with I/O and time enabled.
    ///
    /// # Errors
    /// When the kernel gives no such socket.
    pub fn open() -> Result<Self, LinkError> {
        // Strict checking makes the kernel honour a listing's filters instead of ignoring them.
        let (mut connection, handle, _) =
            rtnetlink::new_connection_with_strict_check().map_err(|e| cannot_open(&e))?;
        // An answer without its end would otherwise look like an answer.
        connection.set_forward_ack(true);
        connection.set_forward_done(true);
        Ok(Self { handle, connection: tokio::spawn(connection) })
    }

    /// Asks for a change; the kernel acknowledges or refuses it.
    pub(super) async fn order(&self, message: RouteNetlinkMessage, flags: u16) -> Result<(), Cause> {
        self.exchange(message, NLM_F_REQUEST | NLM_F_ACK | flags, &mut |_| ()).await.map(drop)
    }

    /// Asks for one object.
    pub(super) async fn ask(&self, message: RouteNetlinkMessage) -> Result<RouteNetlinkMessage, Cause> {
        let mut answer = None;
        self.exchange(message, NLM_F_REQUEST | NLM_F_ACK, &mut |message| answer = Some(message)).await?;
        answer.ok_or(Cause::Unexpected)
    }

    /// Asks for all objects, and again from the start when the kernel says that something changed
    /// meanwhile. On a host that never rests the last listing is taken, which may lack an object
    /// that came or went during it: that is better than no answer while a hundred guests start.
    pub(super) async fn list<T>(
        &self,
        message: RouteNetlinkMessage,
        read: impl Fn(&RouteNetlinkMessage) -> Option<T>,
    ) -> Result<Vec<T>, Cause> {
        let mut list = Vec::new();
        for _ in 0..TRIES {
            list.clear();
            let keep = &mut |message| list.extend(read(&message));
            if self.exchange(message.clone(), NLM_F_REQUEST | NLM_F_DUMP, keep).await?.is_consistent {
                break;
            }
        }
        Ok(list)
    }

    async fn exchange(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
        keep: &mut impl FnMut(RouteNetlinkMessage),
    ) -> Result<Listing, Cause> {
        let mut request = NetlinkMessage::from(message);
        request.header.flags = flags;
        let mut answers = self.handle.clone().request(request).map_err(|_| Cause::Closed)?;
        let exchange = async {
            let mut listing = Listing { is_consistent: true };
            while let Some(answer) = answers.next().await {
                listing.is_consistent &= answer.header.flags & NLM_F_DUMP_INTR == 0;
                match answer.payload {
                    NetlinkPayload::InnerMessage(message) => keep(message),
                    NetlinkPayload::Done(done) => {
                        return refusal(NonZeroI32::new(done.code)).map(|()| listing);
                    }
                    NetlinkPayload::Error(error) => return refusal(error.code).map(|()| listing),
                    _ => return Err(Cause::Unexpected),
                }
            }
            Err(Cause::Closed)
        };
        timeout(TIME_LIMIT, exchange).await.unwrap_or(Err(Cause::TimedOut))
    }
}

/// How a listing went.
struct Listing {
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
