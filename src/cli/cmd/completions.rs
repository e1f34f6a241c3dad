//! `vmnet completions SHELL`

use crate::args::Arguments;
use crate::failure::{Exit, Failure};
use crate::say;
use clap::CommandFactory;
use clap_complete::{Shell, generate};

/// Print them.
pub fn run(shell: Shell) -> Result<Exit, Failure> {
    let mut text = Vec::new();
    generate(shell, &mut Arguments::command(), "vmnet", &mut text);
    say::text(&String::from_utf8_lossy(&text));
    Ok(Exit::Done)
}
