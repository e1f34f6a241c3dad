//! The local sockets that another process has open: what each is called, and who is at the other end. The
//! kernel says it, not the process.

use crate::process::Process;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{SockType, getsockopt, sockopt};
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::PathBuf;

/// One local socket that a process has open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenSocket {
    /// The process's number for it.
    pub number: RawFd,
    /// Its own path, or that of the listener which it came from.
    pub path: Option<PathBuf>,
    /// The path of the socket that it is connected to.
    pub peer: Option<PathBuf>,
    /// Who connected to it; none of a listener, of a socket for datagrams, or where the other end is closed.
    pub client: Option<Client>,
}

/// Who connected, as it was then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The user.
    pub uid: u32,
    /// The process; 0 for one that we cannot see.
    pub pid: u32,
}

/// All of them. Those that come or go meanwhile may be missing.
///
/// # Errors
/// The process is gone, or we may not trace it.
pub fn open_sockets(process: &Process) -> io::Result<Vec<OpenSocket>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/{}/fd", process.pid()))? {
        let entry = entry?;
        let is_socket = std::fs::read_link(entry.path())
            .is_ok_and(|to| to.as_os_str().as_encoded_bytes().starts_with(b"socket:"));
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(number) = number.filter(|_| is_socket) else { continue };
        match process.descriptor(number) {
            Ok(socket) => found.extend(described(number, socket)),
            Err(error) if error.raw_os_error() == Some(libc::EBADF) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// None if it is another kind of socket.
fn described(number: RawFd, socket: OwnedFd) -> Option<OpenSocket> {
    // Whatever it carries: only its addresses are asked for.
    let socket = UnixStream::from(socket);
    let path = |address: SocketAddr| address.as_pathname().map(PathBuf::from);
    let own = socket.local_addr().ok()?;
    let is_stream = getsockopt(&socket, sockopt::SockType) == Ok(SockType::Stream);
    let listens = getsockopt(&socket, sockopt::AcceptConn) == Ok(true);
    let mut state = [PollFd::new(socket.as_fd(), PollFlags::empty())];
    poll(&mut state, PollTimeout::ZERO).ok()?;
    let hung_up = state.iter().any(|one| one.revents().is_some_and(|is| is.contains(PollFlags::POLLHUP)));
    let client = (is_stream && !listens && !hung_up)
        .then(|| getsockopt(&socket, sockopt::PeerCredentials).ok())
        .flatten();
    Some(OpenSocket {
        number,
        path: path(own),
        peer: socket.peer_addr().ok().and_then(path),
        client: client.map(|who| Client { uid: who.uid(), pid: who.pid().try_into().unwrap_or(0) }),
    })
}

impl OpenSocket {
    /// The last part of its own path.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.path.as_deref()?.file_name().and_then(OsStr::to_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::unistd::Pid;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::{UnixDatagram, UnixListener};

    #[test]
    fn a_processs_sockets_are_told_with_who_is_at_the_other_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let listener = UnixListener::bind(path("door")).unwrap();
        let client = UnixStream::connect(path("door")).unwrap();
        let (server, _) = listener.accept().unwrap();
        let (one, other) =
            (UnixDatagram::bind(path("one")).unwrap(), UnixDatagram::bind(path("other")).unwrap());
        one.connect(path("other")).unwrap();
        let me = Process::watch(Pid::this()).unwrap();
        let all = open_sockets(&me).unwrap();
        let of = |number: RawFd| all.iter().find(|socket| socket.number == number).unwrap();
        assert_eq!((of(listener.as_raw_fd()).name(), of(listener.as_raw_fd()).client), (Some("door"), None));
        let accepted = of(server.as_raw_fd());
        assert_eq!(accepted.name(), Some("door"));
        assert_eq!(accepted.client.map(|client| client.pid), Some(std::process::id()));
        assert_eq!(of(one.as_raw_fd()).peer, Some(path("other")));
        assert_eq!(of(other.as_raw_fd()).peer, None);
        drop(client);
        let all = open_sockets(&me).unwrap();
        assert!(all.iter().any(|socket| socket.number == server.as_raw_fd() && socket.client.is_none()));
    }
}
