//! Files of ours: read whole up to a limit, written whole or not at all.

use serde::{Deserialize, Serialize};
use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use vmnet_model::error::{self, Error};
use vmnet_sys::trust::plain;

/// Make a directory that everybody may read, with its parents.
pub fn make_directory(path: &Path) -> Result<(), Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
        .map_err(|error| Error::new("make directory", path.display(), plain(&error)))
}

/// Of a removal: that the file was gone already is no failure.
pub fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Write a file whole: it is either the old one or the new one, whatever happens.
pub fn write_file(path: &Path, text: &str, mode: u32) -> Result<(), Error> {
    let attempt = || -> io::Result<()> {
        let directory = path.parent().unwrap_or(Path::new("/"));
        let mut file = tempfile::Builder::new().prefix(".vmnet-").tempfile_in(directory)?;
        file.write_all(text.as_bytes())?;
        file.as_file().set_permissions(Permissions::from_mode(mode))?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    attempt().map_err(|error| Error::new("write", path.display(), plain(&error)))
}

/// Read a file that may be absent, up to 1 MiB.
pub fn read_file(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let attempt = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(1 << 20).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    match attempt() {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::new("read", path.display(), plain(&error))),
    }
}

/// Read a JSON file that may be absent.
pub fn read_json<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<Option<T>, Error> {
    let Some(bytes) = read_file(path)? else { return Ok(None) };
    let invalid = |cause| Error::new("read", path.display(), cause).kind(error::ErrorKind::Invalid);
    serde_json::from_slice(&bytes).map(Some).map_err(invalid)
}

/// Write a JSON file whole.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), Error> {
    let text =
        serde_json::to_string_pretty(value).map_err(|error| Error::new("write", path.display(), error))?;
    write_file(path, &(text + "\n"), 0o644)
}
