//! The broker in a house, and callers whose helper has no rights of its own.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use crate::house::{As, House, Privilege, VMNET, ours_built};
use crate::process::Process;
use crate::skip::skip;

/// The broker's socket in a house.
pub const SOCKET: &str = "/run/vmnet/broker.sock";
/// The hostile callers of `src/bin/crowd.rs`, in a house.
pub const CROWD: &str = "/tmp/house/crowd";
/// Where a broker tells that it is ready.
const NOTIFY: &str = "/tmp/house/notify";
const PATIENCE: Duration = Duration::from_secs(20);

impl House {
    /// A house whose helper has no rights, with these rules and the bridge br0, and a broker; or a word that
    /// `test` is skipped.
    #[track_caller]
    pub fn with_broker(test: &str, rules: &str) -> Option<(Self, Process)> {
        if !ours_built() {
            skip(test, "our programs are not built");
            return None;
        }
        let house = Self::new();
        house.install_with(Privilege::None);
        house.sh("ip link add br0 type bridge; ip link set br0 up");
        house.write_file("/etc/vmnet/bridge.conf", rules);
        let broker = house.start_broker();
        Some((house, broker))
    }

    /// Starts a broker and waits until it says that it is ready.
    #[track_caller]
    pub fn start_broker(&self) -> Process {
        self.start_broker_below(&[])
    }

    /// The same below other programs.
    ///
    /// # Panics
    /// If it does not say so.
    #[track_caller]
    pub fn start_broker_below(&self, before: &[&str]) -> Process {
        let place = self.outside_path(NOTIFY);
        let _ = std::fs::remove_file(&place);
        let socket = UnixDatagram::bind(&place).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        let notify = format!("NOTIFY_SOCKET={NOTIFY}");
        let broker = self.spawn(As::Root, &[before, &["env", &notify, VMNET, "broker"]].concat());
        let mut buffer = [0; 64];
        let size = socket.recv(&mut buffer).unwrap_or_else(|e| panic!("not READY: {e}\n{}", broker.said()));
        assert_eq!(buffer[..size].trim_ascii_end(), b"READY=1");
        broker
    }

    /// The broker's number in the house. Its workers look the same, but for their parent: it was started
    /// from outside.
    #[track_caller]
    pub fn broker(&self) -> String {
        self.sh("pgrep --parent 0 --full '^/usr/local/sbin/vmnet broker$'").trim().to_owned()
    }

    /// So many hostile callers of the broker, all of one uid, until the answer is dropped; `way` is one of
    /// `src/bin/crowd.rs`.
    #[track_caller]
    pub fn crowd(&self, uid: u32, way: &str, count: usize) -> Process {
        if !self.outside_path(CROWD).exists() {
            self.copy_in(&program("crowd"), CROWD, 0o755);
        }
        let (uid, gid) = (format!("--reuid={uid}"), format!("--regid={uid}"));
        let count = count.to_string();
        let argv = ["setpriv", &uid, &gid, "--clear-groups", "--", CROWD, SOCKET, way, &count];
        let crowd = self.spawn(As::Root, &argv);
        crowd.line(PATIENCE, |line| line == "begun").unwrap_or_else(|e| panic!("{e}"));
        crowd
    }
}

/// Where cargo puts this package's programs: beside the folder of the running test.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let folder = test.parent().and_then(|deps| deps.parent()).expect("cargo's folder");
    folder.join(name)
}
