//! The bench, inside the throw-away host that `bench/run` makes: runs every part, prints what each
//! found, and writes the tables as Markdown. Everything is measured from outside, on the built programs;
//! only the pump of the VDE part is the room `src/vswitch` within this one.
//!
//!     vmnet-bench all MARKDOWN_FILE
//!     vmnet-bench vde ROUNDS          (that part alone, to the terminal)

mod attach;
mod call;
mod caller;
mod chance;
mod dhcp;
mod exec;
mod forwards;
mod helpers;
mod host;
mod leases;
mod memory;
mod numbers;
mod pump;
mod report;
mod vde;
mod verbs;
mod wire;

use caller::Errand;
use report::Section;
use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let result = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["all", file] => all(file),
        // The plain user's side.
        ["caller", ..] => Errand::read(&words[1..])
            .ok_or_else(|| io::ErrorKind::InvalidInput.into())
            .and_then(|errand| errand.run(&mut io::stdout().lock())),
        ["exec", rounds] => rounds
            .parse()
            .map_err(io::Error::other)
            .and_then(|rounds| exec::call(rounds, &mut io::stdout().lock())),
        ["pump", tap, switch] => pump::pump(tap, switch),
        ["echo"] => pump::echo(),
        ["trip"] => pump::trip().map(|nanoseconds| println!("{nanoseconds}")),
        ["vde", rounds] => {
            rounds.parse().map_err(io::Error::other).and_then(vde::compare).map(|section| print!("{section}"))
        }
        ["cold"] => helpers::cold_call().map(|nanoseconds| println!("{nanoseconds}")),
        _ => Err(io::Error::other("usage: vmnet-bench all MARKDOWN_FILE | vde ROUNDS")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vmnet-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// One part: its name, and what runs it.
type Part = (&'static str, fn() -> io::Result<Section>);

const PARTS: [Part; 10] = [
    ("helper, bridge there", || helpers::race(400)),
    ("helper, bridge filling up", || helpers::crowd(40)),
    ("cold start", || helpers::cold(15)),
    ("exec", || exec::measure(200)),
    ("network up and down", || verbs::compare(30)),
    ("forward added and removed", || forwards::compare(60)),
    ("a namespace attached", || attach::compare(60)),
    ("first lease", || leases::measure(20)),
    ("memory", memory::measure),
    ("VDE", || vde::compare(7)),
];

fn all(file: &str) -> io::Result<()> {
    host::prepare()?;
    let (mut text, mut failed) = (String::new(), 0);
    for (name, part) in PARTS {
        match part() {
            Ok(section) => {
                println!("{name}");
                section.lines.iter().chain(&section.printed).for_each(|line| println!("  {line}"));
                text += &section.to_string();
            }
            Err(error) => {
                failed += 1;
                eprintln!("{name}\n  cannot be measured: {error}");
                text += &format!("\n## {name}\n\nCould not be measured: {error}\n");
            }
        }
    }
    std::fs::write(file, text)?;
    if failed == 0 { Ok(()) } else { Err(io::Error::other(format!("{failed} parts could not be measured"))) }
}
