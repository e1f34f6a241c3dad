//! What this process does to itself, by the role that it plays: signals, children, umask, its place among those
//! whom the kernel kills first. Nothing below the door does any of that.

use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};
use vmnet_model::error::{Error, network};
use vmnet_model::keeper::KeeperEvent;
use vmnet_network::Orders;
use vmnet_sys::process::{adopt_orphans, heed_children, reap_all};
use vmnet_sys::trust::plain;

/// Any command. `makes_files` is false where what is made is somebody else's, who has a umask of his own.
pub fn command(makes_files: bool) {
    // A parent that ignores its children's end would have us ignore our tools' too.
    heed_children();
    vmnet_tools::prepare_each_by(vmnet_sys::child::end_with_us);
    if makes_files {
        // For all to read, whatever the umask of root's shell.
        nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    }
}

/// One that starts root's servers because a plain user's guest needs them: a caller who is first in line for the
/// kernel's killer must not make them so.
pub fn starter_for_others() {
    let _ = std::fs::write("/proc/self/oom_score_adj", "0");
}

/// A network's keeper: it heeds signals, and is told of the end of servers that become daemons under its eyes.
pub struct Keeping {
    terminate: Signal,
    interrupt: Signal,
    leave: Signal,
    reload: Signal,
    child: Signal,
}

impl Keeping {
    /// From here on these signals no longer end the process, and orphans are its children. To be called within
    /// a tokio runtime.
    pub fn begin(name: &impl std::fmt::Display) -> Result<Self, Error> {
        let begin = || -> io::Result<Self> {
            adopt_orphans()?;
            Ok(Self {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
                leave: signal(SignalKind::user_defined2())?,
                reload: signal(SignalKind::hangup())?,
                child: signal(SignalKind::child())?,
            })
        };
        begin().map_err(|error| Error::new("keep", network(name), plain(&error)))
    }
}

impl Orders for Keeping {
    async fn next(&mut self) -> KeeperEvent {
        tokio::select! {
            _ = self.terminate.recv() => KeeperEvent::Stop,
            _ = self.interrupt.recv() => KeeperEvent::Stop,
            _ = self.leave.recv() => KeeperEvent::Leave,
            _ = self.reload.recv() => KeeperEvent::Reload,
            _ = self.child.recv() => KeeperEvent::ChildEnded,
        }
    }

    fn reap(&mut self) {
        reap_all();
    }
}
