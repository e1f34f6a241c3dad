//! Inherited descriptors: take over the one that was named, close the rest, send one away.

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockaddrLike, UnixAddr, getpeername, sendmsg,
};
use std::fmt;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Why an inherited descriptor cannot carry an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotASocket {
    /// No such descriptor is open.
    Closed,
    /// It is something else than a connected AF_UNIX socket of the expected kind.
    Other(Kind),
}

impl fmt::Display for NotASocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "bad file descriptor",
            Self::Other(Kind::Stream) => "not a connected unix stream socket",
            Self::Other(Kind::Messages) => "not a connected unix seqpacket socket",
        })
    }
}

impl std::error::Error for NotASocket {}

/// Which kind of socket is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A stream, as QEMU and libvirt hand it over.
    Stream,
    /// Whole messages, for [`crate::seqpacket`].
    Messages,
}

/// Take over the inherited descriptor `number`, which must be a connected AF_UNIX socket of this kind.
/// It is closed on exec from then on.
///
/// # Errors
/// It is not open, or is not such a socket.
pub fn adopt_socket(number: RawFd, kind: Kind) -> Result<OwnedFd, NotASocket> {
    if number < 0 {
        return Err(NotASocket::Closed);
    }
    // SAFETY: borrowed for two calls that only ask about it; if it is closed they answer EBADF.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl(borrowed, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).map_err(|_| NotASocket::Closed)?;
    let option = |name| socket_option(borrowed, name);
    let wanted = match kind {
        Kind::Stream => libc::SOCK_STREAM,
        Kind::Messages => libc::SOCK_SEQPACKET,
    };
    if option(libc::SO_DOMAIN) != Some(libc::AF_UNIX) || option(libc::SO_TYPE) != Some(wanted) {
        return Err(NotASocket::Other(kind));
    }
    let peer = getpeername::<UnixAddr>(number).map_err(|_| NotASocket::Other(kind))?;
    if peer.family() != Some(AddressFamily::Unix) {
        return Err(NotASocket::Other(kind));
    }
    // SAFETY: it is open, as the calls above showed, and nothing else in this process owns it: it
    // was inherited, and the program names each inherited descriptor at most once.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// A whole number among a socket's options (socket(7)); none if it has no such option.
pub(crate) fn socket_option(fd: BorrowedFd<'_>, name: libc::c_int) -> Option<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut length: libc::socklen_t = size_of::<libc::c_int>().try_into().ok()?;
    // SAFETY: `value` and `length` are valid for the call, and `length` is the size of `value`.
    let result = unsafe {
        libc::getsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, name, (&raw mut value).cast(), &raw mut length)
    };
    (result == 0).then_some(value)
}

/// Close everything from 3 up, except `keep`.
///
/// # Errors
/// The kernel knows no close_range(2) (before 5.9) and the descriptors could not be listed either.
pub fn close_all_but(keep: impl IntoIterator<Item = RawFd>) -> io::Result<()> {
    let mut keep: Vec<u32> = keep.into_iter().filter_map(|fd| u32::try_from(fd).ok()).collect();
    keep.sort_unstable();
    let mut first = 3;
    for fd in keep.into_iter().filter(|fd| *fd >= 3) {
        if fd > first {
            close_span(first, fd - 1)?;
        }
        first = fd.saturating_add(1);
    }
    close_span(first, u32::MAX)
}

fn close_span(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: three numbers. The program owns no descriptor above 2 yet, so no owner is left dangling.
    if unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() != Some(libc::ENOSYS) {
        return Err(error);
    }
    let mut open = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let number = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        open.extend(number.filter(|fd| (first..=last).contains(fd)));
    }
    for fd in open.into_iter().filter_map(|fd| RawFd::try_from(fd).ok()) {
        // SAFETY: as above; closing the directory's own descriptor a second time is an EBADF.
        let _ = unsafe { libc::close(fd) };
    }
    Ok(())
}

/// Send one byte 0x00 with these descriptors. QEMU's `recv_fd` and libvirt's `virSocketRecvFD` expect
/// exactly one.
///
/// # Errors
/// The peer is gone, or its queue stays full.
pub fn send(socket: &OwnedFd, passed: &[BorrowedFd<'_>]) -> io::Result<()> {
    let passed: Vec<RawFd> = passed.iter().map(AsRawFd::as_raw_fd).collect();
    let control = [ControlMessage::ScmRights(&passed)];
    let byte = [IoSlice::new(&[0])];
    loop {
        match sendmsg::<()>(socket.as_raw_fd(), &byte, &control, MsgFlags::MSG_NOSIGNAL, None) {
            Ok(1) => return Ok(()),
            Ok(_) => return Err(io::ErrorKind::WriteZero.into()),
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}
