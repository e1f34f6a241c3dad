//! Where this run finds and leaves things: every file below the run directory and the state directory.
//!
//! `BRIDGE/` is a running network's directory, `/run/vmnet/BRIDGE/` ([`RunDir`]); what of it is a VDE switch's
//! is [`SwitchDir`]'s. "The network lock" is [`Dirs::lock`]. Paths of source files are below `src/`. The same
//! table is in ARCHITECTURE.md; a test holds both against the functions here.
//!
//! | file | written by | read by | form | lock | mode |
//! |---|---|---|---|---|---|
//! | `/run/vmnet/lock` | `network/dirs.rs` | the same | empty | flock of the file: whoever changes a network | 0600 |
//! | `/run/vmnet/turns` | `sys/lock.rs` for `port/grant.rs` | the same | empty | byte UID: that user's helpers take turns | 0600 |
//! | `/run/vmnet/broker.sock` | `broker/socket.rs`, or systemd | `port/client.rs` | SOCK_SEQPACKET: `access/request.rs` | the network lock, while it is made | 0666 |
//! | `BRIDGE/record.json` | `network/store/run_record.rs` | `up`, `down`, `status`, keeper; that it is there: `port/bridge.rs` | JSON; unknown keys are passed over | the network lock | 0644 |
//! | `BRIDGE/port` | `network/apply/port.rs`, `network/forwards` | helper (`port/bridge.rs`), keeper | lines `key value`: `access/port_record.rs` | the network lock | 0644 |
//! | `BRIDGE/keeper` | keeper (`sys/claim.rs`); `leaves` by `network/keeper_handle.rs` | `network/keeper_handle.rs`, `port/bridge.rs` | `PID`, then perhaps `leaves` | byte 0: the claim; byte 1: the door | 0600 |
//! | `BRIDGE/dnsmasq.conf` | `network/apply/server.rs` | dnsmasq; `network/observe.rs` compares it | dnsmasq(8) | the network lock | 0644 |
//! | `BRIDGE/dnsmasq.pid` | dnsmasq | `network/server.rs` | `PID`; believed with its command line | none | 0644 |
//! | `BRIDGE/leases` | dnsmasq, in place | `network/leases.rs`, `network/lease_watch.rs` | lines of dnsmasq's: `model/lease.rs` | none: read after 20 ms of quiet | 0644 |
//! | `BRIDGE/names/reserved` | `network/apply/server.rs` | dnsmasq; `network/observe.rs` compares it | hosts(5) | the network lock | 0644 |
//! | `BRIDGE/reservations/reserved` | `network/apply/server.rs` | dnsmasq; `network/observe.rs` compares it | lines `MAC[,ADDRESS],NAME.DOMAIN` | the network lock | 0644 |
//! | `BRIDGE/firewalld` | keeper (`host/firewalls/firewalld.rs`) | `down`: that it is there | empty | none: the keeper's | 0644 |
//! | `BRIDGE/switch` | `vswitch/settings.rs` | whoever asks about the switch; its path is on its processes' command lines | lines `key value`: `model/vde_switch.rs` | the network lock | 0644 |
//! | `BRIDGE/switch.pid` | `vswitch/process_switch.rs` | `vswitch/process.rs` | `PID`; believed with user and command line | none | 0644 |
//! | `BRIDGE/plugged` | `vswitch/directory.rs` | the same | the switch's life: `DEV:INO:CTIME` of its socket | the network lock | 0644 |
//! | `BRIDGE/pump` | `vswitch/process_pump.rs` | `vswitch/start.rs` | `PID` | byte 0: the claim | 0600 |
//! | `BRIDGE/vde/` | `vswitch/directory.rs`; sockets by vde_switch | whoever may join | sockets `ctl` and one a port | none | 02770, the switch's user |
//! | `BRIDGE/console/mgmt` | vde_switch | `vswitch/console.rs` | SOCK_STREAM: `vswitch/console_text.rs` | none | 0600 in 0700, the switch's user |
//! | `BRIDGE/plugs/` | `vswitch/directory.rs`; sockets by `vde/held_port.rs` | `vswitch/clients`, `port/vde.rs`, keeper | `UID-PID-TOKEN` and `.data`, `.hold`, `.ctl`: `access/vde_port_tag.rs` | flock of the directory: shared to make, exclusive to tidy | 0711; `.data` 0660, others 0600 |
//! | `BRIDGE/cables/HASH/` | `network/cables/apply.rs` | `network/cables/observe.rs` | one cable to a switch: `switch`, `plugged`, `pump`, `plugs/` as above | as above | 0755 |
//! | `/var/lib/vmnet/NETWORK.json` | `network/store/live_changes.rs` | the same | JSON: subnet, reservations, forwards, cables | the network lock | 0644 |
//! | `/var/lib/vmnet/networks/NETWORK.toml` | `network/store/definitions` | the same; that it is there: `port/bridge.rs` | `# owner: WHO ID`, then as a network's file | the network lock | 0644 |
//! | `/var/lib/vmnet/libvirt/UUID.json` | `libvirt/notes.rs` | the same | JSON: what was done for a domain | none: libvirt calls one hook a domain at a time | 0644 |

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use vmnet_access::name::{IfName, NetName};
use vmnet_access::paths;
use vmnet_host::files::make_directory;
use vmnet_model::dnsmasq;
use vmnet_model::error::Error;
use vmnet_port::policy::RuleFiles;
use vmnet_sys::lock::Lock;
use vmnet_sys::trust::plain;
use vmnet_vswitch::dir::{CABLES_DIR, SwitchDir};

/// The ending of what is kept as JSON in the state directory.
pub const STATE_ENDING: &str = ".json";

/// The three directories.
#[derive(Clone, Debug)]
pub struct Dirs {
    /// Network files and access rules.
    pub config: PathBuf,
    /// The state directory: what outlives a reboot.
    pub state: PathBuf,
    /// The run directory: what does not outlive a reboot.
    pub run: PathBuf,
    /// See [`Dirs::before_changes`].
    begin: fn(),
}

impl Dirs {
    /// The configuration, state and run directory at these paths.
    pub fn new(config: &Path, state: &Path, run: &Path) -> Self {
        Self { config: config.to_owned(), state: state.to_owned(), run: run.to_owned(), begin: || () }
    }

    /// Have `begin` called before each change of the host that must not be left half-done: there a process may
    /// hold back the signals that would end it. Nothing is called by default.
    #[must_use]
    pub fn before_changes(mut self, begin: fn()) -> Self {
        self.begin = begin;
        self
    }

    /// From here to the end of the change: milliseconds, or the time limit of a tool that hangs. The wait for
    /// the lock comes before it, and can still be interrupted.
    pub(crate) fn begin_changes(&self) {
        (self.begin)();
    }

    /// The directory of network files.
    pub fn networks(&self) -> PathBuf {
        self.config.join(paths::NETWORKS_DIR)
    }

    /// A network's file.
    pub fn network_file(&self, name: &NetName) -> PathBuf {
        self.networks().join(format!("{name}{}", paths::NETWORK_ENDING))
    }

    /// The directory of the networks that other programs define, below the state directory.
    pub fn definitions(&self) -> PathBuf {
        self.state.join(paths::NETWORKS_DIR)
    }

    /// The definition of a network that another program defines.
    pub fn definition(&self, name: &NetName) -> PathBuf {
        self.definitions().join(format!("{name}{}", paths::NETWORK_ENDING))
    }

    /// What is remembered of a network.
    pub fn memory(&self, name: &NetName) -> PathBuf {
        self.state.join(format!("{name}{STATE_ENDING}"))
    }

    /// The access rules.
    pub fn rules(&self) -> RuleFiles {
        RuleFiles { vmnet: self.config.join(paths::RULES_FILE), qemu: paths::QEMU_RULES.into() }
    }

    /// What was done for libvirt's domains.
    pub fn libvirt_notes(&self) -> PathBuf {
        self.state.join("libvirt")
    }

    /// The broker's socket.
    pub fn broker_socket(&self) -> PathBuf {
        self.run.join(paths::BROKER_SOCKET)
    }

    /// Locked by whoever changes a network.
    pub fn lock_file(&self) -> PathBuf {
        self.run.join(paths::LOCK_FILE)
    }

    /// Locked by a user's helpers, which take turns.
    pub fn turns(&self) -> PathBuf {
        self.run.join(paths::TURNS_FILE)
    }

    /// A running network's directory.
    pub fn run_dir(&self, bridge: &IfName) -> RunDir {
        RunDir(paths::run_dir(&self.run, bridge))
    }

    /// Wait for one's turn to change anything. One lock for all networks: they share the free
    /// subnets and the host's forwarding.
    pub fn lock(&self) -> Result<Lock, Error> {
        make_directory(&self.run)?;
        let path = self.lock_file();
        Lock::wait(&path).map_err(|error| {
            // Only if we just made it, and nobody has put anything into it since.
            let _ = std::fs::remove_dir(&self.run);
            Error::new("lock", path.display(), plain(&error))
        })
    }

    /// Remove the run directory and its lock files when no network is left in it.
    pub fn tidy(&self, lock: Lock) {
        let ours = |name: &OsStr| name == paths::LOCK_FILE || name == paths::TURNS_FILE;
        let Ok(entries) = std::fs::read_dir(&self.run) else { return };
        if entries.flatten().all(|entry| ours(&entry.file_name())) {
            let _ = std::fs::remove_file(self.turns());
            let _ = lock.remove();
            // Not empty any more: somebody else is coming up.
            let _ = std::fs::remove_dir(&self.run);
        }
    }
}

/// One running network's directory.
#[derive(Clone, Debug)]
pub struct RunDir(PathBuf);

impl RunDir {
    /// The directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The record of what `up` did.
    pub fn record(&self) -> PathBuf {
        self.0.join(paths::RECORD_FILE)
    }

    /// The port record, for the helper.
    pub fn port(&self) -> PathBuf {
        self.0.join(paths::PORT_FILE)
    }

    /// The server's configuration.
    pub fn dnsmasq(&self) -> PathBuf {
        self.0.join(dnsmasq::CONFIGURATION_FILE)
    }

    /// The server's process number.
    pub fn dnsmasq_pid(&self) -> PathBuf {
        self.0.join(dnsmasq::PID_FILE)
    }

    /// The directory of the server's names.
    pub fn names_directory(&self) -> PathBuf {
        self.0.join(dnsmasq::NAMES_DIR)
    }

    /// The server's names.
    pub fn names(&self) -> PathBuf {
        self.names_directory().join(dnsmasq::RESERVED_FILE)
    }

    /// The directory of the server's reservations.
    pub fn reservations_directory(&self) -> PathBuf {
        self.0.join(dnsmasq::RESERVATIONS_DIR)
    }

    /// The server's reservations.
    pub fn reservations(&self) -> PathBuf {
        self.reservations_directory().join(dnsmasq::RESERVED_FILE)
    }

    /// The leases that the server has given out.
    pub fn leases(&self) -> PathBuf {
        self.0.join(dnsmasq::LEASE_FILE)
    }

    /// The keeper's claim, its process number in it.
    pub fn keeper(&self) -> PathBuf {
        self.0.join(paths::KEEPER_FILE)
    }

    /// Says that firewalld was told of the bridge.
    pub fn firewalld(&self) -> PathBuf {
        self.0.join("firewalld")
    }

    /// The files of its VDE switch.
    pub fn switch(&self) -> SwitchDir {
        SwitchDir::new(&self.0)
    }

    /// The directory of its cables to other switches: each has its own record, pump and plugs there.
    pub fn cables(&self) -> PathBuf {
        self.0.join(CABLES_DIR)
    }

    /// Make the directory.
    pub fn make(&self) -> Result<(), Error> {
        make_directory(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const PAGE: &str = include_str!("../../ARCHITECTURE.md");
    const HERE: &str = include_str!("dirs.rs");
    const SWITCH: &str = include_str!("../vswitch/dir.rs");

    /// The rows of the table about files: those that begin with a path in the run or state directory.
    fn rows<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
        let is_row = |line: &&str| {
            ["| `/run/vmnet/", "| `/var/lib/vmnet/", "| `BRIDGE/"].iter().any(|start| line.starts_with(start))
        };
        lines.filter(is_row).collect()
    }

    /// The paths that the functions here and those of [`SwitchDir`] give, and how many functions they are.
    fn given() -> (usize, Vec<PathBuf>) {
        let dirs = Dirs::new(Path::new("/etc/vmnet"), Path::new("/var/lib/vmnet"), Path::new("/run/vmnet"));
        let network = NetName::new("NETWORK").unwrap();
        let run_dir = dirs.run_dir(&IfName::new(b"BRIDGE").unwrap());
        let switch = run_dir.switch();
        let configuration = [dirs.networks(), dirs.network_file(&network)];
        let above = [
            dirs.definitions(),
            run_dir.names_directory(),
            run_dir.reservations_directory(),
            switch.console(),
        ];
        let files = [
            dirs.memory(&network),
            dirs.definition(&network),
            dirs.libvirt_notes(),
            dirs.broker_socket(),
            dirs.lock_file(),
            dirs.turns(),
            run_dir.record(),
            run_dir.port(),
            run_dir.dnsmasq(),
            run_dir.dnsmasq_pid(),
            run_dir.names(),
            run_dir.reservations(),
            run_dir.leases(),
            run_dir.keeper(),
            run_dir.firewalld(),
            run_dir.cables(),
            switch.record(),
            switch.pid(),
            switch.plugged(),
            switch.switch(),
            switch.console_socket(),
            switch.plugs(),
            switch.pump(),
        ];
        (configuration.len() + above.len() + files.len(), files.to_vec())
    }

    #[test]
    fn the_page_and_this_file_have_the_same_table() {
        let page = rows(PAGE.lines());
        assert!(!page.is_empty());
        assert_eq!(page, rows(HERE.lines().filter_map(|line| line.strip_prefix("//! "))));
    }

    #[test]
    fn the_table_names_each_file_that_is_given_and_no_other() {
        let (functions, files) = given();
        let written =
            [HERE, SWITCH].map(|text| text.lines().filter(|line| line.ends_with("-> PathBuf {")).count());
        assert_eq!(functions, written.iter().sum::<usize>(), "each function is asked for its path here");
        let full =
            |name: &str| if name.starts_with('/') { name.into() } else { format!("/run/vmnet/{name}") };
        // What is in a directory that one function gives stands in the directory's row.
        let bare = |name: &str| {
            let name = full(name);
            let name = name.strip_suffix("UUID.json").or(name.strip_suffix("HASH/")).unwrap_or(&name);
            name.trim_end_matches('/').to_owned()
        };
        let named: BTreeSet<String> =
            rows(PAGE.lines()).iter().filter_map(|row| row.split('`').nth(1)).map(bare).collect();
        assert_eq!(named, files.iter().map(|file| file.display().to_string()).collect());
    }
}
