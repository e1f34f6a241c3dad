//! What the TOML parser complains about, in an administrator's words. The commonest slip, text
//! without quotes, gets its own words, because the parser's (`expected nan`) would not help.

use crate::mistake::{Fault, Found, shown};
use std::borrow::Cow;
use std::ops::Range;
use toml::de::{DeTable, Error};

/// The text with spaces in place of each line that keeps the parser from building what follows it, and
/// a fault for each; bytes stay where they are. Without this, one such line would hide every later mistake.
pub(crate) fn legible(text: &str) -> (Cow<'_, str>, Vec<Found>) {
    let (_, errors) = DeTable::parse_recoverable(text);
    let mut blank = Cow::Borrowed(text);
    let mut found: Vec<Found> = Vec::new();
    let mut halts: Vec<_> = errors.iter().filter_map(|error| halt(text, error)).collect();
    halts.sort_by_key(|(line, _)| line.start);
    halts.dedup_by_key(|(line, _)| line.start);
    for (line, why) in halts {
        let content = text.get(line.clone()).unwrap_or_default();
        let indent = content.len() - content.trim_start().len();
        found.push((line.start + indent, Fault::new(format!("'{}' {why}", shown(content.trim())))));
        blank.to_mut().replace_range(line.clone(), &" ".repeat(line.len()));
    }
    (blank, found)
}

/// The line after which the parser builds no more, or not where it should, and why.
fn halt(text: &str, error: &Error) -> Option<(Range<usize>, &'static str)> {
    let why = match error.message() {
        message if message.starts_with("key with no value") => "is not of the form KEY = VALUE",
        message if message.starts_with("unclosed table") => "lacks its closing bracket",
        _ => return None,
    };
    Some((line_around(text, error.span()?.start), why))
}

/// One fault for each complaint; of those nobody translated, one a line, since the parser repeats itself.
pub(crate) fn faults(text: &str, errors: &[Error]) -> Vec<Found> {
    let mut errors: Vec<_> = errors.iter().map(|error| (error.span().unwrap_or(0..0), error)).collect();
    errors.sort_by_key(|(span, _)| span.start);
    let mut found: Vec<Found> = Vec::new();
    let (mut line, mut said) = (line_around(text, 0), false);
    for (span, error) in errors {
        if span.start > line.end {
            (line, said) = (line_around(text, span.start), false);
        }
        let told = match error.message() {
            "duplicate key" => Some((span.start, twice(text.get(span.clone()).unwrap_or_default()))),
            message
                if message.ends_with("string, expected `\"`")
                    || message.ends_with("string, expected `'`") =>
            {
                Some((span.start, Fault::new("the closing quote is missing")))
            }
            message => bare_value(text, &line, &span, message),
        };
        match told {
            Some(fault) => found.push(fault),
            None if said => continue,
            None => found.push((span.start, Fault::new(format!("not TOML: {}", error.message())))),
        }
        said = true;
    }
    found.dedup_by_key(|(at, _)| *at);
    found
}

/// The parts of the text whose meaning the faults leave in doubt: each one's line, and where that is a
/// `[section]` line, all lines under it; ends of lines included.
pub(crate) fn astray(text: &str, faults: &[Found]) -> Vec<Range<usize>> {
    let mut parts: Vec<Range<usize>> = Vec::new();
    for (at, _) in faults {
        if parts.last().is_some_and(|part| part.contains(at)) {
            continue;
        }
        let line = line_around(text, *at);
        let mut end = line.end;
        if text.get(line.clone()).unwrap_or_default().trim_start().starts_with('[') {
            let rest = text.get(line.end..).unwrap_or_default();
            end = rest.find("\n[").map_or(text.len(), |next| line.end + next);
        }
        parts.push(line.start..end + 1);
    }
    parts
}

fn twice(key: &str) -> Fault {
    Fault::new(format!("'{}' is given twice", shown(key.trim_matches(['"', '\'']))))
}

/// The fault, if the complaint is about a value that should stand in quotes or be `true` or `false`.
fn bare_value(text: &str, line: &Range<usize>, span: &Range<usize>, message: &str) -> Option<Found> {
    let about_value = ["string values must be quoted", "invalid float", "invalid bool", "invalid date"];
    if !about_value.iter().any(|start| message.starts_with(start)) {
        return None;
    }
    let ends_word = |c: char| c.is_whitespace() || "=,[]{}#\"'".contains(c);
    let start = text.get(line.start..span.start)?.rfind(ends_word).map_or(line.start, |i| line.start + i + 1);
    let length = text.get(start..line.end)?.find(ends_word).unwrap_or(line.end - start);
    let word = text.get(start..start + length)?;
    if word.is_empty() {
        return Some((start, Fault::new("a value is missing")));
    }
    if span.end > start + length {
        let value = shown(text.get(start..span.end)?);
        let fault = Fault::new(format!("'{value}' is not one value"));
        return Some((start, fault.hint("text stands in quotes, and each key on a line of its own")));
    }
    let switch = match word.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Some("true"),
        "false" | "no" | "off" => Some("false"),
        _ => None,
    };
    let word = shown(word);
    let fault = match switch {
        Some(switch) => Fault::new(format!("'{word}' is not a value")).hint(format!("write {switch}")),
        None => Fault::new(format!("'{word}' must stand in quotes")).hint(format!("write \"{word}\"")),
    };
    Some((start, fault))
}

/// The line that byte `at` is on, without its newline.
fn line_around(text: &str, at: usize) -> Range<usize> {
    let start = text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
    let rest = text.get(start..).unwrap_or_default();
    start..start + rest.find('\n').unwrap_or(rest.len())
}
