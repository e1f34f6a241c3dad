//! What a test says when something that it needs is missing. With `CI=true` or `VMNET_NO_SKIP=1` that
//! is a failure, so that a machine cannot pass by lacking everything.

use std::path::Path;

/// Says `SKIPPED name: reason`, or fails where skipping is not allowed.
///
/// # Panics
/// With `CI=true` or `VMNET_NO_SKIP=1` in the environment.
pub fn skip(name: &str, reason: &str) {
    let set = |variable: &str, value: &str| std::env::var(variable).is_ok_and(|v| v == value);
    assert!(!set("CI", "true") && !set("VMNET_NO_SKIP", "1"), "SKIPPED {name}: {reason}");
    eprintln!("SKIPPED {name}: {reason}");
}

/// Whether all of `needed` is there: programs by name (looked for in the usual places), files by
/// absolute path. Says [`skip`] for the first that is not.
pub fn have(name: &str, needed: &[&str]) -> bool {
    let missing = needed.iter().find(|need| !present(need));
    if let Some(missing) = missing {
        skip(name, &format!("{missing} is missing"));
    }
    missing.is_none()
}

/// Whether a program or file is there.
pub fn present(need: &str) -> bool {
    if need.starts_with('/') {
        return Path::new(need).exists();
    }
    crate::command::PATH.split(':').any(|folder| Path::new(folder).join(need).exists())
}
