//! Defining a network, and taking that back.

use super::{NetName, Owner, Source, Unreadable, described_in, kept, names, owner_of, source};
use crate::dirs::Dirs;
use crate::store::live_changes::LiveChanges;
use crate::store::run_record::Record;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use vmnet_host::files::{gone, make_directory, write_file};
use vmnet_model::error::{Error, ErrorKind, network};
use vmnet_sys::trust::{FILE_MAX, MATCHES_MAX, plain};

/// A network in the words of vmnet.toml(5), without a mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkConfig {
    name: NetName,
    text: String,
}

impl NetworkConfig {
    /// The configuration, if its text has no mistake.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`], with every mistake of the text and its place there.
    pub fn new(name: NetName, text: &str) -> Result<Self, Error> {
        // Below another line it would be no mark of an encoding any more.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let Err(mistakes) = vmnet_config::read(name.clone(), &format!("{name}.toml"), text) else {
            return Ok(Self { name, text: text.to_owned() });
        };
        let mut causes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        let first = if causes.is_empty() { "mistakes".to_owned() } else { causes.remove(0) };
        let failure = Error::new("define", network(&name), first).kind(ErrorKind::Invalid).and(&causes);
        Err(match mistakes.into_iter().find_map(|mistake| mistake.hint) {
            Some(hint) => failure.hint(hint),
            None => failure,
        })
    }

    /// The network's name.
    pub fn name(&self) -> &NetName {
        &self.name
    }

    /// What describes it.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Define a network for its owner, or replace what he defined under that name. It is neither brought up nor,
/// if it is up, changed: that is `up`'s. One that is new begins without live changes: what an earlier network
/// of that name left is forgotten.
///
/// # Errors
/// [`ErrorKind::Exists`] if a file, the built-in network or another owner has the name, or a name with the same
/// bridge; [`ErrorKind::InUse`] if a network that nothing describes is up there; [`ErrorKind::Invalid`] if the
/// owner is none who defines, or the text is too long; [`ErrorKind::Host`] if it cannot be written, or there are
/// as many as can be.
pub fn define(dirs: &Dirs, config: &NetworkConfig, owner: &Owner) -> Result<(), Error> {
    let failed = |kind, cause: String| Error::new("define", network(&config.name), cause).kind(kind);
    if matches!(owner, Owner::File | Owner::BuiltIn) {
        return Err(failed(ErrorKind::Invalid, "whose network it is to be must be said".to_owned()));
    }
    let text = kept::write(owner, &config.text)
        .ok_or_else(|| failed(ErrorKind::Invalid, format!("its text is longer than {FILE_MAX} bytes")))?;
    let lock = dirs.lock()?;
    let result = define_locked(dirs, &config.name, owner, &text);
    dirs.tidy(lock);
    result
}

fn define_locked(dirs: &Dirs, name: &NetName, owner: &Owner, text: &str) -> Result<(), Error> {
    let failed = |kind, cause: String| Error::new("define", network(name), cause).kind(kind);
    let is_new = match holder(dirs, name) {
        Some(Holder::Defined(Some(other))) if other == *owner => false,
        Some(holder) => return Err(failed(ErrorKind::Exists, holder.phrase())),
        None => true,
    };
    if is_new {
        let bridge = name.bridge();
        if let Some(other) = names(dirs)?.into_iter().find(|other| other.bridge() == bridge) {
            let cause = format!("its bridge {bridge} would be that of {}", network(other));
            return Err(failed(ErrorKind::Exists, cause));
        }
        if let Some(record) = Record::read(&dirs.run_dir(&bridge))? {
            let cause = format!("{} is up on its bridge, and nothing describes it", network(&record.network));
            let hint = format!("'vmnet down {}' takes it down", record.network);
            return Err(failed(ErrorKind::InUse, cause).hint(hint));
        }
        if described_in(&dirs.definitions())?.len() >= MATCHES_MAX {
            return Err(failed(ErrorKind::Host, format!("{MATCHES_MAX} networks are defined already")));
        }
        LiveChanges::forget(dirs, name)?;
    }
    let directory = dirs.definitions();
    make_directory(&directory)?;
    // Whatever the umask of the program that defines.
    fs::set_permissions(&directory, Permissions::from_mode(0o755))
        .map_err(|error| Error::new("open to all", directory.display(), plain(&error)))?;
    write_file(&dirs.definition(name), text, 0o644)
}

/// Take back what was defined, and forget what was remembered of it: its subnet, the reservations, forwards and
/// cables that were added live, and the cables of others that lead there. Where a file of the administrator's
/// has the name meanwhile, only the definition goes: the network is the file's, and so is what is remembered.
///
/// Without an owner it is done for the administrator, whoever defined it, also where the definition is not fit
/// to be read.
///
/// # Errors
/// [`ErrorKind::NoSuchNetwork`] if nothing describes it; [`ErrorKind::Denied`] if it is another's, a file's or
/// the built-in one; [`ErrorKind::InUse`] while it is up; [`ErrorKind::Host`] if something cannot be removed: the
/// definition is then still there.
pub fn undefine(dirs: &Dirs, name: &NetName, owner: Option<&Owner>) -> Result<(), Error> {
    let lock = dirs.lock()?;
    let result = undefine_locked(dirs, name, owner);
    dirs.tidy(lock);
    result
}

fn undefine_locked(dirs: &Dirs, name: &NetName, owner: Option<&Owner>) -> Result<(), Error> {
    let act = "remove the definition of";
    let failed = |kind, cause: String| Error::new(act, network(name), cause).kind(kind);
    let path = dirs.definition(name);
    if !super::is_there(&path) {
        return Err(match holder(dirs, name) {
            Some(holder) => failed(ErrorKind::Denied, holder.phrase()),
            None => Unreadable::Unknown.failure(act, name).kind(ErrorKind::NoSuchNetwork),
        });
    }
    if let Some(owner) = owner {
        let defined = Holder::Defined(owner_of(&path).ok());
        if !matches!(&defined, Holder::Defined(Some(other)) if other == owner) {
            return Err(failed(ErrorKind::Denied, defined.phrase()));
        }
    }
    if matches!(source(dirs, name), Some(Source::Defined(_))) {
        let record = Record::read(&dirs.run_dir(&name.bridge()))?;
        if record.is_some_and(|record| record.network == name.as_str()) {
            let hint = format!("'vmnet down {name}' takes it down");
            return Err(failed(ErrorKind::InUse, "it is up".to_owned()).hint(hint));
        }
        // Before the definition: whoever is killed in between can do it again.
        LiveChanges::forget(dirs, name)?;
    }
    gone(fs::remove_file(&path)).map_err(|error| Error::new("remove", path.display(), plain(&error)))?;
    // Others may be defined.
    let _ = fs::remove_dir(dirs.definitions());
    Ok(())
}

/// Who has a name already.
enum Holder {
    /// A file of the administrator's.
    File(PathBuf),
    /// vmnet itself.
    BuiltIn,
    /// Whoever defined it; none if the definition does not say who.
    Defined(Option<Owner>),
}

fn holder(dirs: &Dirs, name: &NetName) -> Option<Holder> {
    source(dirs, name).map(|source| match source {
        Source::File(path) => Holder::File(path),
        Source::BuiltIn => Holder::BuiltIn,
        Source::Defined(path) => Holder::Defined(owner_of(&path).ok()),
    })
}

impl Holder {
    fn phrase(&self) -> String {
        match self {
            Self::File(path) => format!("{} describes it", path.display()),
            Self::BuiltIn => "it is the built-in network".to_owned(),
            Self::Defined(Some(owner)) => format!("it is defined for {owner}"),
            Self::Defined(None) => "its definition does not say whose it is".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
