//! The pump: carries frames between a TAP with offloads and a switch's port, or any datagram socket. Large
//! packets of the TAP are cut, frames of one TCP stream are joined, and neither side ever waits for the
//! other: two pumps that waited while they send would wait for each other.

mod pace;
#[cfg(test)]
mod tests;

use pace::Pace;
use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::time::Instant;
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
    /// Frames for which there was no switch.
    pub lost: u64,
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
    pace: Pace,
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
            pace: Pace::new(Instant::now()),
        }
    }

    /// What went through so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.tap.counters
    }

    /// Carry frames until `stop` can be read or has ended, or the TAP goes. `data` is the port's socket. While
    /// there is no switch at its other end, frames are dropped; whoever has a copy of it may connect it to
    /// another one at any time.
    ///
    /// # Errors
    /// The kernel would not wait.
    pub fn run(&mut self, data: &UnixDatagram, stop: BorrowedFd<'_>) -> io::Result<End> {
        loop {
            let waits = self.gone < self.pending.len();
            let rest = self.pace.rest(Instant::now());
            let [tap, port, told] = wait(
                [
                    // No more from the TAP than the switch takes: the kernel holds the rest.
                    Source { descriptor: self.tap.file.as_fd(), read: !waits, write: false },
                    Source { descriptor: data.as_fd(), read: rest.is_none(), write: waits },
                    Source { descriptor: stop, read: true, write: false },
                ],
                rest,
            )?;
            if told.read || told.ended {
                return Ok(End::Told);
            }
            let is_rested = rest.is_some() && self.pace.rest(Instant::now()).is_none();
            if port.read || port.ended || is_rested {
                let came = self.take_frames(data);
                self.pace.took(came, Instant::now());
            }
            if (tap.read || tap.ended)
                && let Err(error) = self.take_packets()
            {
                return Ok(End::Tap(error));
            }
            let went = self.send_frames(data);
            self.pace.sent(went);
        }
    }

    /// Take packets until there is a batch of frames, or one where none wait for others.
    fn take_packets(&mut self) -> io::Result<()> {
        while self.pending.len() < BATCH && (self.pending.is_empty() || self.pace.is_stream()) {
            let length = match self.tap.file.read(&mut self.packet) {
                // No TAP's answer: its file was closed from the other side.
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
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

    /// Send what is pending, as far as the switch takes it; so many went.
    fn send_frames(&mut self, data: &UnixDatagram) -> usize {
        let mut sent = 0;
        while self.gone < self.pending.len() {
            match batch::send(data.as_fd(), self.pending.iter_from(self.gone)) {
                Ok(0) => break,
                Ok(went) => {
                    self.gone += went;
                    sent += went;
                }
                // There is no switch.
                Err(_) => {
                    self.tap.counters.lost += (self.pending.len() - self.gone) as u64;
                    self.gone = self.pending.len();
                }
            }
        }
        if self.gone == self.pending.len() {
            self.pending.clear();
            self.gone = 0;
        }
        self.tap.counters.to_switch += sent as u64;
        sent
    }

    /// Take what the switch has, and hand it to the TAP; so many came.
    fn take_frames(&mut self, data: &UnixDatagram) -> usize {
        let mut taken = 0;
        // Where no stream is, there is seldom a second one, and asking for it would keep the first waiting.
        let (batches, most) = if self.pace.is_stream() { (BATCHES, BATCH) } else { (1, 1) };
        for _ in 0..batches {
            // What an error says was said by a send, or will be.
            let came = self.inbox.fill(data.as_fd(), most).unwrap_or_default();
            for frame in self.inbox.iter() {
                self.coalescer.push(frame, &mut self.tap);
            }
            taken += came;
            if came < most {
                break;
            }
        }
        self.coalescer.flush(&mut self.tap);
        self.tap.counters.from_switch += taken as u64;
        taken
    }
}
