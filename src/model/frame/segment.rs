//! One packet of a TAP with offloads becomes frames that need nothing more done: what a network card
//! does that can do TSO.

use super::checksum::Sum;
use super::tcp::{CHECKSUM, CWR, FIN, FLAGS, Layout, PSH};
use super::{FRAME_MAX, FRAME_MIN, Offload, SEGMENT_MIN, put};

/// Frames, one behind the other.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Frames {
    /// Forget all frames, and keep the memory for the next.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// How many frames there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Is there none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The frames, one after the other.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.iter_from(0)
    }

    /// The frames, one after the other, from this number on.
    pub fn iter_from(&self, first: usize) -> impl Iterator<Item = &[u8]> {
        let start = first.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let ends = self.ends.get(first..).unwrap_or_default();
        let starts = std::iter::once(start).chain(ends.iter().copied());
        starts.zip(ends).filter_map(|(start, end)| self.bytes.get(start..*end))
    }

    /// Add one made of these parts, to be finished in place.
    fn push(&mut self, parts: [&[u8]; 2]) -> &mut [u8] {
        let start = self.bytes.len();
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        self.ends.push(self.bytes.len());
        self.bytes.get_mut(start..).unwrap_or_default()
    }
}

/// Why a packet is not sent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// Shorter than an Ethernet header.
    Short,
    /// Longer than the switch carries.
    Long,
    /// What is left to do does not fit what it is.
    Malformed,
}

/// Add the frames that a packet becomes.
///
/// # Errors
/// It becomes none; what was there before stays.
pub fn segment(packet: &[u8], offload: Offload, frames: &mut Frames) -> Result<(), Dropped> {
    if packet.len() < FRAME_MIN {
        return Err(Dropped::Short);
    }
    match offload.cut {
        Some(cut) => {
            // Whoever asks for a cut says by the checksum where TCP begins.
            let layout = match offload.checksum {
                Some(checksum) => Layout::behind(packet, checksum.start),
                None => Layout::of(packet),
            };
            let layout = layout.filter(|layout| layout.v6 == cut.v6 && cut.size >= SEGMENT_MIN);
            let layout = layout.ok_or(Dropped::Malformed)?;
            if layout.payload + cut.size > FRAME_MAX {
                return Err(Dropped::Long);
            }
            cut_up(packet, layout, cut.size, frames);
            Ok(())
        }
        None if packet.len() > FRAME_MAX => Err(Dropped::Long),
        None => finish(packet, offload, frames),
    }
}

/// A packet that is a frame already; its checksum may be to be finished.
fn finish(packet: &[u8], offload: Offload, frames: &mut Frames) -> Result<(), Dropped> {
    let Some(checksum) = offload.checksum else {
        frames.push([packet, &[]]);
        return Ok(());
    };
    let at = checksum.start + checksum.offset;
    let summed = packet.get(checksum.start..).filter(|_| at + 2 <= packet.len()).ok_or(Dropped::Malformed)?;
    // The field holds the pseudo header's sum, so it is summed too.
    let sum = match Sum::default().plus(summed).finish() {
        // To UDP none means that there is no checksum (RFC 768); to others both are the same.
        [0, 0] => [0xff; 2],
        sum => sum,
    };
    put(frames.push([packet, &[]]), at, &sum);
    Ok(())
}

fn cut_up(packet: &[u8], layout: Layout, size: usize, frames: &mut Frames) {
    let headers = packet.get(..layout.payload).unwrap_or_default();
    let payload = packet.get(layout.payload..layout.end).unwrap_or_default();
    let (sequence, flags) = (layout.sequence(packet), layout.flags(packet));
    let mut identification = layout.identification(packet);
    let pieces = payload.len().div_ceil(size).max(1);
    for number in 0..pieces {
        let start = number * size;
        let piece = payload.get(start..payload.len().min(start + size)).unwrap_or_default();
        let frame = frames.push([headers, piece]);
        if !layout.v6 {
            put(frame, layout.network + 4, &identification.to_be_bytes());
            identification = identification.wrapping_add(1);
        }
        layout.set_length(frame, piece.len());
        // The last one ends and pushes, the first one tells of congestion (RFC 3168, 6.1.2).
        let mut kept = flags;
        kept &= if number + 1 == pieces { 0xff } else { !(FIN | PSH) };
        kept &= if number == 0 { 0xff } else { !CWR };
        put(frame, layout.transport + FLAGS, &[kept]);
        let offset = u32::try_from(start).unwrap_or_default();
        put(frame, layout.transport + 4, &sequence.wrapping_add(offset).to_be_bytes());
        put(frame, layout.transport + CHECKSUM, &[0; 2]);
        let length = frame.len() - layout.transport;
        let behind = frame.get(layout.transport..).unwrap_or_default();
        let sum = layout.pseudo_header(frame, length).plus(behind);
        put(frame, layout.transport + CHECKSUM, &sum.finish());
    }
}
