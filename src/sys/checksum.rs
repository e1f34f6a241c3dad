//! UDP without checksums on a socket of another process. The kernel leaves the checksum of what the
//! host sends to the network card, and a virtual one to nobody: the receiver's kernel knows that, a
//! DHCP client that reads raw packets does not. A checksum of zero means "none" (RFC 768) to both.

use crate::fds::socket_option;
use crate::process::Process;
use nix::sys::socket::{SockaddrIn, getsockname};
use std::fs::read_dir;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

/// From now on the process's UDP sockets on this IPv4 port send without checksums; answers how many
/// there are. It needs Linux 5.6 and, for a process of another user, `CAP_SYS_PTRACE`.
///
/// # Errors
/// The kernel, or a filter of system calls, refuses.
pub fn leave_out(server: &Process, port: u16) -> io::Result<usize> {
    let mut sockets = 0;
    for number in descriptors(server)? {
        let descriptor = match server.descriptor(number) {
            Ok(descriptor) => descriptor,
            // Closed since it was listed.
            Err(error) if error.raw_os_error() == Some(libc::EBADF) => continue,
            Err(error) => return Err(error),
        };
        if is_udp_on(descriptor.as_fd(), port) {
            set_no_check(descriptor.as_fd())?;
            sockets += 1;
        }
    }
    Ok(sockets)
}

fn descriptors(process: &Process) -> io::Result<Vec<RawFd>> {
    let mut numbers = Vec::new();
    for entry in read_dir(format!("/proc/{}/fd", process.pid()))? {
        numbers.extend(entry?.file_name().to_str().and_then(|name| name.parse::<RawFd>().ok()));
    }
    Ok(numbers)
}

fn is_udp_on(socket: BorrowedFd<'_>, port: u16) -> bool {
    socket_option(socket, libc::SO_PROTOCOL) == Some(libc::IPPROTO_UDP)
        && getsockname::<SockaddrIn>(socket.as_raw_fd()).is_ok_and(|address| address.port() == port)
}

fn set_no_check(socket: BorrowedFd<'_>) -> io::Result<()> {
    let on: libc::c_int = 1;
    let length = libc::socklen_t::try_from(size_of_val(&on)).map_err(io::Error::other)?;
    // SAFETY: `on` is valid for the call, and `length` is its size.
    let result = unsafe {
        let value = (&raw const on).cast();
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_NO_CHECK, value, length)
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    match socket_option(socket, libc::SO_NO_CHECK) {
        Some(0) | None => Err(io::Error::other("the socket did not take the option")),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::Pid;
    use std::net::{TcpListener, UdpSocket};

    #[test]
    fn only_the_udp_sockets_on_that_port_lose_their_checksums() {
        let chosen = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = chosen.local_addr().unwrap().port();
        let second = UdpSocket::bind(("127.0.0.2", port)).unwrap();
        let (other, six) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind(("::1", port)));
        let _tcp = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let ourselves = Process::watch(Pid::this()).unwrap();
        assert_eq!(leave_out(&ourselves, port).unwrap(), 2);
        let without = |socket: &UdpSocket| socket_option(socket.as_fd(), libc::SO_NO_CHECK).unwrap() != 0;
        assert!(without(&chosen) && without(&second) && !without(&other));
        // IPv6 knows no datagram without a checksum (RFC 8200, 8.1).
        assert!(!six.is_ok_and(|socket| without(&socket)));
    }
}
