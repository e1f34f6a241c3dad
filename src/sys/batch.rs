//! Many datagrams in one call: recvmmsg(2) and sendmmsg(2).

use nix::errno::Errno;
use nix::sys::socket::{getsockopt, setsockopt, sockopt};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Most datagrams of one call.
pub const BATCH: usize = 64;

/// Room for a batch of datagrams of a bounded length.
#[derive(Debug)]
pub struct Inbox {
    bytes: Vec<u8>,
    size: usize,
    lengths: Vec<usize>,
}

impl Inbox {
    /// Room for datagrams of up to `size` bytes; longer ones are passed over.
    #[must_use]
    pub fn new(size: usize) -> Self {
        // A byte more, to see what is longer.
        let size = size + 1;
        Self { bytes: vec![0; size * BATCH], size, lengths: Vec::with_capacity(BATCH) }
    }

    /// Take what has come, at most so many and [`BATCH`], in the place of what was taken before, without
    /// waiting. The answer is how many came; 0: none now. Asking for few where few are expected is quicker.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn fill(&mut self, socket: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
        self.lengths.clear();
        let mut parts: Vec<libc::iovec> = self
            .bytes
            .chunks_exact_mut(self.size)
            .take(most)
            .map(|room| libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() })
            .collect();
        let mut headers = headers(&mut parts);
        let count = libc::c_uint::try_from(headers.len()).map_err(io::Error::other)?;
        // SAFETY: each header points to one iovec, each of those to room of its own in `bytes`; all
        // live until the call is back.
        let came = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        match Errno::result(came) {
            Ok(came) => {
                let came = usize::try_from(came).map_err(io::Error::other)?;
                self.lengths.extend(headers.iter().take(came).map(|header| header.msg_len as usize));
                Ok(came)
            }
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(0),
            Err(errno) => Err(errno.into()),
        }
    }

    /// What came, but for what was too long.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let fits = |length: &usize| *length < self.size;
        let rooms = self.bytes.chunks_exact(self.size).zip(&self.lengths);
        rooms.filter(move |(_, length)| fits(length)).filter_map(|(room, length)| room.get(..*length))
    }
}

/// Send datagrams in order, without waiting; the answer is how many of them went, at most [`BATCH`]: fewer
/// when the other end's queue is full.
///
/// # Errors
/// The kernel's answer to the first.
pub fn send<'a>(socket: BorrowedFd<'_>, datagrams: impl Iterator<Item = &'a [u8]>) -> io::Result<usize> {
    let mut parts: Vec<libc::iovec> = datagrams
        .take(BATCH)
        .map(|bytes| libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() })
        .collect();
    if parts.is_empty() {
        return Ok(0);
    }
    let mut headers = headers(&mut parts);
    let count = libc::c_uint::try_from(headers.len()).map_err(io::Error::other)?;
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: each header points to one iovec, each of those to bytes that are only read and outlive
    // the call.
    let went = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, flags as _) };
    match Errno::result(went) {
        Ok(went) => usize::try_from(went).map_err(io::Error::other),
        Err(Errno::EAGAIN | Errno::EINTR | Errno::ENOBUFS) => Ok(0),
        Err(errno) => Err(errno.into()),
    }
}

/// So many bytes may wait for whoever is at the other end: a local datagram counts as its sender's until it
/// is taken (SO_SNDBUF of socket(7), unix(7)). The kernel doubles the number, for what it adds itself.
///
/// # Errors
/// The kernel's answer.
pub fn limit_waiting(socket: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    Ok(setsockopt(&socket, sockopt::SndBuf, &bytes)?)
}

/// The same past the host's limit for all sockets (net.core.wmem_max): that takes CAP_NET_ADMIN.
///
/// # Errors
/// The kernel's answer.
pub fn let_wait(socket: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    Ok(setsockopt(&socket, sockopt::SndBufForce, &bytes)?)
}

/// Let so many bytes wait at a socket, unless more may already.
///
/// # Errors
/// The kernel's answer.
pub fn let_wait_at_least(socket: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    if getsockopt(&socket, sockopt::SndBuf)? >= bytes * 2 { Ok(()) } else { let_wait(socket, bytes) }
}

/// A header for each part.
fn headers(parts: &mut [libc::iovec]) -> Vec<libc::mmsghdr> {
    parts
        .iter_mut()
        .map(|part| {
            // SAFETY: mmsghdr is plain data for which all zero is a value.
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            (header.msg_hdr.msg_iov, header.msg_hdr.msg_iovlen) = (part, 1);
            header
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixDatagram;

    #[test]
    fn a_batch_arrives_in_order_and_what_is_too_long_does_not() {
        let (one, two) = UnixDatagram::pair().unwrap();
        let sent: Vec<Vec<u8>> =
            (0..8_u8).map(|n| vec![n; if n == 3 { 11 } else { usize::from(n) + 1 }]).collect();
        assert_eq!(send(one.as_fd(), sent.iter().map(Vec::as_slice)).unwrap(), 8);
        let mut inbox = Inbox::new(10);
        assert_eq!(inbox.fill(two.as_fd(), BATCH).unwrap(), 8);
        let came: Vec<&[u8]> = inbox.iter().collect();
        let expected: Vec<&[u8]> = sent.iter().filter(|bytes| bytes.len() <= 10).map(Vec::as_slice).collect();
        assert_eq!(came, expected);
        assert_eq!(inbox.fill(two.as_fd(), BATCH).unwrap(), 0);
        assert_eq!(inbox.iter().count(), 0);
    }

    #[test]
    fn a_full_queue_takes_what_fits_and_no_more() {
        let (one, two) = UnixDatagram::pair().unwrap();
        let datagram = [7; 100];
        let mut went = 0;
        for _ in 0..100 {
            let now = send(one.as_fd(), std::iter::repeat_n(&datagram[..], BATCH)).unwrap();
            went += now;
            if now == 0 {
                break;
            }
        }
        let mut inbox = Inbox::new(100);
        let mut came = 0;
        while let Ok(now @ 1..) = inbox.fill(two.as_fd(), BATCH) {
            came += now;
        }
        assert!(went > 0 && came == went, "{went} {came}");
        limit_waiting(one.as_fd(), 10_000).unwrap();
        let fewer = send(one.as_fd(), std::iter::repeat_n(&datagram[..], BATCH)).unwrap();
        assert!((1..went).contains(&fewer), "{fewer} {went}");
        drop(two);
        assert!(send(one.as_fd(), std::iter::once(&datagram[..])).is_err());
    }
}
