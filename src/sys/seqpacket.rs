//! Unix sockets that keep messages whole (SOCK_SEQPACKET): one request, one answer, descriptors
//! beside them, and who is at the other end by the kernel's word.

mod stranger;

pub use stranger::Glance;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, accept4, bind, connect,
    getsockopt, listen, sendmsg, setsockopt, socket, socketpair, sockopt,
};
use nix::sys::time::TimeVal;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::Duration;
use vmnet_access::rules::Caller;

/// One end of a conversation.
#[derive(Debug)]
pub struct Channel(OwnedFd);

/// A message that came.
#[derive(Debug, Default)]
pub struct Message {
    /// The bytes; none: the other end is closed.
    pub bytes: Vec<u8>,
    /// The descriptors beside them, close-on-exec.
    pub descriptors: Vec<OwnedFd>,
    /// Some of it was more than was asked for and is lost.
    pub cut: bool,
}

/// Who is at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Their ids and groups when they connected.
    pub caller: Caller,
    /// Their process number, as we count; 0 for one that we cannot see.
    pub pid: u32,
}

impl Channel {
    /// Connect to whoever listens at `path`; each wait, for a place in the line too, lasts `limit`.
    ///
    /// # Errors
    /// The kernel's answer: `NotFound` or `ConnectionRefused` where nobody listens.
    pub fn connect(path: &Path, limit: Duration) -> io::Result<Self> {
        let socket = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
        let channel = Self(socket);
        channel.limit_waits(limit)?;
        connect(channel.0.as_raw_fd(), &UnixAddr::new(path)?)?;
        Ok(channel)
    }

    /// Two ends that know each other.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, two) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        Ok((Self(one), Self(two)))
    }

    /// A socket that is connected already.
    #[must_use]
    pub fn of(socket: OwnedFd) -> Self {
        Self(socket)
    }

    /// Each wait lasts this long at most, then it fails with `WouldBlock`.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn limit_waits(&self, limit: Duration) -> io::Result<()> {
        let time =
            TimeVal::new(limit.as_secs().try_into().map_err(io::Error::other)?, limit.subsec_micros().into());
        setsockopt(&self.0, sockopt::SendTimeout, &time)?;
        setsockopt(&self.0, sockopt::ReceiveTimeout, &time)?;
        Ok(())
    }

    /// Who is at the other end: the ids and groups that they had when they connected (unix(7)),
    /// translated into our user namespace.
    ///
    /// # Errors
    /// The kernel would not tell.
    pub fn peer(&self) -> io::Result<Peer> {
        let peer = getsockopt(&self.0, sockopt::PeerCredentials)?;
        let groups = peer_groups(self.0.as_fd())?;
        let caller = Caller { uid: peer.uid(), gid: peer.gid(), groups };
        Ok(Peer { caller, pid: peer.pid().try_into().unwrap_or(0) })
    }

    /// The next message: at most so many bytes and descriptors. What is more is thrown away by the kernel,
    /// descriptors closed, and the message says so.
    ///
    /// # Errors
    /// The kernel's answer, `WouldBlock` when the wait took too long.
    pub fn receive(&self, bytes: usize, descriptors: usize) -> io::Result<Message> {
        self.receive_with(bytes, descriptors, MsgFlags::empty())
    }

    /// Receive a message without waiting for one.
    ///
    /// # Errors
    /// The kernel's answer, `WouldBlock` when nothing came yet.
    pub fn receive_now(&self, bytes: usize, descriptors: usize) -> io::Result<Message> {
        self.receive_with(bytes, descriptors, MsgFlags::MSG_DONTWAIT)
    }

    /// The next message without taking it out, and without waiting: what came with it is copied.
    ///
    /// # Errors
    /// The kernel's answer, `WouldBlock` when nothing came yet.
    pub fn peek_now(&self, bytes: usize, descriptors: usize) -> io::Result<Message> {
        self.receive_with(bytes, descriptors, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_PEEK)
    }

    fn receive_with(&self, bytes: usize, descriptors: usize, flags: MsgFlags) -> io::Result<Message> {
        let mut buffer = vec![0_u8; bytes];
        // Whole words, because the header in it must be aligned.
        let mut control = vec![0_u64; control_length(descriptors).div_ceil(size_of::<u64>())];
        let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        // SAFETY: msghdr is plain data for which all zero is a value.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        (header.msg_iov, header.msg_iovlen) = (&raw mut part, 1);
        header.msg_control = control.as_mut_ptr().cast();
        // Not a byte more: the kernel fills padding with another descriptor.
        header.msg_controllen = control_length(descriptors) as _;
        let flags = (flags | MsgFlags::MSG_CMSG_CLOEXEC).bits();
        let length = loop {
            // SAFETY: the header points to buffers that live longer, with their lengths.
            match Errno::result(unsafe { libc::recvmsg(self.0.as_raw_fd(), &raw mut header, flags) }) {
                // The other end was closed before it heard everything. This is told once; what it said still waits.
                Err(Errno::EINTR | Errno::ECONNRESET) => {}
                length => break length?,
            }
        };
        // SAFETY: the kernel filled the header in, and nobody has taken its descriptors yet.
        let descriptors = unsafe { descriptors_of(&header) };
        let cut = header.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0;
        buffer.truncate(usize::try_from(length).map_err(io::Error::other)?);
        Ok(Message { bytes: buffer, descriptors, cut })
    }

    /// Send one message with descriptors beside it.
    ///
    /// # Errors
    /// The kernel's answer: the other end is gone, or its queue stayed full.
    pub fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.send_with(bytes, descriptors, MsgFlags::empty())
    }

    fn send_with(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>], flags: MsgFlags) -> io::Result<()> {
        let numbers: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&numbers)];
        let control: &[ControlMessage<'_>] = if numbers.is_empty() { &[] } else { &rights };
        loop {
            let parts = [IoSlice::new(bytes)];
            let flags = flags | MsgFlags::MSG_NOSIGNAL;
            match sendmsg::<()>(self.0.as_raw_fd(), &parts, control, flags, None) {
                Ok(sent) if sent == bytes.len() => return Ok(()),
                Ok(_) => return Err(io::ErrorKind::WriteZero.into()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A socket that others connect to.
#[derive(Debug)]
pub struct Listener(OwnedFd);

impl Listener {
    /// Listen at `path`, where nothing may be. Who may connect is for the caller to say, by the
    /// file's mode.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn bind(path: &Path, backlog: i32) -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
        bind(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
        listen(&socket, Backlog::new(backlog)?)?;
        Self::with_ids(socket)
    }

    /// Take over the listening socket that a service manager left us under this number.
    ///
    /// # Errors
    /// There is none, or it is no socket of this kind.
    pub fn inherited(number: RawFd) -> io::Result<Self> {
        if number < 3 {
            return Err(Errno::EBADF.into());
        }
        // SAFETY: borrowed for calls that only ask about it and set its flags; if it is closed they answer EBADF.
        let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
        fcntl(borrowed, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        let option = |name| crate::fds::socket_option(borrowed, name);
        let fits = option(libc::SO_DOMAIN) == Some(libc::AF_UNIX)
            && option(libc::SO_TYPE) == Some(libc::SOCK_SEQPACKET)
            && option(libc::SO_ACCEPTCONN) == Some(1);
        if !fits {
            return Err(io::Error::other("not a listening unix seqpacket socket"));
        }
        fcntl(borrowed, FcntlArg::F_SETFL(OFlag::O_RDWR | OFlag::O_NONBLOCK))?;
        // SAFETY: it is open, and nothing else in this process owns what it inherited; the program asks
        // for each number at most once.
        Self::with_ids(unsafe { OwnedFd::from_raw_fd(number) })
    }

    /// What is accepted inherits that each message comes with its sender's ids ([`Channel::glance`]).
    fn with_ids(socket: OwnedFd) -> io::Result<Self> {
        setsockopt(&socket, sockopt::PassCred, &true)?;
        Ok(Self(socket))
    }

    /// The next connection, without waiting; none if there is none now.
    ///
    /// # Errors
    /// The kernel's answer: no descriptor is free, say.
    pub fn accept_now(&self) -> io::Result<Option<Channel>> {
        match accept4(self.0.as_raw_fd(), SockFlag::SOCK_CLOEXEC) {
            // SAFETY: the kernel just gave us this descriptor.
            Ok(fd) => Ok(Some(Channel(unsafe { OwnedFd::from_raw_fd(fd) }))),
            Err(Errno::EAGAIN | Errno::ECONNABORTED | Errno::EINTR) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// CMSG_LEN for so many descriptors (cmsg(3)), in bytes; none for none.
fn control_length(descriptors: usize) -> usize {
    let Ok(bytes) = u32::try_from(descriptors * size_of::<RawFd>()) else { return 0 };
    // SAFETY: arithmetic on a number.
    if bytes == 0 { 0 } else { unsafe { libc::CMSG_LEN(bytes) as usize } }
}

/// The descriptors beside a message, also of one that was cut: those that came are ours to close.
///
/// # Safety
/// `header` was filled in by recvmsg(2), its control buffer lives, and this is called once for it.
unsafe fn descriptors_of(header: &libc::msghdr) -> Vec<OwnedFd> {
    let mut owned = Vec::new();
    // SAFETY: the macros stay within msg_controllen, which the kernel set; the numbers after a header of
    // this kind are descriptors that it made for us.
    unsafe {
        let mut next = libc::CMSG_FIRSTHDR(header);
        while let Some(part) = next.as_ref() {
            if (part.cmsg_level, part.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
                let bytes = part.cmsg_len.saturating_sub(libc::CMSG_LEN(0) as usize);
                let numbers = libc::CMSG_DATA(next).cast::<RawFd>();
                for at in 0..bytes / size_of::<RawFd>() {
                    owned.push(OwnedFd::from_raw_fd(numbers.add(at).read_unaligned()));
                }
            }
            next = libc::CMSG_NXTHDR(header, next);
        }
    }
    owned
}

/// SO_PEERGROUPS (Linux 4.13): the supplementary groups of whoever connected. ERANGE answers how
/// much room they need.
fn peer_groups(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut groups: Vec<libc::gid_t> = vec![0; 64];
    loop {
        let room = groups.len() * size_of::<libc::gid_t>();
        let mut length = libc::socklen_t::try_from(room).map_err(io::Error::other)?;
        // SAFETY: the buffer has room for `length` bytes; the kernel writes no more and says how many.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        let count = usize::try_from(length).map_err(io::Error::other)? / size_of::<libc::gid_t>();
        if result == 0 {
            groups.truncate(count);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        // NGROUPS_MAX is 65,536 (include/uapi/linux/limits.h).
        if error.raw_os_error() != Some(libc::ERANGE) || count <= groups.len() || count > 65_536 {
            return Err(error);
        }
        groups.resize(count, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn a_message_comes_whole_with_its_descriptors_and_what_is_too_much_is_told() {
        let (one, two) = Channel::pair().unwrap();
        let null = File::open("/dev/null").unwrap();
        one.send(b"hello", &[null.as_fd()]).unwrap();
        let message = two.receive(8, 1).unwrap();
        assert_eq!(
            (message.bytes.as_slice(), message.descriptors.len(), message.cut),
            (&b"hello"[..], 1, false)
        );
        one.send(b"too long a message", &[null.as_fd()]).unwrap();
        let message = two.receive(3, 0).unwrap();
        assert_eq!(
            (message.bytes.as_slice(), message.descriptors.len(), message.cut),
            (&b"too"[..], 0, true)
        );
        assert_eq!(two.receive_now(8, 1).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(one);
        assert!(two.receive(8, 1).unwrap().bytes.is_empty());
    }

    #[test]
    fn more_descriptors_than_asked_for_do_not_stay_open() {
        let (one, two) = Channel::pair().unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        one.send(b"x", &[writer.as_fd(), writer.as_fd(), writer.as_fd(), writer.as_fd()]).unwrap();
        drop(writer);
        let message = two.receive(8, 1).unwrap();
        assert!(message.cut);
        drop(message);
        let mut source = [nix::poll::PollFd::new(reader.as_fd(), nix::poll::PollFlags::POLLIN)];
        assert_eq!(nix::poll::poll(&mut source, 1000_u16), Ok(1), "a writer is still open");
    }

    #[test]
    fn an_answer_is_heard_from_whoever_did_not_hear_the_request() {
        let (one, two) = Channel::pair().unwrap();
        one.send(b"unheard", &[]).unwrap();
        two.send(b"answer", &[]).unwrap();
        drop(two);
        assert_eq!(one.receive(8, 1).unwrap().bytes, b"answer");
        assert!(one.receive(8, 1).unwrap().bytes.is_empty());
    }

    #[test]
    fn who_connects_is_known_by_the_kernels_word() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = Listener::bind(&path, 8).unwrap();
        assert!(listener.accept_now().unwrap().is_none());
        let _client = Channel::connect(&path, Duration::from_secs(5)).unwrap();
        let server = listener.accept_now().unwrap().unwrap();
        let peer = server.peer().unwrap();
        assert_eq!((peer.caller, peer.pid), (crate::caller::real().unwrap(), std::process::id()));
        drop(listener);
        let refused = Channel::connect(&path, Duration::from_secs(5)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }
}
