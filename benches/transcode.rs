//! Transcoding against the bare codecs' own work on the same frames, for every pair of the table.
//!
//! Measured for each pair, there and back: ten seconds of a voice through [`Chain`], and the same frames through the library's
//! decoder and encoder with nothing between them: payloads decoded, and the samples that the chain would hand on encoded. What is
//! more is the chain's: time stamps, concealment's memory, the resampler where two codecs share no rate. Chain and bare codecs take
//! turns, so that a busy machine slows both; the median of the turns counts. It is a ratio within one run, never a time to hold.
#![allow(clippy::unwrap_used, reason = "a bench")]

use std::hint::black_box;
use std::time::Instant;

use audio_codec::{g722, pcma, pcmu};
use codecs::audio::opus::OpusSettings;
use codecs::chain::rates;
use codecs::codec::max_samples;
use codecs::resample::Resampler;
use codecs::voice::Voice;
use codecs::{CODECS, Chain, CodecSpec, MAX_PAYLOAD, Settings};

/// Ten seconds of a voice, in frames of 20 ms.
const FRAMES: usize = 500;
const PTIME_MS: u32 = 20;
/// Chain over bare, both directions together (design §9).
const TARGET: f64 = 1.25;
const TURNS: usize = 15;

/// A library's decoder: a payload to samples, how many they are.
type Decode = Box<dyn FnMut(&[u8], &mut [i16]) -> usize>;
/// A library's encoder.
type Encode = Box<dyn FnMut(&[i16], &mut [u8]) -> usize>;

/// The library's decoder at `rate`. A codec whose library is C has no other Rust face than its row of the table.
fn bare_decoder(codec: &CodecSpec, rate: u32) -> Decode {
    fn of(mut decoder: impl audio_codec::Decoder + 'static) -> Decode {
        Box::new(move |payload, pcm| decoder.decode_into(payload, pcm).unwrap())
    }
    match codec.name {
        "opus" => {
            let mut decoder = opus::Decoder::new(rate, opus::Channels::Mono).unwrap();
            Box::new(move |payload, pcm| decoder.decode(payload, pcm, false).unwrap())
        }
        "PCMU" => of(pcmu::PcmuDecoder::new()),
        "PCMA" => of(pcma::PcmaDecoder::new()),
        "G722" => of(g722::G722Decoder::new()),
        _ => {
            let mut decoder = (codec.decoder)(rate, &Settings::default()).unwrap();
            Box::new(move |payload, pcm| decoder.decode(payload, pcm).unwrap())
        }
    }
}

/// The library's encoder at `rate`.
fn bare_encoder(codec: &CodecSpec, rate: u32) -> Encode {
    fn of(mut encoder: impl audio_codec::Encoder + 'static) -> Encode {
        Box::new(move |pcm, payload| encoder.encode_into(pcm, payload).unwrap())
    }
    match codec.name {
        "opus" => {
            let mut encoder = opus_encoder(rate);
            Box::new(move |pcm, payload| encoder.encode(pcm, payload).unwrap())
        }
        "PCMU" => of(pcmu::PcmuEncoder::new()),
        "PCMA" => of(pcma::PcmaEncoder::new()),
        "G722" => of(g722::G722Encoder::new()),
        _ => {
            let mut encoder = (codec.encoder)(rate, &Settings::default()).unwrap();
            Box::new(move |pcm, payload| encoder.encode(pcm, payload).unwrap())
        }
    }
}

fn opus_encoder(rate: u32) -> opus::Encoder {
    let settings = OpusSettings::default();
    let OpusSettings { bitrate, complexity, complexity_telephone, fec, expected_loss, .. } = settings;
    let signed = |value: u32| i32::try_from(value).unwrap();
    let mut encoder = opus::Encoder::new(rate, opus::Channels::Mono, opus::Application::Voip).unwrap();
    encoder.set_bitrate(opus::Bitrate::Bits(signed(bitrate))).unwrap();
    encoder.set_complexity(signed(if rate == 8000 { complexity_telephone } else { complexity })).unwrap();
    encoder.set_packet_loss_perc(signed(expected_loss)).unwrap();
    encoder.set_inband_fec(fec).unwrap();
    encoder
}

/// What comes in: a voice by the codec at its full band.
fn payloads(from: &CodecSpec) -> Vec<Vec<u8>> {
    let rate = from.full_rate();
    let mut encoder = (from.encoder)(rate, &Settings::default()).unwrap();
    let (mut voice, mut pcm) = (Voice::new(rate), vec![0; samples(rate)]);
    let mut frame = || {
        voice.fill(&mut pcm);
        let mut payload = vec![0; MAX_PAYLOAD];
        let length = encoder.encode(&pcm, &mut payload).unwrap();
        payload.truncate(length);
        payload
    };
    (0..FRAMES).map(|_| frame()).collect()
}

/// The samples that the chain hands to its encoder, frame by frame.
fn handed_on(payloads: &[Vec<u8>], from: &CodecSpec, to: &CodecSpec) -> Vec<Vec<i16>> {
    let (rate_in, rate_out) = rates(from, to);
    let mut decode = bare_decoder(from, rate_in);
    let mut decoded = vec![];
    let mut pcm = vec![0; max_samples(rate_in)];
    for payload in payloads {
        let count = decode(payload, &mut pcm);
        decoded.extend_from_slice(&pcm[..count]);
    }
    if rate_in != rate_out {
        let mut resampler = Resampler::new(rate_in, rate_out).unwrap();
        let mut resampled = vec![0; resampler.room_for(decoded.len())];
        let count = resampler.resample(&decoded, &mut resampled).unwrap();
        resampled.truncate(count);
        decoded = resampled;
    }
    decoded.chunks_exact(samples(rate_out)).map(<[i16]>::to_vec).collect()
}

/// Samples of one frame.
fn samples(rate: u32) -> usize {
    (rate / 1000 * PTIME_MS) as usize
}

/// Microseconds a frame in one direction: our chain, and the bare codecs.
fn direction(from: &CodecSpec, to: &CodecSpec) -> (f64, f64) {
    let payloads = payloads(from);
    let handed_on = handed_on(&payloads, from, to);
    let (rate_in, rate_out) = rates(from, to);
    let mut decode = bare_decoder(from, rate_in);
    let mut encode = bare_encoder(to, rate_out);
    let (mut pcm, mut out) = (vec![0; max_samples(rate_in)], vec![0; MAX_PAYLOAD]);
    let mut bare = || {
        for (payload, frame) in payloads.iter().zip(&handed_on) {
            black_box(decode(payload, &mut pcm));
            black_box(encode(frame, &mut out));
        }
    };
    let mut chain = Chain::new(from.id, to.id, PTIME_MS, &Settings::default()).unwrap();
    let (mut timestamp, step) = (0u32, from.clock_rate / 1000 * PTIME_MS);
    let mut chained = || {
        for payload in &payloads {
            chain.push(payload, timestamp, &mut |frame| _ = black_box(frame)).unwrap();
            timestamp = timestamp.wrapping_add(step);
        }
    };
    let time = |work: &mut dyn FnMut()| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64() * 1e6 / FRAMES as f64
    };
    let mut turns: Vec<_> = (0..TURNS).map(|_| (time(&mut chained), time(&mut bare))).collect();
    turns.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
    turns[TURNS / 2]
}

fn main() {
    println!("µs a frame of {PTIME_MS} ms, there and back   chain    bare   ratio (target {TARGET})");
    let here: Vec<&CodecSpec> = CODECS.iter().filter(|codec| (codec.missing)().is_none()).collect();
    for (place, one) in here.iter().enumerate() {
        for other in &here[place + 1..] {
            let (there, back) = (direction(one, other), direction(other, one));
            let (chain, bare) = (there.0 + back.0, there.1 + back.1);
            let ratio = chain / bare;
            let verdict = if ratio <= TARGET { "met" } else { "MISSED" };
            let pair = format!("{} and {}", one.setting, other.setting);
            println!("{pair:35} {chain:10.2} {bare:7.2}   {ratio:.3} {verdict}");
        }
    }
}
