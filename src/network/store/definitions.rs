//! The networks of this host: their files, and the built-in one.

use crate::dirs::Dirs;
use crate::store::live_changes::LiveChanges;
use std::path::Path;
use vmnet_access::name::NetName;
use vmnet_access::paths;
use vmnet_config::Mistake;
use vmnet_model::error::{Error, network};
use vmnet_model::network::Network;
use vmnet_sys::trust::plain;
use vmnet_sys::trust::{self, Untrusted};

/// Why a network cannot be read.
#[derive(Debug)]
pub enum Unreadable {
    /// There is no file of that name.
    Unknown,
    /// The file does not count or cannot be read.
    File(String),
    /// The file has mistakes.
    Mistakes(Vec<Mistake>),
}

/// Read one network. The built-in one needs no file.
///
/// # Errors
/// It does not exist, or its file is not fit.
pub fn read(dirs: &Dirs, name: &NetName) -> Result<Network, Unreadable> {
    let path = dirs.network_file(name);
    let text = match trust::read(&path) {
        Ok(text) => text.bytes,
        Err(Untrusted::Missing) if name.as_str() == paths::BUILT_IN => {
            return Ok(Network::with_defaults(name.clone()));
        }
        Err(Untrusted::Missing) => return Err(Unreadable::Unknown),
        Err(why) => return Err(Unreadable::File(format!("{}: {why}", path.display()))),
    };
    let text =
        String::from_utf8(text).map_err(|_| Unreadable::File(format!("{}: not UTF-8", path.display())))?;
    vmnet_config::read(name.clone(), &path.display().to_string(), &text).map_err(Unreadable::Mistakes)
}

/// Read one network, with what was added to it live.
///
/// # Errors
/// As [`read`]; or what is remembered cannot be read.
pub fn with_live(dirs: &Dirs, name: &NetName) -> Result<Network, Unreadable> {
    let network = read(dirs, name)?;
    let memory = LiveChanges::of(dirs, name).map_err(|failure| Unreadable::File(failure.to_string()))?;
    Ok(memory.add_to(&network))
}

impl Unreadable {
    /// In a few words.
    pub fn phrase(&self) -> String {
        match self {
            Self::Unknown => "absent".to_owned(),
            Self::File(why) => why.clone(),
            Self::Mistakes(mistakes) => mistakes.first().map_or_else(String::new, ToString::to_string),
        }
    }

    /// As a failure to do something with the network.
    pub fn failure(self, act: &'static str, name: &NetName) -> Error {
        let object = network(name);
        match self {
            Self::Unknown => Error::new(act, object, "no such network")
                .hint(format!("'vmnet init {name}' describes a network of that name")),
            Self::File(why) => Error::new(act, object, why),
            Self::Mistakes(mistakes) => {
                let failure = match mistakes.first() {
                    Some(first) => Error::new(act, object, first),
                    None => Error::new(act, object, "its file has mistakes"),
                };
                match mistakes.len() {
                    0 | 1 => failure.hint(format!("'vmnet check {name}' says more")),
                    n => failure.hint(format!("'vmnet check {name}' lists all {n} mistakes")),
                }
            }
        }
    }
}

/// The names of all networks: the built-in one and those with a file, sorted.
///
/// # Errors
/// The directory cannot be listed.
pub fn names(dirs: &Dirs) -> Result<Vec<NetName>, Error> {
    let directory = dirs.networks();
    let files = trust::list(&directory, &|name| NetName::of_file(name).is_some())
        .map_err(|error| Error::new("list", directory.display(), plain(&error)))?;
    let mut names: Vec<NetName> = files.iter().filter_map(|path| name_of(path)).collect();
    names.extend(NetName::new(paths::BUILT_IN));
    names.sort();
    names.dedup();
    Ok(names)
}

fn name_of(path: &Path) -> Option<NetName> {
    NetName::of_file(path.file_name()?.as_encoded_bytes())
}
