//! The access rules, in both grammars.

use std::rc::Rc;
use vmnet_access::name::{IF_NAME_MAX, IfName};
use vmnet_access::rules::grammar::{Dialect, Line, parse};
use vmnet_access::rules::{Account, Accounts, AccountsDown, Bridges, Caller, Effect, Rule, Verdict, judge};

/// Most rules that are judged with and without each other.
const JUDGED_MAX: usize = 24;

/// A user database.
struct Known;

impl Accounts for Known {
    fn user(&self, name: &str) -> Result<Option<u32>, AccountsDown> {
        Ok(match name {
            "alice" => Some(1000),
            "root" => Some(0),
            _ => None,
        })
    }

    fn group(&self, name: &str) -> Result<Option<u32>, AccountsDown> {
        Ok((name == "kvm").then_some(27))
    }
}

/// A file of rules: each line by itself, and who is let in.
#[must_use]
pub fn rules(bytes: &[u8]) -> bool {
    let understood = [Dialect::Qemu, Dialect::Vmnet].map(|dialect| {
        let file = Rc::from("f");
        let Ok(lines) = parse(bytes, dialect, &file) else { return false };
        each_line_stands_alone(bytes, dialect, &lines);
        let rules: Vec<Rule> = lines.iter().filter_map(rule_of).collect();
        rules.iter().for_each(|rule| is_sound(rule, dialect));
        for caller in callers() {
            denying_never_lets_in(&rules, &caller);
            let closed = parse(&[bytes, b"\ndeny all\n"].concat(), dialect, &file);
            let closed: Vec<Rule> = closed.iter().flatten().filter_map(rule_of).collect();
            assert_eq!(closed.len(), rules.len() + 1);
            assert!(bridges(&rules).iter().all(|bridge| limit(&closed, bridge, &caller).is_none()));
        }
        !rules.is_empty()
    });
    understood.contains(&true)
}

fn rule_of(line: &Line) -> Option<Rule> {
    match line {
        Line::Rule(rule) => Some(rule.clone()),
        Line::Include { .. } => None,
    }
}

fn callers() -> [Caller; 2] {
    [Caller { uid: 1000, gid: 1000, groups: vec![27, 1000] }, Caller { uid: 0, gid: 0, groups: Vec::new() }]
}

/// What a line says does not hang on the lines around it, but for its number.
fn each_line_stands_alone(bytes: &[u8], dialect: Dialect, lines: &[Line]) {
    let mut alone = Vec::new();
    for (index, text) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let one = parse(text, dialect, &Rc::from("f"));
        for mut line in one.into_iter().flatten() {
            let (Line::Rule(Rule { place, .. }) | Line::Include { place, .. }) = &mut line;
            place.line = index + 1;
            alone.push(line);
        }
    }
    assert_eq!(alone, lines);
}

fn is_sound(rule: &Rule, dialect: Dialect) {
    if let Bridges::Named(name) = &rule.bridges {
        assert!(name.len() <= IF_NAME_MAX);
    }
    let limited = rule.who != vmnet_access::rules::Who::default() || rule.ports.is_some();
    assert!(!limited || dialect == Dialect::Vmnet, "QEMU's grammar has no limits");
    assert!(rule.ports.is_none_or(|ports| ports > 0 && rule.effect == Effect::Allow));
    for account in rule.who.users.iter().chain(&rule.who.groups) {
        assert!(match account {
            Account::Id(id) => *id != u32::MAX,
            Account::Name(name) => !name.is_empty() && !name.contains([' ', ',', '\t']),
        });
    }
}

/// The bridges that are named, and one that is not.
fn bridges(rules: &[Rule]) -> Vec<IfName> {
    let named = rules.iter().filter_map(|rule| match &rule.bridges {
        Bridges::Named(name) => IfName::new(name).ok(),
        Bridges::All => None,
    });
    named.take(JUDGED_MAX).chain(IfName::new(b"another")).collect()
}

/// How many ports a caller may have; none: not let in.
fn limit(rules: &[Rule], bridge: &IfName, caller: &Caller) -> Option<u64> {
    match judge(rules, bridge, caller, &Known) {
        Ok(Verdict::Allowed { ports, .. }) => Some(ports.map_or(u64::MAX, u64::from)),
        Ok(Verdict::Refused { .. }) | Err(_) => None,
    }
}

/// Without a `deny` nobody gets less, without an `allow` nobody gets more, and order does not matter.
fn denying_never_lets_in(rules: &[Rule], caller: &Caller) {
    let rules = rules.get(..JUDGED_MAX).unwrap_or(rules);
    for bridge in bridges(rules) {
        let whole = limit(rules, &bridge, caller);
        for (index, rule) in rules.iter().enumerate() {
            let mut fewer = rules.to_vec();
            fewer.remove(index);
            let fewer = limit(&fewer, &bridge, caller);
            let (less, more) = if rule.effect == Effect::Deny { (whole, fewer) } else { (fewer, whole) };
            assert!(less <= more, "{rule:?}: {less:?} {more:?}");
        }
        let backwards: Vec<Rule> = rules.iter().rev().cloned().collect();
        assert_eq!(limit(&backwards, &bridge, caller), whole);
    }
}
