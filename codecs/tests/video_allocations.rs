//! What a picture costs stays its codecs' work: nothing of ours allocates once the size is known.
#![allow(clippy::unwrap_used)]

use codecs::video::pattern;
use codecs::video::{VIDEO_CLOCK, VideoChain, VideoCodec, VideoSettings};

use VideoCodec::{H264, Vp8};

/// A second of the pattern.
fn stream(codec: VideoCodec, size: (usize, usize)) -> Vec<Vec<u8>> {
    let mut encoder = codec.encoder(&VideoSettings::default()).unwrap();
    let frame = |number: usize| {
        let mut coded = vec![];
        encoder
            .encode(pattern::picture(size, number).view(), false, number as u64 * 3_000, &mut coded)
            .unwrap();
        coded
    };
    (0..30).map(frame).collect()
}

#[test]
fn a_chain_of_pictures_allocates_nothing_once_it_is_warm() {
    for (from, to) in [(H264, Vp8), (Vp8, H264), (H264, H264), (Vp8, Vp8)] {
        // As it is, and scaled.
        for max_size in [(320, 240), (160, 120)] {
            let frames = stream(from, (320, 240));
            let settings = VideoSettings { max_size, ..VideoSettings::default() };
            let mut chain = VideoChain::new(from, to, &settings).unwrap();
            let (mut timestamp, mut sent) = (0, 0);
            let mut pass = |rounds: usize| {
                for (number, coded) in frames.iter().cycle().take(rounds * frames.len()).enumerate() {
                    timestamp += VIDEO_CLOCK / 30;
                    if number % 20 == 7 {
                        chain.force_key_frame();
                        chain.set_bitrate(300_000 + number as u32 * 1_000).unwrap();
                    }
                    sent += usize::from(chain.push(coded, timestamp, number % 7 == 3).unwrap().is_some());
                }
            };
            pass(2); // its buffer grows with the first key frames
            let seen = allocation_counter::measure(|| pass(2));
            assert_eq!(seen.count_total, 0, "{from:?} to {to:?} at {max_size:?}: {seen:?}");
            assert!(sent > 80, "{from:?} to {to:?}: {sent} sent");
        }
    }
}
