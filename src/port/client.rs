//! The other end: asking somebody who may make ports, the broker or the setuid helper.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;
use vmnet_access::paths;
use vmnet_access::request::{ANSWER_MAX, PortReply, PortRequest, QUEUES_MAX};
use vmnet_sys::seqpacket::Channel;

/// How long the broker may take for each step, the start of a network included.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The broker of this host, connected; none if nobody listens there, or it cannot be reached.
///
/// # Errors
/// Somebody listens and there is no place in the line.
pub fn broker() -> io::Result<Option<Channel>> {
    let path = Path::new(paths::RUN_DIR).join(paths::BROKER_SOCKET);
    match Channel::connect(&path, PATIENCE) {
        Ok(channel) => Ok(Some(channel)),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::ConnectionRefused => Ok(None),
            _ => Err(error),
        },
    }
}

/// Ask, and wait for the answer.
///
/// # Errors
/// The other end is gone, does not answer, or answers nonsense.
pub fn ask(
    channel: &Channel,
    ask: &PortRequest,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<(PortReply, Vec<OwnedFd>)> {
    channel.limit_waits(PATIENCE)?;
    // A server that will not hear us may have answered that already, and closed.
    let sent = channel.send(&ask.render(), descriptors);
    let message = match channel.receive(ANSWER_MAX + 1, usize::from(QUEUES_MAX)) {
        Ok(message) => message,
        Err(error) => return Err(sent.err().unwrap_or(error)),
    };
    if message.bytes.is_empty() {
        return Err(sent.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into()));
    }
    if message.cut {
        return Err(io::Error::other("the answer is too long"));
    }
    let answer = PortReply::parse(&message.bytes).map_err(io::Error::other)?;
    Ok((answer, message.descriptors))
}
