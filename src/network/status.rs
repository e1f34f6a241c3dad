//! How a network is, beside how its file would have it.

use crate::dirs::Dirs;
use crate::keeper_handle;
use crate::store::run_record::{Phase, Record};
use crate::store::{definitions, run_record};
use crate::up::look;
use vmnet_access::name::NetName;
use vmnet_host::firewalls::firewalld;
use vmnet_host::links::Links;
use vmnet_model::error::{Error, ErrorKind, network};
use vmnet_vswitch::clients;

use vmnet_model::plan::{Aspect, compare};

/// One network.
#[derive(Clone, Debug)]
pub struct Status {
    /// Its name.
    pub name: NetName,
    /// In a word.
    pub state: State,
    /// What it was compared in; none where it is not up.
    pub aspects: Vec<Aspect>,
}

/// A network in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is as its file would have it.
    Up,
    /// It has no record.
    NotUp,
    /// It is up, but not as its file would have it; or that cannot be said any more.
    Drifted,
}

/// The networks that are up, or half up, by their records.
///
/// # Errors
/// A record cannot be read.
pub fn running(dirs: &Dirs) -> Result<Vec<NetName>, Error> {
    let records = run_record::all(dirs)?;
    Ok(records.iter().filter_map(|(_, record)| NetName::new(&record.network).ok()).collect())
}

/// The aspects in which a network differs from its file; none if it is not up.
pub fn drift(dirs: &Dirs, name: &NetName) -> Result<Vec<String>, Error> {
    let status = status(dirs, name)?;
    let drifted = status.aspects.into_iter().filter(|aspect| aspect.wanted != aspect.actual);
    Ok(drifted.map(|aspect| aspect.what).collect())
}

/// How a network is, beside how its file would have it. Only root sees all aspects.
///
/// # Errors
/// There is no such network, or the host cannot be looked at.
pub fn status(dirs: &Dirs, name: &NetName) -> Result<Status, Error> {
    let run_dir = dirs.run_dir(&name.bridge());
    let file = definitions::read(dirs, name);
    let record = Record::read(&run_dir)?;
    let (wanted, record) = match (file, record) {
        (Ok(wanted), Some(record)) => (wanted, record),
        (Ok(_), None) => return Ok(Status { name: name.clone(), state: State::NotUp, aspects: Vec::new() }),
        (Err(why), None) => return Err(why.failure("look at", name)),
        // It runs, and nobody can say any more what it should be.
        (Err(why), Some(_)) => {
            let aspects = vec![plain("file", "fit to read", false, &why.phrase())];
            return Ok(Status { name: name.clone(), state: State::Drifted, aspects });
        }
    };
    let links = Links::open().map_err(|error| Error::new("look at", network(name), error))?;
    // What it runs beside is no drift of its own: only what stands at its bridge's place is told apart.
    let outlook = look(dirs, &links, &wanted, true).map_err(|failure| failure.kind(ErrorKind::Host))?;
    let compared = compare(&outlook.goal, &outlook.seen);
    let mut aspects = compared
        .map_err(|conflict| Error::new("look at", network(name), conflict).kind(ErrorKind::Conflict))?;
    // Nobody else is told by firewalld.
    if nix::unistd::geteuid().is_root()
        && let Some((wanted, actual)) = firewalld::zones(&name.bridge())
    {
        aspects.push(Aspect { what: "firewalld".to_owned(), wanted, actual, cure: Vec::new() });
    }
    // Only root can see who holds the keeper's file.
    if nix::unistd::geteuid().is_root() {
        aspects.push(plain("keeper", "running", keeper_handle::find(&run_dir).is_some(), "not running"));
    }
    if let Some((wanted, actual)) = clients::settings(&run_dir.switch())? {
        aspects.push(Aspect { what: "switch console".to_owned(), wanted, actual, cure: Vec::new() });
    }
    if record.phase == Phase::Starting {
        aspects.push(plain("start", "finished", false, "interrupted"));
    }
    let drifted = aspects.iter().any(|aspect| aspect.wanted != aspect.actual);
    Ok(Status { name: name.clone(), state: if drifted { State::Drifted } else { State::Up }, aspects })
}

fn plain(what: &str, wanted: &str, is: bool, otherwise: &str) -> Aspect {
    let actual = if is { wanted } else { otherwise };
    Aspect { what: what.to_owned(), wanted: wanted.to_owned(), actual: actual.to_owned(), cure: Vec::new() }
}
