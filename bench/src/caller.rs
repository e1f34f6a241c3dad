//! The plain user's side of a race: the bench starts itself again as uid 1000, which calls the
//! helpers and writes one line a call: `PROGRAM MICROSECONDS KIB`, with PROGRAM's place in the list.

use crate::call::call;
use crate::chance::Chance;
use std::io::{self, Write};

/// What the caller is to do.
#[derive(Debug, Default)]
pub struct Errand {
    /// The bridge that is asked for.
    pub bridge: String,
    /// So many ports are held all the while, by the first program.
    pub hold: usize,
    /// So many calls of each program, in a new order each round.
    pub rounds: usize,
    /// The programs.
    pub programs: Vec<String>,
}

/// Run it.
///
/// # Errors
/// A program could not be started or gave no TAP.
pub fn run(errand: &Errand, out: &mut impl Write) -> io::Result<()> {
    let first = errand.programs.first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut held = Vec::with_capacity(errand.hold);
    for _ in 0..errand.hold {
        held.push(call(first, &errand.bridge)?.tap.ok_or_else(|| refused(first))?);
    }
    let mut chance = Chance::new();
    let mut order: Vec<usize> = (0..errand.programs.len()).collect();
    for _ in 0..errand.rounds {
        chance.shuffle(&mut order);
        for &place in &order {
            let Some(program) = errand.programs.get(place) else { continue };
            let answer = call(program, &errand.bridge)?;
            let tap = answer.tap.ok_or_else(|| refused(program))?;
            writeln!(out, "{place} {} {}", answer.took.as_nanos() as f64 / 1000.0, answer.memory)?;
            // Takes tens of milliseconds, and belongs to nobody's time.
            drop(tap);
        }
    }
    Ok(())
}

fn refused(program: &str) -> io::Error {
    io::Error::other(format!("{program} gave no tap"))
}
