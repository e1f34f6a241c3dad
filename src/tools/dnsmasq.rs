//! dnsmasq by its own program: started as the daemon it makes of itself. What its configuration says is
//! somebody else's matter.

use crate::{Tool, ToolError};
use std::ffi::OsString;
use std::path::Path;

const DNSMASQ: &str = "dnsmasq";

/// Starts dnsmasq with this configuration file, and no other. It makes itself a daemon, and its
/// first process ends only when all its sockets are bound (or have failed to be), so it is ready
/// when this returns; its process number is in the `pid-file` that the configuration names. After
/// [`ToolError::TimedOut`] a daemon may still come up: look there.
///
/// # Errors
/// dnsmasq's own words, such as `unknown interface x0`, among others of [`ToolError`].
pub fn start(configuration: &Path) -> Result<(), ToolError> {
    Tool::find(DNSMASQ)?.run(&[conf_file(configuration)], "").map(drop)
}

fn conf_file(path: &Path) -> OsString {
    let mut option = OsString::from("--conf-file=");
    option.push(path);
    option
}
