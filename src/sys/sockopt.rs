//! Options of a socket that are questions: the buffer is question and answer.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// getsockopt(2) with a buffer that the kernel reads as the question and fills with the answer, as
/// iptables' options want it (`do_ipt_get_ctl` in net/ipv4/netfilter/ip_tables.c).
///
/// # Errors
/// The kernel's, such as EAGAIN where the answer has another size than the buffer.
pub fn ask(socket: &impl AsFd, level: libc::c_int, option: libc::c_int, buffer: &mut [u8]) -> io::Result<()> {
    let socket = socket.as_fd().as_raw_fd();
    let mut length = libc::socklen_t::try_from(buffer.len()).map_err(io::Error::other)?;
    // SAFETY: the kernel writes at most `length` bytes, all of which are the buffer's.
    let result =
        unsafe { libc::getsockopt(socket, level, option, buffer.as_mut_ptr().cast(), &raw mut length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
