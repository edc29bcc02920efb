//! Whatever the network sends for pictures: an error or a picture, never a panic, bounded memory, and the next good key picture comes
//! through.
#![allow(clippy::unwrap_used)]

#[path = "support/pictures.rs"]
mod pictures;

use codecs::CodecError;
use codecs::payload::picture::{Assembly, Depacketiser};
use codecs::payload::{Part, h264, vp8};
use codecs::video::codec::MAX_CODED;
use codecs::video::picture::{MAX_PIXELS, MAX_SIDE};
use pictures::{BASELINE, FRAMES, HIGH, Packet, SLICES, annex_b, ivf, packets};
use proptest::prelude::*;

fn h264_packets(stream: &[u8], longest: usize) -> Vec<Packet> {
    let mut packetiser = h264::Packetiser::new(1, longest);
    packets(&annex_b(stream), |picture, out| packetiser.packetise(picture, out).unwrap())
}

fn vp8_packets(longest: usize) -> Vec<Packet> {
    let mut packetiser = vp8::Packetiser::new(longest, 1);
    packets(&ivf(FRAMES), |frame, out| packetiser.packetise(frame, out))
}

/// What becomes of a packet on its way.
#[derive(Debug, Clone)]
enum Mishap {
    None,
    Lost,
    Twice,
    /// Changed places with the next.
    Late,
    Flipped(usize, u8),
    Cut(usize),
    /// Bytes of a stranger's, with its headers or with wild ones.
    Noise(Vec<u8>),
    Wild(Vec<u8>, u16, u32),
    Unmarked,
    Marked,
}

fn mishap() -> impl Strategy<Value = Mishap> {
    let bytes = || {
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..40),
            // Starts of what the formats know, with rubbish behind.
            (
                proptest::sample::select(vec![0x18u8, 0x1c, 0x65, 0x67, 0x68, 0x7c, 0x10, 0x90, 0xff]),
                proptest::collection::vec(any::<u8>(), 0..40)
            )
                .prop_map(|(first, rest)| [vec![first], rest].concat()),
            proptest::collection::vec(any::<u8>(), 1490..1510),
        ]
    };
    prop_oneof![
        6 => Just(Mishap::None),
        1 => Just(Mishap::Lost),
        1 => Just(Mishap::Twice),
        1 => Just(Mishap::Late),
        2 => (any::<usize>(), 1u8..).prop_map(|(place, bits)| Mishap::Flipped(place, bits)),
        1 => any::<usize>().prop_map(Mishap::Cut),
        2 => bytes().prop_map(Mishap::Noise),
        1 => (bytes(), any::<u16>(), any::<u32>()).prop_map(|(bytes, sequence, stamp)| Mishap::Wild(bytes, sequence, stamp)),
        1 => Just(Mishap::Unmarked),
        1 => Just(Mishap::Marked),
    ]
}

/// The packets as they arrive.
fn through(packets: &[Packet], mishaps: &[Mishap]) -> Vec<Packet> {
    let mut arrived: Vec<Packet> = vec![];
    let mut held = None;
    for (packet, mishap) in packets.iter().zip(mishaps.iter().cycle()) {
        let mut packet = packet.clone();
        let length = packet.payload.len();
        match mishap {
            Mishap::None => {}
            Mishap::Lost => continue,
            Mishap::Twice => arrived.push(packet.clone()),
            Mishap::Late => {
                arrived.extend(held.replace(packet));
                continue;
            }
            Mishap::Flipped(place, bits) => packet.payload[place % length] ^= bits,
            Mishap::Cut(place) => packet.payload.truncate(place % length),
            Mishap::Noise(bytes) => packet.payload.clone_from(bytes),
            Mishap::Wild(bytes, sequence, timestamp) => {
                packet = Packet {
                    payload: bytes.clone(),
                    sequence: *sequence,
                    timestamp: *timestamp,
                    marker: true,
                };
            }
            Mishap::Unmarked => packet.marker = false,
            Mishap::Marked => packet.marker = true,
        }
        arrived.push(packet);
        arrived.extend(held.take());
    }
    arrived.extend(held);
    arrived
}

/// Takes what arrived; then, well numbered, the same stream as it was: all its pictures but perhaps the first come out.
fn storm<A: Assembly>(
    mut depacketiser: Depacketiser<A>,
    sent: &[Packet],
    mishaps: &[Mishap],
    pictures: &[Vec<u8>],
) {
    let mut last = pictures::FIRST_SEQUENCE;
    for packet in through(sent, mishaps) {
        last = packet.sequence;
        let mut given = 0;
        let _ = depacketiser.push(packet.part(), &mut |picture| {
            assert!(!picture.data.is_empty() && picture.data.len() <= MAX_CODED);
            given += 1;
        });
        assert!(given <= 2, "one that was without a marker, and the packet's own");
    }
    let mut whole = vec![];
    for packet in sent {
        // Too far from what came last to be late.
        let shift = last.wrapping_sub(pictures::FIRST_SEQUENCE).wrapping_add(20_000);
        let part = Part {
            sequence: packet.sequence.wrapping_add(shift),
            timestamp: packet.timestamp ^ 1 << 31,
            ..packet.part()
        };
        let _ = depacketiser.push(part, &mut |picture| whole.push(picture.data.to_vec()));
    }
    let clean = whole.split_off(whole.len() - (pictures.len() - 1));
    assert!(clean == pictures[1..], "{} pictures", whole.len());
}

fn hit_repacketiser(mode: u8, packets: &[Packet], mishaps: &[Mishap]) {
    let mut repacketiser = h264::Repacketiser::new(mode, 1200, h264::ParameterSets::default());
    let mut completer = h264::Completer::default();
    for packet in through(packets, mishaps) {
        let mut added = 0;
        completer.push(packet.part(), &mut |_, _| added += 1);
        assert!(added <= 12);
        let mut sent = 0;
        let _ = repacketiser.push(packet.part(), &mut |part| {
            // Towards mode 1 aggregates and fragments go on as they came.
            assert!(part.payload.len() <= if mode == 0 { 1200 } else { packet.payload.len().max(1200) });
            sent += 1;
        });
        // No more than a STAP-A of the shortest NAL units, and twelve parameter sets.
        assert!(sent <= packet.payload.len() / 3 + 1 + 12, "{sent} of {} bytes", packet.payload.len());
    }
    assert!(repacketiser.parameter_sets().units().count() <= 12);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn h264_survives_the_network(
        stream in proptest::sample::select(vec![BASELINE, SLICES, HIGH]),
        longest in proptest::sample::select(vec![64usize, 377, 1200]),
        mishaps in proptest::collection::vec(mishap(), 1..60),
    ) {
        let packets = h264_packets(stream, longest);
        storm(h264::Depacketiser::default(), &packets, &mishaps, &annex_b(stream));
        hit_repacketiser(0, &packets, &mishaps);
        hit_repacketiser(1, &packets, &mishaps);
    }

    #[test]
    fn vp8_survives_the_network(
        longest in proptest::sample::select(vec![64usize, 377, 1200]),
        mishaps in proptest::collection::vec(mishap(), 1..60),
    ) {
        storm(vp8::Depacketiser::default(), &vp8_packets(longest), &mishaps, &ivf(FRAMES));
    }

    #[test]
    fn any_bytes_can_be_looked_at(bytes in proptest::collection::vec(any::<u8>(), 0..80), fmtp in ".{0,80}") {
        h264::begins_key_picture(&bytes);
        let _ = h264::SequenceParameters::parse(&bytes);
        let mut sets = h264::ParameterSets::default();
        let _ = sets.learn(&fmtp);
        let _ = sets.learn(&format!("sprop-parameter-sets={fmtp}"));
        for kind in [0x67, 0x68] {
            let _ = sets.add(&[&[kind], &bytes[..]].concat());
        }
        for mode in [0, 1] {
            let _ = h264::Packetiser::new(mode, 64).packetise(&bytes, &mut |payload, _| assert!(payload.len() <= 64));
        }
    }

    /// What is damaged is what makes it through the first checks.
    #[test]
    fn damaged_parameter_sets_read_or_are_refused(place in 1usize..22, bits in 1u8.., length in 1usize..22) {
        let mut unit = pictures::units(BASELINE)[0].clone();
        unit[place] ^= bits;
        for unit in [&unit[..], &unit[..length]] {
            if let Ok(set) = h264::SequenceParameters::parse(&unit[1..]) {
                prop_assert!(set.width * set.height <= MAX_PIXELS && set.width.max(set.height) <= MAX_SIDE);
            }
        }
    }
}

/// A picture that never ends.
fn endless<A: Assembly>(mut depacketiser: Depacketiser<A>, first: &[u8], more: &[u8]) {
    let held = allocation_counter::measure(|| {
        let mut refused = vec![];
        for sequence in 0..2000 {
            let payload = if sequence == 0 { first } else { more };
            let part = Part { payload, sequence, timestamp: 1, marker: false };
            refused.extend(depacketiser.push(part, &mut |_| panic!("no end, no picture")).err());
        }
        assert_eq!(refused.len(), 1, "said once");
        assert!(matches!(refused[0], CodecError::PayloadLength { most: MAX_CODED, .. }));
    });
    // It grows by doubling, and while it does so the old half is there too.
    assert!(held.bytes_max <= 3 * MAX_CODED as u64, "{} bytes", held.bytes_max);
}

#[test]
fn a_picture_without_an_end_takes_no_more_memory_than_the_longest() {
    let piece = |head: &[u8]| [head, &[0x5a; 1400]].concat();
    endless(h264::Depacketiser::default(), &piece(&[0x65]), &piece(&[0x65]));
    endless(h264::Depacketiser::default(), &piece(&[0x7c, 0x85]), &piece(&[0x7c, 0x05]));
    endless(vp8::Depacketiser::default(), &piece(&[0x10]), &piece(&[0x00]));
    let mut repacketiser = h264::Repacketiser::new(0, 1200, h264::ParameterSets::default());
    let held = allocation_counter::measure(|| {
        for sequence in 0..2000 {
            let payload = piece(&[0x7c, if sequence == 0 { 0x85 } else { 0x05 }]);
            let part = Part { payload: &payload, sequence, timestamp: 1, marker: false };
            repacketiser.push(part, &mut |_| panic!("no end, no NAL unit")).unwrap();
        }
    });
    assert!(held.bytes_max < 8000, "{} bytes", held.bytes_max);
}

#[test]
fn small_pictures_of_absurd_size_never_reach_a_decoder() {
    // 4096x2048 in high, of x264.
    let sps = [
        0x67, 0x64, 0, 0x33, 0xac, 0xd9, 0x40, 0x10, 0, 0x10, 0x1b, 1, 0x10, 0, 0, 3, 0, 0x10, 0, 0, 3, 3, 1,
        0xe0, 0xf1, 0x83, 0x19, 0x60,
    ];
    let mut depacketiser = h264::Depacketiser::default();
    let mut push = |payload: &[u8], sequence, marker| {
        let part = Part { payload, sequence, timestamp: 7, marker };
        depacketiser.push(part, &mut |_| panic!("not for a decoder"))
    };
    push(&[0x09, 0xf0], 1, true).unwrap();
    assert_eq!(push(&sps, 2, false), Err(CodecError::PictureSize { width: 4096, height: 2048 }));
    assert_eq!(push(&[0x65, 0x88, 0x80], 3, true), Ok(()));
    assert_eq!(depacketiser.dropped(), 1);

    let mut depacketiser = vp8::Depacketiser::default();
    let key = [0x10, 0x10, 0, 0, 0x9d, 0x01, 0x2a, 0xff, 0x3f, 0xff, 0x3f, 0, 0];
    let part = Part { payload: &key, sequence: 1, timestamp: 7, marker: true };
    let refused = depacketiser.push(part, &mut |_| panic!("not for a decoder"));
    assert_eq!(refused, Err(CodecError::PictureSize { width: 16_383, height: 16_383 }));
}

#[test]
fn nothing_is_allocated_once_the_buffers_have_their_size() {
    let (h264, vp8) = (annex_b(SLICES), ivf(FRAMES));
    let mut to_h264 = h264::Packetiser::new(1, 600);
    let mut to_vp8 = vp8::Packetiser::new(600, 1);
    let mut from_h264 = h264::Depacketiser::default();
    let mut from_vp8 = vp8::Depacketiser::default();
    let mut anew = h264::Repacketiser::new(0, 1200, h264::ParameterSets::default());
    let mut sequences = [0u16; 2];
    let (mut timestamp, mut given) = (0u32, 0);
    let mut round = || {
        for (picture, frame) in h264.iter().zip(&vp8) {
            timestamp += 6000;
            let mut packet = |payload: &[u8], marker| {
                let part = Part { payload, sequence: sequences[0], timestamp, marker };
                sequences[0] = sequences[0].wrapping_add(1);
                anew.push(part, &mut |part| from_h264.push(part, &mut |_| given += 1).unwrap()).unwrap();
            };
            to_h264.packetise(picture, &mut packet).unwrap();
            to_vp8.packetise(frame, &mut |payload, marker| {
                let part = Part { payload, sequence: sequences[1], timestamp, marker };
                sequences[1] = sequences[1].wrapping_add(1);
                from_vp8.push(part, &mut |_| given += 1).unwrap();
            });
        }
    };
    round();
    let cost = allocation_counter::measure(|| (0..10).for_each(|_| round()));
    assert_eq!(given, 11 * 16);
    assert_eq!(cost.count_total, 0);
}
