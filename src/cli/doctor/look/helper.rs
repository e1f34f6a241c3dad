//! The helper's file, and the broker that it may ask.

use crate::doctor::finding::Finding;
use crate::doctor::helper::{self, Helper};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use vmnet_access::paths;
use vmnet_port::client;
use vmnet_sys::rights;

/// What is wrong with it.
pub fn findings() -> Vec<Finding> {
    let path = Path::new(paths::HELPER);
    helper::findings(&Helper {
        path: paths::HELPER.to_owned(),
        mount: mount_of(path),
        rights: rights::of(path).ok(),
        tun: std::fs::metadata("/dev/net/tun").ok().map(|meta| meta.mode() & 0o7777),
        broker: client::broker().is_ok_and(|broker| broker.is_some()),
    })
}

/// Where the file system that holds a file is mounted: the highest directory above it on the same
/// device.
fn mount_of(path: &Path) -> String {
    let device = |path: &Path| std::fs::metadata(path).ok().map(|meta| meta.dev());
    let own = device(path);
    let mount = path.ancestors().take_while(|above| device(above) == own).last().unwrap_or(Path::new("/"));
    String::from_utf8_lossy(mount.as_os_str().as_bytes()).into_owned()
}
