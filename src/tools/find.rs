//! Where a program may lie. PATH is not asked: whoever sets it would choose what root starts.

use crate::ToolError;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The directories that are searched, in this order.
pub const PLACES: [&str; 5] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin"];

/// The absolute path of `program`, which must be a plain file name.
///
/// # Errors
/// [`ToolError::NotInstalled`] when none of [`PLACES`] has an executable file of that name.
pub fn program(program: &'static str) -> Result<PathBuf, ToolError> {
    let named = !program.is_empty() && !program.contains('/');
    PLACES
        .iter()
        .map(|place| Path::new(place).join(program))
        .find(|path| named && is_executable(path))
        .ok_or(ToolError::NotInstalled { program })
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_by_its_absolute_path() {
        let path = program("sh").unwrap();
        assert!(path.is_absolute() && path.ends_with("sh"), "{path:?}");
    }

    #[test]
    fn what_is_not_installed_is_said_with_the_places_searched() {
        let error = program("no-such-program").unwrap_err();
        assert!(matches!(error, ToolError::NotInstalled { program: "no-such-program" }));
        assert!(error.to_string().contains("/usr/local/sbin"), "{error}");
    }

    #[test]
    fn a_path_is_not_a_program_name() {
        for not_a_name in ["", "/bin/sh", "../bin/sh"] {
            assert!(program(not_a_name).is_err(), "{not_a_name:?}");
        }
    }

    #[test]
    fn a_file_that_nobody_may_execute_is_no_program() {
        assert!(!is_executable(Path::new("/etc/passwd")));
        assert!(!is_executable(Path::new("/usr/bin")));
    }
}
