use super::*;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

/// Two pumps with a cable between them instead of a switch, and the far ends of their TAPs: a
/// datagram socket keeps packets whole as a TAP does.
struct Wire {
    ends: [UnixDatagram; 2],
    stop: Option<[UnixStream; 2]>,
    threads: Vec<thread::JoinHandle<(Counters, Duration)>>,
}

impl Wire {
    fn new() -> Self {
        let (left, right) = UnixDatagram::pair().unwrap();
        let pumps = [left, right].map(pump);
        let [(a, stop_a, one), (b, stop_b, two)] = pumps;
        Self { ends: [a, b], stop: Some([stop_a, stop_b]), threads: vec![one, two] }
    }

    fn end(mut self) -> Vec<Counters> {
        drop(self.stop.take());
        self.threads.drain(..).map(|thread| thread.join().unwrap().0).collect()
    }
}

#[test]
fn frames_go_both_ways_at_once_and_neither_side_waits_for_the_other() {
    let wire = Wire::new();
    let packet = |number: u32| {
        let mut packet = vec![0; OFFLOAD_SIZE + 60];
        packet[OFFLOAD_SIZE + 12..OFFLOAD_SIZE + 14].copy_from_slice(&[0x88, 0xb5]);
        packet[OFFLOAD_SIZE + 14..OFFLOAD_SIZE + 18].copy_from_slice(&number.to_ne_bytes());
        packet
    };
    let count = 2000;
    thread::scope(|scope| {
        for at in 0..2 {
            let (from, to) = (&wire.ends[at], &wire.ends[1 - at]);
            scope.spawn(move || (0..count).for_each(|number| assert!(from.send(&packet(number)).is_ok())));
            scope.spawn(move || {
                let (mut buffer, mut last) = ([0; 200], None);
                // The TAP's own queue may overflow here, as a TAP's may not; order is kept all the same.
                while last != Some(count - 1) {
                    let Ok(length) = to.recv(&mut buffer) else { break };
                    assert_eq!(length, OFFLOAD_SIZE + 60);
                    let number =
                        u32::from_ne_bytes(buffer[OFFLOAD_SIZE + 14..OFFLOAD_SIZE + 18].try_into().unwrap());
                    assert!(last.is_none_or(|last| number > last), "{last:?} {number}");
                    last = Some(number);
                }
            });
        }
    });
    for counters in wire.end() {
        assert_eq!(counters.to_switch, u64::from(count));
        assert_eq!(counters.from_switch, u64::from(count));
    }
}

/// A pump at a data socket, the far end of its TAP, and what stops it. The thread answers with the time that it
/// was on a processor, too.
fn pump(data: UnixDatagram) -> (UnixDatagram, UnixStream, thread::JoinHandle<(Counters, Duration)>) {
    let (tap, end) = UnixDatagram::pair().unwrap();
    tap.set_nonblocking(true).unwrap();
    end.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let (stop, stopped) = UnixStream::pair().unwrap();
    let thread = thread::spawn(move || {
        let mut pump = Pump::new(File::from(OwnedFd::from(tap)));
        let end = pump.run(&data, stopped.as_fd()).unwrap();
        assert!(matches!(end, End::Told), "{end:?}");
        // The first number (Documentation/scheduler/sched-stats.rst).
        let times = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        let nanoseconds = times.split(' ').next().unwrap().parse().unwrap();
        (pump.counters(), Duration::from_nanos(nanoseconds))
    });
    (end, stop, thread)
}

/// A frame of a protocol for experiments, behind a header that asks for nothing.
fn plain(number: u8, length: usize) -> Vec<u8> {
    let mut packet = vec![0; OFFLOAD_SIZE];
    packet.extend([2; 12]);
    packet.extend([0x88, 0xb5]);
    packet.resize(OFFLOAD_SIZE + length, number);
    packet
}

fn receive(socket: &UnixDatagram) -> Vec<u8> {
    let mut buffer = vec![0; OFFLOAD_SIZE + PACKET_MAX];
    let length = socket.recv(&mut buffer).unwrap();
    buffer.truncate(length);
    buffer
}

#[test]
fn without_a_switch_frames_are_dropped_at_leisure_and_the_next_switch_gets_those_that_follow() {
    let directory = tempfile::tempdir().unwrap();
    let bind = |name: &str| UnixDatagram::bind(directory.path().join(name)).unwrap();
    let (data, one) = (bind("data"), bind("one"));
    data.connect(directory.path().join("one")).unwrap();
    one.connect(directory.path().join("data")).unwrap();
    one.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let copy = data.try_clone().unwrap();
    let (tap, stop, thread) = pump(data);
    tap.send(&plain(1, 60)).unwrap();
    assert_eq!(receive(&one), plain(1, 60)[OFFLOAD_SIZE..]);

    drop(one);
    // The TAP's queue holds a few hundred, so most of them were taken when the last one is in it.
    for _ in 0..1000 {
        tap.send(&plain(2, 60)).unwrap();
    }
    tap.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(tap.recv(&mut [0; 100]).is_err());

    vmnet_sys::datagram::disconnect(copy.as_fd()).unwrap();
    let two = bind("two");
    two.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    two.connect(directory.path().join("data")).unwrap();
    copy.connect(directory.path().join("two")).unwrap();
    tap.send(&plain(3, 60)).unwrap();
    while receive(&two) != plain(3, 60)[OFFLOAD_SIZE..] {}
    two.send(&plain(4, 60)[OFFLOAD_SIZE..]).unwrap();
    tap.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(receive(&tap), plain(4, 60));
    drop(stop);
    let (counters, busy) = thread.join().unwrap();
    assert!(counters.lost >= 500, "{counters:?}");
    assert!(busy < Duration::from_millis(200), "{busy:?}");
}

#[test]
fn what_makes_no_sense_and_what_is_too_long_never_reaches_the_switch() {
    let (data, switch) = UnixDatagram::pair().unwrap();
    switch.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let (tap, stop, thread) = pump(data);
    let mut bad = vec![plain(0, 1519), plain(0, 9000), plain(0, 13), plain(0, 0)];
    let long = plain(0, 9000);
    // Everything at once; a checksum beyond the end; to be cut, but no TCP, no such kind, by no size.
    for header in [
        [0xff; OFFLOAD_SIZE],
        [1, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0xff],
        [0, 1, 66, 0, 0xe8, 3, 0, 0, 0, 0],
        [1, 4, 66, 0, 0xe8, 3, 34, 0, 16, 0],
        [0, 5, 66, 0, 0xe8, 3, 0, 0, 0, 0],
        [0, 1, 66, 0, 0, 0, 0, 0, 0, 0],
    ] {
        bad.push([&header, &long[OFFLOAD_SIZE..]].concat());
    }
    for packet in &bad {
        tap.send(packet).unwrap();
    }
    // Shorter than the header: no packet at all.
    tap.send(&[0; 3]).unwrap();
    for length in [14, 60, 1514, 1518] {
        tap.send(&plain(7, length)).unwrap();
        assert_eq!(receive(&switch), plain(7, length)[OFFLOAD_SIZE..]);
    }
    drop(stop);
    let (counters, _) = thread.join().unwrap();
    let expected = Counters { to_switch: 4, too_large: bad.len() as u64, ..Counters::default() };
    assert_eq!(counters, expected);
}

#[test]
fn a_pump_whose_tap_is_gone_ends() {
    let (tap, end) = UnixStream::pair().unwrap();
    tap.set_nonblocking(true).unwrap();
    drop(end);
    let (data, _switch) = UnixDatagram::pair().unwrap();
    let (stop, _stop) = UnixStream::pair().unwrap();
    let mut pump = Pump::new(File::from(OwnedFd::from(tap)));
    assert!(matches!(pump.run(&data, stop.as_fd()).unwrap(), End::Tap(_)));
}
