use super::coalesce::Coalescer;
use super::segment::{Frames, segment};
use super::tcp::{ACK, CWR, FIN, FLAGS, Layout, PSH};
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What a test stream is like.
#[derive(Clone, Debug)]
struct Kind {
    v6: bool,
    vlan: bool,
    options: usize,
    port: u16,
}

fn kinds() -> impl Strategy<Value = Kind> {
    (any::<bool>(), any::<bool>(), 0usize..4, 1u16..4).prop_map(|(v6, vlan, options, port)| Kind {
        v6,
        vlan,
        options,
        port,
    })
}

/// A TCP frame with right checksums.
fn frame(kind: &Kind, sequence: u32, identification: u16, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    if kind.vlan {
        bytes.extend([0x81, 0, 0, 7]);
    }
    bytes.extend(if kind.v6 { [0x86, 0xdd] } else { [0x08, 0] });
    let header = if kind.v6 {
        let mut header = vec![0x60, 0, 0, 0, 0, 0, 6, 64];
        header.extend([0xfd; 16]);
        header.extend([0xfe; 16]);
        header
    } else {
        let [high, low] = identification.to_be_bytes();
        vec![0x45, 0, 0, 0, high, low, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]
    };
    bytes.extend(header);
    let transport = bytes.len();
    bytes.extend(kind.port.to_be_bytes());
    bytes.extend([0, 80]);
    bytes.extend(sequence.to_be_bytes());
    bytes.extend([0, 0, 0, 9]);
    let words = u8::try_from(5 + kind.options).unwrap();
    bytes.extend([words << 4, flags, 1, 2, 0, 0, 0, 0]);
    bytes.extend(vec![1; kind.options * 4]);
    let start = bytes.len();
    bytes.extend(payload);
    let network = if kind.vlan { 18 } else { 14 };
    let layout = Layout { network, transport, payload: start, end: bytes.len(), v6: kind.v6 };
    layout.set_length(&mut bytes, payload.len());
    let sum = layout.pseudo_header(&bytes, bytes.len() - transport).plus(&bytes[transport..]).finish();
    put(&mut bytes, transport + tcp::CHECKSUM, &sum);
    assert_eq!(Layout::of(&bytes), Some(layout));
    assert!(layout.is_intact(&bytes));
    bytes
}

/// Everything that comes out, cut again.
fn through(frames: &[Vec<u8>], flush_every: usize) -> (Vec<Vec<u8>>, usize) {
    let (mut coalescer, mut packets) = (Coalescer::default(), Vec::new());
    let mut sink = |offload: Offload, packet: &[u8]| packets.push((offload, packet.to_vec()));
    for (number, frame) in frames.iter().enumerate() {
        coalescer.push(frame, &mut sink);
        if (number + 1) % flush_every == 0 {
            coalescer.flush(&mut sink);
        }
    }
    coalescer.flush(&mut sink);
    let mut cut = Frames::default();
    for (offload, packet) in &packets {
        // As it goes through the kernel.
        let offload = Offload::parse(offload.render()).unwrap();
        assert!(packet.len() <= PACKET_MAX);
        segment(packet, offload, &mut cut).unwrap();
    }
    (cut.iter().map(<[u8]>::to_vec).collect(), packets.len())
}

fn stream(kind: &Kind, sizes: &[usize], start: u32, flags: &[u8]) -> Vec<Vec<u8>> {
    let mut sequence = start;
    let mut frames = Vec::new();
    for (number, (size, flags)) in sizes.iter().zip(flags.iter().chain(std::iter::repeat(&ACK))).enumerate() {
        let payload: Vec<u8> = (0..*size).map(|at| (at * 7 + number) as u8).collect();
        frames.push(frame(kind, sequence, number as u16, *flags, &payload));
        sequence = sequence.wrapping_add(*size as u32);
    }
    frames
}

const V4: Kind = Kind { v6: false, vlan: false, options: 3, port: 1 };

#[test]
fn full_frames_become_one_packet_and_the_same_frames_again() {
    for kind in [V4, Kind { v6: true, ..V4 }, Kind { vlan: true, ..V4 }] {
        let frames = stream(&kind, &[1400; 40], u32::MAX - 9_000, &[]);
        let (back, packets) = through(&frames, 1000);
        assert_eq!(packets, 1, "{kind:?}");
        assert_eq!(back, frames);
    }
}

#[test]
fn no_packet_is_longer_than_ip_allows() {
    let frames = stream(&V4, &[1448; 100], 0, &[]);
    let (back, packets) = through(&frames, 1000);
    assert_eq!((back, packets), (frames, 3));
}

#[test]
fn a_push_an_end_and_a_short_frame_end_a_packet() {
    for flags in [ACK | PSH, ACK | FIN] {
        let frames = stream(&V4, &[1000; 6], 0, &[ACK, ACK, flags]);
        assert_eq!(through(&frames, 1000), (frames.clone(), 2));
    }
    let frames = stream(&V4, &[1000, 1000, 5, 1000, 1000], 0, &[]);
    assert_eq!(through(&frames, 1000), (frames.clone(), 2));
}

#[test]
fn a_frame_with_a_wrong_checksum_is_passed_on_as_it_came_and_joined_with_none() {
    let mut frames = stream(&V4, &[1000; 5], 0, &[]);
    let last = frames[2].len() - 1;
    frames[2][last] ^= 1;
    assert_eq!(through(&frames, 1000), (frames.clone(), 3));
    let mut frames = stream(&V4, &[1000; 5], 0, &[]);
    frames[4][14 + 10] ^= 1;
    assert_eq!(through(&frames, 1000).0, frames);
}

#[test]
fn congestion_is_told_by_the_first_frame_only() {
    let packet = frame(&V4, 5, 6, ACK | CWR | FIN | PSH, &[9; 3000]);
    let layout = Layout::of(&packet).unwrap();
    let offload =
        Offload { checksum: None, cut: Some(Cut { v6: false, size: 1000, headers: layout.payload }) };
    let mut frames = Frames::default();
    segment(&packet, offload, &mut frames).unwrap();
    let flags: Vec<u8> = frames.iter().map(|frame| frame[layout.transport + FLAGS]).collect();
    assert_eq!(flags, [ACK | CWR, ACK, ACK | FIN | PSH]);
    assert!(frames.iter().all(|frame| Layout::of(frame).unwrap().is_intact(frame)));
}

#[test]
fn a_begun_checksum_is_finished() {
    let whole = frame(&V4, 5, 6, ACK, b"hello");
    let layout = Layout::of(&whole).unwrap();
    let mut packet = whole.clone();
    let begun = layout.pseudo_header(&packet, packet.len() - layout.transport).folded();
    put(&mut packet, layout.transport + tcp::CHECKSUM, &begun);
    let checksum = Some(Checksum { start: layout.transport, offset: tcp::CHECKSUM });
    let mut frames = Frames::default();
    segment(&packet, Offload { checksum, cut: None }, &mut frames).unwrap();
    assert_eq!(frames.iter().collect::<Vec<_>>(), [whole.as_slice()]);
}

#[test]
fn what_a_switch_would_cut_is_never_sent() {
    let mut frames = Frames::default();
    for (length, expected) in [(13, false), (14, true), (60, true), (1514, true), (1518, true), (1519, false)]
    {
        let sent = segment(&vec![0; length], Offload::default(), &mut frames);
        assert_eq!(sent.is_ok(), expected, "{length}: {sent:?}");
    }
    let cut = Cut { v6: false, size: 1500, headers: 66 };
    let packet = frame(&V4, 0, 0, ACK, &[0; 3000]);
    assert!(segment(&packet, Offload { checksum: None, cut: Some(cut) }, &mut frames).is_err());
    assert_eq!(frames.len(), 4);
}

#[test]
fn what_stands_before_tcp_is_kept_in_each_frame() {
    let payload: Vec<u8> = (0..5000).map(|at| (at % 251) as u8).collect();
    // IPv4's options, and IPv6's destination options: padding.
    for (v6, said, extra) in
        [(false, (14, 0x46), vec![1; 4]), (true, (14 + 6, 60), vec![6, 0, 1, 4, 0, 0, 0, 0])]
    {
        let mut packet = frame(&Kind { v6, ..V4 }, 5, 6, ACK, &payload);
        let transport = Layout::of(&packet).unwrap().transport;
        packet.splice(transport..transport, extra.clone());
        packet[said.0] = said.1;
        let start = transport + extra.len();
        // The length is still that without them.
        Layout { network: 14, transport: start, payload: start + 32, end: packet.len(), v6 }
            .set_length(&mut packet, payload.len());
        assert_eq!(Layout::of(&packet), None);
        let offload = Offload {
            checksum: Some(Checksum { start, offset: tcp::CHECKSUM }),
            cut: Some(Cut { v6, size: 1400, headers: 0 }),
        };
        let mut frames = Frames::default();
        segment(&packet, offload, &mut frames).unwrap();
        let mut back = Vec::new();
        for frame in frames.iter() {
            let layout = Layout::behind(frame, start).unwrap();
            assert!(layout.is_intact(frame) && layout.end == frame.len());
            assert_eq!(frame[transport..start], extra);
            back.extend_from_slice(&frame[layout.payload..]);
        }
        assert_eq!((frames.len(), back), (4, payload.clone()));
    }
}

#[test]
fn a_packet_that_would_become_too_many_frames_becomes_none() {
    let packet = frame(&V4, 0, 0, ACK, &[0; 60_000]);
    for (size, expected) in [(0, false), (SEGMENT_MIN - 1, false), (SEGMENT_MIN, true)] {
        let mut frames = Frames::default();
        let cut = Some(Cut { v6: false, size, headers: 66 });
        let sent = segment(&packet, Offload { checksum: None, cut }, &mut frames);
        assert_eq!((sent.is_ok(), frames.is_empty()), (expected, !expected), "{size}: {sent:?}");
    }
}

/// Frames by their ends, each stream in its order: the whole may be mixed otherwise.
fn streams(frames: &[Vec<u8>]) -> BTreeMap<Option<Vec<u8>>, Vec<&[u8]>> {
    let mut streams: BTreeMap<_, Vec<&[u8]>> = BTreeMap::new();
    for frame in frames {
        let ends = Layout::of(frame).map(|Layout { network, transport, v6, .. }| {
            let addresses = network + if v6 { 8 } else { 12 };
            [&frame[12..network], &frame[addresses..transport + 4]].concat()
        });
        streams.entry(ends).or_default().push(frame);
    }
    streams
}

/// One frame of a stream that something may happen to.
#[derive(Clone, Debug)]
struct Step {
    kind: usize,
    size: usize,
    flags: u8,
    gap: bool,
    broken: Option<usize>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let flags = prop_oneof![8 => Just(ACK), 1 => Just(ACK | PSH), 1 => any::<u8>()];
    let size = prop_oneof![6 => Just(1000usize), 1 => 0usize..1300, 1 => Just(1300usize)];
    let broken = proptest::option::weighted(0.05, 0usize..1500);
    let step = (0usize..3, size, flags, proptest::bool::weighted(0.05), broken)
        .prop_map(|(kind, size, flags, gap, broken)| Step { kind, size, flags, gap, broken });
    proptest::collection::vec(step, 0..120)
}

proptest! {
    #[test]
    fn a_large_packet_becomes_right_frames_and_they_become_it_again(
        kind in kinds(),
        size in SEGMENT_MIN..1400,
        payload in proptest::collection::vec(any::<u8>(), 0..9000),
        sequence in any::<u32>(),
        identification in any::<u16>(),
        flags in prop_oneof![Just(ACK), Just(ACK | PSH), Just(ACK | PSH | FIN)],
    ) {
        let packet = frame(&kind, sequence, identification, flags, &payload);
        let layout = Layout::of(&packet).unwrap();
        let offload = Offload {
            checksum: Some(Checksum { start: layout.transport, offset: tcp::CHECKSUM }),
            cut: Some(Cut { v6: kind.v6, size, headers: layout.payload }),
        };
        let mut cut = Frames::default();
        segment(&packet, Offload::parse(offload.render()).unwrap(), &mut cut).unwrap();
        let frames: Vec<Vec<u8>> = cut.iter().map(<[u8]>::to_vec).collect();
        let (mut bytes, last) = (Vec::new(), frames.len() - 1);
        for (number, frame) in frames.iter().enumerate() {
            let part = Layout::of(frame).unwrap();
            prop_assert!(frame.len() <= FRAME_MAX && part.is_intact(frame) && part.end == frame.len());
            prop_assert_eq!(part.sequence(frame), sequence.wrapping_add(bytes.len() as u32));
            prop_assert_eq!(part.flags(frame), if number == last { flags } else { ACK });
            bytes.extend_from_slice(&frame[part.payload..]);
        }
        prop_assert!(bytes == payload);
        let (back, packets) = through(&frames, usize::MAX);
        prop_assert!(back == frames);
        // What the frames became is what was cut; a single one, and one without bytes, stays as it is.
        prop_assert_eq!(packets, 1);
    }

    #[test]
    fn whatever_comes_each_stream_comes_out_as_it_came(
        kinds in proptest::collection::vec(kinds(), 3),
        steps in steps(),
        starts in any::<[u32; 3]>(),
        flush_every in 1usize..80,
    ) {
        // Each stream has ports of its own.
        let kinds: Vec<Kind> =
            kinds.into_iter().enumerate().map(|(n, kind)| Kind { port: n as u16 + 1, ..kind }).collect();
        let (mut sequences, mut identifications) = (starts, [0_u16; 3]);
        let mut came: Vec<Vec<u8>> = Vec::new();
        for (number, step) in steps.iter().enumerate() {
            let sequence = &mut sequences[step.kind];
            if step.gap {
                *sequence = sequence.wrapping_add(77);
            }
            let payload: Vec<u8> = (0..step.size).map(|at| (at * 3 + number) as u8).collect();
            let identification = &mut identifications[step.kind];
            let mut bytes = frame(&kinds[step.kind], *sequence, *identification, step.flags, &payload);
            *identification = identification.wrapping_add(1);
            *sequence = sequence.wrapping_add(step.size as u32);
            if let Some(at) = step.broken {
                let at = at % bytes.len();
                bytes[at] ^= 0x10;
            }
            came.push(bytes);
        }
        let (back, _) = through(&came, flush_every);
        prop_assert_eq!(back.len(), came.len());
        prop_assert!(streams(&back) == streams(&came));
    }

    #[test]
    fn no_bytes_make_it_fall_over(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        offload in any::<[u8; OFFLOAD_SIZE]>(),
        kinds in kinds(),
    ) {
        let mut sink = |_: Offload, _: &[u8]| {};
        let mut coalescer = Coalescer::default();
        let mut mixed = frame(&kinds, 0, 0, ACK, b"payload");
        for (to, from) in mixed.iter_mut().skip(12).zip(&bytes) {
            *to ^= from & 0x11;
        }
        let mut frames = Frames::default();
        for packet in [&bytes, &mixed] {
            coalescer.push(packet, &mut sink);
            if let Some(offload) = Offload::parse(offload) {
                let _ = segment(packet, offload, &mut frames);
            }
        }
        coalescer.flush(&mut sink);
    }
}
