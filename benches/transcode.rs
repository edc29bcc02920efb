//! Transcoding a call against the bare codecs' own work on the same frames: the chain may cost a quarter more.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use audio_codec::pcmu::{PcmuDecoder, PcmuEncoder};
use audio_codec::{Decoder as _, Encoder as _};
use codecs::voice::Voice;
use codecs::{Chain, CodecId, Settings};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Ten seconds of a voice, in frames of 20 ms.
const FRAMES: usize = 500;
/// Chain over bare, both directions together (design §9).
const TARGET: f64 = 1.25;

type Payloads = Vec<Vec<u8>>;

/// What a browser sends: 48 kHz, with FEC.
fn opus_payloads() -> Payloads {
    let mut encoder =
        opus::Encoder::new(48_000, opus::Channels::Mono, opus::Application::Voip).expect("valid rate");
    encoder.set_inband_fec(true).expect("valid setting");
    encoder.set_packet_loss_perc(10).expect("valid setting");
    encoder.set_bitrate(opus::Bitrate::Bits(32_000)).expect("valid setting");
    let (mut voice, mut pcm) = (Voice::new(48_000), [0; 960]);
    let frame = |_| {
        voice.fill(&mut pcm);
        encoder.encode_vec(&pcm, 1500).expect("20 ms is a frame")
    };
    (0..FRAMES).map(frame).collect()
}

/// What a phone sends.
fn pcmu_payloads() -> Payloads {
    let (mut voice, mut pcm) = (Voice::new(8_000), [0; 160]);
    let frame = |_| {
        voice.fill(&mut pcm);
        PcmuEncoder::new().encode(&pcm)
    };
    (0..FRAMES).map(frame).collect()
}

/// One codec's decoder and the other's encoder, and nothing around them.
fn bare_opus_to_pcmu() -> impl FnMut(&Payloads) {
    let mut decoder = opus::Decoder::new(8_000, opus::Channels::Mono).expect("valid rate");
    let mut encoder = PcmuEncoder::new();
    let (mut pcm, mut out) = ([0; 960], [0; 960]);
    move |payloads| {
        for payload in payloads {
            let samples = decoder.decode(payload, &mut pcm, false).expect("our own payload");
            encoder.encode_into(&pcm[..samples], &mut out).expect("large enough");
            black_box(&out);
        }
    }
}

fn bare_pcmu_to_opus() -> impl FnMut(&Payloads) {
    let settings = codecs::audio::opus::OpusSettings::default();
    let signed = |value: u32| i32::try_from(value).expect("small");
    let mut encoder =
        opus::Encoder::new(8_000, opus::Channels::Mono, opus::Application::Voip).expect("valid rate");
    encoder.set_bitrate(opus::Bitrate::Bits(signed(settings.bitrate))).expect("valid setting");
    encoder.set_complexity(signed(settings.complexity)).expect("valid setting");
    encoder.set_packet_loss_perc(signed(settings.expected_loss)).expect("valid setting");
    encoder.set_inband_fec(settings.fec).expect("valid setting");
    let mut decoder = PcmuDecoder::new();
    let (mut pcm, mut out) = ([0; 960], [0; 1500]);
    move |payloads| {
        for payload in payloads {
            let samples = decoder.decode_into(payload, &mut pcm).expect("large enough");
            encoder.encode(&pcm[..samples], &mut out).expect("20 ms is a frame");
            black_box(&out);
        }
    }
}

/// The same through our chain.
fn chain(from: CodecId, to: CodecId) -> impl FnMut(&Payloads) {
    let mut chain = Chain::new(from, to, 20, &Settings::default()).expect("both have packets of 20 ms");
    let (mut timestamp, step) = (0u32, from.spec().clock_rate / 50);
    move |payloads| {
        for payload in payloads {
            chain.push(payload, timestamp, &mut |frame| _ = black_box(frame)).expect("our own payload");
            timestamp = timestamp.wrapping_add(step);
        }
    }
}

fn time(work: &mut impl FnMut(&Payloads), payloads: &Payloads) -> Duration {
    let start = Instant::now();
    work(payloads);
    start.elapsed()
}

/// Chain over bare, taken turn by turn so that a busy machine slows both; the median of the turns.
fn ratio(
    mut chain: impl FnMut(&Payloads),
    mut bare: impl FnMut(&Payloads),
    payloads: &Payloads,
) -> (f64, f64, f64) {
    let mut turns: Vec<(f64, f64)> = (0..21)
        .map(|_| (time(&mut chain, payloads).as_secs_f64(), time(&mut bare, payloads).as_secs_f64()))
        .collect();
    turns.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
    let (chain, bare) = turns[turns.len() / 2];
    let micros = |seconds: f64| seconds * 1e6 / FRAMES as f64;
    (micros(chain), micros(bare), chain / bare)
}

fn ratios(opus: &Payloads, pcmu: &Payloads) {
    let down = ratio(chain(CodecId::Opus, CodecId::Pcmu), bare_opus_to_pcmu(), opus);
    let up = ratio(chain(CodecId::Pcmu, CodecId::Opus), bare_pcmu_to_opus(), pcmu);
    let both = (down.0 + up.0) / (down.1 + up.1);
    println!("opus to PCMU: {:.1} us a frame, bare {:.1} us, ratio {:.3}", down.0, down.1, down.2);
    println!("PCMU to opus: {:.1} us a frame, bare {:.1} us, ratio {:.3}", up.0, up.1, up.2);
    println!(
        "both directions: ratio {both:.3}, target {TARGET}: {}",
        if both <= TARGET { "met" } else { "MISSED" }
    );
}

fn transcode(criterion: &mut Criterion) {
    let (opus, pcmu) = (opus_payloads(), pcmu_payloads());
    ratios(&opus, &pcmu);
    let mut group = criterion.benchmark_group("transcode");
    group
        .throughput(Throughput::Elements(FRAMES as u64))
        .sample_size(20)
        .measurement_time(Duration::from_secs(3));
    let mut work = bare_opus_to_pcmu();
    group.bench_function("opus to PCMU, bare", |bench| bench.iter(|| work(&opus)));
    let mut work = chain(CodecId::Opus, CodecId::Pcmu);
    group.bench_function("opus to PCMU, chain", |bench| bench.iter(|| work(&opus)));
    let mut work = bare_pcmu_to_opus();
    group.bench_function("PCMU to opus, bare", |bench| bench.iter(|| work(&pcmu)));
    let mut work = chain(CodecId::Pcmu, CodecId::Opus);
    group.bench_function("PCMU to opus, chain", |bench| bench.iter(|| work(&pcmu)));
    group.finish();
}

criterion_group!(benches, transcode);
criterion_main!(benches);
