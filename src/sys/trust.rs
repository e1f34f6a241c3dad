//! Reading a rule file. It counts only if nobody but root can have written it, judged on the open
//! descriptor; and it is opened as the caller first, because QEMU's administrators give or
//! withhold rules by file permissions.

use nix::fcntl::OFlag;
use nix::unistd::{Gid, Uid, setfsgid, setfsuid, setgroups};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use vmnet_access::rules::Caller;

/// Largest rule file.
pub const FILE_MAX: u64 = 64 * 1024;
/// Most files that one pattern may name.
pub const MATCHES_MAX: usize = 256;

/// As whom files are opened.
#[derive(Clone, Copy, Debug)]
pub enum Reader<'a> {
    /// As this process is: without root there is nobody else to be.
    Myself,
    /// As the caller, and where that fails as root. The groups are the caller's already, as in
    /// every setuid program.
    SetuidFor(&'a Caller),
    /// The same for another user, on whose behalf root asks: groups are changed too.
    RootFor(&'a Caller),
}

/// One file's text.
#[derive(Debug)]
pub struct Text {
    /// Its bytes, at most [`FILE_MAX`].
    pub bytes: Vec<u8>,
    /// Could the caller have read it?
    pub readable: bool,
}

/// Why a rule file does not count.
#[derive(Debug)]
pub enum Untrusted {
    /// It does not exist.
    Missing,
    /// It could not be opened or read.
    Unreadable(io::Error),
    /// It is a directory, a pipe, a device.
    NotAFile,
    /// It belongs to this user instead of root.
    Owner(u32),
    /// Others than root may write it.
    Writable(u32),
    /// More than [`FILE_MAX`] bytes.
    TooLarge,
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("no such file"),
            Self::Unreadable(error) => write!(f, "{}", plain(error)),
            Self::NotAFile => f.write_str("not a regular file"),
            Self::Owner(uid) => write!(f, "owned by uid {uid}, not by root"),
            Self::Writable(mode) => write!(f, "writable by others than root (mode {mode:04o})"),
            Self::TooLarge => write!(f, "larger than {FILE_MAX} bytes"),
        }
    }
}

impl std::error::Error for Untrusted {}

/// The kernel's words for an error, without Rust's "(os error 2)".
#[must_use]
pub fn plain(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => nix::errno::Errno::from_raw(number).desc().to_lowercase(),
        // A library may have wrapped it in its own words.
        None => match error.to_string().split_once(" (os error") {
            Some((words, _)) => words.to_lowercase(),
            None => error.to_string(),
        },
    }
}

/// Read one file with our own rights.
///
/// # Errors
/// Why it does not count.
pub fn read(path: &Path) -> Result<Text, Untrusted> {
    PolicyReader::open(Reader::Myself).map_err(Untrusted::Unreadable)?.read(path)
}

/// A reader at work. The caller's ids are worn from file to file, and taken off for what only
/// root can do.
#[derive(Debug)]
pub struct PolicyReader<'a> {
    reader: Reader<'a>,
    disguise: Option<CallerFsIds>,
}

impl<'a> PolicyReader<'a> {
    /// Begin to read.
    ///
    /// # Errors
    /// The caller's ids cannot be taken.
    pub fn open(reader: Reader<'a>) -> io::Result<Self> {
        Ok(Self { reader, disguise: CallerFsIds::put_on(reader)? })
    }

    /// Is there a root to fall back on?
    #[must_use]
    pub fn have_root(&self) -> bool {
        !matches!(self.reader, Reader::Myself)
    }

    /// Read a rule file: as the caller, and where that is refused as root.
    ///
    /// # Errors
    /// Why it does not count.
    pub fn read(&mut self, path: &Path) -> Result<Text, Untrusted> {
        let (file, readable) = match open_file(path) {
            Ok(file) => (file, true),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && self.have_root() => {
                let opened = self.as_ourselves(|| open_file(path)).map_err(Untrusted::Unreadable)?;
                (opened.map_err(reason)?, false)
            }
            Err(error) => return Err(reason(error)),
        };
        Ok(Text { bytes: trusted_bytes(file)?, readable })
    }

    /// The files of a directory that fit, listed with our own rights: each is then opened as the
    /// caller.
    ///
    /// # Errors
    /// As [`list`].
    pub fn list(&mut self, directory: &Path, fits: &dyn Fn(&[u8]) -> bool) -> io::Result<Vec<PathBuf>> {
        self.as_ourselves(|| list(directory, fits))?
    }

    fn as_ourselves<T>(&mut self, act: impl FnOnce() -> T) -> io::Result<T> {
        self.disguise = None;
        let done = act();
        self.disguise = CallerFsIds::put_on(self.reader)?;
        Ok(done)
    }
}

/// O_NONBLOCK, or a FIFO in the file's place would hold us; O_NOCTTY for the same kind of joke.
fn open_file(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)
}

fn reason(error: io::Error) -> Untrusted {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Untrusted::Missing,
        _ => Untrusted::Unreadable(error),
    }
}

fn trusted_bytes(file: File) -> Result<Vec<u8>, Untrusted> {
    let meta = file.metadata().map_err(Untrusted::Unreadable)?;
    if !meta.is_file() {
        return Err(Untrusted::NotAFile);
    }
    if meta.uid() != 0 {
        return Err(Untrusted::Owner(meta.uid()));
    }
    if meta.mode() & 0o022 != 0 {
        return Err(Untrusted::Writable(meta.mode() & 0o7777));
    }
    // One read for the text, one for its end.
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len().min(FILE_MAX)).unwrap_or(0) + 1);
    file.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(Untrusted::Unreadable)?;
    if bytes.len() as u64 > FILE_MAX { Err(Untrusted::TooLarge) } else { Ok(bytes) }
}

/// The files of a directory that fit a test on their name, sorted; none if there is no such
/// directory. Listed with our own rights: each is then opened as the caller.
///
/// # Errors
/// The directory cannot be listed, or more than [`MATCHES_MAX`] fit.
pub fn list(directory: &Path, fits: &dyn Fn(&[u8]) -> bool) -> io::Result<Vec<PathBuf>> {
    use std::os::unix::ffi::OsStrExt;
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        if fits(name.as_bytes()) {
            if found.len() == MATCHES_MAX {
                return Err(io::Error::other(format!("more than {MATCHES_MAX} files")));
            }
            found.push(directory.join(name));
        }
    }
    found.sort();
    Ok(found)
}

/// The file-system ids of the caller, for as long as this lives. Going from root to another
/// fsuid also takes CAP_DAC_OVERRIDE and its kin out of the effective set (capabilities(7)).
#[derive(Debug)]
struct CallerFsIds {
    uid: Uid,
    gid: Gid,
    groups: Option<Vec<Gid>>,
}

impl CallerFsIds {
    fn put_on(reader: Reader<'_>) -> io::Result<Option<Self>> {
        let (caller, groups) = match reader {
            Reader::Myself => return Ok(None),
            Reader::SetuidFor(caller) => (caller, None),
            Reader::RootFor(caller) => (caller, Some(nix::unistd::getgroups()?)),
        };
        let (uid, gid) = (Uid::from_raw(caller.uid), Gid::from_raw(caller.gid));
        // Each answers what was before.
        let mut disguise = Self { gid: setfsgid(gid), uid: setfsuid(uid), groups: None };
        // The calls report no failure; asking again with an impossible id tells the present one.
        if setfsuid(Uid::from_raw(u32::MAX)) != uid || setfsgid(Gid::from_raw(u32::MAX)) != gid {
            return Err(io::Error::other("cannot take the caller's file system ids"));
        }
        if groups.is_some() {
            disguise.groups = groups;
            setgroups(&caller.groups.iter().copied().map(Gid::from_raw).collect::<Vec<_>>())?;
        }
        Ok(Some(disguise))
    }
}

impl Drop for CallerFsIds {
    fn drop(&mut self) {
        setfsuid(self.uid);
        setfsgid(self.gid);
        if let Some(groups) = &self.groups {
            let _ = setgroups(groups);
        }
    }
}
