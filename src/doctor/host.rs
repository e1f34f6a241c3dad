//! What every check is given: this host, looked at once for all of them.

use super::finding::Subject;
use super::remedy::Services;
use std::collections::BTreeSet;
use std::fs::DirEntry;
use std::path::Path;
use vmnet_host::files::read_file;
use vmnet_host::links::{HostSnapshot, Links};
use vmnet_network::dirs::Dirs;
use vmnet_sys::process::{self, program};

/// The port of DNS servers.
pub(super) const DNS: u16 = 53;

/// This host, with the networks that are examined.
pub(super) struct Host<'a> {
    /// Where the networks' files and records are.
    pub dirs: &'a Dirs,
    /// To ask the kernel what the snapshot does not tell.
    pub links: &'a Links,
    /// Links, addresses and routes.
    pub seen: &'a HostSnapshot,
    /// The networks that are examined.
    pub subjects: &'a [Subject],
    /// The networks examined are all that there are; else one was named.
    pub all: bool,
    /// Who runs the services.
    pub services: Services,
    /// We are root, and see everything.
    pub root: bool,
    /// The short names of all processes.
    programs: BTreeSet<String>,
}

impl<'a> Host<'a> {
    /// Look at what is not given.
    pub fn look(
        dirs: &'a Dirs,
        links: &'a Links,
        seen: &'a HostSnapshot,
        subjects: &'a [Subject],
        all: bool,
    ) -> Self {
        let there = |path: &str| Path::new(path).exists();
        let services = if there("/run/systemd/system") {
            Services::Systemd
        } else if there("/run/openrc") {
            Services::OpenRc
        } else if there("/run/runit") {
            Services::Runit
        } else {
            Services::Other
        };
        let programs = process::all().filter_map(program).collect();
        let root = nix::unistd::geteuid().is_root();
        Self { dirs, links, seen, subjects, all, services, root, programs }
    }

    /// Does a program of this short name run? The kernel keeps 15 bytes of it.
    pub fn runs(&self, program: &str) -> bool {
        self.programs.contains(program)
    }
}

/// A file's text; nothing where it cannot be read.
pub(super) fn text(path: impl AsRef<Path>) -> String {
    let bytes = read_file(path.as_ref()).ok().flatten().unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What a directory holds; nothing where it cannot be read.
pub(super) fn entries(directory: impl AsRef<Path>) -> impl Iterator<Item = DirEntry> {
    std::fs::read_dir(directory).into_iter().flatten().flatten()
}
