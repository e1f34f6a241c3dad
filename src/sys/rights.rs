//! What a program's file gives whoever starts it: its setuid bit, its capability, and whether the
//! file system takes the effect from both.

use nix::sys::statvfs::{FsFlags, statvfs};
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What a program's file gives whoever starts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// The owner's user id.
    pub owner: u32,
    /// Permission bits, the setuid bit (04000) among them.
    pub mode: u32,
    /// The file has a capability (`cap_net_admin`).
    pub capability: bool,
    /// Its file system is mounted nosuid, which takes the effect from both.
    pub nosuid: bool,
}

/// Look at a program's file.
///
/// # Errors
/// The file is not there, or not to be seen.
pub fn of(path: &Path) -> io::Result<Rights> {
    let meta = std::fs::metadata(path)?;
    Ok(Rights {
        owner: meta.uid(),
        mode: meta.mode() & 0o7777,
        capability: has_capability(path)?,
        nosuid: statvfs(path)?.flags().contains(FsFlags::ST_NOSUID),
    })
}

fn has_capability(path: &Path) -> io::Result<bool> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: both names are NUL-terminated; a null buffer of length 0 only asks for the size.
    let size =
        unsafe { libc::getxattr(path.as_ptr(), c"security.capability".as_ptr(), std::ptr::null_mut(), 0) };
    Ok(size > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_without_rights_is_seen_to_have_none() {
        let rights = of(Path::new("/bin/true")).unwrap();
        assert_eq!((rights.owner, rights.mode & 0o4000, rights.capability), (0, 0, false));
        assert!(of(Path::new("/no/such/program")).is_err());
    }
}
