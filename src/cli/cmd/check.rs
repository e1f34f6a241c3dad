//! `vmnet check [NAME]`: the network files, and without a name the access rules too.

use crate::exit::Exit;
use crate::say;
use serde_json::{Value, json};
use vmnet_access::name::NetName;
use vmnet_model::error::Error;
use vmnet_network::dirs::Dirs;
use vmnet_network::store::definitions::{self, Owner, Unreadable};
use vmnet_port::policy::{self, PolicyError, RuleSet};
use vmnet_sys::caller::Database;
use vmnet_sys::trust::Reader;

/// Something worth telling.
struct Finding {
    error: bool,
    text: String,
    hint: Option<String>,
}

/// Tell every mistake at once. Exit 1 if there is an error; remarks alone are no error.
pub fn run(dirs: &Dirs, name: Option<&NetName>, json: bool) -> Result<Exit, Error> {
    let mut findings = Vec::new();
    let names = match name {
        Some(name) => vec![name.clone()],
        None => definitions::names(dirs)?,
    };
    for name in &names {
        if let Err(why) = definitions::read(dirs, name) {
            findings.extend(mistakes(why, name));
        }
        findings.extend(passed_over(dirs, name));
    }
    if name.is_none() {
        findings.extend(rules(dirs));
    }
    let failed = findings.iter().any(|finding| finding.error);
    if json {
        say::json(
            &json!({ "ok": !failed, "findings": findings.iter().map(Finding::json).collect::<Vec<_>>() }),
        );
    } else {
        findings.iter().for_each(Finding::print);
        if findings.is_empty() {
            say::line(&format!("{} checked, nothing to say", count(names.len())));
        }
    }
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

fn count(networks: usize) -> String {
    if networks == 1 { "1 network".to_owned() } else { format!("{networks} networks") }
}

fn mistakes(why: Unreadable, name: &NetName) -> Vec<Finding> {
    match why {
        Unreadable::Unknown => vec![Finding::error(format!("{name}: no such network"))],
        Unreadable::File(why) => vec![Finding::error(why)],
        Unreadable::Mistakes(all) => all
            .into_iter()
            .map(|mistake| Finding { error: true, text: mistake.to_string(), hint: mistake.hint })
            .collect(),
    }
}

/// A definition that does not count is nobody's mistake, but whoever defined it may wonder.
fn passed_over(dirs: &Dirs, name: &NetName) -> Option<Finding> {
    let definition = definitions::passed_over(dirs, name)?;
    let counts = match definitions::owner(dirs, name) {
        Ok(Owner::File) => definitions::place(dirs, name).display().to_string(),
        _ => "the built-in network".to_owned(),
    };
    let owner = definition.owner.map(|owner| format!(", of {owner},")).unwrap_or_default();
    Some(Finding::remark(format!("{}{owner} is passed over: {counts} counts", definition.path.display())))
}

fn rules(dirs: &Dirs) -> Vec<Finding> {
    match policy::collect(&dirs.rules(), Reader::Myself) {
        Ok(set) => remarks(&set),
        Err(error @ PolicyError::NoFile(_)) => vec![Finding::remark(format!("nobody may plug in: {error}"))],
        Err(error) => vec![Finding::error(error.to_string())],
    }
}

fn remarks(set: &RuleSet) -> Vec<Finding> {
    let mut findings = Vec::new();
    for rule in &set.rules {
        findings.extend(rule.remark().map(|remark| Finding::remark(format!("{}: {remark}", rule.place))));
        findings.extend(
            policy::unknown(rule, &Database)
                .into_iter()
                .map(|why| Finding::remark(format!("{}: {why}", rule.place))),
        );
    }
    findings.extend(
        set.missing
            .iter()
            .map(|(place, path)| Finding::remark(format!("{place}: {} does not exist", path.display()))),
    );
    findings.extend(
        set.withheld
            .iter()
            .map(|path| Finding::remark(format!("{}: not readable by you, so unchecked", path.display()))),
    );
    findings
}

impl Finding {
    fn error(text: String) -> Self {
        Self { error: true, text, hint: None }
    }

    fn remark(text: String) -> Self {
        Self { error: false, text, hint: None }
    }

    fn print(&self) {
        let kind = if self.error { "" } else { "warning: " };
        say::line(&format!("{kind}{}", self.text));
        if let Some(hint) = &self.hint {
            say::line(&format!("hint: {hint}"));
        }
    }

    fn json(&self) -> Value {
        json!({ "severity": if self.error { "error" } else { "warning" }, "text": self.text, "hint": self.hint })
    }
}
