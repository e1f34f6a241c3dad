//! The two grammars. QEMU's is read as `parse_acl_file` in qemu-bridge-helper.c reads it, quirks
//! included, except that a bad line names its place and refuses everything. Ours has the same
//! words and limits besides.

use super::{Account, Bridges, Effect, Place, Rule, Who};
use crate::name::{IF_NAME_MAX, NetName};
use std::fmt;
use std::rc::Rc;

/// Longest line: QEMU reads 4,095 bytes at a time and takes the rest for a line of its own, so
/// that the tail of a long comment acts as a rule. Here it is an error.
pub const LINE_MAX: usize = 4094;

/// Which grammar a file is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `/etc/qemu/bridge.conf`
    Qemu,
    /// `/etc/vmnet/bridge.conf`
    Vmnet,
}

/// One line of a rule file that says something: no blank line, no comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// `allow` or `deny`.
    Rule(Rule),
    /// `include PATH`, relative to the directory of the file it stands in.
    Include {
        /// The path as written.
        path: Vec<u8>,
        /// The file and line with the mistake.
        place: Place,
    },
}

/// A line that is no rule. Nothing in its file counts, and access is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where.
    pub place: Place,
    /// The mistake in that line.
    pub fault: Fault,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A word without an argument.
    Invalid(String),
    /// Not allow, deny or include.
    UnknownCommand(String),
    /// A bridge name that no interface can have.
    TooLong(String, usize),
    /// More bytes than [`LINE_MAX`].
    LongLine,
    /// A word behind the name that is not `user=`, `group=` or `ports=`.
    UnknownLimit(String),
    /// A limit without a usable value.
    BadLimit(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(line) => write!(f, "invalid config line: '{line}'"),
            Self::UnknownCommand(word) => {
                write!(f, "unknown command '{word}'; it is allow, deny or include")
            }
            Self::TooLong(name, n) => write!(f, "name '{name}' too long: {n}"),
            Self::LongLine => write!(f, "line longer than {LINE_MAX} bytes"),
            Self::UnknownLimit(word) => {
                write!(f, "unknown word '{word}'; behind the name stand user=, group= or ports=")
            }
            Self::BadLimit(word) => write!(f, "bad value in '{word}'"),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.fault)
    }
}

impl std::error::Error for Mistake {}

/// Every rule and include of one file, in order.
///
/// # Errors
/// The first bad line.
pub fn parse(text: &[u8], dialect: Dialect, file: &Rc<str>) -> Result<Vec<Line>, Mistake> {
    let mut lines = Vec::new();
    for (index, raw) in text.split(|b| *b == b'\n').enumerate() {
        let place = Place { file: Rc::clone(file), line: index + 1 };
        let parsed = if raw.len() > LINE_MAX {
            Err(Fault::LongLine)
        } else {
            match dialect {
                Dialect::Qemu => qemu_line(raw, &place),
                Dialect::Vmnet => vmnet_line(raw, &place),
            }
        };
        match parsed {
            Ok(Some(line)) => lines.push(line),
            Ok(None) => {}
            Err(fault) => return Err(Mistake { place, fault }),
        }
    }
    Ok(lines)
}

/// GLib's `g_ascii_isspace`, which is the C locale's less the vertical tab.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0c)
}

fn trim_start(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|b| !is_space(*b)).unwrap_or(text.len());
    text.get(start..).unwrap_or_default()
}

fn trim(text: &[u8]) -> &[u8] {
    let text = trim_start(text);
    let end = text.iter().rposition(|b| !is_space(*b)).map_or(0, |last| last + 1);
    text.get(..end).unwrap_or_default()
}

fn split_at(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|b| *b == separator)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

fn show(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn qemu_line(raw: &[u8], place: &Place) -> Result<Option<Line>, Fault> {
    // A C string ends at its first NUL.
    let raw = split_at(raw, 0).map_or(raw, |(before, _)| before);
    let line = trim_start(raw);
    if line.is_empty() || line.starts_with(b"#") {
        return Ok(None);
    }
    let (command, argument) = split_at(line, b' ')
        .or_else(|| split_at(line, b'\t'))
        .ok_or_else(|| Fault::Invalid(show(trim(line))))?;
    let argument = trim(argument);
    if command != b"include" && argument.len() > IF_NAME_MAX {
        return Err(Fault::TooLong(show(argument), argument.len()));
    }
    let effect = match command {
        b"allow" => Effect::Allow,
        b"deny" => Effect::Deny,
        b"include" => {
            return Ok(Some(Line::Include { path: argument.to_vec(), place: place.clone() }));
        }
        other => return Err(Fault::UnknownCommand(show(other))),
    };
    let bridges = bridges(argument);
    Ok(Some(Line::Rule(Rule { effect, bridges, who: Who::default(), ports: None, place: place.clone() })))
}

fn bridges(word: &[u8]) -> Bridges {
    if word == b"all" { Bridges::All } else { Bridges::Named(word.to_vec()) }
}

fn vmnet_line(raw: &[u8], place: &Place) -> Result<Option<Line>, Fault> {
    let line = trim(split_at(raw, b'#').map_or(raw, |(before, _)| before));
    if line.is_empty() {
        return Ok(None);
    }
    let mut words = line.split(|b| is_space(*b)).filter(|word| !word.is_empty());
    let command = words.next().unwrap_or_default();
    let effect = match command {
        b"allow" => Effect::Allow,
        b"deny" => Effect::Deny,
        b"include" => {
            let path = trim(line.get(command.len()..).unwrap_or_default());
            return if path.is_empty() {
                Err(Fault::Invalid(show(line)))
            } else {
                Ok(Some(Line::Include { path: path.to_vec(), place: place.clone() }))
            };
        }
        other => return Err(Fault::UnknownCommand(show(other))),
    };
    let name = words.next().ok_or_else(|| Fault::Invalid(show(line)))?;
    let mut rule = Rule {
        effect,
        bridges: known_bridges(name)?,
        who: Who::default(),
        ports: None,
        place: place.clone(),
    };
    for word in words {
        limit(&mut rule, word)?;
    }
    Ok(Some(Line::Rule(rule)))
}

/// A network whose name is longer than an interface's may be named here too: its bridge is meant.
fn known_bridges(name: &[u8]) -> Result<Bridges, Fault> {
    if name.len() <= IF_NAME_MAX {
        return Ok(bridges(name));
    }
    let network = std::str::from_utf8(name).ok().and_then(|name| NetName::new(name).ok());
    let network = network.ok_or_else(|| Fault::TooLong(show(name), name.len()))?;
    Ok(Bridges::Named(network.bridge().as_bytes().to_vec()))
}

fn limit(rule: &mut Rule, word: &[u8]) -> Result<(), Fault> {
    let bad = || Fault::BadLimit(show(word));
    let Some((key, value)) = split_at(word, b'=') else { return Err(Fault::UnknownLimit(show(word))) };
    let value = std::str::from_utf8(value).map_err(|_| bad())?;
    match key {
        b"user" => rule.who.users.extend(accounts(value).ok_or_else(bad)?),
        b"group" => rule.who.groups.extend(accounts(value).ok_or_else(bad)?),
        b"ports" if rule.effect == Effect::Allow && rule.ports.is_none() => {
            rule.ports = Some(number(value).filter(|n| *n > 0).ok_or_else(bad)?);
        }
        b"ports" => return Err(bad()),
        _ => return Err(Fault::UnknownLimit(show(word))),
    }
    Ok(())
}

fn number(text: &str) -> Option<u32> {
    if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn accounts(list: &str) -> Option<Vec<Account>> {
    list.split(',').map(account).collect()
}

fn account(name: &str) -> Option<Account> {
    if let Some(id) = number(name) {
        // The kernel keeps the last number for "nobody in particular".
        return (id != u32::MAX).then_some(Account::Id(id));
    }
    let legal = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() || b >= 0x80);
    legal.then(|| Account::Name(name.to_owned()))
}
