//! Waiting until one of several descriptors has something for us (ppoll(2)).

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

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

/// What was heard of a child.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Its words, in bytes.
    pub words: Vec<u8>,
    /// It had said all, or as much as is heard, in its time.
    pub in_time: bool,
}

/// All that comes out of a pipe until its end, until this moment, or until it is more than `most` bytes (and
/// at most a page more).
///
/// # Errors
/// The kernel's answer.
pub fn hear(mut pipe: impl Read + AsFd, end: Instant, most: usize) -> io::Result<Heard> {
    let (mut words, mut buffer) = (Vec::new(), [0; 4096]);
    while words.len() <= most {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Heard { words, in_time: false });
        }
        let source = Source { descriptor: pipe.as_fd(), read: true, write: false };
        let [ready] = wait([source], Some(left))?;
        if ready.read || ready.ended {
            match pipe.read(&mut buffer)? {
                0 => break,
                count => words.extend(buffer.iter().take(count)),
            }
        }
    }
    Ok(Heard { words, in_time: true })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn heard(said: &[u8], closed: bool, most: usize) -> Heard {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(said).unwrap();
        let open = (!closed).then_some(writer);
        let patience = if closed { Duration::from_secs(60) } else { Duration::from_millis(20) };
        let heard = hear(reader, Instant::now() + patience, most).unwrap();
        drop(open);
        heard
    }

    #[test]
    fn words_are_heard_to_their_end_but_not_for_ever_and_not_without_end() {
        assert_eq!(heard(b"done", true, 100), Heard { words: b"done".to_vec(), in_time: true });
        assert_eq!(heard(b"well", false, 100), Heard { words: b"well".to_vec(), in_time: false });
        let much = heard(&[b'x'; 20_000], false, 5000);
        assert!(much.in_time && (5001..=9096).contains(&much.words.len()), "{}", much.words.len());
    }
}
