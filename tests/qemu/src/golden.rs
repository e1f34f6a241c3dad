//! Golden files: what the programs of an earlier commit wrote below `/run/vmnet` and `/var/lib/vmnet`, and
//! those programs themselves. `tests/qemu/golden/README.md` says how both are made.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::house::{HELPER, House, VMNET};
use crate::skip::{have, skip};

/// The commits whose files are kept, the oldest first: of that the programs are at hand too.
pub const GOLDEN: [Golden; 1] = [Golden("7e656fa")];

/// What MACs and prefixes of the networks are derived from.
pub const MACHINE: &str = "7e656fa07e656fa07e656fa07e656fa0\n";

/// One file, directory or socket of a commit's programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `f`, `d` or `s`, as find(1) has it.
    pub kind: char,
    /// Its mode in octal.
    pub mode: String,
    /// `USER:GROUP`, by name where there is one.
    pub owner: String,
    /// `run/…` or `state/…`.
    pub path: String,
}

impl Entry {
    /// Its place in a house.
    pub fn place(&self) -> String {
        match self.path.split_once('/') {
            Some(("run", rest)) => format!("/run/vmnet/{rest}"),
            Some((_, rest)) => format!("/var/lib/vmnet/{rest}"),
            None => format!("/{}", self.path),
        }
    }
}

/// What one commit's programs left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Golden(&'static str);

impl Golden {
    /// Where it is.
    pub fn folder(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(self.0)
    }

    /// All that there is, parents first.
    ///
    /// # Panics
    /// If the list cannot be read.
    #[track_caller]
    pub fn entries(self) -> Vec<Entry> {
        let path = self.folder().join("list");
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let entry = |line: &str| {
            let mut words = line.splitn(4, ' ').map(str::to_owned);
            let kind = words.next()?.chars().next()?;
            Some(Entry { kind, mode: words.next()?, owner: words.next()?, path: words.next()? })
        };
        text.lines().map(|line| entry(line).unwrap_or_else(|| panic!("{line:?}"))).collect()
    }

    /// One of its JSON files.
    ///
    /// # Panics
    /// If it is none.
    #[track_caller]
    pub fn json(self, path: &str) -> Value {
        let text = fs::read_to_string(self.folder().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}"))
    }
}

/// Where the oldest commit's programs are, or a word that `test` is skipped.
pub fn old_programs(test: &str) -> Option<PathBuf> {
    let [Golden(commit), ..] = GOLDEN;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../build/old").join(commit);
    let built = ["vmnet", "vmnet-bridge-helper"].iter().all(|program| folder.join(program).exists());
    if !built {
        skip(test, &format!("the programs of {commit} are not built: make old-programs"));
    }
    built.then_some(folder)
}

impl House {
    /// A house with the oldest commit's programs in it, or a word that `test` is skipped.
    #[track_caller]
    pub fn with_old_programs(test: &str) -> Option<Self> {
        let folder = old_programs(test).filter(|_| have(test, &["nft", "dnsmasq", "ip", "busybox"]))?;
        let house = Self::new();
        house.copy_in(&folder.join("vmnet"), VMNET, 0o755);
        house.copy_in(&folder.join("vmnet-bridge-helper"), HELPER, 0o4755);
        Some(house)
    }

    /// Lays the network files that a commit's files are of into the house, and the access rules.
    #[track_caller]
    pub fn lay_networks(&self, golden: Golden) {
        self.write_file("/etc/machine-id", MACHINE);
        let config = golden.folder().join("config");
        for path in files_below(&config) {
            let name = path.strip_prefix(&config).expect("a path below").display().to_string();
            self.write_file(&format!("/etc/vmnet/{name}"), fs::read(&path).expect("a network's file"));
        }
    }

    /// Lays those of a commit's files that fit into the house, with their modes and owners. A socket is one at
    /// which nobody listens any more.
    #[track_caller]
    pub fn lay(&self, golden: Golden, fits: impl Fn(&Entry) -> bool) {
        let mut owners = String::new();
        for entry in golden.entries().iter().filter(|entry| fits(entry)) {
            let place = entry.place();
            let at = self.outside_path(&place);
            match entry.kind {
                'd' => fs::create_dir_all(&at).expect("a directory"),
                's' => drop(UnixDatagram::bind(&at).unwrap_or_else(|e| panic!("{place}: {e}"))),
                _ => self.write_file(&place, fs::read(golden.folder().join(&entry.path)).expect("a file")),
            }
            owners += &format!("chown '{}' '{place}'; chmod {} '{place}'\n", entry.owner, entry.mode);
        }
        self.sh(&owners);
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let paths = entries.flatten().map(|entry| entry.path());
    paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}
