//! What a part of the bench found: a few lines for the person who waits, a table for the document.

use std::fmt;

/// One part's result.
#[derive(Debug, Default)]
pub struct Section {
    /// The heading.
    pub title: String,
    /// How it was measured.
    pub method: String,
    /// The table: its first row is the head.
    pub rows: Vec<Vec<String>>,
    /// What follows from it, a line each.
    pub lines: Vec<String>,
    /// What is only printed, because the table says the same.
    pub printed: Vec<String>,
}

impl Section {
    /// One without rows.
    #[must_use]
    pub fn new(title: &str, method: &str, head: &[&str]) -> Self {
        let head = head.iter().map(|&word| word.to_owned()).collect();
        Self { title: title.into(), method: method.into(), rows: vec![head], ..Self::default() }
    }

    /// Add a row of the table.
    pub fn row(&mut self, cells: &[&str]) {
        self.rows.push(cells.iter().map(|&cell| cell.to_owned()).collect());
    }

    /// Add a line that follows from the table.
    pub fn line(&mut self, line: String) {
        self.lines.push(line);
    }

    /// Add a line that is only printed.
    pub fn print(&mut self, line: String) {
        self.printed.push(line);
    }
}

/// In Markdown.
impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n## {}\n\n{}\n", self.title, self.method)?;
        for (number, row) in self.rows.iter().enumerate() {
            writeln!(f, "| {} |", row.join(" | "))?;
            if number == 0 {
                writeln!(f, "|{}", " --- |".repeat(row.len()))?;
            }
        }
        if self.rows.len() > 1 {
            writeln!(f)?;
        }
        self.lines.iter().try_for_each(|line| writeln!(f, "- {line}"))
    }
}
