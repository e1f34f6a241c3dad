//! nftables by its own program: one process for each call, whatever the size of the text, since
//! nearly all of its time is the kernel's for one transaction.

use crate::{Output, Started, Tool, ToolError};

const NFT: &str = "nft";
const ABSENT: &str = "Error: No such file or directory";

/// Loads a text in one transaction: all of it, or, on any error, nothing.
///
/// # Errors
/// nft's own first error line, among others of [`ToolError`].
pub fn load(text: &str) -> Result<(), ToolError> {
    Tool::find(NFT)?.run(&["-f", "-"], text).map(drop)
}

/// nft, loaded and waiting for a text.
#[derive(Debug)]
pub struct Ready(Started);

/// Starts nft, so that it is ready when the text is: it takes longer to start than to add a rule.
///
/// # Errors
/// When it cannot be started.
pub fn ready() -> Result<Ready, ToolError> {
    Tool::find(NFT)?.start(&["-f", "-"]).map(Ready)
}

impl Ready {
    /// Has it load a text while something else is done; answers as [`load`] does, and what came of that.
    pub fn load_beside<T>(mut self, text: &str, work: impl FnOnce() -> T) -> (Result<(), ToolError>, T) {
        let fed = self.0.feed(text);
        let done = work();
        (fed.and_then(|()| self.0.finish().map(drop)), done)
    }
}

/// Checks a text against nft's grammar and the kernel's rules without changing anything.
///
/// # Errors
/// As [`load`].
pub fn check(text: &str) -> Result<(), ToolError> {
    Tool::find(NFT)?.run(&["-c", "-f", "-"], text).map(drop)
}

/// The text of one table without what counts or comes and goes (counters, elements of named
/// sets), such as `("inet", "vmnet_brmgr0")`, in nft's own form; `None` when
/// there is no such table.
///
/// # Errors
/// When nft fails for any other reason.
pub fn list_table(family: &str, table: &str) -> Result<Option<String>, ToolError> {
    list(&["--stateless", "--terse", "list", "table", family, table], family, table)
}

/// The text of one table with the elements of its sets; `None` when there is no such table.
///
/// # Errors
/// When nft fails for any other reason.
pub fn list_elements(family: &str, table: &str) -> Result<Option<String>, ToolError> {
    list(&["--stateless", "list", "table", family, table], family, table)
}

/// The text of one table with what its counters count; `None` when there is no such table.
///
/// # Errors
/// When nft fails for any other reason.
pub fn list_counted(family: &str, table: &str) -> Result<Option<String>, ToolError> {
    list(&["--terse", "list", "table", family, table], family, table)
}

/// Is there such a table? Cheaper than [`list_table`]: the contents of sets are left out.
///
/// # Errors
/// When nft fails for any other reason.
pub fn exists(family: &str, table: &str) -> Result<bool, ToolError> {
    Ok(list(&["--terse", "list", "table", family, table], family, table)?.is_some())
}

fn list(arguments: &[&str], family: &str, table: &str) -> Result<Option<String>, ToolError> {
    // nft joins its arguments to one text and parses that: a `;` would begin a second command.
    if !is_word(family) || !is_word(table) {
        return Ok(None);
    }
    match Tool::find(NFT)?.run(arguments, "") {
        Ok(Output { stdout, .. }) => Ok(Some(stdout)),
        Err(ToolError::Failed { stderr, .. }) if stderr.lines().any(|line| line == ABSENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A word of nft's grammar that needs no quotes; nothing else can be a table's name in a text.
fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_would_be_a_second_command_never_reaches_nft() {
        for name in ["x; flush ruleset", "x\nflush ruleset", "", "a b", "a{", "\"a\"", "-a"] {
            assert!(!is_word(name), "{name:?}");
        }
        assert!(is_word("vmnet_brmgr0") && is_word("inet"));
    }
}
