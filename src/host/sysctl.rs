//! The kernel's switches under /proc/sys that are read and set here.

use std::path::Path;
use vmnet_model::error::Error;
use vmnet_sys::trust::plain;

/// A switch's value, without its line end.
pub fn read(path: &Path) -> Result<String, Error> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::new("read", path.display(), plain(&e)))?;
    Ok(text.trim().to_owned())
}

/// Set a switch. Compared first: a read-only /proc/sys is no trouble where the value is right already.
pub fn write(path: &Path, value: &str) -> Result<(), Error> {
    if read(path).is_ok_and(|now| now == value) {
        return Ok(());
    }
    std::fs::write(path, value).map_err(|e| Error::new("set", path.display(), plain(&e)))
}
