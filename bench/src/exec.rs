//! What `vmnet exec` adds to a program's start: from spawning it to its first byte, beside the same
//! program alone, through the setuid helper and through the broker.

use crate::chance::Chance;
use crate::host::{self, BRIDGE, Broker, VMNET};
use crate::numbers::{Sample, time};
use crate::report::Section;
use std::io::{self, Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A static program that says something and ends.
const ALONE: [&str; 3] = ["busybox", "echo", "here"];
/// Where it is.
const PATH: &str = "/usr/local/sbin:/usr/bin:/bin";
/// It is to add no more, in microseconds.
const AIM: f64 = 3000.0;

/// Measure it, so many rounds each way.
///
/// # Errors
/// A program failed, or the broker did not start.
pub fn measure(rounds: usize) -> io::Result<Section> {
    let helper = compare(rounds)?;
    let broker = Broker::start()?;
    let brokered = compare(rounds)?;
    drop(broker);
    let mut section = Section::new(
        "exec",
        &format!(
            "A plain user starts a small static program (`{}`), alone and through `vmnet exec {BRIDGE} --`, {rounds} \
             times in random order; from the start to the program's first byte. What is added is the median \
             of each round's difference.",
            ALONE.join(" ")
        ),
        &["", "median", "90 % below", "added"],
    );
    for (name, [alone, through]) in [("the setuid helper", &helper), ("the broker", &brokered)] {
        section.row(&["alone", &time(alone.median()), &time(alone.quantile(0.9)), ""]);
        let added = through.excess(alone);
        let name = format!("by `vmnet exec` and {name}");
        section.row(&[&name, &time(through.median()), &time(through.quantile(0.9)), &time(added)]);
        let word = if added <= AIM { "met" } else { "MISSED" };
        section.line(format!("{name} a start takes longer by {} (aim ≤ {}: {word})", time(added), time(AIM)));
    }
    Ok(section)
}

/// The program alone, and through `vmnet exec`.
fn compare(rounds: usize) -> io::Result<[Sample; 2]> {
    let words = ["exec".to_owned(), rounds.to_string()];
    let output = host::as_user(&words)?.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!("the caller: {}", output.status)));
    }
    let mut samples = [Sample::default(), Sample::default()];
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
        let [place, nanoseconds] = numbers[..] else { continue };
        if let Some(sample) = samples.get_mut(place as usize) {
            sample.add(Duration::from_nanos(nanoseconds));
        }
    }
    Ok(samples)
}

/// The plain user's side of it: one line a start, `PLACE NANOSECONDS`.
///
/// # Errors
/// A program failed.
pub fn call(rounds: usize, out: &mut impl Write) -> io::Result<()> {
    let through = [&[VMNET, "exec", BRIDGE, "--"][..], &ALONE].concat();
    let (mut chance, mut order) = (Chance::new(), [0, 1]);
    for _ in 0..rounds {
        chance.shuffle(&mut order);
        for place in order {
            let words = if place == 0 { &ALONE[..] } else { &through };
            writeln!(out, "{place} {}", start(words)?.as_nanos())?;
        }
    }
    Ok(())
}

/// The time until the first byte. The end takes longer, because a TAP goes with it.
fn start(words: &[&str]) -> io::Result<Duration> {
    let Some((program, rest)) = words.split_first() else { return Err(io::ErrorKind::InvalidInput.into()) };
    let mut command = Command::new(program);
    command.args(rest).env("PATH", PATH).stdin(Stdio::null()).stdout(Stdio::piped());
    let started = Instant::now();
    let mut child = command.spawn()?;
    let mut stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let said = stdout.read(&mut [0])?;
    let took = started.elapsed();
    let status = child.wait()?;
    if said == 1 && status.success() {
        Ok(took)
    } else {
        Err(io::Error::other(format!("`{}`: {status}", words.join(" "))))
    }
}
