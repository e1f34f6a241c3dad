//! The pump: carries frames between a TAP with offloads and a switch's port. Large packets of the TAP are
//! cut, frames of one TCP stream are joined, and neither side ever waits for the other: two pumps that
//! waited while they send would wait for each other.

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use vmnet_model::frame::coalesce::{Coalescer, Sink};
use vmnet_model::frame::segment::{Frames, segment};
use vmnet_model::frame::{FRAME_MAX, OFFLOAD_SIZE, Offload, PACKET_MAX};
use vmnet_sys::batch::{self, BATCH, Inbox};
use vmnet_sys::ready::{Source, wait};

/// So many batches are taken from the switch before what is joined is let go: long enough for large
/// packets, short enough that nobody waits.
const BATCHES: usize = 4;

/// Why a pump ended.
#[derive(Debug)]
pub enum End {
    /// It was told to.
    Told,
    /// The switch closed the port's control connection.
    Switch,
    /// The TAP is gone.
    Tap(io::Error),
}

/// What went through, and what did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames to the switch.
    pub to_switch: u64,
    /// Frames from the switch.
    pub from_switch: u64,
    /// Packets of the TAP that no switch carries.
    pub too_large: u64,
    /// Packets that the TAP did not take.
    pub refused: u64,
}

/// Frames of a TAP on their way to a switch's port, and back.
#[derive(Debug)]
pub struct Pump {
    tap: Tap,
    pending: Frames,
    /// How many of those went.
    gone: usize,
    inbox: Inbox,
    coalescer: Coalescer,
    packet: Vec<u8>,
}

/// The TAP's side: each packet behind its [`Offload`].
#[derive(Debug)]
struct Tap {
    file: File,
    counters: Counters,
}

impl Sink for Tap {
    fn take(&mut self, offload: Offload, packet: &[u8]) {
        let header = offload.render();
        let parts = [IoSlice::new(&header), IoSlice::new(packet)];
        // A TAP that is down refuses each; what is lost on the way is TCP's to send again.
        if self.file.write_vectored(&parts).is_err() {
            self.counters.refused += 1;
        }
    }
}

impl Pump {
    /// A pump for a TAP that was made with IFF_VNET_HDR, takes offloads, and is non-blocking.
    #[must_use]
    pub fn new(tap: File) -> Self {
        Self {
            tap: Tap { file: tap, counters: Counters::default() },
            pending: Frames::default(),
            gone: 0,
            inbox: Inbox::new(FRAME_MAX),
            coalescer: Coalescer::default(),
            packet: vec![0; OFFLOAD_SIZE + PACKET_MAX],
        }
    }

    /// What went through so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.tap.counters
    }

    /// Carry frames until `stop` can be read or has ended, the switch goes or the TAP goes. `data` is the port's
    /// socket, `control` the connection that ends with the switch.
    ///
    /// # Errors
    /// The kernel would not wait.
    pub fn run(
        &mut self,
        data: &UnixDatagram,
        control: BorrowedFd<'_>,
        stop: BorrowedFd<'_>,
    ) -> io::Result<End> {
        loop {
            let waits = self.gone < self.pending.len();
            let [tap, port, held, told] = wait(
                [
                    // No more from the TAP than the switch takes: the kernel holds the rest.
                    Source { descriptor: self.tap.file.as_fd(), read: !waits, write: false },
                    Source { descriptor: data.as_fd(), read: true, write: waits },
                    Source { descriptor: control, read: true, write: false },
                    Source { descriptor: stop, read: true, write: false },
                ],
                None,
            )?;
            if told.read || told.ended {
                return Ok(End::Told);
            }
            // A switch says nothing on it but that it is gone.
            if held.read || held.ended {
                return Ok(End::Switch);
            }
            if port.read || port.ended {
                self.take_frames(data);
            }
            if (tap.read || tap.ended)
                && let Err(error) = self.take_packets()
            {
                return Ok(End::Tap(error));
            }
            self.send_frames(data);
        }
    }

    /// Take packets until there is a batch of frames.
    fn take_packets(&mut self) -> io::Result<()> {
        while self.pending.len() < BATCH {
            let length = match self.tap.file.read(&mut self.packet) {
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let Some((header, packet)) =
                self.packet.get(..length).and_then(|bytes| bytes.split_first_chunk::<OFFLOAD_SIZE>())
            else {
                continue;
            };
            let sent = Offload::parse(*header).map(|offload| segment(packet, offload, &mut self.pending));
            if !matches!(sent, Some(Ok(()))) {
                self.tap.counters.too_large += 1;
            }
        }
        Ok(())
    }

    /// Send what is pending, as far as the switch takes it.
    fn send_frames(&mut self, data: &UnixDatagram) {
        while self.gone < self.pending.len() {
            match batch::send(data.as_fd(), self.pending.iter().skip(self.gone)) {
                Ok(0) => return,
                Ok(went) => {
                    self.gone += went;
                    self.tap.counters.to_switch += went as u64;
                }
                // The switch is gone, and its control connection says so next.
                Err(_) => self.gone = self.pending.len(),
            }
        }
        self.pending.clear();
        self.gone = 0;
    }

    /// Take what the switch has, and hand it to the TAP.
    fn take_frames(&mut self, data: &UnixDatagram) {
        for _ in 0..BATCHES {
            let came = self.inbox.fill(data.as_fd()).unwrap_or_default();
            for frame in self.inbox.iter() {
                self.tap.counters.from_switch += 1;
                self.coalescer.push(frame, &mut self.tap);
            }
            if came < BATCH {
                break;
            }
        }
        self.coalescer.flush(&mut self.tap);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::thread;

    /// Two pumps with a cable between them instead of a switch, and the far ends of their TAPs: a
    /// datagram socket keeps packets whole as a TAP does.
    struct Wire {
        ends: [UnixDatagram; 2],
        stop: Option<[UnixStream; 2]>,
        threads: Vec<thread::JoinHandle<Counters>>,
    }

    impl Wire {
        fn new() -> Self {
            let (left, right) = UnixDatagram::pair().unwrap();
            let pumps = [left, right].map(|data| {
                let (tap, end) = UnixDatagram::pair().unwrap();
                tap.set_nonblocking(true).unwrap();
                end.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
                let (stop, stopped) = UnixStream::pair().unwrap();
                let thread = thread::spawn(move || {
                    let (control, _held) = UnixStream::pair().unwrap();
                    let mut pump = Pump::new(File::from(OwnedFd::from(tap)));
                    let end = pump.run(&data, control.as_fd(), stopped.as_fd()).unwrap();
                    assert!(matches!(end, End::Told), "{end:?}");
                    pump.counters()
                });
                (end, stop, thread)
            });
            let [(a, stop_a, one), (b, stop_b, two)] = pumps;
            Self { ends: [a, b], stop: Some([stop_a, stop_b]), threads: vec![one, two] }
        }

        fn end(mut self) -> Vec<Counters> {
            drop(self.stop.take());
            self.threads.drain(..).map(|thread| thread.join().unwrap()).collect()
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
                scope
                    .spawn(move || (0..count).for_each(|number| assert!(from.send(&packet(number)).is_ok())));
                scope.spawn(move || {
                    let (mut buffer, mut last) = ([0; 200], None);
                    // The TAP's own queue may overflow here, as a TAP's may not; order is kept all the same.
                    while last != Some(count - 1) {
                        let Ok(length) = to.recv(&mut buffer) else { break };
                        assert_eq!(length, OFFLOAD_SIZE + 60);
                        let number = u32::from_ne_bytes(
                            buffer[OFFLOAD_SIZE + 14..OFFLOAD_SIZE + 18].try_into().unwrap(),
                        );
                        assert!(last.is_none_or(|last| number > last), "{last:?} {number}");
                        last = Some(number);
                    }
                });
            }
        });
        for counters in wire.end() {
            assert_eq!(counters.to_switch, count.into());
            assert_eq!(counters.from_switch, count.into());
        }
    }

    #[test]
    fn the_end_of_the_switch_is_told_from_the_end_of_the_tap() {
        let (tap, end) = UnixStream::pair().unwrap();
        tap.set_nonblocking(true).unwrap();
        let (data, _port) = UnixDatagram::pair().unwrap();
        let (control, switch) = UnixStream::pair().unwrap();
        let (stop, _stop) = UnixStream::pair().unwrap();
        let mut pump = Pump::new(File::from(OwnedFd::from(tap)));
        drop(switch);
        assert!(matches!(pump.run(&data, control.as_fd(), stop.as_fd()).unwrap(), End::Switch));
        drop(end);
    }
}
