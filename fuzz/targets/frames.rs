//! Frames between a TAP and a switch.

use vmnet_model::frame::coalesce::Coalescer;
use vmnet_model::frame::segment::{self, Frames};
use vmnet_model::frame::tcp::{CHECKSUM, Layout};
use vmnet_model::frame::{FRAME_MAX, FRAME_MIN, OFFLOAD_SIZE, Offload, PACKET_MAX};

/// A packet behind its offloads: its frames fit the switch, hold what it held, and are intact; and what becomes
/// nothing leaves nothing behind.
#[must_use]
pub fn segment(bytes: &[u8]) -> bool {
    let Some((head, packet)) = bytes.split_first_chunk::<OFFLOAD_SIZE>() else { return false };
    let Some(offload) = Offload::parse(*head) else { return false };
    assert_eq!(Offload::parse(offload.render()), Some(offload));
    let mut frames = Frames::default();
    if segment::segment(packet, offload, &mut frames).is_err() {
        assert!(frames.is_empty());
        return false;
    }
    assert!(!frames.is_empty());
    assert!(frames.iter().all(|frame| (FRAME_MIN..=FRAME_MAX).contains(&frame.len())));
    let Some(cut) = offload.cut else {
        assert_eq!(frames.iter().map(<[u8]>::len).collect::<Vec<_>>(), [packet.len()]);
        return true;
    };
    let whole = match offload.checksum {
        Some(checksum) => Layout::behind(packet, checksum.start),
        None => Layout::of(packet),
    };
    assert!(whole.is_some());
    let Some(whole) = whole else { return false };
    let mut held = Vec::new();
    for (number, frame) in frames.iter().enumerate() {
        let layout = Layout::behind(frame, whole.transport);
        assert!(layout.is_some_and(|layout| layout.is_intact(frame)), "{number}: {frame:02x?}");
        let Some(layout) = layout else { return false };
        let last = number + 1 == frames.len();
        assert!(layout.payload_length() == cut.size || last && layout.payload_length() <= cut.size);
        let before = u32::try_from(held.len()).unwrap_or_default();
        assert_eq!(layout.sequence(frame), whole.sequence(packet).wrapping_add(before));
        held.extend(frame.iter().skip(layout.payload));
    }
    assert_eq!(Some(held.as_slice()), packet.get(whole.payload..whole.end));
    true
}

/// Frames as the switch sends them, each behind a byte of flags (1: with right checksums, 2: then nothing is held
/// back) and its length of two bytes: what comes out, cut again, is what came, in the order of its stream.
#[must_use]
pub fn coalesce(bytes: &[u8]) -> bool {
    let (mut coalescer, mut came, mut packets) = (Coalescer::default(), Vec::new(), Vec::new());
    let mut sink = |offload: Offload, packet: &[u8]| packets.push((offload, packet.to_vec()));
    let mut rest = bytes;
    while let Some(([flags, low, high], tail)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes([*low, *high]));
        let (frame, tail) = tail.split_at(length.min(tail.len()).min(FRAME_MAX));
        rest = tail;
        let mut frame = frame.to_vec();
        if frame.len() < FRAME_MIN {
            continue;
        }
        if flags & 1 != 0 {
            set_right(&mut frame);
        }
        coalescer.push(&frame, &mut sink);
        came.push(frame);
        if flags & 2 != 0 {
            coalescer.flush(&mut sink);
        }
    }
    coalescer.flush(&mut sink);
    let mut went = Frames::default();
    for (offload, packet) in &packets {
        assert!(packet.len() <= PACKET_MAX);
        assert_eq!(Offload::parse(offload.render()), Some(*offload));
        assert_eq!(segment::segment(packet, *offload, &mut went), Ok(()));
    }
    let by_stream =
        |frames: &mut Vec<(Vec<u8>, Vec<u8>)>| frames.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut came: Vec<_> = came.iter().map(|frame| comparable(frame)).collect();
    let mut went: Vec<_> = went.iter().map(comparable).collect();
    by_stream(&mut came);
    by_stream(&mut went);
    assert_eq!(came, went);
    packets.iter().any(|(offload, _)| offload.cut.is_some())
}

fn put(frame: &mut [u8], at: usize, bytes: &[u8]) {
    for (to, from) in frame.iter_mut().skip(at).zip(bytes) {
        *to = *from;
    }
}

/// Right checksums, if it is TCP.
fn set_right(frame: &mut [u8]) {
    let Some(layout) = Layout::of(frame) else { return };
    layout.set_length(frame, layout.payload_length());
    put(frame, layout.transport + CHECKSUM, &[0; 2]);
    let behind = frame.get(layout.transport..layout.end).unwrap_or_default();
    let sum = layout.pseudo_header(frame, behind.len()).plus(behind).finish();
    put(frame, layout.transport + CHECKSUM, &sum);
}

/// The frame's stream, and the frame without what may change: padding, the identification of what is never
/// cut on the way with the sum that it is part of, and the second way to write a sum of zero.
fn comparable(frame: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let Some(layout) = Layout::of(frame) else { return (Vec::new(), frame.to_vec()) };
    let Layout { network, transport, end, v6, .. } = layout;
    let part = |from: usize, to: usize| frame.get(from..to).unwrap_or_default();
    let stream = [part(12, network), part(network + if v6 { 8 } else { 12 }, transport + 4)].concat();
    let mut kept = part(0, end).to_vec();
    let never_cut = part(network + 6, network + 7).iter().any(|byte| byte & 0x40 != 0);
    if !v6 && never_cut && layout.is_intact(frame) {
        put(&mut kept, network + 4, &[0; 2]);
        put(&mut kept, network + 10, &[0; 2]);
    }
    let sums = [transport + CHECKSUM, network + 10];
    for at in sums.into_iter().take(if v6 { 1 } else { 2 }) {
        if kept.get(at..at + 2) == Some(&[0xff; 2]) {
            put(&mut kept, at, &[0; 2]);
        }
    }
    (stream, kept)
}
