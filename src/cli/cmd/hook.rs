//! `vmnet hook libvirt`, which libvirt calls as its hook: `qemu|network OBJECT OPERATION SUB-OPERATION
//! EXTRA`, and an XML document on standard input.

use super::take_own_place;
use crate::exit::Exit;
use crate::hook::{self, Call};
use crate::places::Places;
use std::ffi::OsString;
use vmnet_model::error::Error;

/// Answer a call. What is not about a network of ours is none of our business, and never an error.
pub fn run(places: &Places, words: &[OsString]) -> Result<Exit, Error> {
    // The daemon of a plain user calls the same hooks, and its guests come by the helper.
    if !nix::unistd::geteuid().is_root() {
        return Ok(Exit::Done);
    }
    let words: Vec<&str> = words.iter().map(|word| word.to_str().unwrap_or_default()).collect();
    if let Some(call) = Call::of(&words) {
        take_own_place();
        hook::answer(places, call, std::io::stdin().lock()).map_err(|mut failure| {
            // libvirt puts what we say into a sentence of its own, which has room for one line.
            failure.hint = None;
            failure
        })?;
    }
    Ok(Exit::Done)
}
