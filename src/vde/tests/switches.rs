//! Ports on a real vde_switch, and on switches that are none.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "this file is all test"
)]

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use vmnet_model::vde::{ANSWER_SIZE, Directory, REQUEST_SIZE};
use vmnet_vde::console::{Console, ConsoleError};
use vmnet_vde::port::{JoinError, Port, Wish};

/// A running switch, in a directory of its own.
struct Switch {
    process: Child,
    at: TempDir,
}

impl Switch {
    fn start(options: &[&str]) -> Self {
        let at = tempfile::tempdir().unwrap();
        let process = Self::process(at.path(), options);
        Self { process, at }
    }

    /// It ends when its standard input does, so that is held.
    fn process(at: &Path, options: &[&str]) -> Child {
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

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn directory(&self) -> Directory {
        directory(&self.at.path().join("switch"))
    }

    fn join(&self, name: &str, port: u32) -> Result<Port, JoinError> {
        join(&self.directory(), &self.at.path().join(name), port)
    }

    /// The switch's sockets for ports.
    fn ports(&self) -> Vec<PathBuf> {
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

fn directory(path: &Path) -> Directory {
    Directory::new(path.to_str().unwrap()).unwrap()
}

fn join(switch: &Directory, own_socket: &Path, port: u32) -> Result<Port, JoinError> {
    let joined = Port::join(&Wish { switch, port, description: "test token=1", own_socket, mode: 0o600 });
    if let Ok(port) = &joined {
        port.data().set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    }
    joined
}

fn frame(length: usize) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend([2, 0, 0, 0, 0, 1, 0x88, 0xb5]);
    frame.resize(length, 7);
    frame
}

fn wait_until(what: impl Fn() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(10);
    while !what() {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}

#[test]
fn frames_of_every_length_a_switch_carries_arrive_whole() {
    let switch = Switch::start(&[]);
    let (one, two) = (switch.join("one", 0).unwrap(), switch.join("two", 0).unwrap());
    let mut buffer = [0; 2000];
    for length in [14, 60, 1514, 1518] {
        one.data().send(&frame(length)).unwrap();
        let got = two.data().recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..got], frame(length));
    }
    // Too short: dropped. Too long: cut, which is why none is ever sent.
    one.data().send(&frame(14)[..13]).unwrap();
    one.data().send(&frame(1519)).unwrap();
    assert_eq!(two.data().recv(&mut buffer).unwrap(), 1518);
}

#[test]
fn a_port_goes_with_its_control_connection_and_leaves_nothing() {
    let switch = Switch::start(&[]);
    drop(switch.join("port", 0).unwrap());
    assert!(wait_until(|| switch.ports().is_empty()), "{:?}", switch.ports());
    assert!(!switch.at.path().join("port").exists());
}

#[test]
fn of_two_thousand_joins_and_leaves_none_is_lost() {
    let switch = Switch::start(&[]);
    for _ in 0..2000 {
        switch.join("port", 0).unwrap().leave().unwrap();
    }
    assert!(wait_until(|| switch.ports().is_empty()), "{:?}", switch.ports());
}

#[test]
fn a_number_is_given_on_request_and_refused_where_there_is_none() {
    let switch = Switch::start(&["-n", "8"]);
    let _port = switch.join("five", 5).unwrap();
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("005.");
    assert!(switch.ports().iter().any(name), "{:?}", switch.ports());
    let refused = switch.join("far", 99).unwrap_err();
    assert!(matches!(refused, JoinError::Silent | JoinError::Closed), "{refused}");
    assert!(!switch.at.path().join("far").exists());
}

#[test]
fn a_restarted_switch_is_joined_again_under_whoever_holds_the_socket() {
    let mut switch = Switch::start(&[]);
    let mut one = switch.join("one", 0).unwrap();
    let vm = one.data().try_clone().unwrap();
    switch.kill();
    assert!(vm.send(&frame(60)).is_err());
    fs::remove_dir_all(switch.at.path().join("switch")).unwrap();
    switch.process = Switch::process(switch.at.path(), &[]);
    one.join_again(&switch.directory(), 0, "again").unwrap();
    let two = switch.join("two", 0).unwrap();
    vm.send(&frame(60)).unwrap();
    let mut buffer = [0; 2000];
    assert_eq!(two.data().recv(&mut buffer).unwrap(), 60);
    two.data().send(&frame(90)).unwrap();
    assert_eq!(vm.recv(&mut buffer).unwrap(), 90);
}

#[test]
fn where_no_switch_is_the_answer_says_so_and_nothing_is_left() {
    let at = tempfile::tempdir().unwrap();
    let own = at.path().join("own");
    assert!(matches!(join(&directory(at.path()), &own, 0), Err(JoinError::NoSwitch(_))));
    assert!(!own.exists());
    let taken = at.path().join("taken");
    fs::write(&taken, "").unwrap();
    assert!(matches!(join(&directory(at.path()), &taken, 0), Err(JoinError::OwnSocket(..))));
    assert!(taken.exists(), "not ours to remove");
}

#[test]
fn the_console_tells_of_ports_whatever_their_clients_say_of_themselves() {
    let switch = Switch::start(&["-n", "6"]);
    let one = switch.join("one", 2).unwrap();
    let words = "evil\n.\n1000 Success\n\nvde$ \nPort 0004 untagged_vlan=0000 ACTIVE - Unnamed Allocatable";
    let path = switch.at.path().join("evil");
    let _evil = UnixDatagram::bind(&path).unwrap();
    let mut request = vmnet_model::vde::request(path.to_str().unwrap().as_bytes(), 3, "").unwrap();
    request.extend(words.bytes());
    let mut control = UnixStream::connect(switch.at.path().join("switch/ctl")).unwrap();
    control.write_all(&request).unwrap();
    control.read_exact(&mut [0; ANSWER_SIZE]).unwrap();
    one.data().send(&frame(60)).unwrap();

    let console = Console::at(switch.at.path().join("console"));
    for _ in 0..20 {
        let ports = console.ports().unwrap();
        assert_eq!(ports.iter().map(|port| port.number).collect::<Vec<_>>(), [2, 3], "{ports:?}");
        assert!(ports.iter().all(|port| port.active && port.user.is_some()), "{ports:?}");
        assert_eq!(ports[0].endpoints[0].description, "test token=1");
    }
    let mac = "02:00:00:00:00:01".parse().unwrap();
    assert!(wait_until(|| console.addresses().unwrap() == [(mac, 2)]));
    assert_eq!(console.ports().unwrap()[0].came.frames, 1);
    let id = console.ports().unwrap()[1].endpoints[0].id;
    console.close_endpoint(3, id).unwrap();
    assert!(matches!(console.close_endpoint(3, id), Err(ConsoleError::Refused(_))));
    assert_eq!(console.ports().unwrap().iter().filter(|port| port.active).count(), 1);
}

#[test]
fn a_console_that_talks_nonsense_or_nothing_is_told_from_none() {
    let at = tempfile::tempdir().unwrap();
    let path = at.path().join("console");
    let console = Console::at(path.clone());
    assert!(matches!(console.ports(), Err(ConsoleError::NoConsole(_))));
    let listener = UnixListener::bind(&path).unwrap();
    let thread = std::thread::spawn(move || {
        for words in [&b"hello\nvde$ what?\nvde$ "[..], b"hello\nvde$ "] {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(words).unwrap();
            let _ = stream.read(&mut [0; 100]);
            let _ = stream.write_all(b"nonsense\nvde$ ");
            let _ = stream.read_to_end(&mut Vec::new());
        }
        drop(listener.accept());
    });
    for _ in 0..2 {
        let error = console.ports().unwrap_err();
        assert!(matches!(error, ConsoleError::Nonsense), "{error}");
    }
    assert!(matches!(console.ports(), Err(ConsoleError::Broken(_))));
    thread.join().unwrap();
}

/// What a false switch answers, from its directory.
type Lie = Box<dyn Fn(&Path) -> Option<Vec<u8>> + Send>;

/// A switch that says whatever it is told to: its answer, or none.
fn false_switch(answer: Lie) -> (TempDir, std::thread::JoinHandle<usize>) {
    let at = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(at.path().join("ctl")).unwrap();
    let path = at.path().to_owned();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let got = stream.read(&mut request).unwrap();
        match answer(&path) {
            // To the end, so that the client hears silence and not an end.
            None => drop(stream.read_to_end(&mut Vec::new())),
            Some(answer) => stream.write_all(&answer).unwrap_or_default(),
        }
        got
    });
    (at, thread)
}

fn address(path: &Path) -> Vec<u8> {
    let mut bytes = 1_u16.to_ne_bytes().to_vec();
    bytes.extend(path.to_str().unwrap().bytes());
    bytes.resize(ANSWER_SIZE, 0);
    bytes
}

#[test]
fn false_switches_are_told_from_one_another_and_none_is_believed() {
    let elsewhere = tempfile::tempdir().unwrap();
    let victim = elsewhere.path().join("victim");
    let heard = UnixDatagram::bind(&victim).unwrap();
    let ask = |answer: Lie| {
        let (at, thread) = false_switch(answer);
        let own = elsewhere.path().join("own");
        let refused = join(&directory(at.path()), &own, 0).unwrap_err();
        assert!(!own.exists());
        assert_eq!(thread.join().unwrap(), REQUEST_SIZE + "test token=1".len(), "one write");
        refused
    };
    assert!(matches!(ask(Box::new(|_| None)), JoinError::Silent));
    assert!(matches!(ask(Box::new(|_| Some(Vec::new()))), JoinError::Closed));
    assert!(matches!(ask(Box::new(|_| Some(vec![1; 50]))), JoinError::Closed));
    assert!(matches!(ask(Box::new(|_| Some(vec![0xff; ANSWER_SIZE]))), JoinError::BadAnswer));
    let hostile = victim.clone();
    assert!(matches!(ask(Box::new(move |_| Some(address(&hostile)))), JoinError::ForeignSocket(_)));
    // By way of its own directory: up, and through a link.
    let name = elsewhere.path().file_name().unwrap().to_owned();
    let up = move |at: &Path| Some(address(&at.join("..").join(&name).join("victim")));
    assert!(matches!(ask(Box::new(up)), JoinError::ForeignSocket(_)));
    let hostile = victim.clone();
    let link = move |at: &Path| {
        std::os::unix::fs::symlink(&hostile, at.join("001.1")).unwrap();
        Some(address(&at.join("001.1")))
    };
    assert!(matches!(ask(Box::new(link)), JoinError::ForeignSocket(_)));
    heard.set_nonblocking(true).unwrap();
    assert!(heard.recv(&mut [0; 10]).is_err());
}
