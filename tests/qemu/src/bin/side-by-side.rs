//! `make test`: builds the test programs of both workspaces and runs each test in a process of its own,
//! many side by side (`rig::suite`). A failed test shows what it said, and is run again, alone.
//!
//!   side-by-side [PART_OF_A_NAME…]    all tests, or those whose names (`network::up_down::…`) have one

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::time::Instant;

use rig::suite::lanes::{self, Lane};
use rig::suite::outcome::{Asked, Outcome};
use rig::suite::programs::{self, Program};
use rig::suite::queue::Queue;
use rig::suite::run::{self, Report};
use rig::suite::tally::Tally;

/// From the project's folder.
const WORKSPACES: [&str; 2] = ["Cargo.toml", "tests/qemu/Cargo.toml"];
/// The examples in the documentation, which have no program before they are run.
const EXAMPLES: &str = "examples in the documentation";

/// A test to be run.
#[derive(Clone)]
struct Test {
    name: String,
    /// `None` for [`EXAMPLES`].
    program: Option<Program>,
}

impl Test {
    /// What runs it, and what that answers.
    fn command(&self) -> (Command, Asked) {
        let Some(program) = &self.program else {
            let mut cargo = cargo(WORKSPACES[0]);
            cargo.arg("--doc").current_dir(project());
            return (cargo, Asked::All);
        };
        let mut command = Command::new(&program.path);
        let own_name = self.name.strip_prefix(&format!("{}::", program.name)).unwrap_or(&self.name);
        // Its words are shown only if it fails, and all of them then, also those of a crash.
        command.args(["--exact", own_name, "--nocapture"]).current_dir(&program.folder);
        command.env("CARGO_MANIFEST_DIR", &program.folder);
        (command, Asked::One)
    }
}

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn cargo(workspace: &str) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["test", "--workspace", "--locked", "--manifest-path"]).arg(project().join(workspace));
    cargo
}

fn build(workspace: &str) -> Result<Vec<Program>, String> {
    let mut cargo = cargo(workspace);
    cargo.args(["--no-run", "--tests", "--message-format=json-render-diagnostics"]);
    let output = cargo.stderr(Stdio::inherit()).output().map_err(|error| format!("cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!("cannot build the tests of {workspace}: {}", output.status));
    }
    Ok(programs::programs(&String::from_utf8_lossy(&output.stdout)))
}

fn list(program: &Program) -> Result<Vec<Test>, String> {
    let wrong = |cause: String| format!("cannot list the tests of {}: {cause}", program.name);
    let mut command = Command::new(&program.path);
    command.args(["--list", "--format=terse"]).current_dir(&program.folder);
    let output = command.output().map_err(|error| wrong(error.to_string()))?;
    if !output.status.success() {
        return Err(wrong(output.status.to_string()));
    }
    let names = programs::tests(&String::from_utf8_lossy(&output.stdout)).map_err(wrong)?;
    let test = |name| Test { name: format!("{}::{name}", program.name), program: Some(program.clone()) };
    Ok(names.into_iter().map(test).collect())
}

/// Every test of both workspaces, in the order of the lanes.
fn all_tests() -> Result<Vec<Test>, String> {
    let mut tests = vec![Test { name: EXAMPLES.to_owned(), program: None }];
    let built: Vec<Vec<Program>> = WORKSPACES.into_iter().map(build).collect::<Result<_, _>>()?;
    for program in programs::distinct(built.concat()) {
        tests.extend(list(&program)?);
    }
    let names: Vec<&str> = tests.iter().map(|test| test.name.as_str()).collect();
    let unknown = lanes::unknown_rows(&names);
    if !unknown.is_empty() {
        return Err(format!("no test answers to these rows of suite/lanes.rs: {}", unknown.join(", ")));
    }
    tests.sort_by_key(|test| lanes::place(&test.name).1);
    Ok(tests)
}

/// Says it to whoever looks on, and writes it into the log.
fn say(log: &mut File, text: &str) {
    print!("{text}");
    let _ = log.write_all(text.as_bytes());
}

fn tell(log: &mut File, name: &str, report: &Report) {
    let (took, burnt) = (report.took.as_secs_f64(), report.burnt.as_secs_f64());
    let line = |word: &str| format!("{word} {name} ({took:.1} s, {burnt:.1} s of a processor)\n");
    match &report.outcome {
        Outcome::Passed(_) => say(log, &line("ok")),
        Outcome::Skipped => say(log, &format!("{}{}", line("SKIPPED"), report.words)),
        Outcome::Failed(how) => {
            let end = format!("--- end of {name}: {how}\n");
            say(log, &format!("{}{}\n{end}", line("FAILED"), report.words.trim_end()));
        }
    }
}

/// Runs all of them, each once.
fn run_all(log: &mut File, tally: &mut Tally, tests: Vec<Test>) {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let mut queue = Queue::new(processors, tests.into_iter().map(|test| (lanes::place(&test.name).0, test)));
    let (sender, reports) = mpsc::channel::<(Lane, String, Report)>();
    let mut running = 0;
    loop {
        while let Some((lane, test)) = queue.start() {
            let sender = sender.clone();
            running += 1;
            std::thread::spawn(move || {
                let (command, asked) = test.command();
                let _ = sender.send((lane, test.name, run::run(command, asked, run::PATIENCE)));
            });
        }
        if running == 0 {
            return;
        }
        let (lane, name, report) = reports.recv().expect("a test that runs reports");
        running -= 1;
        queue.ended(lane);
        tell(log, &name, &report);
        tally.first(&name, &report.outcome);
    }
}

/// Runs those that failed again, one at a time.
fn run_again(log: &mut File, tally: &mut Tally, tests: &[Test]) {
    for name in tally.to_run_again() {
        let Some(test) = tests.iter().find(|test| test.name == name) else { continue };
        say(log, &format!("again, alone: {name}\n"));
        let (command, asked) = test.command();
        let report = run::run(command, asked, run::PATIENCE);
        tell(log, &name, &report);
        tally.again(&name, &report.outcome);
    }
}

fn suite(log: &mut File, parts: &[String]) -> Result<Tally, String> {
    let mut tests = all_tests()?;
    tests.retain(|test| parts.is_empty() || parts.iter().any(|part| test.name.contains(part.as_str())));
    let mut tally = Tally::default();
    run_all(log, &mut tally, tests.clone());
    run_again(log, &mut tally, &tests);
    Ok(tally)
}

fn main() -> ExitCode {
    let started = Instant::now();
    let parts: Vec<String> = std::env::args().skip(1).collect();
    let folder = project().join("build");
    std::fs::create_dir_all(&folder).expect("the folder build");
    let mut log = File::create(folder.join("test.log")).expect("build/test.log");
    let tally = match suite(&mut log, &parts) {
        Ok(tally) => tally,
        Err(error) => {
            eprintln!("side-by-side: {error}");
            say(&mut log, "0 passed, 1 failed, 0 skipped\n");
            return ExitCode::FAILURE;
        }
    };
    let names: String = tally.unsteady().iter().map(|name| format!("{name}\n")).collect();
    std::fs::write(folder.join("unsteady"), names).expect("build/unsteady");
    say(&mut log, &format!("\n{} s\n{}", started.elapsed().as_secs(), tally.closing()));
    if tally.is_green() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
