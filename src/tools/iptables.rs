//! The older iptables by its own programs, for hosts whose rules are kept there: one process says
//! all rules of the filter table, one changes them in one transaction.

use crate::{Tool, ToolError};

/// Seconds that another iptables may hold the lock.
const PATIENCE: &str = "5";

/// Which protocol's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// The filter table in iptables-save(8)'s form. Where there is none yet, this makes an empty one.
///
/// # Errors
/// iptables' own words, among others of [`ToolError`].
pub fn save(version: Version) -> Result<String, ToolError> {
    let program = match version {
        Version::V4 => "iptables-legacy-save",
        Version::V6 => "ip6tables-legacy-save",
    };
    Ok(Tool::find(program)?.run(&["-t", "filter"], "")?.stdout)
}

/// Changes the table by a text in iptables-restore(8)'s form: all of it, or, on any error, nothing.
/// What the text does not name stays.
///
/// # Errors
/// As [`save`].
pub fn restore(version: Version, text: &str) -> Result<(), ToolError> {
    let program = match version {
        Version::V4 => "iptables-legacy-restore",
        Version::V6 => "ip6tables-legacy-restore",
    };
    Tool::find(program)?.run(&["--noflush", "--wait", PATIENCE], text).map(drop)
}
