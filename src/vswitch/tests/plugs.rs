//! Ports in somebody else's hands, on a real vde_switch: they live and die with their holder, and follow the
//! switch from life to life.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "this file is all test"
)]

mod switch;

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use switch::{Switch, frame, wait_until};
use vmnet_access::vde_port_tag::VdePortTag;
use vmnet_sys::seqpacket::Channel;
use vmnet_vde::held_port::{ControlSocket, Standing, VdePort, holders, tags, tidy};
use vmnet_vde::port::{Absence, JoinError, Port, Wish};

/// The directory of a switch's holders, made if need be.
fn plugs(switch: &Switch) -> PathBuf {
    let path = switch.at.path().join("plugs");
    fs::create_dir_all(&path).unwrap();
    path
}

/// A tag of whoever runs the test.
fn tag(at: &Path, token: u32) -> VdePortTag {
    VdePortTag { uid: fs::metadata(at).unwrap().uid(), pid: std::process::id(), token }
}

fn prepare(at: &Path, token: u32) -> (VdePort, ControlSocket) {
    VdePort::prepare(at, tag(at, token), fs::metadata(at).unwrap().gid()).unwrap()
}

fn plug(switch: &Switch, token: u32) -> VdePort {
    let (plug, line) = prepare(&plugs(switch), token);
    plug.join(line, &switch.directory(), "test", Absence::Final).unwrap();
    plug
}

/// Once more, with the line that is the next of its holder.
fn again(switch: &Switch, plug: &VdePort, token: u32) -> Result<UnixStream, JoinError> {
    let line = ControlSocket::bind(&plugs(switch), tag(&plugs(switch), token)).unwrap();
    plug.join(line, &switch.directory(), "test", Absence::Final)
}

/// Copies of its descriptors, as whoever may trace a holder takes them.
fn copy(plug: &VdePort) -> VdePort {
    let data = plug.data().as_fd().try_clone_to_owned().unwrap();
    VdePort::of(data, plug.hold().try_clone_to_owned().unwrap()).unwrap()
}

/// A process that holds a port and nothing else.
fn holder(plug: VdePort) -> Child {
    let [data, hold] = plug.into_descriptors();
    let mut command = Command::new("sleep");
    command.arg("600").stdin(Stdio::from(data)).stdout(Stdio::from(hold)).stderr(Stdio::null());
    command.spawn().unwrap()
}

fn names(at: &Path) -> Vec<String> {
    let names = fs::read_dir(at).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// A frame from the one to the other, and back.
#[track_caller]
fn assert_they_talk(one: &UnixDatagram, two: &UnixDatagram) {
    let mut buffer = [0; 2000];
    for (from, to, length) in [(one, two, 60), (two, one, 1514)] {
        to.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        from.send(&frame(length)).unwrap();
        assert_eq!(to.recv(&mut buffer).unwrap(), length);
    }
}

#[test]
fn a_plug_carries_frames_and_is_known_by_its_sockets() {
    let switch = Switch::start(&[]);
    let one = plug(&switch, 1);
    let two = switch.join("two", 0).unwrap();
    assert_they_talk(one.data(), two.data());
    let number = one.number().unwrap();
    assert!(switch.ports().iter().any(|path| path.to_string_lossy().contains(&format!("/{number:03}."))));
    let found = holders(&plugs(&switch)).unwrap();
    assert_eq!(found.iter().map(|held| held.tag).collect::<Vec<_>>(), [tag(&plugs(&switch), 1)]);
    drop(one);
    assert!(wait_until(|| switch.ports().len() == 1), "{:?}", switch.ports());
    assert!(holders(&plugs(&switch)).unwrap().is_empty() && names(&plugs(&switch)).is_empty());
}

#[test]
fn one_who_keeps_a_port_by_its_connection_alone_is_still_counted() {
    let switch = Switch::start(&[]);
    let at = plugs(&switch);
    let one = plug(&switch, 1);
    let taken = Channel::of(one.hold().try_clone_to_owned().unwrap()).receive_now(1, 1).unwrap().descriptors;
    drop(one.into_descriptors());
    tidy(&at).unwrap();
    assert_eq!((switch.ports().len(), names(&at)), (1, vec![tag(&at, 1).name() + ".ctl"]));
    assert!(holders(&at).unwrap().is_empty(), "there is nothing to be plugged in");
    assert_eq!(tags(&at).unwrap().into_iter().collect::<Vec<_>>(), [tag(&at, 1)]);
    drop(taken);
    assert!(wait_until(|| switch.ports().is_empty()), "{:?}", switch.ports());
    assert!(tags(&at).unwrap().is_empty());
    tidy(&at).unwrap();
    assert_eq!(names(&at), [""; 0]);
}

#[test]
fn the_connection_that_was_before_the_last_counts_too() {
    let switch = Switch::start(&[]);
    let at = plugs(&switch);
    let one = plug(&switch, 1);
    let before = Channel::of(one.hold().try_clone_to_owned().unwrap()).receive_now(1, 1).unwrap();
    drop(again(&switch, &one, 1).unwrap());
    drop(one.into_descriptors());
    assert!(wait_until(|| switch.ports().len() == 1), "{:?}", switch.ports());
    tidy(&at).unwrap();
    assert_eq!(tags(&at).unwrap().len(), 1, "{before:?}");
}

#[test]
fn a_switch_that_is_just_starting_is_waited_for_and_one_that_stays_away_is_not_for_long() {
    let mut switch = Switch::start(&[]);
    switch.kill();
    let begun = Instant::now();
    let ask = |token, absence| {
        let (plug, line) = prepare(&plugs(&switch), token);
        plug.join(line, &switch.directory(), "test", absence).map(|control| (plug, control))
    };
    assert!(matches!(ask(1, Absence::Final), Err(JoinError::NoSwitch(_))));
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert!(matches!(ask(2, Absence::Passing), Err(JoinError::NoSwitch(_))));
    let waited = begun.elapsed();
    assert!(waited > Duration::from_secs(2) && waited < Duration::from_secs(4), "{waited:?}");
    fs::remove_dir_all(switch.at.path().join("switch")).unwrap();
    std::thread::scope(|scope| {
        let asked = [3, 4, 5].map(|token| scope.spawn(move || ask(token, Absence::Passing)));
        let mut process = Switch::process(switch.at.path(), &[]);
        for asked in asked {
            asked.join().unwrap().unwrap();
        }
        process.kill().unwrap();
        process.wait().unwrap();
    });
}

#[test]
fn when_the_holder_is_killed_its_port_goes() {
    let switch = Switch::start(&[]);
    let mut holder = holder(plug(&switch, 1));
    assert_eq!((holders(&plugs(&switch)).unwrap().len(), switch.ports().len()), (1, 1));
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(wait_until(|| switch.ports().is_empty()), "{:?}", switch.ports());
    assert!(holders(&plugs(&switch)).unwrap().is_empty());
    assert_eq!(names(&plugs(&switch)).len(), 3, "nobody was there to remove them");
    tidy(&plugs(&switch)).unwrap();
    assert_eq!(names(&plugs(&switch)), [""; 0]);
}

#[test]
fn a_restarted_switch_is_joined_again_under_the_holder_who_notices_nothing() {
    let mut switch = Switch::start(&[]);
    let one = plug(&switch, 1);
    let copies = copy(&one);
    let [data, hold] = one.into_descriptors();
    let vm = UnixDatagram::from(data);
    for _ in 0..3 {
        switch.kill();
        assert!(vm.send(&frame(60)).is_err());
        assert!(matches!(again(&switch, &copies, 1), Err(JoinError::NoSwitch(_))));
        assert_eq!(holders(&plugs(&switch)).unwrap().len(), 1, "known while there is no switch");
        fs::remove_dir_all(switch.at.path().join("switch")).unwrap();
        switch.process = Switch::process(switch.at.path(), &[]);
        let control = again(&switch, &copies, 1).unwrap();
        // Whoever plugged it in again keeps nothing.
        drop(control);
        let two = switch.join("two", 0).unwrap();
        assert_they_talk(&vm, two.data());
        two.leave().unwrap();
    }
    drop((copies, vm, hold));
    assert!(wait_until(|| switch.ports().is_empty()), "{:?}", switch.ports());
}

#[test]
fn a_plug_stands_as_its_own_sockets_tell_whatever_its_holder_puts_into_them() {
    let mut switch = Switch::start(&[]);
    let (one, line) = prepare(&plugs(&switch), 1);
    assert_eq!(one.standing().unwrap(), Standing::Coming);
    one.join(line, &switch.directory(), "test", Absence::Final).unwrap();
    // Looking takes nothing away.
    for _ in 0..2 {
        assert_eq!(one.standing().unwrap(), Standing::Joined);
    }
    let queue = Channel::of(one.hold().try_clone_to_owned().unwrap());
    let kept = queue.receive_now(1, 1).unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    queue.send(b"x", &[ours.as_fd(), theirs.as_fd()]).unwrap();
    assert_eq!(one.standing().unwrap(), Standing::Joined, "what he put there himself is his to answer for");
    drop(queue.receive_now(1, 2).unwrap());
    queue.send(b"x", &[]).unwrap();
    assert_eq!(one.standing().unwrap(), Standing::Off);
    drop(queue.receive_now(1, 0).unwrap());
    queue.send(b"c", &[kept.descriptors[0].as_fd()]).unwrap();
    assert_eq!(one.standing().unwrap(), Standing::Joined);
    switch.kill();
    assert_eq!(one.standing().unwrap(), Standing::Off);
}

#[test]
fn a_full_or_shut_queue_is_emptied_or_refused() {
    let switch = Switch::start(&[]);
    let one = plug(&switch, 1);
    let queue = Channel::of(one.hold().try_clone_to_owned().unwrap());
    let mut filled = 0;
    while queue.send(b"x", &[std::io::stdin().as_fd(), queue.as_fd()]).is_ok() {
        filled += 1;
        assert!(filled < 10_000, "no end of the queue");
    }
    again(&switch, &one, 1).unwrap();
    assert_eq!(one.standing().unwrap(), Standing::Joined);
    let stream = UnixStream::from(one.hold().try_clone_to_owned().unwrap());
    stream.shutdown(std::net::Shutdown::Both).unwrap();
    let refused = again(&switch, &one, 1).unwrap_err();
    assert!(matches!(refused, JoinError::Kernel(_)), "{refused}");
    drop((one, stream, queue));
    assert!(wait_until(|| switch.ports().is_empty()), "{:?}", switch.ports());
}

#[test]
fn a_hundred_new_ports_leave_nothing_of_the_old_ones() {
    let switch = Switch::start(&[]);
    let one = plug(&switch, 1);
    let two = switch.join("two", 0).unwrap();
    let descriptors = || fs::read_dir(format!("/proc/{}/fd", switch.process.id())).unwrap().count();
    let before = descriptors();
    for _ in 0..100 {
        again(&switch, &copy(&one), 1).unwrap();
        // One that finds a leave and a new connection together mislays a port.
        assert!(wait_until(|| switch.ports().len() == 2), "{:?}", switch.ports());
    }
    // Each connection that is still in a queue somewhere keeps one of the switch's open.
    assert!(wait_until(|| descriptors() == before), "{} at first, {} now", before, descriptors());
    assert_they_talk(one.data(), two.data());
}

#[test]
fn only_names_of_sockets_that_are_gone_are_tidied_away_and_none_while_some_are_made() {
    let switch = Switch::start(&[]);
    let at = plugs(&switch);
    let alive = prepare(&at, 1);
    let (plug, line) = prepare(&at, 2);
    drop((plug.into_descriptors(), line));
    let (plug, line) = prepare(&at, 3);
    let [data, hold] = plug.into_descriptors();
    drop((hold, line));
    let (plug, line) = prepare(&at, 4);
    drop(plug.into_descriptors());
    fs::write(at.join("rubbish"), "").unwrap();
    let maker = File::open(&at).unwrap();
    maker.lock_shared().unwrap();
    tidy(&at).unwrap();
    assert_eq!(names(&at).len(), 13, "somebody is just making some");
    drop(maker);
    tidy(&at).unwrap();
    let name = |token, ending| tag(&at, token).name() + ending;
    let left = [name(1, ".ctl"), name(1, ".data"), name(1, ".hold"), name(3, ".data"), name(4, ".ctl")];
    assert_eq!(names(&at), left);
    assert_eq!(holders(&at).unwrap().iter().map(|held| held.tag.token).collect::<Vec<_>>(), [1]);
    assert_eq!(
        tags(&at).unwrap().iter().map(|tag| tag.token).collect::<Vec<_>>(),
        [1, 3, 4],
        "each part counts"
    );
    drop((alive, data, line));
    tidy(&at).unwrap();
    assert_eq!(names(&at), [""; 0]);
}

#[test]
fn where_a_socket_cannot_be_bound_nothing_is_left() {
    let switch = Switch::start(&[]);
    let at = plugs(&switch);
    let taken = at.join(tag(&at, 1).name() + ".hold");
    fs::write(&taken, "").unwrap();
    assert!(VdePort::prepare(&at, tag(&at, 1), 0).is_err());
    assert_eq!(names(&at).len(), 1);
    assert!(VdePort::prepare(&at.join("absent"), tag(&at, 1), 0).is_err());
}

#[test]
fn a_switch_that_hangs_with_its_line_full_keeps_nobody_for_ever() {
    let switch = Switch::start(&[]);
    let stop = Command::new("kill").arg("-STOP").arg(switch.process.id().to_string()).status().unwrap();
    assert!(stop.success());
    let mut waiting = Vec::new();
    let begun = Instant::now();
    // Its line has room for some, who wait for an answer; those behind wait for room.
    let limit = Duration::from_millis(20);
    while let Ok(stream) = vmnet_sys::stream::connect_within(&switch.at.path().join("switch/ctl"), limit) {
        waiting.push(stream);
        assert!(waiting.len() < 1000, "no end of the line");
    }
    let (plug, line) = prepare(&plugs(&switch), 1);
    let refused = plug.join(line, &switch.directory(), "test", Absence::Passing).unwrap_err();
    assert!(matches!(refused, JoinError::Silent), "{refused}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[test]
fn frames_wait_at_a_switch_for_a_pump_and_for_who_was_granted_a_port_and_for_nobody_else() {
    let switch = Switch::start(&[]);
    let from = plug(&switch, 1);
    let (to, line) = prepare(&plugs(&switch), 2);
    let control = to.join(line, &switch.directory(), "guest", Absence::Final).unwrap();
    let process = vmnet_sys::stream::listener_of(&control).unwrap();
    let own_socket = switch.at.path().join("own");
    let wish = Wish {
        switch: &switch.directory(),
        port: 0,
        description: "stranger",
        own_socket: &own_socket,
        mode: 0o600,
    };
    let stranger = Port::join(&wish).unwrap();
    // More than any queue holds by itself.
    let count = 400;
    let taken = |to: &UnixDatagram| {
        to.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        (0..).take_while(|_| to.recv(&mut [0; 2000]).is_ok()).count()
    };
    let arrived = |to: &UnixDatagram| {
        // Each frame is for all.
        taken(to);
        assert_they_talk(from.data(), to);
        for number in 0..count {
            assert_eq!(from.data().send(&frame(1514)).unwrap(), 1514, "{number}");
        }
        taken(to)
    };
    assert!(arrived(to.data()) < count);
    vmnet_vswitch::queue::widen_all(&process, &plugs(&switch)).unwrap();
    assert_eq!(arrived(to.data()), count);
    assert!(arrived(stranger.data()) < count);
    vmnet_vswitch::queue::fit(Some(&process), to.data()).unwrap();
    assert_eq!(arrived(to.data()), count);
    vmnet_vswitch::queue::widen_all(&process, &plugs(&switch)).unwrap();
    assert_eq!(arrived(to.data()), count);
}
