//! A TAP in the hands of somebody who does to it what a test says: `src/bin/tap-holder.rs`, run in a house.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::house::{As, House};
use crate::process::Process;

const PLACE: &str = "/tmp/house/tap-holder";
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Somebody who holds a TAP. Dropping it ends them.
pub struct TapHolder {
    /// The TAP's name.
    pub name: String,
    process: Process,
}

impl House {
    /// Opens a TAP by its name, as Firecracker does; `many`: as one of several queues. The kernel's word if
    /// it refuses.
    #[track_caller]
    pub fn open_tap(&self, user: &str, name: &str, many: bool) -> Result<TapHolder, String> {
        let words = ["open", name, "many"];
        self.tap_holder(user, &words[..if many { 3 } else { 2 }])
    }

    /// Gets a TAP from a helper (`{fd}` in a word is the socket's number), or its complaint.
    #[track_caller]
    pub fn ask_tap(&self, user: &str, helper: &[&str]) -> Result<TapHolder, String> {
        let mut words = vec!["ask"];
        words.extend(helper);
        self.tap_holder(user, &words)
    }

    /// Starts somebody who wants a queue of this TAP and tries until they are let in; their first line
    /// says that they were.
    #[track_caller]
    pub fn race_for_tap(&self, user: &str, name: &str) -> Process {
        self.copy_holder();
        self.spawn(As::User(user), &[PLACE, "race", name])
    }

    #[track_caller]
    fn copy_holder(&self) {
        if !self.outside_path(PLACE).exists() {
            self.copy_in(&program(), PLACE, 0o755);
        }
    }

    #[track_caller]
    fn tap_holder(&self, user: &str, words: &[&str]) -> Result<TapHolder, String> {
        self.copy_holder();
        let mut argv = vec![PLACE];
        argv.extend(words);
        let process = self.spawn(As::User(user), &argv);
        let line = process.line(PATIENCE, |_| true).unwrap_or_else(|e| panic!("{e}"));
        match line.split_once(' ') {
            Some(("holds", name)) => Ok(TapHolder { name: name.to_owned(), process }),
            _ => Err(line),
        }
    }

    /// What the kernel tells of a link, in iproute2's words; none if it is not there.
    pub fn link(&self, name: &str) -> Option<Value> {
        let shown = self.run(&["ip", "-d", "-j", "link", "show", "dev", name]);
        serde_json::from_str::<Value>(&shown.stdout).ok()?.get(0).cloned()
    }

    /// Fails unless a link goes away soon.
    #[track_caller]
    pub fn assert_gone(&self, name: &str) {
        let gone = self.wait_until(Duration::from_secs(10), || self.link(name).is_none());
        assert!(gone, "{name} stays: {:#?}", self.link(name));
    }
}

impl TapHolder {
    /// The program that holds it, to be told no more.
    pub fn into_process(self) -> Process {
        self.process
    }

    /// Has them begin something and does not wait, as for `storm ACT;ACT…`, which goes on until
    /// the kernel refuses.
    #[track_caller]
    pub fn begin(&mut self, act: &str) {
        self.process.write_line(act);
    }

    /// Has them do something to it: `persist 0|1`, `owner UID`, `group GID`, `carrier 0|1`, `mac MAC`.
    ///
    /// # Errors
    /// The kernel's word.
    #[track_caller]
    pub fn tell(&mut self, act: &str) -> Result<(), String> {
        self.begin(act);
        let line = self.process.line(PATIENCE, |_| true).unwrap_or_else(|e| panic!("{act}: {e}"));
        if line == "ok" { Ok(()) } else { Err(line) }
    }
}

/// Where cargo puts this package's programs: beside the folder of the running test.
fn program() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let folder = test.parent().and_then(|deps| deps.parent()).expect("cargo's folder");
    folder.join("tap-holder")
}
