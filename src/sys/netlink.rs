//! One netlink request and its answers: a socket, sequence numbers, bounded replies. It knows
//! the frame (RFC 3549; include/uapi/linux/netlink.h) and no meaning.

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recvfrom, sendto, setsockopt,
    socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// Bytes in front of each message: struct nlmsghdr.
pub const HEADER: usize = 16;
/// The kernel never builds a larger dump part (NLMSG_GOODSIZE, and 32 KiB for a large reader).
const REPLY_MAX: usize = 32 * 1024;
/// Most reply packets for one request: 1,023 ports take about 70.
const PACKETS_MAX: usize = 4096;

/// A request being written: header, payload, attributes. Numbers are in host byte order.
#[derive(Clone, Debug)]
pub struct Request {
    bytes: Vec<u8>,
    kind: u16,
    flags: u16,
}

impl Request {
    /// A request of this kind (`RTM_…`) with these flags (`NLM_F_…` besides REQUEST) and fixed payload.
    #[must_use]
    pub fn new(kind: u16, flags: u16, payload: &[u8]) -> Self {
        let mut request = Self { bytes: vec![0; HEADER], kind, flags };
        request.append(payload);
        request
    }

    fn append(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    /// Add an attribute. One longer than the field can say is left out, which the kernel then misses.
    pub fn attribute(&mut self, kind: u16, value: &[u8]) {
        let Ok(length) = u16::try_from(value.len() + 4) else { return };
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.append(value);
    }

    /// Add an attribute that holds others, which `fill` adds.
    pub fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        self.nest_after(kind, &[], fill);
    }

    /// The same behind a header of its own, in whole words of four bytes.
    pub fn nest_after(&mut self, kind: u16, head: &[u8], fill: impl FnOnce(&mut Self)) {
        let at = self.bytes.len();
        self.attribute(kind, head);
        fill(self);
        let length = u16::try_from(self.bytes.len() - at).unwrap_or(4);
        if let Some(field) = self.bytes.get_mut(at..at + 2) {
            field.copy_from_slice(&length.to_ne_bytes());
        }
    }

    /// Is it answered by one message, or an error, and no acknowledgement after it?
    fn is_single(&self) -> bool {
        let more = libc::NLM_F_ACK | libc::NLM_F_DUMP;
        libc::c_int::from(self.flags) & more == 0
    }

    /// The whole message as it goes out.
    #[must_use]
    pub fn finish(mut self, sequence: u32) -> Vec<u8> {
        let length = u32::try_from(self.bytes.len()).unwrap_or(0);
        let flags = self.flags | u16::try_from(libc::NLM_F_REQUEST).unwrap_or(1);
        let mut header = Vec::with_capacity(HEADER);
        header.extend_from_slice(&length.to_ne_bytes());
        header.extend_from_slice(&self.kind.to_ne_bytes());
        header.extend_from_slice(&flags.to_ne_bytes());
        header.extend_from_slice(&sequence.to_ne_bytes());
        header.extend_from_slice(&[0; 4]);
        self.bytes.splice(..HEADER, header);
        self.bytes
    }
}

/// The attributes in a run of bytes: kind without its flag bits, and value. Stops at the first
/// one whose length lies.
pub fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(rest, 0)?);
        let kind = u16_at(rest, 2)? & 0x3fff;
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// The number of two bytes at an offset.
#[must_use]
pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// The number of four bytes at an offset.
#[must_use]
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// A netlink socket.
#[derive(Debug)]
pub struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

impl Netlink {
    /// Open one for links, addresses and routes. Answers that do not come within five seconds are
    /// given up.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn open() -> io::Result<Self> {
        Self::open_to(SockProtocol::NetlinkRoute)
    }

    /// Take over one that another process opened and did not use.
    #[must_use]
    pub fn of(socket: OwnedFd) -> Self {
        Self { socket, sequence: 0 }
    }

    /// The same for questions about sockets (sock_diag(7)).
    ///
    /// # Errors
    /// The kernel refused.
    pub fn open_to_sockets() -> io::Result<Self> {
        Self::open_to(SockProtocol::NetlinkSockDiag)
    }

    /// The same for questions about the firewall (include/uapi/linux/netfilter/nfnetlink.h).
    ///
    /// # Errors
    /// The kernel refused.
    pub fn open_to_netfilter() -> io::Result<Self> {
        Self::open_to(SockProtocol::NetlinkNetFilter)
    }

    fn open_to(protocol: SockProtocol) -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::seconds(5))?;
        // The kernel binds it with the first message.
        Ok(Self { socket, sequence: 0 })
    }

    /// Send a request that is only acknowledged.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn tell(&mut self, request: Request) -> io::Result<()> {
        self.ask(request, &mut |_, _| {})
    }

    /// Send a request and hand each answer (kind, payload) to `each`, until the acknowledgement or
    /// the end of the dump.
    ///
    /// # Errors
    /// The kernel's answer, a broken or foreign one, or none in time. A dump that changed under
    /// us answers `Interrupted`.
    pub fn ask(&mut self, request: Request, each: &mut dyn FnMut(u16, &[u8])) -> io::Result<()> {
        let single = request.is_single();
        self.sequence = self.sequence.wrapping_add(1);
        let bytes = request.finish(self.sequence);
        let kernel = NetlinkAddr::new(0, 0);
        let sent = sendto(self.socket.as_raw_fd(), &bytes, &kernel, MsgFlags::empty())?;
        if sent != bytes.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        let mut buffer = vec![0; REPLY_MAX];
        for _ in 0..PACKETS_MAX {
            let length = self.receive(&mut buffer)?;
            let packet = buffer.get(..length).unwrap_or_default();
            let mut answered = false;
            let mut each = |kind, payload: &[u8]| {
                answered = true;
                each(kind, payload);
            };
            if self.read_packet(packet, &mut each)? || (single && answered) {
                return Ok(());
            }
        }
        Err(io::Error::other("the kernel's answer does not end"))
    }

    /// One packet from the kernel; those of other senders are passed over.
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        for _ in 0..PACKETS_MAX {
            match recvfrom::<NetlinkAddr>(self.socket.as_raw_fd(), buffer) {
                Ok((length, Some(sender))) if sender.pid() == 0 => return Ok(length),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Err(io::ErrorKind::TimedOut.into()),
                Err(errno) => return Err(errno.into()),
            }
        }
        Err(io::Error::other("foreign netlink messages do not end"))
    }

    /// Read the messages of one packet; true when the answer is complete.
    fn read_packet(&self, packet: &[u8], each: &mut dyn FnMut(u16, &[u8])) -> io::Result<bool> {
        let broken = || io::Error::other("broken netlink message");
        let mut rest = packet;
        while !rest.is_empty() {
            let length = usize::try_from(u32_at(rest, 0).ok_or_else(broken)?).map_err(io::Error::other)?;
            let kind = u16_at(rest, 4).ok_or_else(broken)?;
            let flags = u16_at(rest, 6).ok_or_else(broken)?;
            let sequence = u32_at(rest, 8).ok_or_else(broken)?;
            let payload = rest.get(HEADER..length).ok_or_else(broken)?;
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            if sequence != self.sequence {
                continue;
            }
            if flags & u16::try_from(libc::NLM_F_DUMP_INTR).unwrap_or(0) != 0 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            match libc::c_int::from(kind) {
                libc::NLMSG_DONE => return Ok(true),
                libc::NLMSG_ERROR => return acknowledgement(payload).map(|()| true),
                libc::NLMSG_NOOP => {}
                _ => each(kind, payload),
            }
        }
        Ok(false)
    }
}

impl From<Netlink> for OwnedFd {
    fn from(netlink: Netlink) -> Self {
        netlink.socket
    }
}

/// struct nlmsgerr: zero, or a negated errno.
fn acknowledgement(payload: &[u8]) -> io::Result<()> {
    match u32_at(payload, 0).map(u32::cast_signed) {
        Some(0) => Ok(()),
        Some(error) => Err(io::Error::from_raw_os_error(error.saturating_neg())),
        None => Err(io::Error::other("broken netlink message")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_reply_makes_the_reader_fall_over(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let netlink = Netlink::open().unwrap();
            let _ = netlink.read_packet(&bytes, &mut |_, payload| { let _ = attributes(payload).count(); });
            prop_assert!(attributes(&bytes).count() <= bytes.len() / 4);
        }
    }

    #[test]
    fn an_answer_to_another_request_is_passed_over() {
        let netlink = Netlink::open().unwrap();
        let other = Request::new(16, 0, &[1, 2, 3, 4]).finish(77);
        let mut seen = 0;
        assert!(!netlink.read_packet(&other, &mut |_, _| seen += 1).unwrap());
        assert_eq!(seen, 0);
    }
}
