//! Waiting until one of several descriptors has something for us (ppoll(2)).

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// What is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The descriptor that is waited for.
    pub descriptor: BorrowedFd<'a>,
    /// Something to read, or the end.
    pub read: bool,
    /// Room to write.
    pub write: bool,
}

/// What a descriptor has for us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// Something to read, or the end.
    pub read: bool,
    /// Room to write.
    pub write: bool,
    /// The other end is gone, or the descriptor is in error.
    pub ended: bool,
}

/// Wait for at most `limit`; for ever without one. The answer has an entry for each source; none is ready
/// when the time is over or a signal came.
///
/// # Errors
/// The kernel's answer.
pub fn wait<const N: usize>(sources: [Source<'_>; N], limit: Option<Duration>) -> io::Result<[Ready; N]> {
    let mut asked = sources.map(|source| {
        let read = if source.read { PollFlags::POLLIN } else { PollFlags::empty() };
        let write = if source.write { PollFlags::POLLOUT } else { PollFlags::empty() };
        PollFd::new(source.descriptor, read | write)
    });
    match ppoll(&mut asked, limit.map(TimeSpec::from_duration), None) {
        Ok(_) => {}
        Err(Errno::EINTR) => return Ok([Ready::default(); N]),
        Err(errno) => return Err(errno.into()),
    }
    Ok(asked.map(|source| {
        let flags = source.revents().unwrap_or(PollFlags::empty());
        Ready {
            read: flags.contains(PollFlags::POLLIN),
            write: flags.contains(PollFlags::POLLOUT),
            ended: flags.intersects(PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL),
        }
    }))
}
