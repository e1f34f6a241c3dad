//! Waiting for one's turn: file locks that the kernel gives back when their holder dies.

use nix::fcntl::{FcntlArg, fcntl};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;
use vmnet_access::paths;

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
///
/// It also has a door: who is on the way in stands in it ([`stand_in_door`]), and the holder can
/// close it only while nobody does.
#[derive(Debug)]
pub struct Claim(File);

/// The byte whose lock is the claim.
const CLAIM: libc::off_t = 0;
/// The byte whose lock is the door.
const DOOR: libc::off_t = 1;

impl Claim {
    /// Claim the file at `path`, made 0600 if absent; none if somebody has it.
    ///
    /// # Errors
    /// It cannot be opened or locked.
    pub fn try_now(path: &Path) -> io::Result<Option<Self>> {
        let file = lock_file(path)?;
        Ok(lock_now(&file, CLAIM)?.then_some(Self(file)))
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
        let mut asked = span(CLAIM, 1);
        fcntl(&file, FcntlArg::F_OFD_GETLK(&mut asked))?;
        Ok(asked.l_type != short(libc::F_UNLCK))
    }

    /// Wait until nobody has claimed the file at `path` any more, for at most `limit`; false when
    /// somebody still has. A holder that ends has given it back long before the kernel is done with it.
    ///
    /// # Errors
    /// It cannot be opened or asked about, or there is no thread to wait in.
    pub fn wait_until_free(path: &Path, limit: Duration) -> io::Result<bool> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            Err(error) => return Err(error),
        };
        let (tell, told) = mpsc::channel();
        // There is no waiting for a lock with a limit; if this waits in vain, it ends with us.
        std::thread::Builder::new().spawn(move || {
            let reading = libc::flock { l_type: short(libc::F_RDLCK), ..span(CLAIM, 1) };
            let locked = fcntl(&file, FcntlArg::F_OFD_SETLKW(&reading));
            // Given back first: whoever hears of it may ask at once whether it is held.
            drop(file);
            let _ = tell.send(locked);
        })?;
        match told.recv_timeout(limit) {
            Ok(locked) => locked.map(|_| true).map_err(io::Error::from),
            Err(_) => Ok(false),
        }
    }

    /// The file, to write into.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.0
    }

    /// Close the door, so that newcomers wait; answers whether nobody stood in it.
    ///
    /// # Errors
    /// The kernel gives no lock.
    pub fn close_door(&self) -> io::Result<bool> {
        lock_now(&self.0, DOOR)
    }

    /// Open the claim's door again.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn open_door(&self) -> io::Result<()> {
        let free = libc::flock { l_type: short(libc::F_UNLCK), ..span(DOOR, 1) };
        fcntl(&self.0, FcntlArg::F_OFD_SETLK(&free))?;
        Ok(())
    }
}

/// Stand in the door of the [`Claim`] on the file at `path`: until the answer is dropped nobody can
/// close it. Waits while it is closed. None where there is no such file, or none any more.
///
/// # Errors
/// It cannot be opened or locked.
pub fn stand_in_door(path: &Path) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC);
    let standing = libc::flock { l_type: short(libc::F_RDLCK), ..span(DOOR, 1) };
    for _ in 0..TRIES {
        let file = match options.open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        fcntl(&file, FcntlArg::F_OFD_SETLKW(&standing))?;
        if still_there(&file, path) {
            return Ok(Some(file));
        }
    }
    Err(io::Error::other("the keeper's file keeps vanishing"))
}

/// Lock one byte unless somebody has it.
fn lock_now(file: &File, byte: libc::off_t) -> io::Result<bool> {
    match fcntl(file, FcntlArg::F_OFD_SETLK(&span(byte, 1))) {
        Ok(_) => Ok(true),
        Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EACCES) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

fn short(number: libc::c_int) -> libc::c_short {
    libc::c_short::try_from(number).unwrap_or_default()
}

/// A write lock on `length` bytes from `start`.
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
    let file = lock_file(&directory.join(paths::TURNS_FILE))?;
    fcntl(&file, FcntlArg::F_OFD_SETLKW(&span(libc::off_t::from(uid), 1)))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_door_closes_only_while_nobody_stands_in_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keeper");
        assert!(stand_in_door(&path).unwrap().is_none());
        let claim = Claim::try_now(&path).unwrap().unwrap();
        let (one, two) = (stand_in_door(&path).unwrap(), stand_in_door(&path).unwrap());
        assert!(one.is_some() && two.is_some() && !claim.close_door().unwrap());
        drop((one, two));
        assert!(claim.close_door().unwrap());
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || stand_in_door(&path).unwrap().is_some()
        });
        std::fs::remove_file(&path).unwrap();
        drop(claim);
        assert!(!waiting.join().unwrap(), "the file that was waited for is gone");
    }

    #[test]
    fn a_claim_is_free_as_soon_as_its_holder_lets_go() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keeper");
        assert!(Claim::wait_until_free(&path, Duration::ZERO).unwrap(), "there is no such file");
        let claim = Claim::try_now(&path).unwrap().unwrap();
        assert!(!Claim::wait_until_free(&path, Duration::from_millis(20)).unwrap());
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || Claim::wait_until_free(&path, Duration::from_secs(20)).unwrap()
        });
        drop(claim);
        assert!(waiting.join().unwrap());
        assert!(!Claim::is_held(&path).unwrap());
        assert!(Claim::try_now(&path).unwrap().is_some(), "waiting is no claim");
    }

    #[test]
    fn a_door_is_no_claim() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keeper");
        drop(Claim::try_now(&path).unwrap());
        let standing = stand_in_door(&path).unwrap();
        assert!(standing.is_some() && !Claim::is_held(&path).unwrap());
        let claim = Claim::try_now(&path).unwrap();
        assert!(claim.is_some_and(|claim| !claim.close_door().unwrap()));
        assert!(Claim::is_held(&path).is_ok_and(|held| !held));
    }
}
