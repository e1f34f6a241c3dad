//! The caller's side of a helper, as a test sees it: run `src/bin/catch.rs` in a house as some user and
//! get back what the helper said, sent and made.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::command::words;
use crate::house::{As, CATCH, House};
use crate::process::Process;

/// What a helper did for its caller.
#[derive(Clone, Debug)]
pub struct Caught {
    /// Exit status, if it exited.
    pub exit: Option<i64>,
    /// The signal that ended it, or `timeout`.
    pub signal: Option<String>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// The bytes that came.
    pub bytes: Vec<u64>,
    /// How many descriptors came.
    pub fds: u64,
    /// How many control messages came.
    pub controls: u64,
    /// Whether the helper's end of the socket was closed everywhere in the end.
    pub ended: bool,
    /// From fork to reaped.
    pub took: Duration,
    /// The TAP behind the first descriptor.
    pub tap: Option<Tap>,
}

/// What a TAP is like, seen by its unprivileged holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tap {
    /// The link's name.
    pub name: String,
    /// Flags by TUNGETIFF.
    pub flags: u64,
    /// Size of the vnet header, in bytes.
    pub header: u64,
    /// MTU, in bytes.
    pub mtu: u64,
    /// MAC in the kernel's notation.
    pub mac: String,
    /// Whether the link is up.
    pub up: bool,
    /// The bridge it is attached to.
    pub master: Option<String>,
    /// The link's alias; empty if it has none.
    pub alias: String,
    /// Whether the descriptor does not block.
    pub nonblocking: bool,
    /// Whether the descriptor is open for both directions.
    pub read_write: bool,
}

impl Caught {
    /// Whether the contract's success was delivered: exit 0, one byte 0x00, one descriptor, a TAP.
    pub fn granted(&self) -> bool {
        self.exit == Some(0) && self.bytes == [0] && self.fds == 1 && self.tap.is_some()
    }

    /// Whether the contract's failure was: exit 1, words on stderr, nothing sent.
    pub fn refused(&self) -> bool {
        self.exit == Some(1) && self.bytes.is_empty() && self.fds == 0 && !self.stderr.is_empty()
    }

    /// The TAP of a caller that must have got one.
    ///
    /// # Panics
    /// If it did not.
    #[track_caller]
    pub fn tap(&self) -> &Tap {
        assert!(self.granted(), "not granted: {self:#?}");
        self.tap.as_ref().expect("a TAP")
    }

    /// The words of a refusal.
    ///
    /// # Panics
    /// If there was none.
    #[track_caller]
    pub fn refusal(&self) -> &str {
        assert!(self.refused(), "not refused: {self:#?}");
        &self.stderr
    }

    fn parse(line: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(line.trim()).ok()?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let tap = |tap: &Value| {
            Some(Tap {
                name: text(&tap["name"])?,
                flags: tap["flags"].as_u64()?,
                header: tap["header"].as_u64()?,
                mtu: tap["mtu"].as_str()?.parse().ok()?,
                mac: text(&tap["mac"])?,
                up: tap["up"].as_bool()?,
                master: text(&tap["master"]),
                alias: text(&tap["alias"])?,
                nonblocking: tap["nonblocking"].as_bool()?,
                read_write: tap["read_write"].as_bool()?,
            })
        };
        Some(Self {
            exit: value["exit"].as_i64(),
            signal: text(&value["signal"]),
            stdout: text(&value["stdout"])?,
            stderr: text(&value["stderr"])?,
            bytes: value["bytes"].as_array()?.iter().filter_map(Value::as_u64).collect(),
            fds: value["fds"].as_u64()?,
            controls: value["controls"].as_u64()?,
            ended: value["ended"].as_bool()?,
            took: Duration::from_micros(value["microseconds"].as_u64()?),
            tap: tap(&value["tap"]),
        })
    }
}

/// A caller that still holds its TAP; dropping it lets go.
pub struct Holder {
    /// What it got.
    pub caught: Caught,
    process: Process,
}

impl Holder {
    /// Whether a frame of at least so many bytes comes within `patience`, for one with the setting `--frames`.
    pub fn hears_frame(&self, bytes: usize, patience: Duration) -> bool {
        let size = |line: &str| line.strip_prefix("frame ").and_then(|size| size.parse::<usize>().ok());
        self.process.line(patience, |line| size(line).is_some_and(|size| size >= bytes)).is_ok()
    }
}

impl House {
    /// Runs a helper (`{fd}` in an argument is the socket's number) as `who` and lets the TAP go at
    /// once. `settings` are those of `src/bin/catch.rs`.
    ///
    /// # Panics
    /// If the caller itself fails.
    #[track_caller]
    pub fn catch_with(&self, who: As<'_>, settings: &[&str], helper: &[&str]) -> Caught {
        let argv = self.catch_words(settings, helper);
        let outcome = self.run_with(who, &argv, None, Duration::from_secs(90));
        Caught::parse(outcome.success()).unwrap_or_else(|| panic!("not understood: {outcome}"))
    }

    /// Runs a helper as a plain user with no special settings.
    #[track_caller]
    pub fn catch(&self, user: &str, helper: &[&str]) -> Caught {
        self.catch_with(As::User(user), &[], helper)
    }

    /// Like [`House::catch_with`], but the TAP is held until the answer is dropped.
    ///
    /// # Panics
    /// If the caller itself fails.
    #[track_caller]
    pub fn hold_with(&self, who: As<'_>, settings: &[&str], helper: &[&str]) -> Holder {
        let mut all = settings.to_vec();
        all.push("--hold");
        let argv = self.catch_words(&all, helper);
        let process = self.spawn(who, &argv);
        let line = process.line(Duration::from_secs(90), |_| true).unwrap_or_else(|e| panic!("{e}"));
        let caught = Caught::parse(&line).unwrap_or_else(|| panic!("{}: {line}", words(&argv)));
        Holder { caught, process }
    }

    /// Holds what a plain user gets with no special settings.
    #[track_caller]
    pub fn hold(&self, user: &str, helper: &[&str]) -> Holder {
        self.hold_with(As::User(user), &[], helper)
    }

    fn catch_words<'a>(&self, settings: &[&'a str], helper: &[&'a str]) -> Vec<&'a str> {
        if !self.outside_path(CATCH).exists() {
            self.copy_in(&program(), CATCH, 0o755);
        }
        let mut argv = vec![CATCH];
        argv.extend(settings);
        argv.push("--");
        argv.extend(helper);
        argv
    }
}

/// Where cargo puts this package's programs: beside the folder of the running test.
fn program() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let folder = test.parent().and_then(|deps| deps.parent()).expect("cargo's folder");
    folder.join("catch")
}
