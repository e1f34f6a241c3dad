//! Access rules that can never match: they are typed for somebody who then stands outside.

use super::finding::{Finding, Report, Severity, quoted};
use super::host::Host;
use vmnet_access::name::{IfName, NetName};
use vmnet_access::rules::{Bridges, Effect, Place, Rule};
use vmnet_network::store::definitions;
use vmnet_port::policy::{self, PolicyError};
use vmnet_sys::caller::Database;
use vmnet_sys::trust::Reader;

/// Which of the rules, as `vmnet check` reads them, match nothing.
pub(super) fn check(host: &Host<'_>, report: &mut Report) {
    let set = match policy::collect(&host.dirs.rules(), Reader::Myself) {
        Ok(set) => set,
        // Nobody was let in yet, which is where every host begins.
        Err(PolicyError::NoFile(_)) => return,
        Err(error) => return report.findings.push(unreadable(&error.to_string())),
    };
    let networks: Vec<IfName> =
        definitions::names(host.dirs).unwrap_or_default().iter().map(NetName::bridge).collect();
    let known = |bridge: &IfName| {
        networks.contains(bridge) || host.seen.links.iter().any(|link| link.name == *bridge)
    };
    for rule in &set.rules {
        report.findings.extend(rule.remark().map(|remark| matches_nothing(&rule.place, &remark)));
        report.findings.extend(without_bridge(rule, known));
        report.findings.extend(without_accounts(rule, &policy::unknown(rule, &Database)));
    }
    for (place, path) in &set.missing {
        report.findings.push(matches_nothing(place, &format!("{} does not exist", path.display())));
    }
    report.unseen.extend(set.withheld.iter().map(|path| format!("{}: you may not read it", path.display())));
}

/// A rule whose bridge is neither a network nor a link of this host; a name that no interface can
/// have is told elsewhere ([`Rule::remark`]).
fn without_bridge(rule: &Rule, is_known: impl Fn(&IfName) -> bool) -> Option<Finding> {
    let Bridges::Named(bytes) = &rule.bridges else { return None };
    let bridge = IfName::new(bytes).ok().filter(|bridge| rule.remark().is_none() && !is_known(bridge))?;
    if rule.effect == Effect::Deny {
        return None;
    }
    let network = std::str::from_utf8(bytes).ok().and_then(|name| NetName::new(name).ok());
    Some(Finding {
        id: "rule-without-bridge",
        cure: match network {
            Some(network) => format!("vmnet init {network}"),
            None => comment_out(&rule.place),
        },
        ..matches_nothing(&rule.place, &format!("'{bridge}' is neither a network nor a bridge of this host"))
    })
}

/// A rule for nobody but accounts that do not exist, or for some such.
fn without_accounts(rule: &Rule, unknown: &[String]) -> Option<Finding> {
    let why = unknown.join(", ");
    match unknown.len() {
        0 => None,
        all if all == rule.who.users.len() + rule.who.groups.len() => {
            Some(matches_nothing(&rule.place, &why))
        }
        _ => Some(unknown_account(&rule.place, &why)),
    }
}

/// A rule or an include that matches nothing, and why.
fn matches_nothing(place: &Place, why: &str) -> Finding {
    Finding {
        id: "rule-matches-nothing",
        severity: Severity::Warning,
        object: place.to_string(),
        what: format!("{place}: {why}"),
        cause: "the line matches nobody and nothing".to_owned(),
        cure: comment_out(place),
        fix: None,
    }
}

/// Rules that cannot be read: nobody is let in.
fn unreadable(why: &str) -> Finding {
    Finding {
        id: "rules-unreadable",
        severity: Severity::Fault,
        object: why.split(": ").next().unwrap_or(why).to_owned(),
        what: why.to_owned(),
        cause: "a rule file with a mistake lets nobody in".to_owned(),
        cure: "vmnet check".to_owned(),
        fix: None,
    }
}

/// A rule that also names somebody who does not exist.
fn unknown_account(place: &Place, why: &str) -> Finding {
    Finding {
        id: "rule-unknown-account",
        severity: Severity::Note,
        cause: "the rule holds for the others that it names".to_owned(),
        cure: format!("vi +{} {}", place.line, quoted(&place.file)),
        ..matches_nothing(place, why)
    }
}

fn comment_out(place: &Place) -> String {
    format!("sed -i '{}s/^/# /' {}", place.line, quoted(&place.file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use vmnet_access::rules::grammar::{Dialect, Line, parse};

    fn rule(line: &str) -> Rule {
        match parse(line.as_bytes(), Dialect::Vmnet, &"/r".into()).unwrap().remove(0) {
            Line::Rule(rule) => rule,
            Line::Include { .. } => panic!("no rule"),
        }
    }

    #[test]
    fn only_an_allow_for_a_bridge_that_is_nowhere_is_told() {
        let known = |bridge: &IfName| bridge.as_bytes() == b"brmgr0";
        assert_eq!(without_bridge(&rule("allow brmgr0"), known), None);
        assert_eq!(without_bridge(&rule("allow all"), known), None);
        assert_eq!(without_bridge(&rule("deny nowhere"), known), None);
        let told = without_bridge(&rule("allow nowhere user=alice"), known).unwrap();
        assert_eq!((told.object.as_str(), told.cure.as_str()), ("/r:1", "vmnet init nowhere"));
        let told = without_bridge(&rule("allow _x"), known).unwrap();
        assert_eq!(told.cure, "sed -i '1s/^/# /' /r");
    }
    #[test]
    fn a_rule_holds_as_long_as_one_account_of_it_exists() {
        let rule = rule("allow brmgr0 user=alice,root group=7");
        let severity = |unknown: &[&str]| {
            let unknown: Vec<String> = unknown.iter().map(|&why| why.to_owned()).collect();
            without_accounts(&rule, &unknown).map(|finding| (finding.id, finding.severity))
        };
        assert_eq!(severity(&[]), None);
        assert_eq!(severity(&["one", "two"]), Some(("rule-unknown-account", Severity::Note)));
        assert_eq!(severity(&["one", "two", "three"]), Some(("rule-matches-nothing", Severity::Warning)));
    }
}
