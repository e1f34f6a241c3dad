//! `vmnet completions SHELL`

use crate::args::Arguments;
use crate::exit::Exit;
use crate::say;
use clap::CommandFactory;
use clap_complete::{Shell, generate};
use vmnet_model::error::Error;

/// Print them.
pub fn run(shell: Shell) -> Result<Exit, Error> {
    let mut text = Vec::new();
    generate(shell, &mut Arguments::command(), "vmnet", &mut text);
    say::text(&String::from_utf8_lossy(&text));
    Ok(Exit::Done)
}
