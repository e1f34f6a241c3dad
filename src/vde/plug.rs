//! A port that is handed to somebody else, a VM or a pump: two descriptors, one for frames and one that
//! keeps the port for as long as anybody has it. The second is a socket connected to itself, and the
//! connection that the switch knows lies in its queue. So all that belongs to the port is in its holder's
//! hands and goes with him, by whatever death; and whoever may take copies of his descriptors can plug
//! him into a switch that was started again, while he notices nothing.

use crate::port::{JoinError, Wish, ask};
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use vmnet_model::vde::Directory;
use vmnet_model::vde::plug::{DATA_ENDING, HOLD_ENDING, Held, PlugTag, bound, held};
use vmnet_sys::seqpacket::Channel;

/// The kernel's list of unix sockets.
const SOCKETS: &str = "/proc/net/unix";
/// No list of them is longer, in bytes.
const SOCKETS_MAX: u64 = 64 << 20;
/// More messages than a queue can hold: net.unix.max_dgram_qlen is 10 where nobody raised it.
const QUEUE_MAX: usize = 4096;

/// The two sockets.
#[derive(Debug)]
pub struct Plug {
    data: UnixDatagram,
    hold: UnixDatagram,
    /// Where the first is bound.
    own_socket: PathBuf,
    /// What is removed with us.
    names: Names,
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

impl Plug {
    /// Both sockets, bound in this directory, which is root's: this takes root's rights. The first is
    /// the tag's user's, so that the switch books the port to him, and can be written to by the group.
    ///
    /// # Errors
    /// The kernel refused; nothing is left behind.
    pub fn prepare(directory: &Path, tag: PlugTag, group: u32) -> io::Result<Self> {
        let path = |ending: &str| directory.join(tag.name() + ending);
        let (own_socket, hold_path) = (path(DATA_ENDING), path(HOLD_ENDING));
        let mut names = Names::default();
        // Whoever tidies up must not see one half of it.
        let lock = File::open(directory)?;
        lock.lock_shared()?;
        let data = UnixDatagram::bind(&own_socket)?;
        names.0.push(own_socket.clone());
        // The mode before the owner: afterwards it is no more root's own.
        fs::set_permissions(&own_socket, Permissions::from_mode(0o660))?;
        chown(&own_socket, Some(tag.uid), Some(group))?;
        let hold = UnixDatagram::bind(&hold_path)?;
        names.0.push(hold_path.clone());
        fs::set_permissions(&hold_path, Permissions::from_mode(0o600))?;
        // A connected socket hears its peer alone.
        hold.connect(&hold_path)?;
        hold.set_nonblocking(true)?;
        Ok(Self { data, hold, own_socket, names })
    }

    /// Copies of a holder's descriptors.
    ///
    /// # Errors
    /// They are no such sockets.
    pub fn of(data: OwnedFd, hold: OwnedFd) -> io::Result<Self> {
        let (data, hold) = (UnixDatagram::from(data), UnixDatagram::from(hold));
        let address = data.local_addr()?;
        let own_socket = address.as_pathname().ok_or(ErrorKind::InvalidInput)?.to_owned();
        Ok(Self { data, hold, own_socket, names: Names::default() })
    }

    /// Join a switch, for the first time or again; a number of 0 leaves the port to it. This is done with
    /// the caller's rights on the switch's directory. A copy of the connection that keeps the port is
    /// answered: it ends with the switch, and keeps the port too.
    ///
    /// # Errors
    /// Why there is no port; the plug is off its switch then.
    pub fn join(&self, switch: &Directory, number: u32, description: &str) -> Result<UnixStream, JoinError> {
        // Else the switch could not connect to us.
        vmnet_sys::datagram::disconnect(self.data.as_fd()).map_err(JoinError::Kernel)?;
        let own_socket = &self.own_socket;
        let wish = Wish { switch, port: number, description, own_socket, mode: 0 };
        let control = ask(&wish, &self.data)?;
        self.keep(control.as_fd()).map_err(JoinError::Kernel)?;
        Ok(control)
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

/// Those who hold plugs of this directory.
///
/// # Errors
/// The kernel's list cannot be read.
pub fn holders(directory: &Path) -> io::Result<Vec<Held>> {
    Ok(held(&sockets()?, &directory.to_string_lossy()))
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
    for entry in names {
        match fs::remove_file(entry.path()) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn sockets() -> io::Result<String> {
    let mut list = Vec::new();
    File::open(SOCKETS)?.take(SOCKETS_MAX).read_to_end(&mut list)?;
    Ok(String::from_utf8_lossy(&list).into_owned())
}
