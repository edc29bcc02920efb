//! Real streams of pictures through the payload formats: whole, in other packets, with losses.
#![allow(clippy::unwrap_used)]

#[path = "support/pictures.rs"]
mod pictures;

use codecs::CodecError;
use codecs::payload::picture::{Assembly, Depacketiser, Part};
use codecs::payload::{CodedPicture, h264, vp8};
use codecs::video::pattern::{self, psnr};
use codecs::video::{VideoCodec, VideoSettings};
use pictures::{BASELINE, FRAMES, HIGH, Packet, SLICES, annex_b, ivf, packets, units};

/// What came out of a depacketiser.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Given {
    data: Vec<u8>,
    timestamp: u32,
    key: bool,
    after_loss: bool,
}

impl From<CodedPicture<'_>> for Given {
    fn from(picture: CodedPicture<'_>) -> Self {
        let CodedPicture { data, timestamp, key, after_loss } = picture;
        Self { data: data.to_vec(), timestamp, key, after_loss }
    }
}

/// Payload lengths: hardly anything, a browser's, Ethernet's, and one that leaves odd rests.
const LENGTHS: [usize; 4] = [64, 377, 1200, 1500];

fn h264_packets(pictures: &[Vec<u8>], mode: u8, longest: usize) -> Vec<Packet> {
    let mut packetiser = h264::Packetiser::new(mode, longest);
    packets(pictures, |picture, out| packetiser.packetise(picture, out).unwrap())
}

fn vp8_packets(frames: &[Vec<u8>], longest: usize) -> Vec<Packet> {
    let mut packetiser = vp8::Packetiser::new(longest, 0x7ffe);
    packets(frames, |frame, out| packetiser.packetise(frame, out))
}

fn given<'a, A: Assembly>(
    depacketiser: &mut Depacketiser<A>,
    packets: impl IntoIterator<Item = &'a Packet>,
) -> Vec<Given> {
    let mut pictures: Vec<Given> = vec![];
    for packet in packets {
        depacketiser.push(packet.part(), &mut |picture| pictures.push(picture.into())).unwrap();
    }
    pictures
}

fn h264_given<'a>(packets: impl IntoIterator<Item = &'a Packet>) -> Vec<Given> {
    given(&mut h264::Depacketiser::default(), packets)
}

fn data(pictures: &[Given]) -> Vec<&[u8]> {
    pictures.iter().map(|picture| &picture.data[..]).collect()
}

fn kind(payload: &[u8]) -> u8 {
    payload[0] & 0x1f
}

fn repacketised(repacketiser: &mut h264::Repacketiser, packets: &[Packet]) -> (Vec<Packet>, Vec<CodecError>) {
    let (mut out, mut errors) = (vec![], vec![]);
    for packet in packets {
        errors.extend(repacketiser.push(packet.part(), &mut |part| out.push(Packet::from(part))).err());
    }
    (out, errors)
}

/// Numbers without holes, one marker a picture and none before its last packet, times as they were.
fn check_headers(packets: &[Packet], pictures: usize) {
    let mut marked = 0;
    for (packet, next) in packets.iter().zip(packets.iter().skip(1)) {
        assert_eq!(next.sequence, packet.sequence.wrapping_add(1));
        assert_eq!(packet.marker, next.timestamp != packet.timestamp);
        marked += usize::from(packet.marker);
    }
    assert!(packets.last().unwrap().marker);
    assert_eq!(marked + 1, pictures);
}

#[test]
fn pictures_come_back_from_their_packets() {
    for (stream, modes) in [(BASELINE, &[1][..]), (SLICES, &[0, 1]), (HIGH, &[1])] {
        let pictures = annex_b(stream);
        for (mode, longest) in modes.iter().flat_map(|mode| LENGTHS.map(|longest| (*mode, longest))) {
            if mode == 0 && longest < 900 {
                continue;
            }
            let packets = h264_packets(&pictures, mode, longest);
            assert!(packets.iter().all(|packet| packet.payload.len() <= longest));
            let given = h264_given(&packets);
            assert_eq!(data(&given), pictures, "mode {mode}, {longest} bytes");
            let keys: Vec<usize> = (0..given.len()).filter(|place| given[*place].key).collect();
            assert_eq!(keys, if stream == HIGH { vec![0] } else { vec![0, 4] });
            check_headers(&packets, pictures.len());
        }
    }
    let frames = ivf(FRAMES);
    for longest in LENGTHS {
        let packets = vp8_packets(&frames, longest);
        assert!(packets.iter().all(|packet| packet.payload.len() <= longest));
        let given = given(&mut vp8::Depacketiser::default(), &packets);
        assert_eq!(data(&given), frames, "{longest} bytes");
        assert!(given.iter().enumerate().all(|(place, frame)| frame.key == (place % 4 == 0)));
        assert!(given.iter().enumerate().all(|(place, frame)| frame.after_loss == (place == 0)));
        check_headers(&packets, frames.len());
    }
}

#[test]
fn each_mode_has_its_own_kinds_of_payloads() {
    let kinds = |packets: &[Packet]| packets.iter().map(|packet| kind(&packet.payload)).collect::<Vec<_>>();
    let pictures = &annex_b(SLICES)[..2];
    assert_eq!(kinds(&h264_packets(pictures, 0, 1200)), [7, 8, 5, 5, 5, 1, 1, 1][..6].to_vec());
    assert_eq!(kinds(&h264_packets(pictures, 1, 1200)), [24, 5, 5, 5, 1]);
    assert_eq!(kinds(&h264_packets(pictures, 1, 500))[..3], [24, 28, 28]);
    let too_long =
        h264::Packetiser::new(0, 1200).packetise(&annex_b(BASELINE)[0], &mut |_, _| panic!("half a picture"));
    assert_eq!(too_long, Err(CodecError::PayloadLength { length: 1849, least: 1, most: 1200 }));
}

#[test]
fn key_pictures_are_known_by_their_first_packet() {
    for longest in LENGTHS {
        let h264 = h264_packets(&annex_b(BASELINE), 1, longest);
        let first = |packet: &&Packet| h264::begins_key_picture(&packet.payload);
        let stamps: Vec<u32> = h264.iter().filter(first).map(|packet| packet.timestamp).collect();
        assert!(stamps.len() >= 4, "parameter sets and slices of two pictures");
        assert!(
            stamps
                .iter()
                .all(|stamp| stamp.wrapping_sub(pictures::FIRST_TIMESTAMP) % (4 * pictures::STEP) == 0)
        );
        let vp8 = vp8_packets(&ivf(FRAMES), longest);
        assert_eq!(vp8.iter().filter(|packet| vp8::begins_key_picture(&packet.payload)).count(), 2);
    }
}

#[test]
fn mode_1_becomes_mode_0_without_waiting_for_pictures() {
    let pictures = annex_b(SLICES);
    for longest in [64, 377, 1200] {
        let packets = h264_packets(&pictures, 1, longest);
        let mut repacketiser = h264::Repacketiser::new(0, 1200, h264::ParameterSets::default());
        let (out, errors) = repacketised(&mut repacketiser, &packets);
        assert!(errors.is_empty(), "{errors:?}");
        assert!(out.iter().all(|packet| kind(&packet.payload) <= 8 && packet.payload.len() <= 1200));
        assert_eq!(out.len(), units(SLICES).len());
        check_headers(&out, pictures.len());
        assert_eq!(data(&h264_given(&out)), pictures);
    }
}

#[test]
fn what_is_too_long_for_mode_0_is_dropped_and_counted() {
    let pictures = annex_b(BASELINE);
    for longest in [377, 1500] {
        let mut repacketiser = h264::Repacketiser::new(0, 1200, h264::ParameterSets::default());
        let (out, errors) = repacketised(&mut repacketiser, &h264_packets(&pictures, 1, longest));
        let too_long = |error: &CodecError| matches!(error, CodecError::PayloadLength { most: 1200, .. });
        assert!(errors.len() == 2 && errors.iter().all(too_long), "{errors:?}");
        assert_eq!(repacketiser.dropped(), 2);
        let given = h264_given(&out);
        assert_eq!(data(&given), [&pictures[1..4], &pictures[5..]].concat());
        let after_loss: Vec<bool> = given.iter().map(|picture| picture.after_loss).collect();
        assert_eq!(after_loss, [true, false, false, true, false, false], "the receiver sees the holes");
    }
}

#[test]
fn towards_mode_1_all_passes_as_it_is_and_only_what_is_too_long_is_cut() {
    let pictures = annex_b(SLICES);
    for mode in [0, 1] {
        let packets = h264_packets(&pictures, mode, 1200);
        let mut repacketiser = h264::Repacketiser::new(1, 1200, h264::ParameterSets::default());
        assert_eq!(repacketised(&mut repacketiser, &packets), (packets.clone(), vec![]));
    }
    let mut repacketiser = h264::Repacketiser::new(1, 400, h264::ParameterSets::default());
    let (out, errors) = repacketised(&mut repacketiser, &h264_packets(&pictures, 0, 1200));
    assert!(errors.is_empty() && out.iter().all(|packet| packet.payload.len() <= 400));
    check_headers(&out, pictures.len());
    assert_eq!(data(&h264_given(&out)), pictures);
}

/// The pictures without their parameter sets.
fn bare(pictures: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let slices = |picture: &Vec<u8>| units(picture).into_iter().filter(|unit| !matches!(kind(unit), 7 | 8));
    pictures
        .iter()
        .map(|picture| slices(picture).flat_map(|unit| [vec![0, 0, 0, 1], unit].concat()).collect())
        .collect()
}

/// As SDP tells the parameter sets of [`SLICES`].
const SPROP: &str = "packetization-mode=1;sprop-parameter-sets=Z0LAH9oFB+wEQAAAAwBAAAAHg8YMqA==,aM4Dksg=";

#[test]
fn idr_pictures_get_the_parameter_sets_that_they_lack() {
    let pictures = annex_b(SLICES);
    let mut sets = h264::ParameterSets::default();
    sets.learn(SPROP).unwrap();
    assert_eq!(sets.units().collect::<Vec<_>>(), units(SLICES)[..2].iter().collect::<Vec<_>>());
    for (mode, longest) in [(1, 1200), (1, 377), (0, 1200)] {
        let lacking = h264_packets(&bare(&pictures), mode, longest);
        let mut depacketiser = h264::Depacketiser::new(h264::AnnexB::new(sets.clone()));
        assert_eq!(data(&given(&mut depacketiser, &lacking)), pictures);
        for target in [0, 1] {
            let mut repacketiser = h264::Repacketiser::new(target, 1200, sets.clone());
            let (out, errors) = repacketised(&mut repacketiser, &lacking);
            assert!(errors.is_empty());
            check_headers(&out, pictures.len());
            assert_eq!(data(&h264_given(&out)), pictures, "mode {mode} to {target}");
        }
    }
}

/// The stream with what is put before its packets.
fn completed(completer: &mut h264::Completer, packets: &[Packet]) -> Vec<Packet> {
    let mut out = vec![];
    for packet in packets {
        let mut before = vec![];
        let part = packet.part();
        let sequence = completer.push(part, &mut |unit, sequence| {
            before.push(Packet::from(Part { payload: unit, sequence, marker: false, ..part }));
        });
        out.append(&mut before);
        out.push(Packet::from(Part { sequence, ..part }));
    }
    out
}

#[test]
fn a_stream_that_passes_is_completed_with_the_sets_of_sdp_and_with_those_that_came_once() {
    let pictures = annex_b(SLICES);
    let mut once = bare(&pictures);
    once[0].clone_from(&pictures[0]);
    for (fmtp, lacking) in [(SPROP, bare(&pictures)), ("", once)] {
        for (mode, longest) in [(1, 1200), (1, 377), (0, 1200)] {
            let packets = h264_packets(&lacking, mode, longest);
            let mut completer = h264::Completer::default();
            completer.learn(fmtp);
            let out = completed(&mut completer, &packets);
            check_headers(&out, pictures.len());
            assert_eq!(data(&h264_given(&out)), pictures, "mode {mode}");
            assert!(mode == 1 || out.iter().all(|packet| kind(&packet.payload) < 24), "single units stay so");
        }
    }
    // A whole stream stays as it is, and so do holes and packets that change places.
    let whole = h264_packets(&pictures, 1, 1200);
    assert_eq!(completed(&mut h264::Completer::default(), &whole), whole);
    let mut shuffled = whole;
    shuffled.swap(3, 4);
    shuffled.remove(6);
    assert_eq!(completed(&mut h264::Completer::default(), &shuffled), shuffled);
}

#[test]
fn parameter_sets_that_came_once_go_before_every_idr_picture_and_never_twice() {
    let pictures = annex_b(SLICES);
    let mut once = bare(&pictures);
    once[0].clone_from(&pictures[0]);
    let mut repacketiser = h264::Repacketiser::new(1, 1200, h264::ParameterSets::default());
    let (out, _) = repacketised(&mut repacketiser, &h264_packets(&once, 1, 1200));
    assert_eq!(out, h264_packets(&pictures, 1, 1200));
    assert_eq!(repacketiser.parameter_sets().current().map(|set| (set.width, set.height)), Some((320, 240)));
}

#[test]
fn a_picture_with_a_hole_is_dropped_and_no_other() {
    let check = |packets: &[Packet],
                 pictures: &[Vec<u8>],
                 slices_of: fn(&[Vec<u8>]) -> Vec<Vec<u8>>,
                 push: &dyn Fn(&[&Packet]) -> Vec<Given>| {
        for lost in 0..packets.len() - 1 {
            let rest: Vec<&Packet> = packets
                .iter()
                .enumerate()
                .filter(|(place, _)| *place != lost)
                .map(|(_, packet)| packet)
                .collect();
            let given = push(&rest);
            let whole: Vec<Vec<u8>> = given.iter().map(|picture| picture.data.clone()).collect();
            let mut expected = slices_of(pictures);
            let picture = packets[lost].timestamp.wrapping_sub(pictures::FIRST_TIMESTAMP) / pictures::STEP;
            if given.len() < pictures.len() {
                expected.remove(picture as usize);
                let after = given
                    .iter()
                    .find(|given| given.timestamp.wrapping_sub(packets[lost].timestamp) < 1 << 31);
                assert!(after.is_none_or(|picture| picture.after_loss), "packet {lost}");
            } else {
                assert_eq!(kind(&packets[lost].payload), 24, "only parameter sets can be done without");
            }
            assert_eq!(slices_of(&whole), expected, "packet {lost}");
        }
    };
    for longest in [377, 1200] {
        for stream in [BASELINE, SLICES, HIGH] {
            let pictures = annex_b(stream);
            let packets = h264_packets(&pictures, 1, longest);
            check(&packets, &pictures, bare, &|rest| h264_given(rest.iter().copied()));
        }
        let frames = ivf(FRAMES);
        let packets = vp8_packets(&frames, longest);
        check(&packets, &frames, <[Vec<u8>]>::to_vec, &|rest| {
            given(&mut vp8::Depacketiser::default(), rest.iter().copied())
        });
    }
}

#[test]
fn a_picture_ends_where_another_time_begins_if_no_marker_says_so() {
    let pictures = annex_b(SLICES);
    let mut packets = h264_packets(&pictures, 1, 377);
    let last = packets.len() - 1;
    packets[..last].iter_mut().for_each(|packet| packet.marker = false);
    assert_eq!(data(&h264_given(&packets)), pictures);
    packets[last].marker = false;
    assert_eq!(data(&h264_given(&packets)), pictures[..7], "the last may go on");
    let frames = ivf(FRAMES);
    let mut packets = vp8_packets(&frames, 1200);
    packets.iter_mut().for_each(|packet| packet.marker = false);
    assert_eq!(data(&given(&mut vp8::Depacketiser::default(), &packets)), frames[..7]);
}

#[test]
fn padding_and_what_comes_twice_change_nothing() {
    let pictures = annex_b(SLICES);
    let packets = h264_packets(&pictures, 1, 377);
    let mut arrived: Vec<Packet> = vec![];
    for packet in &packets {
        // Browsers probe with the time of the picture before.
        let timestamp = arrived.last().map_or(packet.timestamp, |before| before.timestamp);
        let sequence = pictures::FIRST_SEQUENCE.wrapping_add(arrived.len() as u16 / 3 * 2);
        let padding = Packet { payload: vec![], sequence, timestamp, marker: false };
        let packet = Packet { sequence: sequence.wrapping_add(1), ..packet.clone() };
        arrived.extend([padding, packet.clone(), packet]);
    }
    let given = h264_given(&arrived);
    assert_eq!(data(&given), pictures);
    assert!(given[1..].iter().all(|picture| !picture.after_loss));
    let mut repacketiser = h264::Repacketiser::new(0, 1200, h264::ParameterSets::default());
    let (out, errors) = repacketised(&mut repacketiser, &arrived);
    assert!(errors.is_empty());
    check_headers(&out, pictures.len());
    assert_eq!(data(&h264_given(&out)), pictures);
}

#[test]
fn packets_that_changed_places_find_them_again_behind_what_was_added() {
    let pictures = annex_b(SLICES);
    let mut sets = h264::ParameterSets::default();
    sets.learn(SPROP).unwrap();
    let repacketiser = || h264::Repacketiser::new(1, 1200, sets.clone());
    let straight = h264_packets(&bare(&pictures), 1, 1200);
    let (expected, _) = repacketised(&mut repacketiser(), &straight);
    assert_eq!(expected.len(), straight.len() + 2);
    for place in 1..straight.len() - 1 {
        let mut swapped = straight.clone();
        swapped.swap(place, place + 1);
        let (mut out, _) = repacketised(&mut repacketiser(), &swapped);
        assert_ne!(out, expected);
        out.sort_by_key(|packet| packet.sequence.wrapping_sub(pictures::FIRST_SEQUENCE));
        if straight[place + 1].payload[0] & 0x1f == 5 && straight[place].payload[0] & 0x1f == 5 {
            continue; // the sets went before the slice that came first; the other one is now before them
        }
        assert_eq!(out, expected, "{place}");
    }
}

/// Shows what comes out of the packets: how many pictures, and each against what it should be.
fn show(codec: VideoCodec, given: &[Given], mut judge: impl FnMut(usize, codecs::video::View<'_>)) -> usize {
    let mut decoder = codec.decoder().unwrap();
    let mut shown = 0;
    for picture in given {
        if let Some(view) = decoder.decode(&picture.data).unwrap() {
            judge(shown, view);
            shown += 1;
        }
    }
    shown
}

#[test]
fn decoders_show_streams_of_x264_and_libvpx_that_came_in_packets() {
    let size = |_, view: codecs::video::View<'_>| assert_eq!((view.width(), view.height()), (320, 240));
    for longest in LENGTHS {
        for stream in [BASELINE, SLICES] {
            let given = h264_given(&h264_packets(&annex_b(stream), 1, longest));
            assert_eq!(show(VideoCodec::H264, &given, size), 8);
        }
        let given = given(&mut vp8::Depacketiser::default(), &vp8_packets(&ivf(FRAMES), longest));
        assert_eq!(show(VideoCodec::Vp8, &given, size), 8);
    }
}

#[test]
fn what_our_encoders_make_fits_the_packets_of_both_modes() {
    const SIZE: (usize, usize) = (640, 480);
    let settings = VideoSettings { bitrate: 3_000_000, ..VideoSettings::default() };
    let coded = |codec: VideoCodec| {
        let mut encoder = codec.encoder(&settings).unwrap();
        let mut encode = |number| {
            let mut coded = vec![];
            let picture = pattern::picture(SIZE, number);
            encoder.encode(picture.view(), number == 7, number as u64 * 3000, &mut coded).unwrap();
            coded
        };
        (0..12).map(&mut encode).collect::<Vec<_>>()
    };
    let mut judge = |number, view: codecs::video::View<'_>| {
        let seen = psnr(pattern::picture(SIZE, number).view(), view);
        assert!(seen > 35.0, "picture {number}: {seen} dB");
    };
    let pictures = coded(VideoCodec::H264);
    let one = h264_packets(&pictures, 1, 1200);
    let zero = h264_packets(&pictures, 0, 1200);
    let mut repacketiser = h264::Repacketiser::new(0, 1200, h264::ParameterSets::default());
    let (anew, errors) = repacketised(&mut repacketiser, &one);
    assert_eq!((&anew, errors), (&zero, vec![]));
    for packets in [one, zero] {
        let given = h264_given(&packets);
        let keys: Vec<usize> = (0..12).filter(|place| given[*place].key).collect();
        assert_eq!(keys, [0, 7]);
        assert_eq!(show(VideoCodec::H264, &given, &mut judge), 12);
    }
    let frames = coded(VideoCodec::Vp8);
    let given = given(&mut vp8::Depacketiser::default(), &vp8_packets(&frames, 1200));
    assert_eq!(show(VideoCodec::Vp8, &given, &mut judge), 12);
}
