//! The plain user's side: the bench starts itself again as uid 1000, which calls the helpers and
//! writes one line a call: `HELD PROGRAM NANOSECONDS`, with PROGRAM's place in the list.

use crate::call::call;
use crate::chance::Chance;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;

/// The kernel's limit for one bridge (BR_PORT_BITS 10, number 0 unused).
pub const PORTS_MAX: usize = 1023;

/// What the caller is to do.
#[derive(Debug)]
pub struct Errand {
    /// The bridge that is asked for.
    pub bridge: String,
    /// So many ports, got from the first program, are held while the calls are made; one after the other.
    pub held: Vec<usize>,
    /// So many calls of each program for each number of held ports, in a new order each round.
    pub rounds: usize,
    /// Fill the bridge in the end, call once more, and wait for the end of standard input.
    pub fill: bool,
    /// The programs.
    pub programs: Vec<String>,
}

impl Errand {
    /// From the words that [`Errand::words`] made.
    #[must_use]
    pub fn read(words: &[String]) -> Option<Self> {
        let [bridge, held, rounds, fill, programs @ ..] = words else { return None };
        let held = held.split(',').map(|number| number.parse().ok()).collect::<Option<_>>()?;
        let (rounds, fill) = (rounds.parse().ok()?, fill.parse().ok()?);
        Some(Self { bridge: bridge.clone(), held, rounds, fill, programs: programs.to_vec() })
    }

    /// The same as words of a command line.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let held: Vec<String> = self.held.iter().map(usize::to_string).collect();
        let mut words =
            vec![self.bridge.clone(), held.join(","), self.rounds.to_string(), self.fill.to_string()];
        words.extend_from_slice(&self.programs);
        words
    }

    /// Do it.
    ///
    /// # Errors
    /// A program could not be started, or gave no TAP where it had to.
    pub fn run(&self, out: &mut impl Write) -> io::Result<()> {
        let first = self.programs.first().ok_or(io::ErrorKind::InvalidInput)?;
        let (mut ports, mut chance) = (Vec::new(), Chance::new());
        let mut order: Vec<usize> = (0..self.programs.len()).collect();
        for &held in &self.held {
            self.hold(first, &mut ports, held)?;
            for _ in 0..self.rounds {
                chance.shuffle(&mut order);
                for &place in &order {
                    let Some(program) = self.programs.get(place) else { continue };
                    let answer = call(program, &self.bridge)?;
                    let tap = answer.tap.ok_or_else(|| refused(program))?;
                    writeln!(out, "{held} {place} {}", answer.took.as_nanos())?;
                    // Takes tens of milliseconds, and belongs to nobody's time.
                    drop(tap);
                }
            }
        }
        if self.fill {
            self.hold(first, &mut ports, PORTS_MAX)?;
            if call(first, &self.bridge)?.tap.is_some() {
                return Err(io::Error::other("a full bridge took one more port"));
            }
            writeln!(out, "full")?;
            out.flush()?;
            let _ = io::stdin().read(&mut [0])?;
        }
        Ok(())
    }

    fn hold(&self, program: &str, ports: &mut Vec<OwnedFd>, wanted: usize) -> io::Result<()> {
        while ports.len() < wanted {
            ports.push(call(program, &self.bridge)?.tap.ok_or_else(|| refused(program))?);
        }
        Ok(())
    }
}

fn refused(program: &str) -> io::Error {
    io::Error::other(format!("{program} gave no tap"))
}
