//! The kernel's switches under /proc/sys that are read and set here.

use crate::failure::{Failure, io};
use std::path::Path;

/// A switch's value, without its line end.
pub fn read(path: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path).map_err(|e| Failure::new("read", path.display(), io(&e)))?;
    Ok(text.trim().to_owned())
}

/// Set a switch. Compared first: a read-only /proc/sys is no trouble where the value is right already.
pub fn write(path: &Path, value: &str) -> Result<(), Failure> {
    if read(path).is_ok_and(|now| now == value) {
        return Ok(());
    }
    std::fs::write(path, value).map_err(|e| Failure::new("set", path.display(), io(&e)))
}
