//! Our bits in the hands of others, and theirs in ours: ffmpeg has decoders of its own for G.729 and Speex, and Speex' encoder.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::Write;
use std::process::{Command, Stdio};

use codecs::voice::Voice;
use codecs::{CodecId, Settings};
use support::Source;
use support::likeness::distance_db;

/// Runs ffmpeg over bytes.
fn ffmpeg(args: &[&str], input: Vec<u8>) -> Vec<u8> {
    let mut child = Command::new("ffmpeg")
        .args(["-v", "error"])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("ffmpeg, of scripts/setup.sh --tests");
    let mut pipe = child.stdin.take().unwrap();
    let feed = std::thread::spawn(move || pipe.write_all(&input));
    let output = child.wait_with_output().unwrap();
    feed.join().unwrap().unwrap();
    assert!(output.status.success(), "ffmpeg {args:?}");
    output.stdout
}

fn samples(bytes: &[u8]) -> Vec<i16> {
    bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

fn said(rate: u32) -> Vec<i16> {
    let mut pcm = vec![0; rate as usize * 2];
    Voice::new(rate).fill(&mut pcm);
    pcm
}

fn decoded(codec: CodecId, packets: &[Vec<u8>]) -> Vec<i16> {
    let rate = codec.spec().full_rate();
    let mut decoder = (codec.spec().decoder)(rate, &Settings::default()).unwrap();
    let (mut all, mut pcm) = (Vec::new(), vec![0; codecs::codec::max_samples(rate)]);
    for packet in packets {
        let length = decoder.decode(packet, &mut pcm).unwrap();
        all.extend_from_slice(&pcm[..length]);
    }
    all
}

fn packets(codec: CodecId, ptime_ms: u32) -> Vec<Vec<u8>> {
    Source::voice(codec, ptime_ms).take(2400 / ptime_ms as usize).map(|(payload, _)| payload).collect()
}

#[test]
fn ffmpeg_hears_our_g729() {
    let packets = packets(CodecId::G729, 20);
    let theirs = samples(&ffmpeg(&["-f", "g729", "-i", "pipe:0", "-f", "s16le", "pipe:1"], packets.concat()));
    let ours = decoded(CodecId::G729, &packets);
    let (said, rate) = (said(8000), 8000);
    let (by_them, by_us) =
        (distance_db((&said, rate), (&theirs, rate)), distance_db((&said, rate), (&ours, rate)));
    println!("G.729: a voice is {by_them:.2} dB off in ffmpeg's decoder, {by_us:.2} dB in ours");
    assert!(by_them < 6.0 && (by_them - by_us).abs() < 1.0);
}

#[test]
fn ffmpeg_hears_our_speex() {
    for (codec, ptime) in [(CodecId::SpeexWide, 20), (CodecId::SpeexNarrow, 20), (CodecId::SpeexNarrow, 40)] {
        let rate = codec.spec().full_rate();
        let packets = packets(codec, ptime);
        let file = ogg::of_speex(rate, ptime / 20, &packets);
        let args = ["-f", "ogg", "-c:a", "speex", "-i", "pipe:0", "-f", "s16le", "-ac", "1", "pipe:1"];
        let theirs = samples(&ffmpeg(&args, file));
        let said = said(rate);
        let distance = distance_db((&said, rate), (&theirs, rate));
        println!("{codec}, {ptime} ms: a voice is {distance:.2} dB off in ffmpeg's decoder");
        assert!(distance < 5.0, "{codec}: {distance} dB");
    }
}

#[test]
fn we_hear_the_speex_of_ffmpeg_whatever_its_rate() {
    for (codec, quality) in [(CodecId::SpeexWide, 10), (CodecId::SpeexWide, 3), (CodecId::SpeexNarrow, 5)] {
        let rate = codec.spec().full_rate();
        let said = said(rate);
        let bytes = said.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let (hz, level) = (rate.to_string(), quality.to_string());
        let input = ["-f", "s16le", "-ar", &hz, "-ac", "1", "-i", "pipe:0"];
        let output = ["-c:a", "libspeex", "-vbr", "1", "-q:a", &level, "-f", "ogg", "pipe:1"];
        let packets = ogg::packets(&ffmpeg(&[&input[..], &output[..]].concat(), bytes));
        let heard = decoded(codec, &packets[2..]); // behind head and comment
        let distance = distance_db((&said, rate), (&heard, rate));
        println!("{codec} at quality {quality} of 10: a voice is {distance:.2} dB off");
        assert!(distance < 7.0, "{codec}: {distance} dB");
    }
}

/// As much of Ogg (RFC 3533) as a Speex file needs.
mod ogg {
    /// A file of packets of `frames` frames each.
    pub(crate) fn of_speex(rate: u32, frames: u32, packets: &[Vec<u8>]) -> Vec<u8> {
        let mut head = b"Speex   1.2.1".to_vec();
        head.resize(28, 0);
        let wide = u32::from(rate > 8000);
        let frame = rate / 50;
        for field in [1, 80, rate, wide, 4, 1, u32::MAX, frame, 0, frames, 0, 0, 0] {
            head.extend(field.to_le_bytes());
        }
        let comment = [4, 0, 0, 0, b't', b'e', b's', b't', 0, 0, 0, 0].to_vec();
        let mut file = page(2, 0, 0, &head);
        file.extend(page(0, 0, 1, &comment));
        for (place, packet) in packets.iter().enumerate() {
            let place = place as u32;
            file.extend(page(0, u64::from((place + 1) * frames * frame), place + 2, packet));
        }
        file
    }

    fn page(flags: u8, position: u64, number: u32, packet: &[u8]) -> Vec<u8> {
        let mut page = b"OggS\0".to_vec();
        page.push(flags);
        page.extend(position.to_le_bytes());
        page.extend(7u32.to_le_bytes());
        page.extend(number.to_le_bytes());
        page.extend([0; 4]);
        let whole = packet.len() / 255;
        page.push(whole as u8 + 1);
        page.resize(page.len() + whole, 255);
        page.push((packet.len() % 255) as u8);
        page.extend(packet);
        let checksum = page.iter().fold(0u32, |sum, byte| {
            let shift = |sum: u32, _| if sum >> 31 == 1 { sum << 1 ^ 0x04c1_1db7 } else { sum << 1 };
            (0..8).fold(sum ^ u32::from(*byte) << 24, shift)
        });
        page[22..26].copy_from_slice(&checksum.to_le_bytes());
        page
    }

    /// The packets of a file.
    pub(crate) fn packets(mut file: &[u8]) -> Vec<Vec<u8>> {
        let (mut all, mut open) = (Vec::new(), Vec::new());
        while let [b'O', b'g', b'g', b'S', ..] = file {
            let segments = usize::from(file[26]);
            let mut at = 27 + segments;
            for length in &file[27..27 + segments] {
                open.extend_from_slice(&file[at..at + usize::from(*length)]);
                at += usize::from(*length);
                if *length < 255 {
                    all.push(std::mem::take(&mut open));
                }
            }
            file = &file[at..];
        }
        all
    }
}
