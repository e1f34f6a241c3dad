//! The networks of this host: those with a file of the administrator's, those that another program defined,
//! and the built-in one. Where a name has several, the file counts before the built-in one, and that before a
//! definition.
//!
//! | file | knows |
//! |---|---|
//! | [`owner`](Owner) | whose a network is |
//! | `kept` | a definition's text |
//! | `define` | defining one and taking that back |

mod define;
mod kept;
mod owner;

pub use define::{NetworkConfig, define, undefine};
pub use owner::{BadOwner, OWNER_ID_MAX, Owner, OwnerId};

use crate::dirs::Dirs;
use crate::store::live_changes::LiveChanges;
use std::fs;
use std::path::{Path, PathBuf};
use vmnet_access::name::NetName;
use vmnet_access::paths;
use vmnet_config::Mistake;
use vmnet_model::error::{Error, ErrorKind, network};
use vmnet_model::network::Network;
use vmnet_sys::trust::{self, Untrusted, plain};

/// Why a network cannot be read.
#[derive(Debug)]
pub enum Unreadable {
    /// Neither a file nor a definition has that name.
    Unknown,
    /// The file does not count or cannot be read.
    File(String),
    /// The file has mistakes.
    Mistakes(Vec<Mistake>),
}

/// What describes a network.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    /// A file of the administrator's, which may be unreadable.
    File(PathBuf),
    /// Nothing needs to.
    BuiltIn,
    /// Another program's definition, which may be unreadable.
    Defined(PathBuf),
}

/// What counts for that name; none if nothing describes it.
fn source(dirs: &Dirs, name: &NetName) -> Option<Source> {
    let (file, definition) = (dirs.network_file(name), dirs.definition(name));
    if is_there(&file) {
        Some(Source::File(file))
    } else if name.as_str() == paths::BUILT_IN {
        Some(Source::BuiltIn)
    } else {
        is_there(&definition).then_some(Source::Defined(definition))
    }
}

/// What cannot be looked at is there: its reader says why it does not count.
fn is_there(path: &Path) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    !matches!(fs::metadata(path), Err(error) if matches!(error.kind(), NotFound | NotADirectory))
}

/// Read one network. The built-in one needs no file.
///
/// # Errors
/// It does not exist, or its file is not fit.
pub fn read(dirs: &Dirs, name: &NetName) -> Result<Network, Unreadable> {
    let (path, is_definition) = match source(dirs, name) {
        None => return Err(Unreadable::Unknown),
        Some(Source::BuiltIn) => return Ok(Network::with_defaults(name.clone())),
        Some(Source::File(path)) => (path, false),
        Some(Source::Defined(path)) => (path, true),
    };
    let text = text_of(&path)?;
    let file = path.display().to_string();
    let unowned = if is_definition { kept::owner(&file, &text).err() } else { None };
    match (vmnet_config::read(name.clone(), &file, &text), unowned) {
        (Ok(network), None) => Ok(network),
        (network, unowned) => {
            Err(Unreadable::Mistakes(unowned.into_iter().chain(network.err().unwrap_or_default()).collect()))
        }
    }
}

/// A file's text, which counts only if nobody but root can have written it.
fn text_of(path: &Path) -> Result<String, Unreadable> {
    let failed = |why: &dyn std::fmt::Display| Unreadable::File(format!("{}: {why}", path.display()));
    let text = match trust::read(path) {
        Ok(text) => text.bytes,
        // It went away since we looked.
        Err(Untrusted::Missing) => return Err(Unreadable::Unknown),
        Err(why) => return Err(failed(&why)),
    };
    String::from_utf8(text).map_err(|_| failed(&"not UTF-8"))
}

/// Whose a network is. That a file or a definition has mistakes does not matter here.
///
/// # Errors
/// The network does not exist, or its definition is not fit to say whose it is.
pub fn owner(dirs: &Dirs, name: &NetName) -> Result<Owner, Unreadable> {
    match source(dirs, name) {
        None => Err(Unreadable::Unknown),
        Some(Source::File(_)) => Ok(Owner::File),
        Some(Source::BuiltIn) => Ok(Owner::BuiltIn),
        Some(Source::Defined(path)) => owner_of(&path),
    }
}

fn owner_of(definition: &Path) -> Result<Owner, Unreadable> {
    let text = text_of(definition)?;
    kept::owner(&definition.display().to_string(), &text).map_err(|why| Unreadable::Mistakes(vec![why]))
}

/// The file that describes a network, for messages: of one that nothing describes, and of the built-in one,
/// the file that would.
pub fn place(dirs: &Dirs, name: &NetName) -> PathBuf {
    match source(dirs, name) {
        Some(Source::File(path) | Source::Defined(path)) => path,
        Some(Source::BuiltIn) | None => dirs.network_file(name),
    }
}

/// A definition that does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// Where it is kept.
    pub path: PathBuf,
    /// Whose it is; none if it does not say so.
    pub owner: Option<Owner>,
}

/// The definition of that name that does not count, because a file or the built-in network has the name.
pub fn passed_over(dirs: &Dirs, name: &NetName) -> Option<PassedOver> {
    let path = dirs.definition(name);
    let counts = source(dirs, name).is_none_or(|source| matches!(source, Source::Defined(_)));
    (!counts && is_there(&path)).then(|| PassedOver { owner: owner_of(&path).ok(), path })
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
                .kind(ErrorKind::NoSuchNetwork)
                .hint(format!("'vmnet init {name}' describes a network of that name")),
            Self::File(why) => Error::new(act, object, why),
            Self::Mistakes(mistakes) => {
                let failure = match mistakes.first() {
                    Some(first) => Error::new(act, object, first).kind(ErrorKind::Invalid),
                    None => Error::new(act, object, "its file has mistakes").kind(ErrorKind::Invalid),
                };
                match mistakes.len() {
                    0 | 1 => failure.hint(format!("'vmnet check {name}' says more")),
                    n => failure.hint(format!("'vmnet check {name}' lists all {n} mistakes")),
                }
            }
        }
    }
}

/// The names of all networks: the built-in one, those with a file and those that are defined, sorted.
///
/// # Errors
/// A directory cannot be listed.
pub fn names(dirs: &Dirs) -> Result<Vec<NetName>, Error> {
    let mut names = described_in(&dirs.networks())?;
    names.extend(described_in(&dirs.definitions())?);
    names.extend(NetName::new(paths::BUILT_IN));
    names.sort();
    names.dedup();
    Ok(names)
}

/// The names of the networks with a file in a directory.
fn described_in(directory: &Path) -> Result<Vec<NetName>, Error> {
    let files = trust::list(directory, &|name| NetName::of_file(name).is_some())
        .map_err(|error| Error::new("list", directory.display(), plain(&error)))?;
    Ok(files.iter().filter_map(|path| NetName::of_file(path.file_name()?.as_encoded_bytes())).collect())
}

#[cfg(test)]
mod tests;
