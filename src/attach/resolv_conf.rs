//! The resolver's file of a namespace that has a name: `ip netns exec` lays /etc/netns/NAME over /etc.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use vmnet_access::name::IfName;
use vmnet_host::files::{make_directory, read_file, write_file};
use vmnet_model::attach::{FILES, is_resolver_file, resolver_file};
use vmnet_model::error::Error;
use vmnet_sys::trust::plain;

fn place(space: &str) -> PathBuf {
    Path::new(FILES).join(space).join("resolv.conf")
}

/// Write it, if we may, and unless there is another's. Answers where.
pub fn write(
    space: &str,
    bridge: &IfName,
    interface: &IfName,
    servers: &[IpAddr],
    domain: Option<&str>,
) -> Result<Option<PathBuf>, Error> {
    let path = place(space);
    if servers.is_empty() || !nix::unistd::geteuid().is_root() {
        return Ok(None);
    }
    // A link would lead a writer of another directory; whatever it is, it is not ours.
    let there = path.symlink_metadata().is_ok();
    if there && !is_ours(&path, bridge, interface)? {
        return Ok(None);
    }
    if let Some(directory) = path.parent() {
        make_directory(directory)?;
    }
    write_file(&path, &resolver_file(bridge, interface, servers, domain), 0o644)?;
    Ok(Some(path))
}

/// The path of a namespace's resolver file, if there is one of ours.
pub fn written(space: &str, bridge: &IfName, interface: &IfName) -> Result<Option<PathBuf>, Error> {
    let path = place(space);
    Ok(is_ours(&path, bridge, interface)?.then_some(path))
}

/// Remove it, and the directories that are empty then.
pub fn remove(space: &str, bridge: &IfName, interface: &IfName) -> Result<(), Error> {
    let path = place(space);
    if !nix::unistd::geteuid().is_root() || !is_ours(&path, bridge, interface)? {
        return Ok(());
    }
    std::fs::remove_file(&path).map_err(|error| Error::new("remove", path.display(), plain(&error)))?;
    for directory in path.ancestors().skip(1).take(2) {
        // Not empty: others' files are in it.
        if std::fs::remove_dir(directory).is_err() {
            break;
        }
    }
    Ok(())
}

fn is_ours(path: &Path, bridge: &IfName, interface: &IfName) -> Result<bool, Error> {
    if !path.symlink_metadata().is_ok_and(|status| status.is_file()) {
        return Ok(false);
    }
    let text = read_file(path)?.unwrap_or_default();
    Ok(is_resolver_file(&String::from_utf8_lossy(&text), bridge, interface))
}
