//! Waiting for one's turn: file locks that the kernel gives back when their holder dies.

use nix::fcntl::{FcntlArg, fcntl};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Tries to lock a file that is removed and made anew each time.
const TRIES: usize = 1000;

/// An exclusive lock on a file. Dropping it gives it back.
#[derive(Debug)]
pub struct Lock {
    _file: File,
    path: PathBuf,
}

impl Lock {
    /// Lock the file at `path`, made 0600 if absent, after whoever holds it.
    ///
    /// # Errors
    /// It cannot be opened or locked.
    pub fn wait(path: &Path) -> io::Result<Self> {
        for _ in 0..TRIES {
            let is_new = !path.exists();
            let file = lock_file(path)?;
            if let Err(error) = file.lock() {
                // A kernel that gives no locks must not leave us with a file for one.
                if is_new {
                    let _ = std::fs::remove_file(path);
                }
                return Err(error);
            }
            if still_there(&file, path) {
                return Ok(Self { _file: file, path: path.to_owned() });
            }
        }
        Err(io::Error::other("the lock file keeps vanishing"))
    }

    /// Remove the file and give the lock back: whoever waits for it sees that and makes it anew.
    ///
    /// # Errors
    /// It could not be removed.
    pub fn remove(self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }
}

fn lock_file(path: &Path) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_CLOEXEC;
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags)
        .open(path)
}

/// Is the file we locked still the one at that path?
fn still_there(file: &File, path: &Path) -> bool {
    let (Ok(held), Ok(named)) = (file.metadata(), std::fs::symlink_metadata(path)) else { return false };
    (held.dev(), held.ino()) == (named.dev(), named.ino())
}

/// A file that says by its lock that somebody is at work, and in its text who. Unlike [`Lock`] it
/// can be asked about without being taken.
#[derive(Debug)]
pub struct Claim(File);

impl Claim {
    /// Claim the file at `path`, made 0600 if absent; none if somebody has it.
    ///
    /// # Errors
    /// It cannot be opened or locked.
    pub fn try_now(path: &Path) -> io::Result<Option<Self>> {
        let file = lock_file(path)?;
        match fcntl(&file, FcntlArg::F_OFD_SETLK(&whole_file())) {
            Ok(_) => Ok(Some(Self(file))),
            Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EACCES) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Has somebody claimed the file at `path`?
    ///
    /// # Errors
    /// It cannot be opened or asked about.
    pub fn is_held(path: &Path) -> io::Result<bool> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let mut asked = whole_file();
        fcntl(&file, FcntlArg::F_OFD_GETLK(&mut asked))?;
        Ok(asked.l_type != short(libc::F_UNLCK))
    }

    /// The file, to write into.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.0
    }
}

fn short(number: libc::c_int) -> libc::c_short {
    libc::c_short::try_from(number).unwrap_or_default()
}

fn whole_file() -> libc::flock {
    span(0, 0)
}

/// A write lock on `length` bytes from `start`; 0 bytes means to the end.
fn span(start: libc::off_t, length: libc::off_t) -> libc::flock {
    libc::flock {
        l_type: short(libc::F_WRLCK),
        l_whence: short(libc::SEEK_SET),
        l_start: start,
        l_len: length,
        l_pid: 0,
    }
}

/// One user's turn: the byte of that number in a file that only root may open, so that no user
/// can hold up another. Waits for the user's other helpers.
///
/// # Errors
/// The directory or file cannot be made, opened or locked.
pub fn turn_of(uid: u32, directory: &Path) -> io::Result<File> {
    match DirBuilder::new().mode(0o755).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let file = lock_file(&directory.join("turns"))?;
    fcntl(&file, FcntlArg::F_OFD_SETLKW(&span(libc::off_t::from(uid), 1)))?;
    Ok(file)
}
