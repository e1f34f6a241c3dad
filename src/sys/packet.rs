//! Whole frames on one link (packet(7)), for whoever has to speak before it has an address.

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socket};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// ETH_P_IP
const IPV4: u16 = 0x0800;

/// A socket for the IPv4 frames of a link. It belongs to the namespace in which it was opened.
#[derive(Debug)]
pub struct Packets(OwnedFd);

/// What a wait ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// A frame is there.
    Frame,
    /// The other descriptor is readable.
    Other,
    /// Nothing came in time.
    Nothing,
}

impl Packets {
    /// A socket for whole frames that hears nothing before [`Packets::bind`].
    ///
    /// # Errors
    /// The kernel's: EPERM without CAP_NET_RAW in the namespace.
    pub fn open() -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        Ok(Self(socket(AddressFamily::Packet, SockType::Raw, flags, None)?))
    }

    /// Take over one that another process opened.
    #[must_use]
    pub fn of(socket: OwnedFd) -> Self {
        Self(socket)
    }

    /// Hear and speak on this link alone.
    ///
    /// # Errors
    /// The kernel's: ENODEV where there is no such link.
    pub fn bind(&self, link: u32) -> io::Result<()> {
        let address = libc::sockaddr_ll {
            sll_family: u16::try_from(libc::AF_PACKET).map_err(io::Error::other)?,
            sll_protocol: IPV4.to_be(),
            sll_ifindex: i32::try_from(link).map_err(io::Error::other)?,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 0,
            sll_addr: [0; 8],
        };
        let length = libc::socklen_t::try_from(size_of_val(&address)).map_err(io::Error::other)?;
        // SAFETY: the address is valid for the call, and `length` is its size.
        Errno::result(unsafe { libc::bind(self.0.as_raw_fd(), (&raw const address).cast(), length) })?;
        Ok(())
    }

    /// Send a whole frame.
    ///
    /// # Errors
    /// The kernel's: ENETDOWN while the link is down.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        let sent = send(self.0.as_raw_fd(), frame, MsgFlags::empty())?;
        if sent == frame.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }

    /// The next frame, as much of it as there is room for; none if none is there.
    ///
    /// # Errors
    /// The kernel's: ENETDOWN when the link went down or away.
    pub fn receive<'a>(&self, room: &'a mut [u8]) -> io::Result<Option<&'a [u8]>> {
        match recv(self.0.as_raw_fd(), room, MsgFlags::empty()) {
            Ok(length) => Ok(room.get(..length)),
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Wait for a frame, or for the other descriptor, at most for `limit`.
    ///
    /// # Errors
    /// poll(2) failed.
    pub fn wait(&self, other: Option<BorrowedFd<'_>>, limit: Duration) -> io::Result<Awaited> {
        let mut sources: Vec<PollFd<'_>> = [Some(self.0.as_fd()), other]
            .into_iter()
            .flatten()
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        match poll(&mut sources, PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let ready = |place: usize| {
            let events = sources.get(place).and_then(PollFd::revents);
            events.is_some_and(|events| !events.is_empty())
        };
        Ok(match (ready(1), ready(0)) {
            (true, _) => Awaited::Other,
            (false, true) => Awaited::Frame,
            _ => Awaited::Nothing,
        })
    }
}

impl From<Packets> for OwnedFd {
    fn from(packets: Packets) -> Self {
        packets.0
    }
}
