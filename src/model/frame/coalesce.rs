//! Frames of one TCP stream become one packet for a TAP with offloads: what the kernel's GRO does for
//! a network card. A frame is joined only if its checksums are right, because the packet says that they
//! need not be looked at; what was cut again must be the frames that came.

use super::tcp::{ACK, CHECKSUM, FIN, FLAGS, Layout, PSH};
use super::{Checksum, Cut, Offload, SEGMENT_MIN, put};

/// Streams that are joined at one time; the oldest makes room.
const STREAMS: usize = 16;
/// Longest IP packet.
const IP_MAX: usize = 65_535;

/// Takes what a packet has become: what is left to do, and the packet.
pub trait Sink {
    /// One packet.
    fn take(&mut self, offload: Offload, packet: &[u8]);
}

impl<F: FnMut(Offload, &[u8])> Sink for F {
    fn take(&mut self, offload: Offload, packet: &[u8]) {
        self(offload, packet);
    }
}

/// Joins frames. Each stream stays in order, and nothing is held back past [`Coalescer::flush`].
#[derive(Clone, Debug, Default)]
pub struct Coalescer {
    open: Vec<Stream>,
    /// Buffers of streams that are gone.
    spare: Vec<Vec<u8>>,
}

/// What of one stream is joined so far.
#[derive(Clone, Debug)]
struct Stream {
    packet: Vec<u8>,
    layout: Layout,
    /// Payload of each frame but the last, in bytes.
    size: usize,
    frames: usize,
    /// What the next frame must begin with.
    sequence: u32,
    identification: u16,
}

impl Coalescer {
    /// The next frame.
    pub fn push(&mut self, frame: &[u8], sink: &mut impl Sink) {
        let Some(layout) = Layout::of(frame) else {
            // Nobody knows which stream it belongs to.
            self.flush(sink);
            sink.take(Offload::default(), frame);
            return;
        };
        let known = self.open.iter().position(|stream| stream.is_of(frame, layout));
        let whole = layout.is_intact(frame);
        if let Some(at) = known {
            let fits = whole && self.open.get(at).is_some_and(|stream| stream.takes(frame, layout));
            if fits {
                let is_last = self.open.get_mut(at).is_none_or(|stream| stream.append(frame, layout));
                if is_last {
                    self.close(at, sink);
                }
                return;
            }
            self.close(at, sink);
        }
        if whole && layout.flags(frame) == ACK && layout.payload_length() >= SEGMENT_MIN {
            if self.open.len() == STREAMS {
                self.close(0, sink);
            }
            let packet = self.spare.pop().unwrap_or_default();
            self.open.push(Stream::begin(packet, frame, layout));
        } else {
            sink.take(Offload::default(), frame);
        }
    }

    /// Let go of everything that is held back.
    pub fn flush(&mut self, sink: &mut impl Sink) {
        while !self.open.is_empty() {
            self.close(0, sink);
        }
    }

    fn close(&mut self, at: usize, sink: &mut impl Sink) {
        let mut stream = self.open.remove(at);
        let offload = stream.finish();
        sink.take(offload, &stream.packet);
        stream.packet.clear();
        self.spare.push(stream.packet);
    }
}

impl Stream {
    fn begin(mut packet: Vec<u8>, frame: &[u8], layout: Layout) -> Self {
        packet.extend_from_slice(frame.get(..layout.end).unwrap_or_default());
        let size = layout.payload_length();
        let sequence = after(layout.sequence(frame), size);
        let identification = layout.identification(frame).wrapping_add(1);
        Self { packet, layout, size, frames: 1, sequence, identification }
    }

    /// The same ends: VLAN, addresses and ports.
    fn is_of(&self, frame: &[u8], layout: Layout) -> bool {
        let Layout { network, transport, v6, .. } = self.layout;
        let addresses = network + if v6 { 8 } else { 12 };
        (network, transport, v6) == (layout.network, layout.transport, layout.v6)
            && self.is_same(frame, 12..network)
            && self.is_same(frame, addresses..transport + 4)
    }

    fn is_same(&self, frame: &[u8], part: std::ops::Range<usize>) -> bool {
        self.packet.get(part.clone()) == frame.get(part)
    }

    /// Can it be joined, so that what is cut again is what came?
    fn takes(&self, frame: &[u8], layout: Layout) -> bool {
        let Layout { network, transport, payload, v6, .. } = self.layout;
        let length = layout.payload_length();
        // All but lengths, identification, checksums, sequence and flags.
        let network_same = if v6 {
            self.is_same(frame, network..network + 4) && self.is_same(frame, network + 6..transport)
        } else {
            self.is_same(frame, network..network + 2) && self.is_same(frame, network + 6..network + 10)
        };
        // IPv4's second flag says that it is never cut on the way: then nobody looks at the number.
        let free = v6 || frame.get(network + 6).is_some_and(|byte| byte & 0x40 != 0);
        network_same
            && self.is_same(frame, 0..12)
            && layout.payload == payload
            && self.is_same(frame, transport + 8..transport + FLAGS)
            && self.is_same(frame, transport + FLAGS + 1..transport + CHECKSUM)
            && self.is_same(frame, transport + CHECKSUM + 2..payload)
            && layout.flags(frame) & !(PSH | FIN) == ACK
            && layout.sequence(frame) == self.sequence
            && (free || layout.identification(frame) == self.identification)
            && (1..=self.size).contains(&length)
            && self.packet.len() - network + length <= IP_MAX
    }

    /// Join it; true if nothing more may follow.
    fn append(&mut self, frame: &[u8], layout: Layout) -> bool {
        let length = layout.payload_length();
        self.packet.extend_from_slice(frame.get(layout.payload..layout.end).unwrap_or_default());
        self.frames += 1;
        self.sequence = after(self.sequence, length);
        self.identification = self.identification.wrapping_add(1);
        let flags = layout.flags(frame);
        put(&mut self.packet, self.layout.transport + FLAGS, &[flags]);
        length < self.size || flags != ACK
    }

    /// Make the headers right; what is left to do.
    fn finish(&mut self) -> Offload {
        let Layout { transport, payload, v6, .. } = self.layout;
        if self.frames == 1 {
            return Offload::default();
        }
        let length = self.packet.len() - payload;
        self.layout.set_length(&mut self.packet, length);
        // Begun only, as the kernel wants it (Documentation/networking/checksum-offloads.rst).
        let begun = self.layout.pseudo_header(&self.packet, self.packet.len() - transport).folded();
        put(&mut self.packet, transport + CHECKSUM, &begun);
        Offload {
            checksum: Some(Checksum { start: transport, offset: CHECKSUM }),
            cut: Some(Cut { v6, size: self.size, headers: payload }),
        }
    }
}

/// Sequence numbers come round again.
fn after(sequence: u32, length: usize) -> u32 {
    sequence.wrapping_add(u32::try_from(length).unwrap_or_default())
}
