//! Ports on a real vde_switch, and on switches that are none.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "this file is all test"
)]

mod switch;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use switch::{Switch, directory, frame, join, wait_until};
use tempfile::TempDir;
use vmnet_access::vde::{ANSWER_SIZE, REQUEST_SIZE};
use vmnet_vde::port::JoinError;
use vmnet_vswitch::console::{Console, ConsoleError};
use vmnet_vswitch::console_text::tells_of_a_port;

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
fn of_ten_thousand_joins_and_leaves_none_is_lost() {
    let switch = Switch::start(&[]);
    for _ in 0..10_000 {
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
    let mut request = vmnet_access::vde::request(path.to_str().unwrap().as_bytes(), 3, "").unwrap();
    request.extend(words.bytes());
    let mut control = UnixStream::connect(switch.at.path().join("switch/ctl")).unwrap();
    control.write_all(&request).unwrap();
    control.read_exact(&mut [0; ANSWER_SIZE]).unwrap();
    one.data().send(&frame(60)).unwrap();

    let console = Console::of(switch.at.path().join("console"), me());
    for _ in 0..20 {
        let ports = [2, 3].map(|number| console.talk().unwrap().port(number).unwrap());
        assert_eq!(ports.each_ref().map(|port| port.number), [2, 3], "{ports:?}");
        assert!(ports.iter().all(|port| port.active && port.user.is_some()), "{ports:?}");
        assert_eq!(ports[0].endpoints[0].description, "test token=1");
    }
    let mac = "02:00:00:00:00:01".parse().unwrap();
    assert!(wait_until(|| console.talk().unwrap().addresses().unwrap() == [(mac, 2)]));
    assert_eq!(console.talk().unwrap().port(2).unwrap().came.frames, 1);
    let id = console.talk().unwrap().port(3).unwrap().endpoints[0].id;
    console.talk().unwrap().close_endpoint(3, id).unwrap();
    assert!(matches!(console.talk().unwrap().close_endpoint(3, id), Err(ConsoleError::Refused(_))));
    assert!(console.talk().unwrap().port(2).unwrap().active);
    assert!(!console.talk().unwrap().port(3).is_ok_and(|port| port.active));
}

#[test]
fn a_console_that_talks_nonsense_or_nothing_is_told_from_none() {
    let at = tempfile::tempdir().unwrap();
    let path = at.path().join("console");
    let console = Console::of(path.clone(), me());
    assert!(matches!(console.talk(), Err(ConsoleError::NoConsole(_))));
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
        let error = console.talk().unwrap().port(1).unwrap_err();
        assert!(matches!(error, ConsoleError::Nonsense), "{error}");
    }
    assert!(matches!(console.talk(), Err(ConsoleError::Broken(_))));
    thread.join().unwrap();
}

#[test]
fn a_console_that_takes_its_time_has_it_for_all_questions_together() {
    let at = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(at.path().join("console")).unwrap();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut answer = &b"hello\n\nvde$ "[..];
        while stream.write_all(answer).is_ok() && stream.read(&mut [0; 100]).is_ok_and(|count| count > 0) {
            std::thread::sleep(Duration::from_millis(300));
            answer = b"0000 DATA END WITH '.'\nNumports=100\nHUB=false\n.\n1000 Success\n\nvde$ ";
        }
    });
    let begin = Instant::now();
    let mut talk = Console::of(at.path().join("console"), me()).talk().unwrap();
    let error = (0..100).find_map(|_| talk.switch().err()).unwrap();
    drop(talk);
    assert_eq!(error.to_string(), "it does not answer");
    assert!(begin.elapsed() < Duration::from_secs(4), "{:?}", begin.elapsed());
    thread.join().unwrap();
}

#[test]
fn the_feed_tells_of_who_comes_and_goes_and_nobody_waits_for_its_reader() {
    let switch = Switch::start(&["-n", "6"]);
    let console = Console::of(switch.at.path().join("console"), me());
    let feed = console.feed().unwrap();
    let tells = || {
        let mut bytes = [0; 4096];
        (&feed).read(&mut bytes).is_ok_and(|count| tells_of_a_port(&bytes[..count]))
    };
    let port = switch.join("one", 0).unwrap();
    assert!(wait_until(tells), "it came");
    port.leave().unwrap();
    assert!(wait_until(tells), "it went");
    // More than its queue holds.
    for _ in 0..2000 {
        switch.join("one", 0).unwrap().leave().unwrap();
    }
    assert_eq!(console.talk().unwrap().switch().unwrap().ports, 6);
}

/// The user that we are.
fn me() -> u32 {
    std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").unwrap())
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
