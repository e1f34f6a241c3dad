//! A mistake, its place, and its words. Text from the file is shown escaped and shortened, so that a
//! file can never forge a line of output.

use std::fmt;

/// One mistake in a network's file. Its [`fmt::Display`] is `FILE:LINE:COLUMN: message`, one line; the
/// hint is for a line of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file as the caller named it.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// From 1, in characters; one past the last where the end of a line is meant.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to write instead, where that is known.
    pub hint: Option<String>,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

impl std::error::Error for Mistake {}

/// What is wrong, before anybody asked where.
#[derive(Debug)]
pub(crate) struct Fault {
    message: String,
    hint: Option<String>,
    /// The byte of what it contradicts, where that is far away.
    other: Option<usize>,
}

/// A fault and the byte of the text where it begins.
pub(crate) type Found = (usize, Fault);

impl Fault {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, other: None }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The message will name the line of this byte too.
    pub(crate) fn see(self, other: usize) -> Self {
        Self { other: Some(other), ..self }
    }
}

/// Turn bytes into lines and columns: one walk over the text for all of them.
pub(crate) fn locate(file: &str, text: &str, mut found: Vec<Found>) -> Vec<Mistake> {
    found.sort_by_key(|(at, _)| *at);
    let newlines: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
    let line_of = |byte: usize| newlines.partition_point(|newline| *newline < byte) + 1;
    let mut chars = text.char_indices().peekable();
    let (mut line, mut column) = (1, 1);
    let mut mistakes = Vec::with_capacity(found.len());
    for (at, fault) in found {
        while let Some((_, c)) = chars.next_if(|(index, _)| *index < at) {
            (line, column) = if c == '\n' { (line + 1, 1) } else { (line, column + 1) };
        }
        mistakes.push(Mistake {
            file: file.to_owned(),
            line,
            column,
            message: match fault.other {
                Some(other) => format!("{}, see line {}", fault.message, line_of(other)),
                None => fault.message,
            },
            hint: fault.hint,
        });
    }
    mistakes
}

/// Longest piece of the file that a message repeats, in characters.
const SHOWN_MAX: usize = 60;

/// A piece of the file as a message may repeat it: one line, nothing that a terminal would obey.
pub(crate) fn shown(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().take(SHOWN_MAX) {
        match c {
            '\'' | '"' | '\\' => out.push(c),
            c => out.extend(c.escape_debug()),
        }
    }
    if text.chars().nth(SHOWN_MAX).is_some() {
        out.push_str("...");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says_never_reaches_the_terminal_raw() {
        assert_eq!(shown("a\x1b[2J\nb\u{202e}'"), "a\\u{1b}[2J\\nb\\u{202e}'");
        assert_eq!(shown(&"x".repeat(1000)).len(), SHOWN_MAX + 3);
    }

    #[test]
    fn columns_count_characters_and_places_come_in_order() {
        let found = vec![(7, Fault::new("end")), (0, Fault::new("begin")), (6, Fault::new("after"))];
        let places: Vec<_> =
            locate("f", "é\nä\nb", found).iter().map(|m| (m.line, m.column, m.message.clone())).collect();
        assert_eq!(places, [(1, 1, "begin".into()), (3, 1, "after".into()), (3, 2, "end".into())]);
    }
}
