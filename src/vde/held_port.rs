//! A port that is handed to somebody else, a VM or a pump: two descriptors, one for frames and one that
//! keeps the port for as long as anybody has it. The second is a socket connected to itself, and the
//! connection that the switch knows lies in its queue. So all that belongs to the port is in its holder's
//! hands and goes with him, by whatever death; and whoever may take copies of his descriptors can plug
//! him into a switch that was started again, while he notices nothing. All three are bound, so that the
//! kernel's list of sockets has them for as long as anybody has them, however he came by them.

use crate::port::{Absence, JoinError, Wish, ask, leave};
use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;
use vmnet_access::vde::Directory;
use vmnet_access::vde_port_tag::{CONTROL_ENDING, DATA_ENDING, HOLD_ENDING, Held, VdePortTag, bound, held};
use vmnet_sys::ready::{Source, wait};
use vmnet_sys::seqpacket::Channel;
use vmnet_sys::stream;

/// The kernel's list of unix sockets.
const SOCKETS: &str = "/proc/net/unix";
/// No list of them is longer, in bytes.
const SOCKETS_MAX: u64 = 64 << 20;
/// More messages than a queue can hold: net.unix.max_dgram_qlen is 10 where nobody raised it.
const QUEUE_MAX: usize = 4096;

/// The two sockets.
#[derive(Debug)]
pub struct VdePort {
    data: UnixDatagram,
    hold: UnixDatagram,
    /// Where the first is bound.
    own_socket: PathBuf,
    /// What is removed with us.
    names: Names,
}

/// What will be the connection that the switch knows: bound like the others, and connected to nobody yet.
#[derive(Debug)]
pub struct ControlSocket(UnixStream);

impl ControlSocket {
    /// The next one of this holder. Like [`VdePort::prepare`] this takes root's rights.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn bind(directory: &Path, tag: VdePortTag) -> io::Result<Self> {
        let lock = File::open(directory)?;
        lock.lock_shared()?;
        let path = directory.join(tag.name() + CONTROL_ENDING);
        // The one before has this name for as long as it lives, too.
        remove(&path)?;
        let socket = stream::bound(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        Ok(Self(socket))
    }
}

#[derive(Debug, Default)]
struct Names(Vec<PathBuf>);

impl Drop for Names {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = fs::remove_file(path);
        }
    }
}

/// How a plug stands, by what its sockets have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing keeps it yet: whoever prepared it is about to join.
    Coming,
    /// On a switch that lives.
    Joined,
    /// Its switch has ended, or it could not be plugged in.
    Off,
}

impl VdePort {
    /// Both sockets and the line, bound in this directory, which is root's: this takes root's rights. The first
    /// can be written to by the group. It stays root's: a switch books the port to whom it belongs, and Debian's
    /// is ended by a user without a name whose number is long, when its console is asked for the port.
    ///
    /// # Errors
    /// The kernel refused; nothing is left behind.
    pub fn prepare(directory: &Path, tag: VdePortTag, group: u32) -> io::Result<(Self, ControlSocket)> {
        let path = |ending: &str| directory.join(tag.name() + ending);
        let (own_socket, hold_path) = (path(DATA_ENDING), path(HOLD_ENDING));
        let mut names = Names::default();
        // Whoever tidies up must not see one part of it.
        let lock = File::open(directory)?;
        lock.lock_shared()?;
        let data = UnixDatagram::bind(&own_socket)?;
        names.0.push(own_socket.clone());
        fs::set_permissions(&own_socket, Permissions::from_mode(0o660))?;
        chown(&own_socket, None, Some(group))?;
        let hold = UnixDatagram::bind(&hold_path)?;
        names.0.push(hold_path.clone());
        fs::set_permissions(&hold_path, Permissions::from_mode(0o600))?;
        // A connected socket hears its peer alone.
        hold.connect(&hold_path)?;
        hold.set_nonblocking(true)?;
        names.0.push(path(CONTROL_ENDING));
        let line = ControlSocket::bind(directory, tag)?;
        Ok((Self { data, hold, own_socket, names }, line))
    }

    /// Copies of a holder's descriptors.
    ///
    /// # Errors
    /// The descriptors are no sockets of a port.
    pub fn of(data: OwnedFd, hold: OwnedFd) -> io::Result<Self> {
        let (data, hold) = (UnixDatagram::from(data), UnixDatagram::from(hold));
        let address = data.local_addr()?;
        let own_socket = address.as_pathname().ok_or(ErrorKind::InvalidInput)?.to_owned();
        Ok(Self { data, hold, own_socket, names: Names::default() })
    }

    /// Join a switch, for the first time or again. This is done with the caller's rights on the switch's
    /// directory. A copy of the connection that keeps the port is answered: it ends with the switch, and
    /// keeps the port too.
    ///
    /// # Errors
    /// Why there is no port; the plug is off its switch then.
    pub fn join(
        &self,
        line: ControlSocket,
        switch: &Directory,
        description: &str,
        absence: Absence,
    ) -> Result<UnixStream, JoinError> {
        // Else the switch could not connect to us.
        vmnet_sys::datagram::disconnect(self.data.as_fd()).map_err(JoinError::Kernel)?;
        let own_socket = &self.own_socket;
        let wish = Wish { switch, port: 0, description, own_socket, mode: 0 };
        let control = ask(&wish, &self.data, line.0, absence)?;
        if let Err(error) = self.keep(control.as_fd()) {
            let _ = leave(control);
            return Err(JoinError::Kernel(error));
        }
        // Of a switch that ended before this was kept nobody would know that it is to be joined again.
        if lives(control.as_fd()).map_err(JoinError::Kernel)? {
            Ok(control)
        } else {
            Err(JoinError::NoSwitch(ErrorKind::ConnectionReset.into()))
        }
    }

    /// How it stands. What a holder put into the queue himself is looked at too, and let go again.
    ///
    /// # Errors
    /// The kernel would not tell.
    pub fn standing(&self) -> io::Result<Standing> {
        let queue = Channel::of(self.hold.as_fd().try_clone_to_owned()?);
        let kept = match queue.peek_now(1, 1) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Standing::Coming),
            kept => kept?.descriptors,
        };
        let Some(control) = kept.first() else { return Ok(Standing::Off) };
        let peer = self.data.peer_addr().ok();
        let is_there = peer.and_then(|peer| Some(peer.as_pathname()?.exists())).unwrap_or(false);
        Ok(if is_there && lives(control.as_fd())? { Standing::Joined } else { Standing::Off })
    }

    /// From now on this connection keeps the port, and whatever did before is let go.
    fn keep(&self, control: BorrowedFd<'_>) -> io::Result<()> {
        let queue = Channel::of(self.hold.as_fd().try_clone_to_owned()?);
        for _ in 0..QUEUE_MAX {
            match queue.receive_now(1, 0) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        queue.send(b"c", &[control])
    }

    /// The port's number, as the switch named its socket (`NNN.ID`); none for a switch that calls it
    /// otherwise.
    #[must_use]
    pub fn number(&self) -> Option<u32> {
        let peer = self.data.peer_addr().ok()?;
        let name = peer.as_pathname()?.file_name()?.to_str()?;
        let (number, _id) = name.split_once('.')?;
        number.parse().ok()
    }

    /// The socket for frames.
    #[must_use]
    pub fn data(&self) -> &UnixDatagram {
        &self.data
    }

    /// The socket that keeps the port.
    #[must_use]
    pub fn hold(&self) -> BorrowedFd<'_> {
        self.hold.as_fd()
    }

    /// Hand it over: what is bound stays bound. [`tidy`] removes the names when the holder is gone.
    #[must_use]
    pub fn into_descriptors(mut self) -> [OwnedFd; 2] {
        self.names.0.clear();
        [self.data.into(), self.hold.into()]
    }
}

/// Take the names of a holder's sockets away: it keeps them, and is not plugged in again.
///
/// # Errors
/// The sockets' names cannot be removed.
pub fn disown(directory: &Path, tag: VdePortTag) -> io::Result<()> {
    let endings = [DATA_ENDING, HOLD_ENDING, CONTROL_ENDING];
    endings.iter().try_for_each(|ending| remove(&directory.join(tag.name() + ending)))
}

/// Is there still somebody at the other end of a connection?
fn lives(connection: BorrowedFd<'_>) -> io::Result<bool> {
    let source = Source { descriptor: connection, read: false, write: false };
    let [connection] = wait([source], Some(Duration::ZERO))?;
    Ok(!connection.ended)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The processes that hold ports whose sockets are in this directory.
///
/// # Errors
/// The kernel's list cannot be read.
pub fn holders(directory: &Path) -> io::Result<Vec<Held>> {
    let mut held = held(&sockets()?, &directory.to_string_lossy());
    // The kernel remembers a name that was taken away.
    held.retain(|holder| directory.join(holder.tag.name() + DATA_ENDING).exists());
    Ok(held)
}

/// Those who still have any of the sockets, to be counted: a port goes on without its frames' socket, and the
/// connection keeps it without either.
///
/// # Errors
/// The kernel's list cannot be read.
pub fn tags(directory: &Path) -> io::Result<BTreeSet<VdePortTag>> {
    let list = sockets()?;
    let at = directory.to_string_lossy();
    // The kernel remembers a name that was taken away.
    let names = bound(&list, &at).map(|(name, _)| name).filter(|name| directory.join(name).exists());
    Ok(names.filter_map(VdePortTag::of_socket).collect())
}

/// Remove the names of sockets that are gone. Where somebody is just making some, nothing is done.
///
/// # Errors
/// The directory or the kernel's list cannot be read.
pub fn tidy(directory: &Path) -> io::Result<()> {
    // Between a name's coming and the socket's in the list there is a moment.
    let lock = File::open(directory)?;
    if lock.try_lock().is_err() {
        return Ok(());
    }
    let mut names = fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
    if names.is_empty() {
        return Ok(());
    }
    let list = sockets()?;
    let alive: Vec<&str> = bound(&list, &directory.to_string_lossy()).map(|(name, _)| name).collect();
    names.retain(|entry| !entry.file_name().to_str().is_some_and(|name| alive.contains(&name)));
    names.iter().try_for_each(|entry| remove(&entry.path()))
}

fn sockets() -> io::Result<String> {
    let mut list = Vec::new();
    File::open(SOCKETS)?.take(SOCKETS_MAX).read_to_end(&mut list)?;
    Ok(String::from_utf8_lossy(&list).into_owned())
}
