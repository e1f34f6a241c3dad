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
use vmnet_model::rules::Caller;

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
        None => error.to_string(),
    }
}

/// Read a rule file.
///
/// # Errors
/// Why it does not count.
pub fn read(path: &Path, reader: Reader<'_>) -> Result<Text, Untrusted> {
    let (file, readable) = open(path, reader)?;
    let bytes = trusted_bytes(file)?;
    Ok(Text { bytes, readable })
}

fn open(path: &Path, reader: Reader<'_>) -> Result<(File, bool), Untrusted> {
    let attempt = {
        let _as_caller = Disguise::put_on(reader).map_err(Untrusted::Unreadable)?;
        open_file(path)
    };
    match (attempt, reader) {
        (Ok(file), _) => Ok((file, true)),
        (Err(error), Reader::SetuidFor(_) | Reader::RootFor(_))
            if error.kind() == io::ErrorKind::PermissionDenied =>
        {
            open_file(path).map(|file| (file, false)).map_err(reason)
        }
        (Err(error), _) => Err(reason(error)),
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
    let mut bytes = Vec::new();
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
struct Disguise {
    groups: Option<Vec<Gid>>,
    worn: bool,
}

impl Disguise {
    fn put_on(reader: Reader<'_>) -> io::Result<Self> {
        let mut disguise = Self { groups: None, worn: false };
        let caller = match reader {
            Reader::Myself => return Ok(disguise),
            Reader::SetuidFor(caller) => caller,
            Reader::RootFor(caller) => {
                disguise.groups = Some(nix::unistd::getgroups()?);
                let groups: Vec<Gid> = caller.groups.iter().copied().map(Gid::from_raw).collect();
                setgroups(&groups)?;
                caller
            }
        };
        disguise.worn = true;
        let (uid, gid) = (Uid::from_raw(caller.uid), Gid::from_raw(caller.gid));
        setfsgid(gid);
        setfsuid(uid);
        // The calls report no failure; asking again with an impossible id tells the present one.
        if setfsuid(Uid::from_raw(u32::MAX)) != uid || setfsgid(Gid::from_raw(u32::MAX)) != gid {
            return Err(io::Error::other("cannot take the caller's file system ids"));
        }
        Ok(disguise)
    }
}

impl Drop for Disguise {
    fn drop(&mut self) {
        if self.worn {
            setfsuid(nix::unistd::geteuid());
            setfsgid(nix::unistd::getegid());
        }
        if let Some(groups) = &self.groups {
            let _ = setgroups(groups);
        }
    }
}
