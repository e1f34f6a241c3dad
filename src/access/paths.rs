//! Where things live. Fixed when the program is built (the Makefile hands the prefix over in
//! `VMNET_PREFIX`, and so on), so that a setuid program never takes a path from its environment.

use crate::name::IfName;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A path from the build's environment, or its default.
macro_rules! fixed {
    ($variable:literal, $default:literal) => {
        match option_env!($variable) {
            Some(path) => path,
            None => $default,
        }
    };
}

/// The companion, started by the helper when a network is down.
pub const VMNET: &str = fixed!("VMNET_PROGRAM", "/usr/local/sbin/vmnet");
/// The helper, named in messages and snippets.
pub const HELPER: &str = fixed!("VMNET_HELPER", "/usr/local/libexec/vmnet-bridge-helper");
/// Network files and our access rules.
pub const CONFIG_DIR: &str = fixed!("VMNET_CONFIG_DIR", "/etc/vmnet");
/// What must outlive a reboot: subnets that were chosen, live changes, notes for libvirt.
pub const STATE_DIR: &str = fixed!("VMNET_STATE_DIR", "/var/lib/vmnet");
/// What must not outlive a reboot: records, sockets and locks of networks that are up.
pub const RUN_DIR: &str = fixed!("VMNET_RUN_DIR", "/run/vmnet");
/// QEMU's own access rules.
pub const QEMU_RULES: &str = fixed!("VMNET_QEMU_RULES", "/etc/qemu/bridge.conf");

/// The file with our own access rules, in the configuration directory.
pub const RULES_FILE: &str = "bridge.conf";
/// The directory of network files in the configuration directory, of definitions in the state directory.
pub const NETWORKS_DIR: &str = "networks";
/// A network file's ending.
pub const NETWORK_ENDING: &str = ".toml";
/// The record for the helper, in a network's run directory.
pub const PORT_FILE: &str = "port";
/// What `up` did, in a network's run directory.
pub const RECORD_FILE: &str = "record.json";
/// The keeper's claim, in a network's run directory.
pub const KEEPER_FILE: &str = "keeper";
/// The network that exists without a file.
pub const BUILT_IN: &str = "brmgr0";
/// The broker's socket, in the run directory.
pub const BROKER_SOCKET: &str = "broker.sock";
/// The lock of whoever changes a network, in the run directory.
pub const LOCK_FILE: &str = "lock";
/// The file in the run directory by which one user's helpers take turns.
pub const TURNS_FILE: &str = "turns";

/// A running network's directory in the run directory `run`. It is called after the bridge and not after the
/// network (they differ for names over 15 bytes), because the helper, which looks there, knows nothing else.
#[must_use]
pub fn run_dir(run: &Path, bridge: &IfName) -> PathBuf {
    run.join(OsStr::from_bytes(bridge.as_bytes()))
}
