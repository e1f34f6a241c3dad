//! `vmnet doctor [NAME] [--fix] [--json]`: what on this host breaks guests' networking, and its cure.

use super::need_root;
use crate::exit::Exit;
use crate::say;
use serde_json::{Value, json};
use vmnet_access::name::NetName;
use vmnet_doctor;
use vmnet_doctor::{Finding, Report, Severity};
use vmnet_model::error::Error;
use vmnet_network::dirs::Dirs;

/// What became of a finding.
enum Outcome {
    /// It was only told.
    Told,
    /// It is cured.
    Fixed,
    /// It could not be cured.
    Failed(Error),
}

/// Examine, perhaps cure, and tell. Exit 4 if anything but notes is left, 1 if a cure failed.
pub fn run(dirs: &Dirs, name: Option<&NetName>, fix: bool, json: bool) -> Result<Exit, Error> {
    if fix {
        need_root("fix", "this host".to_owned())?;
    }
    let Report { findings, unseen } = vmnet_doctor::examine(dirs, name)?;
    let mut told = Vec::new();
    for finding in findings {
        let outcome = match finding.fix.as_ref().filter(|_| fix) {
            None => Outcome::Told,
            Some(safe) => match vmnet_doctor::cure(dirs, safe) {
                Ok(()) => Outcome::Fixed,
                Err(failure) => Outcome::Failed(failure),
            },
        };
        told.push((finding, outcome));
    }
    if json {
        let rows: Vec<Value> = told.iter().map(|(finding, outcome)| row(finding, outcome)).collect();
        say::json(&json!({ "ok": exit(&told) == Exit::Done, "findings": rows, "unseen": unseen }));
    } else {
        told.iter().for_each(|(finding, outcome)| print(finding, outcome));
        unseen.iter().for_each(|what| say::line(&format!("not seen: {what}")));
        if told.is_empty() && unseen.is_empty() {
            say::line("nothing to say");
        }
    }
    Ok(exit(&told))
}

fn exit(told: &[(Finding, Outcome)]) -> Exit {
    let is_left = |(finding, outcome): &(Finding, Outcome)| {
        finding.severity != Severity::Note && !matches!(outcome, Outcome::Fixed)
    };
    if told.iter().any(|(_, outcome)| matches!(outcome, Outcome::Failed(_))) {
        Exit::Failed
    } else if told.iter().any(is_left) {
        Exit::Drifted
    } else {
        Exit::Done
    }
}

fn print(finding: &Finding, outcome: &Outcome) {
    let Finding { id, severity, what, cause, cure, .. } = finding;
    say::line(&format!("{}: {what} [{id}]", severity.as_str()));
    say::line(&format!("  because: {cause}"));
    match outcome {
        Outcome::Told if cure.is_empty() => {}
        Outcome::Told => say::line(&format!("  cure: {cure}")),
        Outcome::Fixed => say::line(&format!("  fixed: {cure}")),
        Outcome::Failed(failure) => {
            say::line(&format!("  not fixed: {failure}"));
            say::line(&format!("  cure: {cure}"));
        }
    }
}

fn row(finding: &Finding, outcome: &Outcome) -> Value {
    json!({
        "id": finding.id,
        "severity": finding.severity.as_str(),
        "object": finding.object,
        "what": finding.what,
        "cause": finding.cause,
        "cure": Some(&finding.cure).filter(|cure| !cure.is_empty()),
        "safe": finding.fix.is_some(),
        "fixed": matches!(outcome, Outcome::Fixed),
        "failure": match outcome {
            Outcome::Failed(failure) => Some(failure.to_string()),
            Outcome::Told | Outcome::Fixed => None,
        },
    })
}
