//! Where this run finds and leaves things.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
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

/// The three directories.
#[derive(Clone, Debug)]
pub struct Dirs {
    /// Network files and access rules.
    pub config: PathBuf,
    /// What outlives a reboot.
    pub state: PathBuf,
    /// What does not.
    pub run: PathBuf,
    /// See [`Dirs::before_changes`].
    begin: fn(),
}

impl Dirs {
    /// Those of the command line.
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
        self.state.join(format!("{name}.json"))
    }

    /// The access rules.
    pub fn rules(&self) -> RuleFiles {
        RuleFiles { vmnet: self.config.join(paths::RULES_FILE), qemu: paths::QEMU_RULES.into() }
    }

    /// A running network's directory. It is called after the bridge, because the helper, which
    /// looks there, knows nothing else.
    pub fn run_dir(&self, bridge: &IfName) -> RunDir {
        RunDir(self.run.join(OsStr::from_bytes(bridge.as_bytes())))
    }

    /// Wait for one's turn to change anything. One lock for all networks: they share the free
    /// subnets and the host's forwarding.
    pub fn lock(&self) -> Result<Lock, Error> {
        make_directory(&self.run)?;
        let path = self.run.join("lock");
        Lock::wait(&path).map_err(|error| {
            // Only if we just made it, and nobody has put anything into it since.
            let _ = std::fs::remove_dir(&self.run);
            Error::new("lock", path.display(), plain(&error))
        })
    }

    /// Remove the run directory and its lock files when no network is left in it.
    pub fn tidy(&self, lock: Lock) {
        let ours = |name: &OsStr| name == "lock" || name == "turns";
        let Ok(entries) = std::fs::read_dir(&self.run) else { return };
        if entries.flatten().all(|entry| ours(&entry.file_name())) {
            let _ = std::fs::remove_file(self.run.join("turns"));
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

    /// The helper's record.
    pub fn port(&self) -> PathBuf {
        self.0.join(paths::PORT_FILE)
    }

    /// The server's file.
    pub fn dnsmasq(&self) -> PathBuf {
        self.0.join(dnsmasq::CONFIGURATION_FILE)
    }

    /// The server's number.
    pub fn dnsmasq_pid(&self) -> PathBuf {
        self.0.join(dnsmasq::PID_FILE)
    }

    /// The directory of the server's names.
    pub fn names_directory(&self) -> PathBuf {
        self.0.join(dnsmasq::NAMES_DIR)
    }

    /// The server's names.
    pub fn names(&self) -> PathBuf {
        self.names_directory().join("reserved")
    }

    /// The directory of the server's reservations.
    pub fn reservations_directory(&self) -> PathBuf {
        self.0.join(dnsmasq::RESERVATIONS_DIR)
    }

    /// The server's reservations.
    pub fn reservations(&self) -> PathBuf {
        self.reservations_directory().join("reserved")
    }

    /// The leases.
    pub fn leases(&self) -> PathBuf {
        self.0.join(dnsmasq::LEASE_FILE)
    }

    /// Held by the keeper, its number in it.
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

    /// Make it.
    pub fn make(&self) -> Result<(), Error> {
        make_directory(&self.0)
    }
}
