//! Transcoding of pictures against the bare codecs' own work on the same frames, and what a transcoder keeps in memory.
//!
//! Measured for each size, there and back: seconds of a moving pattern with a camera's grain through [`VideoChain`], and the same
//! frames through a decoder and an encoder with nothing between them: coded pictures decoded, and the pictures that the chain would
//! hand on encoded. Chain and bare codecs take turns, so that a busy machine slows both; the median of the turns counts. It is a
//! ratio within one run, never a time to hold.
#![allow(clippy::unwrap_used, reason = "a bench")]

use std::hint::black_box;
use std::time::Instant;

use codecs::video::pattern;
use codecs::video::{
    Picture, VIDEO_CLOCK, VideoChain, VideoCodec, VideoDecoder, VideoEncoder, VideoSettings,
};
use openh264::formats::YUVSlices;

use VideoCodec::{H264, Vp8};

/// Pictures of one turn.
const FRAMES: usize = 60;
/// Chain over bare, both directions together.
const TARGET: f64 = 1.15;
const TURNS: usize = 11;
/// Transcoders whose memory is taken together.
const MANY: usize = 20;

/// A library's decoder: takes a coded picture.
type Decode = Box<dyn FnMut(&[u8])>;
/// A library's encoder: takes a picture.
type Encode = Box<dyn FnMut(&Picture)>;

/// What a call sends.
struct Load {
    name: &'static str,
    size: (usize, usize),
    fps: u32,
    settings: VideoSettings,
}

impl Load {
    /// From one picture to the next.
    fn step(&self) -> u32 {
        VIDEO_CLOCK / self.fps
    }

    fn pictures(&self) -> Vec<Picture> {
        (0..FRAMES).map(|number| grainy(self.size, number)).collect()
    }

    /// What comes in.
    fn coded(&self, codec: VideoCodec) -> Vec<Vec<u8>> {
        let settings = VideoSettings { bitrate: self.settings.bitrate * 2, ..self.settings.clone() };
        let mut encoder = codec.encoder(&settings).unwrap();
        let coded = |(number, picture): (usize, &Picture)| {
            let mut coded = vec![];
            let at = u64::from(self.step()) * number as u64;
            encoder.encode(picture.view(), false, at, &mut coded).unwrap();
            coded
        };
        let all: Vec<_> = self.pictures().iter().enumerate().map(coded).collect();
        all.into_iter().filter(|coded| !coded.is_empty()).collect()
    }
}

/// The pattern as a camera sees it.
fn grainy(size: (usize, usize), number: usize) -> Picture {
    let mut picture = pattern::picture(size, number);
    let mut state = number as u64 + 1;
    for pixel in picture.plane_mut(0) {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        *pixel += (state >> 62) as u8;
    }
    picture
}

/// A library's decoder. libvpx has no other Rust face without `unsafe` than ours.
fn bare_decoder(codec: VideoCodec) -> Decode {
    match codec {
        H264 => {
            let mut decoder = openh264::decoder::Decoder::new().unwrap();
            Box::new(move |coded| _ = black_box(decoder.decode(coded).unwrap()))
        }
        Vp8 => {
            let mut decoder: Box<dyn VideoDecoder> = codec.decoder().unwrap();
            Box::new(move |coded| _ = black_box(decoder.decode(coded).unwrap()))
        }
    }
}

/// A library's encoder, set as ours.
fn bare_encoder(codec: VideoCodec, load: &Load) -> Encode {
    use openh264::encoder::{
        BitRate, Complexity, Encoder, EncoderConfig, FrameRate, Profile, RateControlMode,
    };
    let (mut at, step) = (0, u64::from(load.step()));
    match codec {
        H264 => {
            let config = EncoderConfig::new()
                .bitrate(BitRate::from_bps(load.settings.bitrate))
                .max_frame_rate(FrameRate::from_hz(load.settings.max_fps as f32))
                .rate_control_mode(RateControlMode::Bitrate)
                .profile(Profile::Baseline)
                .complexity(Complexity::Low)
                .scene_change_detect(false)
                .max_slice_len(load.settings.slice_bytes)
                .num_threads(1);
            let mut encoder = Encoder::with_api_config(openh264::OpenH264API::from_source(), config).unwrap();
            let mut coded = vec![];
            Box::new(move |picture| {
                at += step;
                let view = picture.view();
                let [y, u, v] = view.planes();
                let planes = YUVSlices::new(
                    (y.bytes(), u.bytes(), v.bytes()),
                    (view.width(), view.height()),
                    (y.stride(), u.stride(), v.stride()),
                );
                let stream = encoder.encode_at(&planes, openh264::Timestamp::from_millis(at / 90)).unwrap();
                coded.clear();
                stream.write_vec(&mut coded);
            })
        }
        Vp8 => {
            let mut encoder: Box<dyn VideoEncoder> = codec.encoder(&load.settings).unwrap();
            let mut coded = vec![];
            Box::new(move |picture| {
                at += step;
                black_box(encoder.encode(picture.view(), false, at, &mut coded).unwrap());
            })
        }
    }
}

/// The pictures that the chain hands to its encoder.
fn handed_on(codec: VideoCodec, coded: &[Vec<u8>]) -> Vec<Picture> {
    let mut decoder = codec.decoder().unwrap();
    let copy = |coded: &Vec<u8>| {
        let view = decoder.decode(coded).unwrap().unwrap();
        let mut picture = Picture::new(view.width(), view.height()).unwrap();
        for (at, plane) in view.planes().into_iter().enumerate() {
            let width = if at == 0 { view.width() } else { view.width() / 2 };
            let rows = picture.plane_mut(at).chunks_exact_mut(width);
            rows.zip(plane.rows(width)).for_each(|(to, from)| to.copy_from_slice(from));
        }
        picture
    };
    coded.iter().map(copy).collect()
}

/// Microseconds a picture in one direction: our chain, and the bare codecs.
fn direction(from: VideoCodec, to: VideoCodec, load: &Load) -> (f64, f64) {
    let coded = load.coded(from);
    let handed_on = handed_on(from, &coded);
    let (mut decode, mut encode) = (bare_decoder(from), bare_encoder(to, load));
    let mut bare = || {
        for (coded, picture) in coded.iter().zip(&handed_on) {
            decode(coded);
            encode(picture);
        }
    };
    let mut chain = VideoChain::new(from, to, &load.settings).unwrap();
    let mut timestamp = 0u32;
    let mut chained = || {
        for coded in &coded {
            timestamp = timestamp.wrapping_add(load.step());
            black_box(chain.push(coded, timestamp, false).unwrap());
        }
    };
    let time = |work: &mut dyn FnMut()| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64() * 1e6 / coded.len() as f64
    };
    let mut turns: Vec<_> = (0..TURNS).map(|_| (time(&mut chained), time(&mut bare))).collect();
    turns.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
    turns[TURNS / 2]
}

/// KiB that a transcoder keeps once it is at work.
fn memory(from: VideoCodec, to: VideoCodec, load: &Load) -> usize {
    let coded = load.coded(from);
    let before = resident();
    let work = |_| {
        let mut chain = VideoChain::new(from, to, &load.settings).unwrap();
        for (number, coded) in coded.iter().take(10).enumerate() {
            chain.push(coded, load.step() * number as u32, false).unwrap();
        }
        chain
    };
    let chains: Vec<VideoChain> = (0..MANY).map(work).collect();
    let taken = resident().saturating_sub(before) / chains.len();
    drop(chains);
    taken
}

/// KiB of memory that the process has.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn main() {
    let load = |name, size, fps, bitrate| {
        let settings = VideoSettings { bitrate, max_fps: fps, ..VideoSettings::default() };
        Load { name, size, fps, settings }
    };
    let loads = [load("640x480@30", (640, 480), 30, 800_000), load("320x240@15", (320, 240), 15, 256_000)];
    // Memory first: what the benches free would be taken again unseen.
    for load in loads.iter().rev() {
        for (from, to) in [(H264, Vp8), (Vp8, H264)] {
            let way = format!("{} to {}", from.name(), to.name());
            println!("{:12} {way:12} {:6} KiB a transcoder", load.name, memory(from, to, load));
        }
    }
    println!("µs a picture                  chain    bare   ratio (target {TARGET})   streams a core");
    for load in &loads {
        let mut sum = (0.0, 0.0);
        for (from, to) in [(H264, Vp8), (Vp8, H264)] {
            let (chain, bare) = direction(from, to, load);
            let (way, streams) =
                (format!("{} to {}", from.name(), to.name()), 1e6 / chain / f64::from(load.fps));
            println!("{:12} {way:12} {chain:9.0} {bare:7.0}   {:.3} {streams:28.0}", load.name, chain / bare);
            sum = (sum.0 + chain, sum.1 + bare);
        }
        let ratio = sum.0 / sum.1;
        let (verdict, calls) =
            (if ratio <= TARGET { "met" } else { "MISSED" }, 1e6 / sum.0 / f64::from(load.fps));
        println!(
            "{:12} both         {:9.0} {:7.0}   {ratio:.3} {verdict} {calls:24.0}",
            load.name, sum.0, sum.1
        );
    }
}
