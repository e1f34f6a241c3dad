//! What was done for a domain, so that exactly that is undone at its end: one file a domain, kept where a
//! reboot does not reach it, because what it tells of outlives one too.

use super::domain::DomainId;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use vmnet_host::files::{make_directory, read_json, write_json};
use vmnet_model::error::Error;
use vmnet_network::dirs::{Dirs, STATE_ENDING};
use vmnet_network::store::live_changes::{SavedForward, SavedReservation};
use vmnet_sys::trust::plain;

/// All that was done for one domain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The domain's name, for people.
    #[serde(default)]
    pub domain: String,
    /// What was done for each of the domain's interfaces.
    #[serde(default)]
    pub applied: Vec<Applied>,
}

/// What was done, or begun, for one interface. What somebody else had done before is not in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// The network.
    pub network: String,
    /// The interface's MAC.
    pub mac: String,
    /// The reservation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<SavedReservation>,
    /// The forwards.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forwards: Vec<SavedForward>,
}

fn file(dirs: &Dirs, id: &DomainId) -> PathBuf {
    dirs.libvirt_notes().join(format!("{id}{STATE_ENDING}"))
}

impl Note {
    /// What is noted of a domain; none if nothing was done for it, or nobody can read what.
    pub fn of(dirs: &Dirs, id: &DomainId) -> Option<Self> {
        read_json(&file(dirs, id)).ok().flatten()
    }

    /// Write it down, or forget it where there is nothing in it.
    pub fn keep(&self, dirs: &Dirs, id: &DomainId) -> Result<(), Error> {
        let path = file(dirs, id);
        if !self.applied.is_empty() {
            make_directory(&dirs.libvirt_notes())?;
            return write_json(&path, self);
        }
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::new("remove", path.display(), plain(&error)))
            }
            _ => {
                // Other domains' notes keep it.
                let _ = std::fs::remove_dir(dirs.libvirt_notes());
                Ok(())
            }
        }
    }
}
