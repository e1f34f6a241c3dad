//! A small Linux under QEMU (TCG, so that it runs anywhere) in a house, started by a plain user. It
//! gets a lease, then does what it is told over its serial line and says how that went.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::command;
use crate::house::{As, House};
use crate::process::Process;

/// The emulator.
pub const QEMU: &str = "qemu-system-x86_64";
/// How long a guest may take to start: it needs two seconds alone, but many may share two cores.
pub const BOOT: Duration = Duration::from_secs(120);
/// How long a guest may take for one command.
pub const ANSWER: Duration = Duration::from_secs(60);

/// What a guest said: the `key=value` pairs of one line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pairs: BTreeMap<String, String>,
}

impl Report {
    /// A value; empty if the guest gave none.
    pub fn get(&self, key: &str) -> &str {
        self.pairs.get(key).map_or("", String::as_str)
    }

    /// A number; 0 if the guest gave none.
    pub fn number(&self, key: &str) -> u64 {
        self.get(key).parse().unwrap_or(0)
    }
}

/// A running guest. Dropping it ends QEMU.
pub struct Guest {
    qemu: Process,
    name: String,
    /// What it said about its network card: `mac`, `mtu`, and `ms` since its kernel started.
    pub booted: Report,
    /// What it was given: `address` (with prefix length, or `none`), `gateway`, `dns`, `domain`, `mtu`,
    /// `seconds`, `server`, and `ms` that this took. Empty if it has a fixed address.
    pub lease: Report,
}

/// A guest to be started.
#[derive(Clone, Debug)]
pub struct Plan {
    name: String,
    user: String,
    netdev: String,
    address: Option<String>,
    device: String,
    starter: Vec<String>,
    more: Vec<String>,
}

impl Plan {
    /// A guest called `name` (its hostname; its MAC is made of it), run by `user` with this `-netdev`
    /// (without `id=`, which is added), such as `bridge,br=br0,helper=/usr/local/libexec/…`.
    pub fn new(name: &str, user: &str, netdev: &str) -> Self {
        let device = format!("mac={}", mac(name));
        let (name, user, netdev) = (name.to_owned(), user.to_owned(), netdev.to_owned());
        Self { name, user, netdev, address: None, device, starter: Vec::new(), more: Vec::new() }
    }

    /// Uses this address (with prefix length) and no DHCP.
    #[must_use]
    pub fn with_address(mut self, address: &str) -> Self {
        self.address = Some(address.to_owned());
        self
    }

    /// Has these words, and QEMU's after them, start QEMU.
    #[must_use]
    pub fn started_by(mut self, words: &[&str]) -> Self {
        self.starter = words.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// Gives the network card these properties, in place of its MAC.
    #[must_use]
    pub fn with_card(mut self, properties: &str) -> Self {
        properties.clone_into(&mut self.device);
        self
    }

    /// Gives QEMU more arguments.
    #[must_use]
    pub fn with_arguments(mut self, more: &[&str]) -> Self {
        self.more.extend(more.iter().map(|&word| word.to_owned()));
        self
    }

    /// Starts QEMU and does not wait: for QEMUs that are expected to fail, or many at once.
    #[track_caller]
    pub fn start(&self, house: &House) -> Starting {
        prepare(house);
        // An emulator that gets no processor for a moment looks like a board whose timer does not tick.
        let mut append = format!("console=ttyS0 quiet panic=-1 no_timer_check vmnet.host={}", self.name);
        if let Some(address) = &self.address {
            append.push_str(&format!(" vmnet.address={address}"));
        }
        let netdev = format!("{},id=net0", self.netdev);
        let device = format!("virtio-net-pci,netdev=net0,romfile=,{}", self.device);
        let mut argv: Vec<&str> = self.starter.iter().map(String::as_str).collect();
        argv.extend([QEMU, "-accel", "tcg", "-m", "128", "-nodefaults", "-nographic", "-no-reboot"]);
        argv.extend(["-chardev", "stdio,id=line,signal=off", "-serial", "chardev:line"]);
        argv.extend(["-kernel", "/tmp/house/guest/vmlinuz", "-initrd", "/tmp/house/guest/initramfs"]);
        argv.extend(["-append", &append, "-netdev", &netdev, "-device", &device]);
        argv.extend(self.more.iter().map(String::as_str));
        let qemu = house.spawn(As::User(&self.user), &argv);
        Starting { qemu, name: self.name.clone(), fixed: self.address.is_some() }
    }

    /// Starts QEMU and waits until the guest is ready for commands.
    ///
    /// # Panics
    /// If it does not get there, with all that QEMU and the guest said.
    #[track_caller]
    pub fn boot(&self, house: &House) -> Guest {
        self.start(house).ready()
    }
}

/// A QEMU that was just started.
pub struct Starting {
    qemu: Process,
    name: String,
    fixed: bool,
}

impl Starting {
    /// A guest that somebody else starts, with its serial line led to the input and output of `line`.
    pub fn on_line(line: Process, name: &str) -> Self {
        Self { qemu: line, name: name.to_owned(), fixed: false }
    }

    /// Waits until the guest is ready for commands.
    ///
    /// # Panics
    /// If it does not get there, with all that QEMU and the guest said.
    #[track_caller]
    pub fn ready(self) -> Guest {
        let Self { qemu, name, fixed } = self;
        let mut guest = Guest { qemu, name, booted: Report::default(), lease: Report::default() };
        guest.booted = guest.wait_for("BOOTED", BOOT);
        if !fixed {
            guest.lease = guest.wait_for("LEASE", BOOT);
        }
        guest.wait_for("READY", BOOT);
        guest
    }

    /// What QEMU said before it gave up.
    ///
    /// # Panics
    /// If it did not end by itself with an error.
    #[track_caller]
    pub fn refusal(mut self) -> String {
        let status = self.qemu.wait(BOOT);
        assert!(!status.success(), "QEMU ran\n{}", self.qemu.said());
        self.qemu.said()
    }
}

impl Guest {
    /// Pings an address (or `gateway`) so many times, that many seconds apart: `sent`, `received`, `ms`.
    #[track_caller]
    pub fn ping(&mut self, target: &str, count: u32, interval: f32) -> Report {
        let patience = ANSWER + Duration::from_secs_f32(3.0 * interval.max(1.0)) * count;
        self.start_ping(target, count, interval);
        self.wait_for("PING", patience)
    }

    /// Begins to ping; [`Guest::wait_for`] `PING` gives the result.
    #[track_caller]
    pub fn start_ping(&mut self, target: &str, count: u32, interval: f32) {
        self.qemu.write_line(&format!("ping {target} {count} {interval}"));
    }

    /// Whether an address (or `gateway`) answers a ping, asked a few times.
    #[track_caller]
    pub fn reaches(&mut self, target: &str) -> bool {
        (0..3).any(|_| self.ping(target, 1, 1.0).number("received") > 0)
    }

    /// Looks a name up with the servers of the lease: `address` (or `none`), `ms`.
    #[track_caller]
    pub fn resolve(&mut self, name: &str) -> Report {
        self.ask(&format!("resolve {name}"), "RESOLVE")
    }

    /// Opens a TCP connection to an address (or `gateway`): `open` is `yes` or `no`, `ms`.
    #[track_caller]
    pub fn connect(&mut self, address: &str, port: u16) -> Report {
        self.ask(&format!("connect {address} {port}"), "CONNECT")
    }

    /// Asks a web server: `body` is the last line of the answer (or `none`), `ms`.
    #[track_caller]
    pub fn fetch(&mut self, address: &str, path: &str) -> Report {
        self.ask(&format!("fetch {address} {path}"), "FETCH")
    }

    /// Asks for a new lease.
    #[track_caller]
    pub fn renew(&mut self) -> Report {
        self.ask("lease", "LEASE")
    }

    /// Runs a shell command; its output is in [`Guest::said`]. Answers its exit status.
    #[track_caller]
    pub fn sh(&mut self, script: &str) -> u64 {
        self.ask(&format!("sh {script}"), "DONE").number("status")
    }

    /// The lease's address without the prefix length.
    pub fn address(&self) -> &str {
        self.lease.get("address").split('/').next().unwrap_or_default()
    }

    /// All that QEMU and the guest said so far.
    pub fn said(&self) -> String {
        self.qemu.said()
    }

    /// Whether QEMU still runs.
    pub fn is_running(&mut self) -> bool {
        self.qemu.is_running()
    }

    /// Ends the guest in an orderly way and waits for QEMU's end.
    #[track_caller]
    pub fn power_off(mut self) {
        self.qemu.write_line("poweroff");
        let status = self.qemu.wait(ANSWER);
        assert!(status.success(), "QEMU ended with {status}\n{}", self.qemu.said());
    }

    /// The next report with this word.
    ///
    /// # Panics
    /// If there is none within `patience`.
    #[track_caller]
    pub fn wait_for(&mut self, word: &str, patience: Duration) -> Report {
        let start = format!("@vmnet {word} ");
        let line = self.qemu.line(patience, |line| line.contains(&start));
        let line = line.unwrap_or_else(|e| panic!("guest {} did not report {word}: {e}", self.name));
        let (_, pairs) = line.split_once(&start).unwrap_or_default();
        let pair = |word: &str| word.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        Report { pairs: pairs.split_whitespace().filter_map(pair).collect() }
    }

    #[track_caller]
    fn ask(&mut self, command: &str, word: &str) -> Report {
        self.qemu.write_line(command);
        self.wait_for(word, ANSWER)
    }
}

/// Whether guests can run here; says [`crate::skip::skip`] if not.
pub fn available(test: &str) -> bool {
    crate::skip::have(test, &[QEMU, "cpio", "modinfo", "apt-get", "dpkg-deb"])
}

/// A guest's MAC, made of its name: QEMU's prefix and a hash (FNV-1a, 24 bits of it).
pub fn mac(name: &str) -> String {
    let step = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let [_, a, b, c] = name.bytes().fold(0x811c_9dc5, step).to_be_bytes();
    format!("52:54:00:{a:02x}:{b:02x}:{c:02x}")
}

/// The guest's kernel in a house, once [`prepare`] put it there.
pub const KERNEL: &str = "/tmp/house/guest/vmlinuz";
/// The guest's initramfs.
pub const INITRAMFS: &str = "/tmp/house/guest/initramfs";

/// Builds the guest if need be and copies it into the house.
#[track_caller]
pub fn prepare(house: &House) {
    if house.outside_path(INITRAMFS).exists() {
        return;
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder: PathBuf = here.join("../../build/guest");
    let mut build = Command::new("sh");
    build.arg(here.join("guest/build-guest.sh")).arg(&folder).stdin(Stdio::null());
    let outcome = command::run(build, "build-guest.sh", None, Duration::from_secs(300));
    outcome.success();
    for file in ["vmlinuz", "initramfs"] {
        house.copy_in(&folder.join(file), &format!("/tmp/house/guest/{file}"), 0o644);
    }
}
