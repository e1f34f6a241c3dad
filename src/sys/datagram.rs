//! A connected datagram socket hears nobody else again.

use nix::errno::Errno;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Let a datagram socket be connected anew, also by others to it: connect(2) to AF_UNSPEC, which std
/// cannot say.
///
/// # Errors
/// The kernel's answer.
pub fn disconnect(socket: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: sockaddr is plain data for which all zero is a value; its family is set below.
    let mut nobody: libc::sockaddr = unsafe { std::mem::zeroed() };
    nobody.sa_family = libc::AF_UNSPEC as libc::sa_family_t;
    let length = libc::socklen_t::try_from(size_of::<libc::sa_family_t>()).map_err(io::Error::other)?;
    // SAFETY: the address is longer than the length that is said.
    Errno::result(unsafe { libc::connect(socket.as_raw_fd(), &raw const nobody, length) })?;
    Ok(())
}
