//! Connecting to a local stream socket with an end to the waiting: a listener that hangs with its line full
//! would keep whoever comes for ever.

use crate::process::Process;
use nix::fcntl::OFlag;
use nix::sys::socket::{
    self, AddressFamily, SockFlag, SockType, UnixAddr, bind, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;
use nix::unistd::Pid;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Connect to whoever listens at `path`. Waiting for a place in the line, and later each write and read,
/// lasts `limit` at most.
///
/// # Errors
/// The kernel's answer: `NotFound` or `ConnectionRefused` where nobody listens, `WouldBlock` where no place
/// came free.
pub fn connect_within(path: &Path, limit: Duration) -> io::Result<UnixStream> {
    let socket = unconnected()?;
    connect(&socket, path, limit)?;
    Ok(socket)
}

/// A socket for [`connect`].
///
/// # Errors
/// The kernel's answer.
pub fn unconnected() -> io::Result<UnixStream> {
    fresh().map(UnixStream::from)
}

/// A socket for [`connect`] that has this path in the kernel's list of sockets for as long as anybody has it.
///
/// # Errors
/// The kernel's answer: `AddrInUse` where something has the path.
pub fn bound(path: &Path) -> io::Result<UnixStream> {
    let socket = fresh()?;
    bind(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(UnixStream::from(socket))
}

fn fresh() -> io::Result<OwnedFd> {
    Ok(socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?)
}

/// The same as [`connect_within`] with a socket that is there. Where nobody listens it may be tried again.
///
/// # Errors
/// As [`connect_within`].
pub fn connect(socket: &UnixStream, path: &Path, limit: Duration) -> io::Result<()> {
    let seconds = limit.as_secs().try_into().map_err(io::Error::other)?;
    let time = TimeVal::new(seconds, limit.subsec_micros().into());
    setsockopt(socket, sockopt::SendTimeout, &time)?;
    setsockopt(socket, sockopt::ReceiveTimeout, &time)?;
    Ok(socket::connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?)
}

/// The same where the directory may be another's, who could put something else there: only a socket of
/// this user's, never a link, is connected to.
///
/// # Errors
/// As [`connect_within`]; `PermissionDenied` where it is something else.
pub fn connect_owned(path: &Path, owner: u32, limit: Duration) -> io::Result<UnixStream> {
    let flags = (OFlag::O_PATH | OFlag::O_NOFOLLOW).bits();
    let place = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let meta = place.metadata()?;
    if !meta.file_type().is_socket() || meta.uid() != owner {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    // The very one that was looked at, whatever has its name by now.
    connect_within(Path::new(&format!("/proc/self/fd/{}", place.as_raw_fd())), limit)
}

/// The process that began to listen where this is connected to, or whoever has its number by now.
///
/// # Errors
/// It is gone, or not to be seen from here.
pub fn listener_of(stream: &UnixStream) -> io::Result<Process> {
    let pid = socket::getsockopt(stream, sockopt::PeerCredentials)?.pid();
    if pid <= 0 {
        return Err(io::ErrorKind::NotFound.into());
    }
    Process::watch(Pid::from_raw(pid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_line_that_is_full_is_not_waited_in_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let none = connect_within(&path, Duration::from_secs(5)).unwrap_err();
        assert_eq!(none.kind(), io::ErrorKind::NotFound);
        let listener = UnixListener::bind(&path).unwrap();
        nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::new(1).unwrap()).unwrap();
        let mut waiting = Vec::new();
        let full = loop {
            match connect_within(&path, Duration::from_millis(50)) {
                Ok(stream) => waiting.push(stream),
                Err(error) => break error,
            }
            assert!(waiting.len() < 10, "no end of the line");
        };
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_bound_socket_waits_for_its_listener_and_is_known_to_it_by_its_path() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let client = bound(&path("client")).unwrap();
        assert_eq!(bound(&path("client")).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let connect =
            || connect(&client, &path("door"), Duration::from_secs(5)).map_err(|error| error.kind());
        assert_eq!(connect(), Err(io::ErrorKind::NotFound));
        drop(UnixListener::bind(path("door")).unwrap());
        assert_eq!(connect(), Err(io::ErrorKind::ConnectionRefused));
        std::fs::remove_file(path("door")).unwrap();
        let listener = UnixListener::bind(path("door")).unwrap();
        assert_eq!(connect(), Ok(()));
        let (_stream, address) = listener.accept().unwrap();
        assert_eq!(address.as_pathname(), Some(path("client").as_path()));
    }

    #[test]
    fn what_is_connected_to_is_its_owners_socket_or_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let _listener = UnixListener::bind(path("socket")).unwrap();
        std::os::unix::fs::symlink(path("socket"), path("link")).unwrap();
        std::fs::write(path("file"), "").unwrap();
        let me = nix::unistd::geteuid().as_raw();
        let connect = |name: &str, owner| {
            connect_owned(&path(name), owner, Duration::from_secs(5)).map(drop).map_err(|error| error.kind())
        };
        assert_eq!(connect("socket", me), Ok(()));
        for (name, owner) in [("link", me), ("file", me), ("socket", me + 1)] {
            assert_eq!(connect(name, owner), Err(io::ErrorKind::PermissionDenied), "{name}");
        }
        assert_eq!(connect("none", me), Err(io::ErrorKind::NotFound));
    }
}
