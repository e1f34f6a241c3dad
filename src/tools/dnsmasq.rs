//! dnsmasq by its own program: started as the daemon it makes of itself, tested, and asked for
//! its version. What its configuration says is somebody else's matter.

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

/// Reads the configuration file without starting anything.
///
/// # Errors
/// dnsmasq's own words, such as `bad option at line 3 of /run/…`, among others of [`ToolError`].
pub fn test(configuration: &Path) -> Result<(), ToolError> {
    Tool::find(DNSMASQ)?.run(&["--test".into(), conf_file(configuration)], "").map(drop)
}

/// The version as dnsmasq writes it, such as `2.90`; empty when its first line has another form.
///
/// # Errors
/// When dnsmasq is not installed or does not run.
pub fn version() -> Result<String, ToolError> {
    let said = Tool::find(DNSMASQ)?.run(&["--version"], "")?.stdout;
    let mut words = said.split_whitespace().skip_while(|word| *word != "version");
    Ok(words.nth(1).unwrap_or_default().to_owned())
}

fn conf_file(path: &Path) -> OsString {
    let mut option = OsString::from("--conf-file=");
    option.push(path);
    option
}
