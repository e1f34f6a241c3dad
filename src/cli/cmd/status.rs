//! `vmnet status [NAME]`

use crate::clients;
use crate::exit::Exit;
use crate::networks;
use crate::places::Places;
use crate::process;
use crate::record::{self, Phase, Record};
use crate::say;
use crate::up::look;
use serde_json::{Value, json};
use vmnet_access::name::NetName;
use vmnet_host::firewalls::firewalld;
use vmnet_host::links::Links;
use vmnet_model::error::{Error, ErrorKind, network};
use vmnet_model::plan::{Aspect, compare};

/// One network's state.
struct Status {
    name: NetName,
    exit: Exit,
    aspects: Vec<Aspect>,
}

/// Wanted beside actual.
pub fn run(places: &Places, name: Option<&NetName>, json: bool) -> Result<Exit, Error> {
    let names = match name {
        Some(name) => vec![name.clone()],
        None => running(places)?,
    };
    let mut all = Vec::new();
    for name in &names {
        match status(places, name) {
            // Something of that name is there, and it is not the network.
            Err(error) if error.kind == ErrorKind::Conflict => {
                say::error(&error.to_string(), error.hint.as_deref());
                return Ok(Exit::Drifted);
            }
            status => all.push(status?),
        }
    }
    let exit = match all.iter().map(|status| status.exit).max_by_key(|exit| *exit as u8) {
        Some(exit) => exit,
        None => Exit::NotUp,
    };
    if json {
        say::json(&json!({ "networks": all.iter().map(Status::json).collect::<Vec<_>>() }));
    } else if all.is_empty() {
        say::line("no network is up");
    } else {
        all.iter().for_each(Status::print);
    }
    Ok(exit)
}

fn running(places: &Places) -> Result<Vec<NetName>, Error> {
    let records = record::all(places)?;
    Ok(records.iter().filter_map(|(_, record)| NetName::new(&record.network).ok()).collect())
}

/// The aspects in which a network differs from its file; none if it is not up.
pub fn drift(places: &Places, name: &NetName) -> Result<Vec<String>, Error> {
    let status = status(places, name)?;
    let drifted = status.aspects.into_iter().filter(|aspect| aspect.wanted != aspect.actual);
    Ok(drifted.map(|aspect| aspect.what).collect())
}

fn status(places: &Places, name: &NetName) -> Result<Status, Error> {
    let room = places.room(&name.bridge());
    let file = networks::read(places, name);
    let record = Record::read(&room)?;
    let (wanted, record) = match (file, record) {
        (Ok(wanted), Some(record)) => (wanted, record),
        (Ok(_), None) => return Ok(Status { name: name.clone(), exit: Exit::NotUp, aspects: Vec::new() }),
        (Err(why), None) => return Err(why.failure("look at", name)),
        // It runs, and nobody can say any more what it should be.
        (Err(why), Some(_)) => {
            let aspects = vec![plain("file", "fit to read", false, &why.phrase())];
            return Ok(Status { name: name.clone(), exit: Exit::Drifted, aspects });
        }
    };
    let links = Links::open().map_err(|error| Error::new("look at", network(name), error))?;
    let outlook = look(places, &links, &wanted, true)?;
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
        aspects.push(plain("keeper", "running", process::keeper(&room).is_some(), "not running"));
    }
    if let Some((wanted, actual)) = clients::settings(&room)? {
        aspects.push(Aspect { what: "switch console".to_owned(), wanted, actual, cure: Vec::new() });
    }
    if record.phase == Phase::Starting {
        aspects.push(plain("start", "finished", false, "interrupted"));
    }
    let drifted = aspects.iter().any(|aspect| aspect.wanted != aspect.actual);
    Ok(Status { name: name.clone(), exit: if drifted { Exit::Drifted } else { Exit::Done }, aspects })
}

fn plain(what: &str, wanted: &str, is: bool, otherwise: &str) -> Aspect {
    let actual = if is { wanted } else { otherwise };
    Aspect { what: what.to_owned(), wanted: wanted.to_owned(), actual: actual.to_owned(), cure: Vec::new() }
}

impl Status {
    fn word(&self) -> &'static str {
        match self.exit {
            Exit::Done => "up",
            Exit::NotUp => "not up",
            _ => "drifted",
        }
    }

    fn print(&self) {
        say::line(&format!("{}: {}", self.name, self.word()));
        if self.aspects.is_empty() {
            return;
        }
        let row = |a: &Aspect| {
            let drift = if a.wanted == a.actual { "" } else { "drifted" };
            vec![a.what.clone(), a.wanted.clone(), a.actual.clone(), drift.to_owned()]
        };
        say::table(&["", "WANTED", "ACTUAL", "DRIFT"], self.aspects.iter().map(row));
    }

    fn json(&self) -> Value {
        let aspect = |a: &Aspect| json!({ "what": a.what, "wanted": a.wanted, "actual": a.actual, "drifted": a.wanted != a.actual });
        json!({
            "name": self.name.as_str(),
            "bridge": self.name.bridge().to_string(),
            "state": self.word(),
            "aspects": self.aspects.iter().map(aspect).collect::<Vec<_>>(),
        })
    }
}
