//! A server of many strangers must never be held up by one. Closing a descriptor of theirs for the last time
//! may take long (a TCP socket that lingers, a TAP, a file on a dead server), and so may closing a
//! socket in whose queue one waits. So a message is looked at before anything is taken, and a
//! socket is closed only when nothing of the kind is left in it.

use super::{Channel, Message};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    MsgFlags, Shutdown, UnixCredentials, getsockopt, recvmsg, setsockopt, shutdown, sockopt,
};
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd};

/// More messages than any queue is likely to hold: net.unix.max_dgram_qlen is 10, systemd sets 512.
const QUEUE_MAX: usize = 1024;

/// What waits to be received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Glance {
    /// The bytes, as far as was asked for.
    pub bytes: Vec<u8>,
    /// There are descriptors beside them.
    pub with_descriptors: bool,
    /// Nothing waits, and nothing can come any more: closing is safe.
    pub is_end: bool,
}

impl Channel {
    /// Look at the next message, at most so many bytes, without taking it and without waiting. For channels
    /// from a [`super::Listener`].
    ///
    /// # Errors
    /// The kernel's answer, `WouldBlock` when nothing came yet.
    pub fn glance(&self, bytes: usize) -> io::Result<Glance> {
        let mut buffer = vec![0; bytes];
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_PEEK;
        let mut parts = [IoSliceMut::new(&mut buffer)];
        // Every message comes with its sender's ids, an empty one too; the end does not. Where there is no room
        // for more, the kernel only says that there are descriptors (`__scm_recv_common` in net/core/scm.c).
        let mut ids = nix::cmsg_space!(UnixCredentials);
        let message = recvmsg::<()>(self.0.as_raw_fd(), &mut parts, Some(&mut ids), flags)?;
        let with_descriptors = message.flags.contains(MsgFlags::MSG_CTRUNC);
        let has_ids = with_descriptors || message.cmsgs()?.next().is_some();
        let length = message.bytes;
        buffer.truncate(length);
        Ok(Glance { bytes: buffer, with_descriptors, is_end: length == 0 && !has_ids })
    }

    /// Take the next message, with room for so many descriptors, without waiting.
    ///
    /// # Errors
    /// As [`Channel::receive_now`].
    pub fn take(&self, bytes: usize, descriptors: usize) -> io::Result<Message> {
        // The ids would take the descriptors' room.
        setsockopt(&self.0, sockopt::PassCred, &false)?;
        self.receive_now(bytes, descriptors)
    }

    /// The user at the other end, as [`Channel::peer`] says.
    ///
    /// # Errors
    /// The kernel would not tell.
    pub fn peer_uid(&self) -> io::Result<u32> {
        Ok(getsockopt(&self.0, sockopt::PeerCredentials)?.uid())
    }

    /// Send one message without waiting.
    ///
    /// # Errors
    /// The kernel's answer: the other end is gone, or its queue is full.
    pub fn send_now(&self, bytes: &[u8]) -> io::Result<()> {
        self.send_with(bytes, &[], MsgFlags::MSG_DONTWAIT)
    }

    /// Has the other end been closed? What it sent before may still wait.
    #[must_use]
    pub fn is_forsaken(&self) -> bool {
        let mut source = [PollFd::new(self.0.as_fd(), PollFlags::empty())];
        let ready = poll(&mut source, PollTimeout::ZERO);
        let hung_up = |source: &PollFd<'_>| source.revents().is_some_and(|r| r.contains(PollFlags::POLLHUP));
        ready.is_ok_and(|ready| ready > 0) && source.iter().any(hung_up)
    }

    /// Hear no more, and close.
    ///
    /// # Errors
    /// The channel itself, when descriptors wait in it: whoever closes it may be held up.
    pub fn hang_up(self) -> Result<(), Self> {
        if self.is_idle() { Ok(()) } else { Err(self) }
    }

    /// From here on nothing more can come, and what waits is thrown away, if it is nothing but bytes.
    fn is_idle(&self) -> bool {
        // Who took a message may have turned this off.
        if shutdown(self.0.as_raw_fd(), Shutdown::Read).is_err()
            || setsockopt(&self.0, sockopt::PassCred, &true).is_err()
        {
            return false;
        }
        for _ in 0..QUEUE_MAX {
            match self.glance(0) {
                Ok(seen) if seen.is_end => return true,
                Ok(seen) if seen.with_descriptors => return false,
                Ok(_) => {}
                // Told once, when the other end was closed before it heard everything.
                Err(error) if error.raw_os_error() == Some(libc::ECONNRESET) => continue,
                Err(_) => return false,
            }
            if recvmsg::<()>(self.0.as_raw_fd(), &mut [], None, MsgFlags::MSG_DONTWAIT).is_err() {
                return false;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seqpacket::Listener;
    use std::fs::File;
    use std::time::Duration;

    /// As a server has it.
    fn connection() -> (Channel, Channel) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = Listener::bind(&path, 8).unwrap();
        let client = Channel::connect(&path, Duration::from_secs(5)).unwrap();
        (client, listener.accept_now().unwrap().unwrap())
    }

    #[test]
    fn a_glance_takes_nothing_and_makes_no_descriptor() {
        let (one, two) = connection();
        assert_eq!(two.glance(8).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let null = File::open("/dev/null").unwrap();
        one.send(b"hello", &[null.as_fd()]).unwrap();
        let seen = Glance { bytes: b"hello".to_vec(), with_descriptors: true, is_end: false };
        assert_eq!((two.glance(8).unwrap(), two.glance(8).unwrap()), (seen.clone(), seen));
        let message = two.take(8, 1).unwrap();
        assert_eq!((message.descriptors.len(), message.cut), (1, false));
    }

    #[test]
    fn an_empty_message_is_not_the_end() {
        let (one, two) = connection();
        one.send(b"plain", &[]).unwrap();
        one.send(b"", &[]).unwrap();
        drop(one);
        let seen = |bytes: &[u8], is_end| Glance { bytes: bytes.to_vec(), is_end, ..Glance::default() };
        assert_eq!(two.glance(8).unwrap(), seen(b"plain", false));
        two.receive_now(8, 0).unwrap();
        assert_eq!(two.glance(8).unwrap(), seen(b"", false));
        two.receive_now(8, 0).unwrap();
        assert_eq!(two.glance(8).unwrap(), seen(b"", true));
    }

    #[test]
    fn only_a_channel_without_descriptors_in_it_is_hung_up() {
        let null = File::open("/dev/null").unwrap();
        let sent: [(&[&[u8]], bool); 4] =
            [(&[], true), (&[b"x", b"", b"y"], true), (&[b"", b"", b"fd"], false), (&[b"fd", b"x"], false)];
        for (messages, clean) in sent {
            for closed in [false, true] {
                let (one, two) = Channel::pair().unwrap();
                for message in messages {
                    let descriptors = [null.as_fd()];
                    let count = usize::from(*message == b"fd");
                    one.send(message, &descriptors[..count]).unwrap();
                }
                two.send(b"unheard", &[]).unwrap();
                if closed {
                    drop(one);
                }
                assert_eq!(two.is_forsaken(), closed);
                assert_eq!(two.hang_up().is_ok(), clean, "{messages:?} {closed}");
            }
        }
    }

    #[test]
    fn after_hanging_up_nothing_more_can_be_put_in() {
        let (one, two) = Channel::pair().unwrap();
        let null = File::open("/dev/null").unwrap();
        one.send(b"x", &[null.as_fd()]).unwrap();
        let two = two.hang_up().unwrap_err();
        assert!(one.send(b"more", &[null.as_fd()]).is_err());
        assert!(two.send_now(b"too late").is_ok());
    }
}
