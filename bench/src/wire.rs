//! The client's end of a cable: a packet socket on one link that takes only what comes for UDP port 68,
//! as a guest's own kernel would.

use nix::errno::Errno;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A raw socket on one link; never blocks.
#[derive(Debug)]
pub struct Wire(OwnedFd);

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Wire {
    /// Open one on the link of this name.
    ///
    /// # Errors
    /// No such link, or no CAP_NET_RAW.
    pub fn open(link: &str) -> io::Result<Self> {
        let protocol = (libc::ETH_P_IP as u16).to_be();
        let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: three numbers; the answer is a new descriptor or -1.
        let number = Errno::result(unsafe { libc::socket(libc::AF_PACKET, kind, i32::from(protocol)) })?;
        // SAFETY: just made, and ours alone.
        let socket = unsafe { OwnedFd::from_raw_fd(number) };
        attach_filter(&socket)?;
        // SAFETY: plain data, for which all zero is a value.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = protocol;
        address.sll_ifindex = nix::net::if_::if_nametoindex(link)?.cast_signed();
        let length = size_of_val(&address) as u32;
        // SAFETY: the address is valid for its length.
        Errno::result(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) })?;
        Ok(Self(socket))
    }

    /// Send a whole frame.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        nix::unistd::write(&self.0, frame).map(drop).map_err(io::Error::from)
    }

    /// The next frame, if one has come.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn receive<'a>(&self, buffer: &'a mut [u8]) -> io::Result<Option<&'a [u8]>> {
        match nix::unistd::read(&self.0, buffer) {
            Ok(length) => Ok(buffer.get(..length)),
            Err(Errno::EAGAIN) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// UDP to port 68, and no fragment's tail.
fn attach_filter(socket: &OwnedFd) -> io::Result<()> {
    let step = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let byte = libc::BPF_LD | libc::BPF_B | libc::BPF_ABS;
    let half = libc::BPF_LD | libc::BPF_H | libc::BPF_ABS;
    let same = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let give = libc::BPF_RET | libc::BPF_K;
    let mut steps = [
        step(byte, 0, 0, 23),
        step(same, 0, 3, 17),
        step(half, 0, 0, 36),
        step(same, 0, 1, 68),
        step(give, 0, 0, u32::MAX),
        step(give, 0, 0, 0),
    ];
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    let length = size_of_val(&program) as u32;
    // SAFETY: the program and its steps are valid for the call, which copies them.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            length,
        )
    };
    Errno::result(result).map(drop).map_err(io::Error::from)
}
