//! The companion in a house: its verbs, its network files, what it left running, and what each of its
//! failures must look like.

use std::time::Duration;

use serde_json::Value;

use crate::command::Outcome;
use crate::house::{House, VMNET, ours_built};
use crate::process::Process;
use crate::skip::{have, skip};
use crate::snapshot::Snapshot;

/// What `vmnet` exits with when all is as wanted.
pub const DONE: i32 = 0;
/// … when it failed.
pub const FAILED: i32 = 1;
/// … when the command line makes no sense.
pub const USAGE: i32 = 2;
/// … when the network is not up.
pub const NOT_UP: i32 = 3;
/// … when the network is up, but not as wanted.
pub const DRIFTED: i32 = 4;

/// What no user should ever read: words of Rust, of a debugger, or of a half-made message.
const STRANGE: [&str; 9] = [
    "panicked",
    "RUST_BACKTRACE",
    "internal error",
    "Err(",
    "Some(",
    "os error",
    "Error {",
    "called `",
    "thread '",
];

impl Outcome {
    /// Fails if anything in either output is not meant for people.
    #[track_caller]
    pub fn assert_plain(&self) -> &Self {
        for word in STRANGE {
            let found = self.stdout.contains(word) || self.stderr.contains(word);
            assert!(!found, "{word:?} is no word for users: {self}");
        }
        self
    }

    /// Standard error of a command that exited with `code` and said why in one line, perhaps with a
    /// hint below it.
    #[track_caller]
    pub fn complaint(&self, code: i32) -> &str {
        assert_eq!(self.code(), code, "{self}");
        self.assert_plain();
        let lines: Vec<&str> = self.stderr.lines().collect();
        let fits = match lines.as_slice() {
            [line] => line.starts_with("vmnet: cannot "),
            [line, hint] => line.starts_with("vmnet: cannot ") && hint.starts_with("hint: "),
            _ => false,
        };
        assert!(fits, "not one clear line: {self}");
        &self.stderr
    }
}

impl House {
    /// A house with our programs in it, or a word that `test` is skipped.
    #[track_caller]
    pub fn with_companion(test: &str) -> Option<Self> {
        if !ours_built() {
            skip(test, "our programs are not built");
            return None;
        }
        if !have(test, &["nft", "dnsmasq", "ip", "busybox"]) {
            return None;
        }
        let house = Self::new();
        house.install();
        Some(house)
    }

    /// Runs the companion as root.
    #[track_caller]
    pub fn vmnet(&self, arguments: &[&str]) -> Outcome {
        let mut argv = vec![VMNET];
        argv.extend(arguments);
        self.run(&argv)
    }

    /// Brings a network up that must come up without a word of trouble.
    #[track_caller]
    pub fn up(&self, name: &str) -> Outcome {
        let outcome = self.vmnet(&["up", name]);
        outcome.success();
        assert_eq!(outcome.stderr, "", "{outcome}");
        outcome
    }

    /// Takes a network down that must go down without a word of trouble.
    #[track_caller]
    pub fn down(&self, name: &str) {
        let outcome = self.vmnet(&["down", name]);
        outcome.success();
        assert_eq!(outcome.stderr, "", "{outcome}");
    }

    /// Writes a network's file.
    #[track_caller]
    pub fn describe(&self, name: &str, toml: &str) {
        self.write_file(&format!("/etc/vmnet/networks/{name}.toml"), toml);
    }

    /// What a verb prints as JSON, with its exit code.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let mut all = arguments.to_vec();
        all.push("--json");
        let outcome = self.vmnet(&all);
        let value = serde_json::from_str(&outcome.stdout).unwrap_or_else(|e| panic!("{e}: {outcome}"));
        (outcome.code(), value)
    }

    /// The aspects of a network that `status` calls drifted, and its exit code.
    #[track_caller]
    pub fn drift(&self, name: &str) -> (i32, Vec<String>) {
        let (code, value) = self.json(&["status", name]);
        let aspects = value["networks"][0]["aspects"].as_array().cloned().unwrap_or_default();
        let drifted = aspects.iter().filter(|aspect| aspect["drifted"] == true);
        (code, drifted.filter_map(|aspect| aspect["what"].as_str().map(str::to_owned)).collect())
    }

    /// Fails unless `status` comes to say that all of a network is as wanted.
    #[track_caller]
    pub fn assert_up(&self, name: &str) {
        let right = self.wait_until(Duration::from_secs(5), || self.vmnet(&["status", name]).code() == DONE);
        assert!(right, "not as wanted: {}", self.vmnet(&["status", name]));
    }

    /// Like [`House::assert_as_in`], but the keeper and dnsmasq may have other numbers than before, and the
    /// record other hashes.
    ///
    /// # Panics
    /// If another difference stays.
    #[track_caller]
    pub fn assert_as_in_but_for_processes(&self, before: &Snapshot) {
        let own = ["/dnsmasq.pid", "/keeper", "/record.json"];
        // These two routes the kernel adds when it gets round to it (addrconf_dad_work).
        let late = ["\"type\":\"anycast\"", "\"dst\":\"ff00::/8\""];
        let number = |line: &&str| {
            own.iter().any(|file| line.ends_with(file)) || late.iter().any(|route| line.contains(route))
        };
        let difference = || before.difference(&self.snapshot());
        let rest = || difference().lines().filter(|line| !number(line)).collect::<Vec<_>>().join("\n");
        let same = self.wait_until(Duration::from_secs(5), || rest().is_empty());
        assert!(same, "not as before (-: lost, +: left behind):\n{}", rest());
    }

    /// The number of a network's dnsmasq, as its file says.
    #[track_caller]
    pub fn server(&self, name: &str) -> u32 {
        self.number(&format!("/run/vmnet/{name}/dnsmasq.pid"))
    }

    /// The number of a network's keeper, as its file says.
    #[track_caller]
    pub fn keeper(&self, name: &str) -> u32 {
        self.number(&format!("/run/vmnet/{name}/keeper"))
    }

    /// The kernel's number of a link.
    #[track_caller]
    pub fn index(&self, link: &str) -> u32 {
        self.number(&format!("/sys/class/net/{link}/ifindex"))
    }

    /// Plugs a guest in by hand: a namespace of this name whose `eth0` is a port of the bridge.
    #[track_caller]
    pub fn plug_in(&self, guest: &str, bridge: &str) {
        self.sh(&format!(
            "ip netns add {guest}
             ip link add {guest} type veth peer name eth0 netns {guest}
             ip link set {guest} master {bridge} up
             ip -n {guest} link set eth0 up"
        ));
    }

    /// Asks for a lease once, as a guest would; answers the address.
    pub fn lease(&self, guest: &str) -> Option<String> {
        let script = "/tmp/house/on-lease";
        if !self.outside_path(script).exists() {
            self.write_file_for(
                script,
                0o755,
                (0, 0),
                "#!/bin/sh\n[ \"$1\" != bound ] || echo \"got $ip\"\n",
            );
        }
        let client =
            ["busybox", "udhcpc", "-i", "eth0", "-f", "-n", "-q", "-t", "5", "-T", "1", "-s", script];
        let mut argv = vec!["ip", "netns", "exec", guest];
        argv.extend(client);
        let said = self.run(&argv).stdout;
        said.lines().find_map(|line| line.strip_prefix("got ").map(str::to_owned))
    }

    /// Starts `vmnet run` in the foreground.
    #[track_caller]
    pub fn start_keeper(&self, name: &str) -> Process {
        self.spawn(crate::house::As::Root, &[VMNET, "run", name])
    }

    /// A file that holds one number.
    #[track_caller]
    fn number(&self, path: &str) -> u32 {
        let text = self.sh(&format!("cat {path}"));
        text.trim().parse().unwrap_or_else(|_| panic!("{path} holds {text:?}"))
    }
}
