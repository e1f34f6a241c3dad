//! `vmnet access NAME [--user U]`: the verdict that the helper would give, and the line behind it.

use crate::exit::Exit;
use crate::say;
use serde_json::json;
use vmnet_access::name::IfName;
use vmnet_access::rules::{Caller, Verdict};
use vmnet_model::error::{Error, ErrorKind};
use vmnet_network::dirs::Dirs;
use vmnet_port::policy;
use vmnet_sys::caller;
use vmnet_sys::trust::{Reader, plain};

/// Ask.
pub fn run(dirs: &Dirs, bridge: &IfName, user: Option<&str>, json: bool) -> Result<Exit, Error> {
    let who = match user {
        None => caller::real().map_err(|error| Error::new("learn", "who asks", plain(&error)))?,
        Some(user) => named(user)?,
    };
    let root = nix::unistd::geteuid().is_root();
    let failed = |cause: &dyn std::fmt::Display| Error::new("judge", format!("bridge '{bridge}'"), cause);
    let reader = if root { Reader::RootFor(&who) } else { Reader::Myself };
    let set = policy::collect(&dirs.rules(), reader).map_err(|error| failed(&error))?;
    let verdict = set.judge(bridge, &who, &caller::Database).map_err(|error| failed(&error))?;
    let name = caller::name_of(who.uid);
    if json {
        say::json(&as_json(bridge, &name, &who, &verdict));
    } else {
        say::line(&sentence(bridge, &name, &verdict));
        for path in &set.withheld {
            say::line(&format!("allow lines of {} do not count: {name} may not read it", path.display()));
        }
    }
    Ok(if matches!(verdict, Verdict::Allowed { .. }) { Exit::Done } else { Exit::Failed })
}

fn named(user: &str) -> Result<Caller, Error> {
    let object = format!("user '{}'", user.escape_debug());
    match caller::named(user) {
        Ok(Some(who)) => Ok(who),
        Ok(None) => Err(Error::new("look up", object, "no such user").kind(ErrorKind::Invalid)),
        Err(error) => Err(Error::new("look up", object, plain(&error))),
    }
}

fn sentence(bridge: &IfName, user: &str, verdict: &Verdict) -> String {
    match verdict {
        Verdict::Allowed { by, ports: None } => format!("allowed: {user} may use {bridge} ({by})"),
        Verdict::Allowed { by, ports: Some(1) } => {
            format!("allowed: {user} may use 1 port of {bridge} ({by})")
        }
        Verdict::Allowed { by, ports: Some(n) } => {
            format!("allowed: {user} may use {n} ports of {bridge} ({by})")
        }
        Verdict::Refused { by: Some(by) } => format!("refused: {user} may not use {bridge} ({by})"),
        Verdict::Refused { by: None } => format!("refused: {user} may not use {bridge} (no rule allows it)"),
    }
}

fn as_json(bridge: &IfName, user: &str, who: &Caller, verdict: &Verdict) -> serde_json::Value {
    let (allowed, by, ports) = match verdict {
        Verdict::Allowed { by, ports } => (true, Some(by), *ports),
        Verdict::Refused { by } => (false, by.as_ref(), None),
    };
    json!({
        "bridge": bridge.to_string(),
        "user": user,
        "uid": who.uid,
        "allowed": allowed,
        "file": by.map(|place| place.file.to_string()),
        "line": by.map(|place| place.line),
        "ports": ports,
    })
}
