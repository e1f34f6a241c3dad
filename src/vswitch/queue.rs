//! How many frames wait at a switch for whoever is late. The switch drops what is more, and to TCP that
//! is worse than waiting.

use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use vmnet_access::vde_port_tag::VdePortTag;
use vmnet_sys::batch;
use vmnet_sys::open_sockets::{OpenSocket, open_sockets};
use vmnet_sys::process::Process;
use vmnet_vde::held_port::tags;

/// So many bytes may wait for a pump of ours, which does not let frames lie; the kernel doubles the number and
/// counts 2,304 for a full frame, which makes 1,736.
const PUMP_ROOM: usize = 2_000_000;
/// So many for whoever was granted a port: 1,000 full frames, as for the holder of a TAP (`DEFAULT_TX_QUEUE_LEN`
/// in include/net/pkt_sched.h). It is memory of the kernel's, so those who joined by themselves have what any
/// socket has, 92 frames.
const GUEST_ROOM: usize = 1_152_000;

/// So many bytes of a pump's may wait at a switch that has that dir, 434 frames: a switch that need not sleep
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

/// Let more frames wait for the holder of this socket, which is connected to a port of the switch. What the
/// kernel counts is the sender's, so it is the switch's own socket that changes: this takes root's rights.
///
/// # Errors
/// The kernel refused, or the switch has no such port.
fn widen(switch: &Process, data: &UnixDatagram) -> io::Result<()> {
    let peer = data.peer_addr()?;
    let port = open_sockets(switch)?
        .into_iter()
        .find(|socket| socket.path.as_deref().is_some_and(|path| peer.as_pathname() == Some(path)));
    let port = port.ok_or(ErrorKind::NotFound)?;
    batch::let_wait(switch.descriptor(port.number)?.as_fd(), PUMP_ROOM)
}

/// The same for all who were granted a port, by their sockets in this directory.
///
/// # Errors
/// The kernel refused.
pub fn widen_all(switch: &Process, plugs: &Path) -> io::Result<()> {
    let sockets = open_sockets(switch)?;
    let tag = |socket: &OpenSocket| VdePortTag::of_data_socket(socket.peer.as_deref()?, plugs);
    let (held, all): (_, Vec<VdePortTag>) = (tags(plugs)?, sockets.iter().filter_map(tag).collect());
    for socket in &sockets {
        if tag(socket).is_some_and(|tag| tag.is_certain(&all, &held)) {
            batch::let_wait_at_least(switch.descriptor(socket.number)?.as_fd(), GUEST_ROOM)?;
        }
    }
    Ok(())
}
