//! The files of one switch, in a network's run directory or in that of a cable.

use std::path::{Path, PathBuf};
use vmnet_access::vde_port_tag::PLUGS_DIR;

/// The directory of a network's cables in its run directory: each cable has a [`SwitchDir`] of its own there.
pub const CABLES_DIR: &str = "cables";

/// Where the record, the numbers and the sockets of one switch are. The network's own switch shares the
/// network's run directory.
#[derive(Clone, Debug)]
pub struct SwitchDir(PathBuf);

impl SwitchDir {
    /// The switch whose files are in this directory.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self(directory.into())
    }

    /// The directory that this file of it, such as the record, is in.
    pub fn of_file(file: &Path) -> Self {
        Self(file.parent().unwrap_or(Path::new("/")).to_owned())
    }

    /// The directory of these files.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The record of the switch.
    pub fn record(&self) -> PathBuf {
        self.0.join("switch")
    }

    /// The process number of the switch.
    pub fn pid(&self) -> PathBuf {
        self.0.join("switch.pid")
    }

    /// Which life of the switch the ports were plugged into.
    pub fn plugged(&self) -> PathBuf {
        self.0.join("plugged")
    }

    /// The directory of the switch's own sockets, if it is one of ours.
    pub fn switch(&self) -> PathBuf {
        self.0.join("vde")
    }

    /// The directory of its console.
    pub fn console(&self) -> PathBuf {
        self.0.join("console")
    }

    /// The console itself, a socket of the switch's.
    pub fn console_socket(&self) -> PathBuf {
        self.console().join("mgmt")
    }

    /// The directory of the sockets of those who hold ports.
    pub fn plugs(&self) -> PathBuf {
        self.0.join(PLUGS_DIR)
    }

    /// The pump's claim, its process number in it.
    pub fn pump(&self) -> PathBuf {
        self.0.join("pump")
    }
}
