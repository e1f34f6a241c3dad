//! Waiting for the end of one link.

use super::{Link, RTM_DELLINK, at, read_link};
use crate::netlink::{HEADER, Netlink, u16_at, u32_at};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, socket,
};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// RTNLGRP_LINK as a bit (include/uapi/linux/rtnetlink.h).
const GROUP: u32 = 1;
/// An announcement comes in a packet of its own, of a page or so.
const PACKET_MAX: usize = 32 * 1024;

/// One link, listened to.
#[derive(Debug)]
pub struct Watched {
    socket: OwnedFd,
    link: Link,
}

impl Watched {
    /// Listen to the link of this number; none if it is gone already.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn new(index: u32) -> io::Result<Option<Self>> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, GROUP))?;
        // After the socket, so that nothing falls between.
        let link = at(&mut Netlink::open()?, index)?;
        Ok(link.map(|link| Self { socket, link }))
    }

    /// The link as it was.
    #[must_use]
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Wait for its end, at most for `limit`: false while it is there.
    ///
    /// # Errors
    /// The socket is broken, or the kernel does not answer.
    pub fn wait(&self, limit: Duration) -> io::Result<bool> {
        let end = Instant::now() + limit;
        let mut room = vec![0; PACKET_MAX];
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let mut source = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
            match poll(&mut source, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
                Ok(0) if Instant::now() >= end => return Ok(false),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
            match recvfrom::<NetlinkAddr>(self.socket.as_raw_fd(), &mut room) {
                Ok((length, Some(sender))) if sender.pid() == 0 => {
                    if self.is_end(room.get(..length).unwrap_or_default()) {
                        return Ok(true);
                    }
                }
                // Some were lost.
                Err(Errno::ENOBUFS) => {
                    if at(&mut Netlink::open()?, self.link.index)?.is_none() {
                        return Ok(true);
                    }
                }
                Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Is it told among the messages of a packet?
    fn is_end(&self, packet: &[u8]) -> bool {
        let mut rest = packet;
        while let Some(length) = u32_at(rest, 0).and_then(|length| usize::try_from(length).ok()) {
            let Some(payload) = rest.get(HEADER..length) else { return false };
            // A bridge that loses a port tells that in the same words, for its own family (AF_BRIDGE).
            let of_link = payload.first() == Some(&0);
            if u16_at(rest, 4) == Some(RTM_DELLINK)
                && of_link
                && read_link(payload).is_some_and(|link| link.index == self.link.index)
            {
                return true;
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        false
    }
}
