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
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Lock the file at `path`, made 0600 if absent, after whoever holds it.
    ///
    /// # Errors
    /// It cannot be opened or locked.
    pub fn wait(path: &Path) -> io::Result<Self> {
        for _ in 0..TRIES {
            let file = lock_file(path)?;
            file.lock()?;
            if still_there(&file, path) {
                return Ok(Self { file, path: path.to_owned() });
            }
        }
        Err(io::Error::other("the lock file keeps vanishing"))
    }

    /// The same, but none if somebody holds it.
    ///
    /// # Errors
    /// It cannot be opened or locked.
    pub fn try_now(path: &Path) -> io::Result<Option<Self>> {
        for _ in 0..TRIES {
            let file = lock_file(path)?;
            match file.try_lock() {
                Ok(()) if still_there(&file, path) => return Ok(Some(Self { file, path: path.to_owned() })),
                Ok(()) => {}
                Err(std::fs::TryLockError::WouldBlock) => return Ok(None),
                Err(std::fs::TryLockError::Error(error)) => return Err(error),
            }
        }
        Err(io::Error::other("the lock file keeps vanishing"))
    }

    /// The file, to write into.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
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
    let kind = |number: libc::c_int| libc::c_short::try_from(number).unwrap_or_default();
    let byte = libc::flock {
        l_type: kind(libc::F_WRLCK),
        l_whence: kind(libc::SEEK_SET),
        l_start: libc::off_t::from(uid),
        l_len: 1,
        l_pid: 0,
    };
    fcntl(&file, FcntlArg::F_OFD_SETLKW(&byte))?;
    Ok(file)
}
