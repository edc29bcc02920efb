//! Moving pictures through the chain: every direction, every turn that a call may take, judged by what is seen in the end.
#![allow(clippy::unwrap_used)]

use codecs::CodecError;
use codecs::video::codec::MAX_CODED;
use codecs::video::pattern::{self, psnr};
use codecs::video::{
    Coded, Picture, VIDEO_CLOCK, VideoChain, VideoCodec, VideoDecoder, VideoEncoder, VideoFrame,
    VideoSettings,
};

use VideoCodec::{H264, Vp8};

const BOTH: [VideoCodec; 2] = [H264, Vp8];
const WAYS: [(VideoCodec, VideoCodec); 4] = [(H264, Vp8), (Vp8, H264), (H264, H264), (Vp8, Vp8)];
const FPS: u32 = 30;

fn at(number: usize) -> u32 {
    number as u32 * (VIDEO_CLOCK / FPS)
}

/// A camera that sends the pattern.
struct Source {
    encoder: Box<dyn VideoEncoder>,
    size: (usize, usize),
    number: usize,
    coded: Vec<u8>,
}

impl Source {
    fn new(codec: VideoCodec, size: (usize, usize)) -> Self {
        // No picture is left out for the bitrate's sake, so that each number is one picture.
        let settings = VideoSettings { bitrate: 3_000_000, ..VideoSettings::default() };
        Self { encoder: codec.encoder(&settings).unwrap(), size, number: 0, coded: vec![] }
    }

    /// The next picture, coded, and its number.
    fn next(&mut self, key: bool) -> (&[u8], usize) {
        let picture = pattern::picture(self.size, self.number);
        let kind = self.encoder.encode(picture.view(), key, at(self.number).into(), &mut self.coded).unwrap();
        assert_ne!(kind, Coded::Nothing, "the source has room for every picture");
        self.number += 1;
        (&self.coded, self.number - 1)
    }
}

/// The far end's screen.
struct Screen {
    decoder: Box<dyn VideoDecoder>,
    shown: usize,
    worst: f64,
    sum: f64,
    size: (usize, usize),
    bytes: usize,
    keys: Vec<usize>,
}

impl Screen {
    fn new(codec: VideoCodec) -> Self {
        Self {
            decoder: codec.decoder().unwrap(),
            shown: 0,
            worst: 99.0,
            sum: 0.0,
            size: (0, 0),
            bytes: 0,
            keys: vec![],
        }
    }

    /// Shows what came of picture `number`.
    fn show(&mut self, frame: VideoFrame<'_>, number: usize) {
        assert_eq!(frame.timestamp, at(number), "the picture keeps its time");
        let picture = self.decoder.decode(frame.coded).unwrap().unwrap();
        self.size = (picture.width(), picture.height());
        let ratio = psnr(picture, pattern::picture(self.size, number).view());
        self.worst = self.worst.min(ratio);
        self.sum += ratio;
        self.shown += 1;
        self.bytes += frame.coded.len();
        if frame.key {
            self.keys.push(number);
        }
    }

    fn mean(&self) -> f64 {
        self.sum / self.shown as f64
    }
}

fn pass(source: &mut Source, chain: &mut VideoChain, screen: &mut Screen, pictures: usize) {
    for _ in 0..pictures {
        let (coded, number) = source.next(false);
        if let Some(frame) = chain.push(coded, at(number), false).unwrap() {
            screen.show(frame, number);
        }
    }
}

#[test]
fn a_moving_picture_survives_every_direction() {
    for (from, to) in WAYS {
        for size in [(320, 240), (176, 144), (240, 320)] {
            let mut chain = VideoChain::new(from, to, &VideoSettings::default()).unwrap();
            let (mut source, mut screen) = (Source::new(from, size), Screen::new(to));
            pass(&mut source, &mut chain, &mut screen, 45);
            let (mean, worst) = (screen.mean(), screen.worst);
            println!(
                "{chain} {size:?}: {} shown, mean {mean:.1} dB, worst {worst:.1} dB, {} kbit/s",
                screen.shown,
                screen.bytes * 8 * 2 / 3 / 1000
            );
            assert_eq!(screen.size, size);
            assert!(screen.shown >= 42, "{chain} {size:?}: {} shown", screen.shown);
            assert!(mean > 32.0 && worst > 27.0, "{chain} {size:?}: mean {mean:.1} dB, worst {worst:.1} dB");
            assert_eq!(screen.keys, [0], "{chain}: one key frame at the start and no other");
        }
    }
}

#[test]
fn a_large_picture_is_scaled_into_the_box() {
    for (from, to) in [(H264, Vp8), (Vp8, H264)] {
        for (size, seen) in [((1280, 720), (640, 360)), ((720, 1280), (360, 640))] {
            let mut chain = VideoChain::new(from, to, &VideoSettings::default()).unwrap();
            let (mut source, mut screen) = (Source::new(from, size), Screen::new(to));
            pass(&mut source, &mut chain, &mut screen, 20);
            assert_eq!(screen.size, seen);
            assert!(screen.mean() > 30.0, "{chain} {size:?}: {:.1} dB", screen.mean());
        }
    }
}

#[test]
fn the_size_may_change_in_mid_stream() {
    for (from, to) in WAYS {
        let mut chain = VideoChain::new(from, to, &VideoSettings::default()).unwrap();
        let (mut source, mut screen) = (Source::new(from, (320, 240)), Screen::new(to));
        let sizes = [(320, 240), (640, 480), (176, 144), (240, 320), (640, 360)];
        for size in sizes {
            source.size = size;
            pass(&mut source, &mut chain, &mut screen, 15);
            assert_eq!(screen.size, size, "{chain}");
        }
        assert_eq!(screen.keys, [0, 15, 30, 45, 60], "{chain}: a key frame with each size");
        assert!(screen.worst > 27.0, "{chain}: worst {:.1} dB", screen.worst);
    }
}

#[test]
fn a_key_frame_comes_with_the_very_picture_that_it_is_asked_for() {
    for (from, to) in WAYS {
        let mut chain = VideoChain::new(from, to, &VideoSettings::default()).unwrap();
        let (mut source, mut screen) = (Source::new(from, (320, 240)), Screen::new(to));
        for pictures in [10, 7, 1, 12] {
            chain.force_key_frame();
            pass(&mut source, &mut chain, &mut screen, pictures);
        }
        assert_eq!(screen.keys, [0, 10, 17, 18], "{chain}");
        // Who comes late can start there.
        chain.force_key_frame();
        let mut late = Screen::new(to);
        pass(&mut source, &mut chain, &mut late, 5);
        assert_eq!((late.shown, late.worst > 27.0), (5, true), "{chain}");
    }
}

/// Grain that no encoder makes small, so that the bitrate is what bounds it.
fn noise(picture: &mut Picture, number: usize) {
    let mut state = number as u64 + 1;
    for pixel in picture.plane_mut(0) {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        *pixel = pixel.saturating_add((state >> 60) as u8);
    }
}

#[test]
fn the_bitrate_follows_at_run_time() {
    for codec in BOTH {
        let mut encoder = codec.encoder(&VideoSettings::default()).unwrap();
        let (mut coded, mut number) = (vec![], 0);
        let mut picture = Picture::new(320, 240).unwrap();
        let mut kilobits = |bitrate: u32| {
            encoder.set_bitrate(bitrate).unwrap();
            let mut bytes = 0;
            for place in 0..4 * FPS as usize {
                pattern::draw(&mut picture, number);
                noise(&mut picture, number);
                encoder.encode(picture.view(), false, at(number).into(), &mut coded).unwrap();
                number += 1;
                // The first two seconds are for the change.
                bytes += if place < 2 * FPS as usize { 0 } else { coded.len() };
            }
            bytes * 8 / 2 / 1000
        };
        for asked in [400, 150, 800, 200] {
            let seen = kilobits(asked * 1_000) as u32;
            println!("{codec:?}: asked {asked} kbit/s, seen {seen}");
            assert!(seen.abs_diff(asked) * 4 < asked, "{codec:?}: asked {asked} kbit/s, seen {seen}");
        }
    }
}

/// NAL units of a byte stream, by their start codes.
fn nals(coded: &[u8]) -> Vec<&[u8]> {
    let starts: Vec<usize> =
        coded.windows(3).enumerate().filter(|(_, three)| *three == [0, 0, 1]).map(|(at, _)| at + 3).collect();
    let ends = starts.iter().skip(1).map(|start| start - 3).chain([coded.len()]);
    starts.iter().zip(ends).map(|(start, end)| &coded[*start..end]).collect()
}

#[test]
fn slices_fit_a_packet() {
    for (size, bitrate) in [((640, 480), 800_000), ((1280, 720), 2_500_000), ((1920, 1080), 6_000_000)] {
        let settings = VideoSettings { bitrate, slice_bytes: 1_150, ..VideoSettings::default() };
        let mut encoder = H264.encoder(&settings).unwrap();
        let (mut coded, mut longest, mut most) = (vec![], 0, 0);
        for number in 0..12 {
            let mut picture = pattern::picture(size, number);
            noise(&mut picture, number);
            encoder.encode(picture.view(), number == 6, at(number).into(), &mut coded).unwrap();
            let nals = nals(&coded);
            longest = nals.iter().map(|nal| nal.len()).fold(longest, usize::max);
            most = most.max(nals.len());
        }
        println!("{size:?}: longest NAL {longest} bytes, {most} in a picture");
        assert!(longest <= 1_150, "{size:?}: a NAL of {longest} bytes, {most} in a picture");
    }
}

#[test]
fn after_a_loss_nothing_is_shown_until_a_key_frame_comes() {
    for (from, to) in WAYS {
        let mut chain = VideoChain::new(from, to, &VideoSettings::default()).unwrap();
        let (mut source, mut screen) = (Source::new(from, (320, 240)), Screen::new(to));
        assert!(chain.wants_key_frame(), "{chain}: at the start");
        // It joins in the middle of a stream.
        source.next(false);
        pass(&mut source, &mut chain, &mut screen, 5);
        assert_eq!((screen.shown, chain.wants_key_frame()), (0, true), "{chain}");
        for (round, told) in [(1, true), (2, false)] {
            let (coded, number) = source.next(true);
            screen.show(chain.push(coded, at(number), false).unwrap().unwrap(), number);
            assert!(!chain.wants_key_frame(), "{chain}");
            pass(&mut source, &mut chain, &mut screen, 4);
            assert_eq!(screen.shown, round * 5, "{chain}");
            if told {
                source.next(false);
                chain.lost();
            } else {
                // Nobody tells of this one: the decoder itself must.
                let (coded, number) = source.next(false);
                let cut = &coded[..3];
                assert!(chain.push(cut, at(number), false).is_err(), "{chain}");
            }
            assert!(chain.wants_key_frame(), "{chain}");
            pass(&mut source, &mut chain, &mut screen, 3);
            assert_eq!(screen.shown, round * 5, "{chain}");
        }
        assert!(screen.worst > 27.0, "{chain}: worst {:.1} dB", screen.worst);
    }
}

#[test]
fn who_is_late_sends_less_and_the_picture_stays_whole() {
    for (from, to) in [(H264, Vp8), (Vp8, H264)] {
        let settings = VideoSettings { max_fps: 15, ..VideoSettings::default() };
        let mut chain = VideoChain::new(from, to, &settings).unwrap();
        let (mut source, mut screen) = (Source::new(from, (320, 240)), Screen::new(to));
        pass(&mut source, &mut chain, &mut screen, 60);
        assert!((29..=31).contains(&screen.shown), "{chain}: {} of 60 at 15 a second", screen.shown);
        for place in 0..30 {
            let (coded, number) = source.next(false);
            let frame = chain.push(coded, at(number), place % 10 != 9).unwrap();
            frame.into_iter().for_each(|frame| screen.show(frame, number));
        }
        assert!((31..=34).contains(&screen.shown), "{chain}: {} with 27 late ones", screen.shown);
        assert!(screen.worst > 27.0, "{chain}: worst {:.1} dB", screen.worst);
    }
}

#[test]
fn settings_that_no_encoder_has_are_refused_by_name() {
    let check = |settings: VideoSettings, name: &str| {
        for codec in BOTH {
            let error = codec.encoder(&settings).err().unwrap().to_string();
            assert!(error.contains(name), "{error} should name {name}");
        }
    };
    check(VideoSettings { bitrate: 100, ..VideoSettings::default() }, "bitrate");
    check(VideoSettings { max_fps: 0, ..VideoSettings::default() }, "max_fps");
    check(VideoSettings { vp8_speed: 17, ..VideoSettings::default() }, "vp8_speed");
    check(VideoSettings { slice_bytes: 10, ..VideoSettings::default() }, "slice_bytes");
    check(VideoSettings { max_size: (4_000, 3_000), ..VideoSettings::default() }, "4000x3000");
}

#[test]
fn what_is_no_picture_is_refused_before_the_library_sees_it() {
    for codec in BOTH {
        let mut decoder = codec.decoder().unwrap();
        assert_eq!(decoder.decode(&[]).map(drop), Err(CodecError::EmptyPayload), "{codec:?}");
        let long = CodecError::PayloadLength { length: MAX_CODED + 1, least: 1, most: MAX_CODED };
        assert_eq!(decoder.decode(&vec![0; MAX_CODED + 1]).map(drop), Err(long), "{codec:?}");
    }
    let mut vp8 = Vp8.decoder().unwrap();
    let huge = [0x10, 0, 0, 0x9d, 0x01, 0x2a, 0xff, 0x3f, 0xff, 0x3f, 0, 0];
    let size = CodecError::PictureSize { width: 16_383, height: 16_383 };
    assert_eq!(vp8.decode(&huge).map(drop), Err(size));
    assert!(vp8.decode(&huge[..8]).is_err(), "a key frame without its head");
    // A key frame of ours, with a sequence parameter set of 16,000x16,000 before it.
    let mut decoder = H264.decoder().unwrap();
    let mut coded = Source::new(H264, (320, 240)).next(true).0.to_vec();
    let set = [0, 0, 0, 1, 0x67, 0x42, 0xe0, 0x1f, 0xda, 0, 0x3e, 0x80, 7, 0xd1, 0x90];
    coded.splice(0..0, set);
    let refused = decoder.decode(&coded).map(drop).unwrap_err();
    println!("{refused}");
    assert!(matches!(refused, CodecError::PictureSize { .. }), "{refused}");
    // Layers are not taken either.
    assert!(decoder.decode(&[0, 0, 1, 0x6f, 0x53, 0, 0x1f, 0xf0]).is_err());
}
