//! How many frames wait at a switch for whoever is late. The switch drops what is more, and to TCP that
//! is worse than waiting.

use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use vmnet_sys::batch;
use vmnet_sys::open_sockets::open_sockets;
use vmnet_sys::process::Process;

/// So many bytes; the kernel doubles the number and counts 2,304 for a full frame, which makes 1,736. It is
/// memory of the switch's, so nobody but a pump of ours, which does not let frames lie, is to have it.
const ROOM: usize = 2_000_000;

/// So many bytes of a pump's may wait at a switch that has that room, 434 frames: a switch that need not sleep
/// carries a third more, and what waits there is a few milliseconds late at most.
const OWN_ROOM: usize = 500_000;
/// Bytes that may wait at a switch that has no such room for us, 52 frames. With the 92 that it would let in, a
/// switch that has its turn fills the queue of the port at the other end, where as many fit, and drops
/// the rest before that end has its own turn.
const WAITING_MAX: usize = 60_000;

/// Make a pump's queues at a switch fit each other: `switch` is the process of one of ours.
///
/// # Errors
/// The kernel refused; there is more loss then, and no more than that.
pub fn fit(switch: Option<&Process>, data: &UnixDatagram) -> io::Result<()> {
    match switch {
        Some(switch) => widen(switch, data).and_then(|()| batch::let_wait(data.as_fd(), OWN_ROOM)),
        None => batch::limit_waiting(data.as_fd(), WAITING_MAX),
    }
}

/// Let more frames wait for the holder of this socket, which is connected to a port of the switch, than the
/// 92 that any socket has room for. What the kernel counts is the sender's, so it is the switch's own socket
/// that changes: this takes root's rights.
///
/// # Errors
/// The kernel refused, or the switch has no such port.
fn widen(switch: &Process, data: &UnixDatagram) -> io::Result<()> {
    let peer = data.peer_addr()?;
    let port = open_sockets(switch)?
        .into_iter()
        .find(|socket| socket.path.as_deref().is_some_and(|path| peer.as_pathname() == Some(path)));
    let port = port.ok_or(ErrorKind::NotFound)?;
    batch::let_wait(switch.descriptor(port.number)?.as_fd(), ROOM)
}
