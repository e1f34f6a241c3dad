//! Printing: never a panic, never a control byte of a stranger, and a reader that went away is no
//! error.

use comfy_table::{Table, presets};
use std::io::{Write, stderr, stdout};

/// One sentence on standard error, perhaps a hint below it.
pub fn error(sentence: &str, hint: Option<&str>) {
    let hint = hint.map(|hint| format!("hint: {hint}\n")).unwrap_or_default();
    let _ = stderr().write_all(format!("vmnet: {sentence}\n{hint}").as_bytes());
}

/// Text on standard output. When nobody reads any more, there is nobody to tell.
pub fn text(text: &str) {
    let mut out = stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// One more line on standard output for whoever follows; false if nobody does any more.
pub fn followed(line: &str) -> bool {
    let mut out = stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush()).is_ok()
}

/// One line on standard output.
pub fn line(line: &str) {
    text(&format!("{line}\n"));
}

/// A value as JSON.
pub fn json(value: &serde_json::Value) {
    line(&format!("{value:#}"));
}

/// A table, its columns aligned, without frames.
pub fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    // Each cell is padded by one space on both sides.
    let lines: Vec<String> =
        table.lines().map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned()).collect();
    line(&lines.join("\n"));
}
