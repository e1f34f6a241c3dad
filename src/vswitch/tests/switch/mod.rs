//! A real vde_switch for tests, started and ended by them.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "this file is all test, and each test file uses its own part of it"
)]

use std::fs;
use std::io::Read;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use vmnet_access::vde::Directory;
use vmnet_vde::port::{JoinError, Port, Wish};

/// A running switch, in a directory of its own.
pub struct Switch {
    pub process: Child,
    pub at: TempDir,
}

impl Switch {
    pub fn start(options: &[&str]) -> Self {
        let at = tempfile::tempdir().unwrap();
        let process = Self::process(at.path(), options);
        Self { process, at }
    }

    /// It ends when its standard input does, so that is held.
    pub fn process(at: &Path, options: &[&str]) -> Child {
        let mut command = Command::new("vde_switch");
        command.arg("-s").arg(at.join("switch")).arg("-M").arg(at.join("console"));
        command.args(["-f", "/dev/null"]).args(options);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut process = command.spawn().expect("vde_switch of Debian's vde2");
        let control = at.join("switch/ctl");
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            if let Ok(mut stream) = UnixStream::connect(&control) {
                // Gone before anybody else comes: a leave and a request together lose a port.
                stream.shutdown(Shutdown::Write).unwrap();
                assert_eq!(stream.read(&mut [0]).unwrap(), 0);
                return process;
            }
            assert!(Instant::now() < end && process.try_wait().unwrap().is_none(), "no switch");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub fn directory(&self) -> Directory {
        directory(&self.at.path().join("switch"))
    }

    pub fn join(&self, name: &str, port: u32) -> Result<Port, JoinError> {
        join(&self.directory(), &self.at.path().join(name), port)
    }

    /// The switch's sockets for ports.
    pub fn ports(&self) -> Vec<PathBuf> {
        let entries =
            fs::read_dir(self.at.path().join("switch")).unwrap().flatten().map(|entry| entry.path());
        entries.filter(|path| path.file_name().unwrap() != "ctl").collect()
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub fn directory(path: &Path) -> Directory {
    Directory::new(path.to_str().unwrap()).unwrap()
}

pub fn join(switch: &Directory, own_socket: &Path, port: u32) -> Result<Port, JoinError> {
    let joined = Port::join(&Wish { switch, port, description: "test token=1", own_socket, mode: 0o600 });
    if let Ok(port) = &joined {
        port.data().set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    }
    joined
}

pub fn frame(length: usize) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend([2, 0, 0, 0, 0, 1, 0x88, 0xb5]);
    frame.resize(length, 7);
    frame
}

pub fn wait_until(what: impl Fn() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(10);
    while !what() {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}
