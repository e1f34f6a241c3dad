//! The broker's socket: our own in the run directory, or the one that systemd made.

use nix::sys::stat::{Mode, umask};
use nix::unistd::Pid;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use vmnet_model::error::Error;
use vmnet_network::dirs::Dirs;
use vmnet_sys::process::Process;
use vmnet_sys::seqpacket::{Channel, Listener};
use vmnet_sys::trust::plain;

/// Who waits to be let in: as many as the kernel allows by default (net.core.somaxconn).
const BACKLOG: i32 = 128;
/// How long another broker may be too busy to take a connection.
const PATIENCE: Duration = Duration::from_secs(1);

/// A socket that is listened at.
#[derive(Debug)]
pub struct Socket {
    /// The listening socket.
    pub listener: Listener,
    own: Option<Own>,
}

/// A file that we made.
#[derive(Debug)]
struct Own {
    dirs: Dirs,
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

impl Socket {
    /// The one that systemd left us (sd_listen_fds(3)), or a new one of our own.
    pub fn open(dirs: &Dirs) -> Result<Self, Error> {
        let failed = |cause: &dyn std::fmt::Display| Error::new("take", "systemd's socket", cause);
        let mut numbers = sd_notify::listen_fds().map_err(|error| failed(&plain(&error)))?;
        match (numbers.next(), numbers.next()) {
            (None, _) => Self::bind(dirs),
            (Some(number), None) => {
                let listener = Listener::inherited(number).map_err(|error| failed(&plain(&error)))?;
                Ok(Self { listener, own: None })
            }
            _ => Err(failed(&"there is more than one")),
        }
    }

    /// Everybody may connect: who they are says the kernel, what they may the rules.
    fn bind(dirs: &Dirs) -> Result<Self, Error> {
        let path = dirs.broker_socket();
        let failed = |cause: &dyn std::fmt::Display| Error::new("listen at", path.display(), cause);
        // Between two brokers that start at one time only one makes the file.
        let _lock = dirs.lock()?;
        clear(&path).map_err(|cause| failed(&cause))?;
        let before = umask(Mode::from_bits_truncate(0o111));
        let bound = Listener::bind(&path, BACKLOG);
        umask(before);
        let listener = bound.map_err(|error| failed(&plain(&error)))?;
        let identity = identity(&path).ok_or_else(|| failed(&"it vanished"))?;
        Ok(Self { listener, own: Some(Own { dirs: dirs.clone(), path, identity }) })
    }

    /// Take the file away, so that nobody comes any more. One that is another's stays; false if so.
    pub fn remove(&self) -> bool {
        let Some(own) = &self.own else { return false };
        let is_ours = identity(&own.path) == Some(own.identity);
        if is_ours {
            let _ = std::fs::remove_file(&own.path);
        }
        is_ours
    }

    /// After the last visitor.
    pub fn tidy(&self) {
        if let Some(own) = &self.own
            && own.dirs.run.exists()
            && let Ok(lock) = own.dirs.lock()
        {
            own.dirs.tidy(lock);
        }
    }
}

/// Nothing may be at the path, or a socket at which nobody listens any more. That is removed.
fn clear(path: &Path) -> Result<(), String> {
    let meta = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        meta => meta.map_err(|error| plain(&error))?,
    };
    if !meta.file_type().is_socket() {
        return Err("there is something that is no socket".to_owned());
    }
    match Channel::connect(path, PATIENCE) {
        Ok(channel) if is_listened_at(&channel) => return Err("another broker answers there".to_owned()),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            return Err("another broker is busy there".to_owned());
        }
        Err(error) if error.kind() != ErrorKind::ConnectionRefused => return Err(plain(&error)),
        _ => {}
    }
    std::fs::remove_file(path).map_err(|error| plain(&error))
}

/// Does whoever began to listen still live? A child of theirs may have the socket a moment longer than they.
fn is_listened_at(channel: &Channel) -> bool {
    let pid = channel.peer().ok().and_then(|peer| i32::try_from(peer.pid).ok()).filter(|pid| *pid > 0);
    let has_ended = |pid| Process::watch(Pid::from_raw(pid)).map_or(true, |process| process.has_ended());
    !pid.is_some_and(has_ended)
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let meta = std::fs::symlink_metadata(path).ok()?;
    Some((meta.dev(), meta.ino()))
}
