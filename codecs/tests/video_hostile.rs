//! Whatever the network sends: an error or a picture, never a crash, no growth, and the next key frame is seen again. Alone in its file, so
//! that the memory of the process is that of this test.
#![allow(clippy::unwrap_used)]

use codecs::video::pattern::{self, psnr};
use codecs::video::{VIDEO_CLOCK, VideoChain, VideoCodec, VideoSettings};

const BUFFERS: usize = 3_000;
const SIZE: (usize, usize) = (176, 144);

/// Pages of 4 KiB that the process has.
fn resident_pages() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse().unwrap()
}

/// A second of the pattern, a key frame first.
fn stream(codec: VideoCodec) -> Vec<Vec<u8>> {
    let settings = VideoSettings { bitrate: 1_000_000, ..VideoSettings::default() };
    let mut encoder = codec.encoder(&settings).unwrap();
    let mut frame = |number: usize| {
        let mut coded = vec![];
        encoder
            .encode(pattern::picture(SIZE, number).view(), false, number as u64 * 3_000, &mut coded)
            .unwrap();
        coded
    };
    (0..30).map(&mut frame).collect()
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }
}

/// A frame that was changed on its way, or never was one.
fn damaged(frames: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut coded = frames[dice.roll(frames.len())].clone();
    match dice.roll(5) {
        0 => {
            let length = 1 + dice.roll(2_000);
            // A start code makes H.264 of it.
            let start = [0, 0, 1].into_iter().take(dice.roll(2) * 3);
            return start.chain((0..length).map(|_| dice.roll(256) as u8)).collect();
        }
        1 => coded.truncate(1 + dice.roll(coded.len())),
        2 => {
            // Only the head, where sizes and tables stand.
            let head = coded.len().min(40);
            for _ in 0..=dice.roll(4) {
                coded[dice.roll(head)] = dice.roll(256) as u8;
            }
        }
        3 => {
            let cut = dice.roll(coded.len());
            coded.extend_from_within(cut..);
        }
        _ => {
            for _ in 0..=dice.roll(20) {
                let place = dice.roll(coded.len());
                coded[place] ^= 1 << dice.roll(8);
            }
        }
    }
    coded
}

/// Damages frames as the feeder tells, and holds that memory stays as it is.
fn storm(name: &str, codec: VideoCodec, feed: &mut dyn FnMut(&[u8], usize) -> bool) {
    let frames = stream(codec);
    let (mut dice, mut refused, mut half) = (Dice(7), 0, 0);
    for number in 0..BUFFERS {
        refused += usize::from(!feed(&damaged(&frames, &mut dice), number));
        if number == BUFFERS / 2 {
            half = resident_pages();
        }
    }
    let grown = resident_pages().saturating_sub(half) * 4;
    println!("{name}: {refused} of {BUFFERS} refused, {grown} KiB more after the second half");
    assert!(refused > BUFFERS / 10, "{name}: only {refused} refused");
    assert!(grown < 10_000, "{name}: {grown} KiB more after the second half");
}

#[test]
fn whatever_comes_nothing_breaks_and_nothing_grows() {
    for codec in [VideoCodec::H264, VideoCodec::Vp8] {
        let mut decoder = codec.decoder().unwrap();
        storm(codec.name(), codec, &mut |coded, _| decoder.decode(coded).is_ok());
    }
    for (from, to) in [(VideoCodec::H264, VideoCodec::Vp8), (VideoCodec::Vp8, VideoCodec::H264)] {
        let mut chain = VideoChain::new(from, to, &VideoSettings::default()).unwrap();
        let (name, key, mut screen) = (chain.to_string(), stream(from).remove(0), to.decoder().unwrap());
        let mut timestamp = 0;
        storm(&name, from, &mut |coded, number| {
            timestamp += VIDEO_CLOCK / 15;
            let fine = chain.push(coded, timestamp, false).is_ok();
            if number % 10 == 0 {
                // In between the truth, so that the damage meets a decoder at work.
                timestamp += VIDEO_CLOCK / 15;
                chain.force_key_frame();
                let frame = chain.push(&key, timestamp, false);
                let seen = frame.ok().flatten().and_then(|frame| screen.decode(frame.coded).ok().flatten());
                let ratio = seen.map_or(0.0, |seen| psnr(seen, pattern::picture(SIZE, 0).view()));
                assert!(ratio > 27.0, "{chain}: {ratio:.1} dB after {number} buffers");
            }
            fine
        });
    }
}
