//! One call of a helper, as QEMU makes it: a socket pair, the program, its exit status, and the
//! descriptor that came. Only the span from start to reaped is timed.

use nix::cmsg_space;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, posix_spawn};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr, recvmsg, socketpair,
};
use nix::sys::wait::{WaitStatus, waitpid};
use std::ffi::{CString, NulError};
use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// What a helper did.
#[derive(Debug)]
pub struct Answer {
    /// From posix_spawn to the return of waitpid.
    pub took: Duration,
    /// The TAP, if it exited 0 and sent one.
    pub tap: Option<OwnedFd>,
}

/// Start `program` with QEMU's arguments for `bridge`, wait for its end and take what it sent.
///
/// # Errors
/// It could not be started; not: it refused.
pub fn call(program: &str, bridge: &str) -> io::Result<Answer> {
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)?;
    fcntl(&theirs, FcntlArg::F_SETFD(FdFlag::empty()))?;
    let words = words(program, bridge, theirs.as_raw_fd()).map_err(io::Error::other)?;
    let (actions, attributes) = (PosixSpawnFileActions::init()?, PosixSpawnAttr::init()?);
    let path = words.first().ok_or(io::ErrorKind::InvalidInput)?;
    let started = Instant::now();
    let pid = posix_spawn::<_, _, CString>(path.as_c_str(), &actions, &attributes, &words, &[])?;
    let status = waitpid(pid, None)?;
    let took = started.elapsed();
    drop(theirs);
    let tap = if matches!(status, WaitStatus::Exited(_, 0)) { receive(&ours)? } else { None };
    Ok(Answer { took, tap })
}

fn words(program: &str, bridge: &str, socket: i32) -> Result<Vec<CString>, NulError> {
    let (bridge, socket) = (format!("--br={bridge}"), format!("--fd={socket}"));
    [program, "--use-vnet", &socket, &bridge].into_iter().map(CString::new).collect()
}

/// The one descriptor that came with the one byte, if it did.
fn receive(socket: &OwnedFd) -> io::Result<Option<OwnedFd>> {
    let mut byte = [0];
    let mut body = [IoSliceMut::new(&mut byte)];
    let mut control = cmsg_space!([i32; 1]);
    let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<UnixAddr>(socket.as_raw_fd(), &mut body, Some(&mut control), flags)?;
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(descriptors) = part {
            // SAFETY: the kernel has just made this descriptor for us.
            return Ok(descriptors.first().map(|fd| unsafe { OwnedFd::from_raw_fd(*fd) }));
        }
    }
    Ok(None)
}
