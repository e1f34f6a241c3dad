//! Which namespace is meant, held so that it stays the same one while we work.

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use vmnet_model::attach::{NAMES, name_of};
use vmnet_model::error::{Error, ErrorKind};
use vmnet_sys::namespace::{self, Identity, Space};
use vmnet_sys::process::Process;
use vmnet_sys::trust::plain;

/// Which network namespace is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamespaceRef {
    /// That of the process with this number.
    Process(u32),
    /// The one at this path; what has no slash is a name in /run/netns, where `ip netns` keeps them.
    Path(PathBuf),
}

/// A namespace that is there.
#[derive(Debug)]
pub struct Target {
    /// The namespace, in words for people.
    pub label: String,
    /// The namespace, held open.
    pub space: Space,
    /// Its name among those of `ip netns`.
    pub name: Option<String>,
    /// How to find it again.
    pub way: NamespacePath,
}

/// How a namespace is found.
#[derive(Debug)]
pub enum NamespacePath {
    /// By a process in it, which this holds.
    Process(Process),
    /// By a file.
    Path(PathBuf),
}

/// A namespace that is not there.
#[derive(Debug)]
pub struct Absent {
    /// The namespace that was meant, in words for people.
    pub label: String,
    /// What is not there.
    pub cause: &'static str,
    /// A command that would help.
    pub hint: String,
    /// The name that it would have.
    pub name: Option<String>,
}

impl Target {
    /// Open the one that is meant; or say what is not there.
    pub fn open(act: &'static str, meant: &NamespaceRef) -> Result<Result<Self, Absent>, Error> {
        let (label, name, way) = match meant {
            NamespaceRef::Process(pid) => {
                let label = format!("the namespace of process {pid}");
                match namespace::process(*pid) {
                    Ok(process) => (label, None, NamespacePath::Process(process)),
                    Err(error) if is_gone(&error) => return Ok(Err(Absent::process(label))),
                    Err(error) => return Err(Error::new(act, label, plain(&error))),
                }
            }
            NamespaceRef::Path(given) => {
                let is_name =
                    given.components().count() == 1 && !given.as_os_str().as_encoded_bytes().contains(&b'/');
                let path = if is_name { Path::new(NAMES).join(given) } else { given.clone() };
                let name = name_of(&path).map(str::to_owned);
                let label =
                    format!("namespace '{}'", name.clone().unwrap_or_else(|| path.display().to_string()));
                (label, name, NamespacePath::Path(path))
            }
        };
        let failed = |cause: &str| Error::new(act, &label, cause);
        let space = match way.space() {
            Ok(space) => space,
            Err(error) if is_gone(&error) => {
                return Ok(Err(match way {
                    NamespacePath::Process(_) => Absent::process(label),
                    NamespacePath::Path(_) => Absent::file(label, name),
                }));
            }
            Err(error) => return Err(failed(&plain(&error))),
        };
        match namespace::is_network(space.as_fd()) {
            Ok(true) => {}
            Ok(false) => return Err(failed("it is no network namespace").kind(ErrorKind::Invalid)),
            Err(error) => return Err(failed(&plain(&error))),
        }
        let identity = |space: &Space| space.identity().map_err(|error| failed(&plain(&error)));
        let own = Space::own().map_err(|error| failed(&plain(&error)))?;
        if identity(&space)? == identity(&own)? {
            return Err(failed("it is this host's own").kind(ErrorKind::Invalid));
        }
        Ok(Ok(Self { label, space, name, way }))
    }
}

impl NamespacePath {
    /// The namespace that it leads to now.
    pub fn space(&self) -> std::io::Result<Space> {
        match self {
            Self::Process(process) => Space::of(process),
            Self::Path(path) => Space::at(path),
        }
    }

    /// The namespace that is meant now, if it is still the one of this identity.
    pub fn same(&self, identity: Identity) -> Option<Space> {
        self.space().ok().filter(|space| space.identity().is_ok_and(|now| now == identity))
    }
}

impl Absent {
    /// As the failure of an act that needs it.
    pub(crate) fn failure(self, act: &'static str) -> Error {
        Error::new(act, self.label, self.cause).kind(ErrorKind::Invalid).hint(self.hint)
    }

    fn process(label: String) -> Self {
        Self {
            label,
            cause: "no such process",
            hint: "--pid takes a process that runs".to_owned(),
            name: None,
        }
    }

    fn file(label: String, name: Option<String>) -> Self {
        let hint = match &name {
            Some(name) => format!("'ip netns add {name}' makes one"),
            None => format!("--netns takes a file such as /proc/PID/ns/net, or a name in {NAMES}"),
        };
        Self { label, cause: "no such namespace", hint, name }
    }
}

/// ESRCH, or a file in the directory of a process that has ended.
fn is_gone(error: &std::io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(nix::errno::Errno::ESRCH as i32)
}
