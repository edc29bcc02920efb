//! One packet in ten is lost, in every pair of codecs: no click, no hole. What whole streams become stands in `matrix.rs`.
#![allow(clippy::unwrap_used)]

mod support;

use codecs::{CODECS, CodecId, Loss, probe};
use support::{LEVEL, Line, Source};

/// Two seconds of sound, lost packets concealed, with or without the packet behind them; the first 200 ms are left
/// out (encoders settle).
fn through(from: CodecId, to: CodecId, source: Source, lost: impl Fn(usize) -> bool, fec: bool) -> Vec<i16> {
    let mut line = Line::new(from, to, 20);
    let mut missing = 0;
    for (place, (payload, timestamp)) in source.take(100).enumerate() {
        if lost(place) {
            missing += 1;
            continue;
        }
        if missing > 0 {
            let next = fec.then_some((payload.as_slice(), timestamp));
            line.conceal(Loss { packets: missing, next }).unwrap();
            missing = 0;
        }
        line.push(&payload, timestamp).unwrap();
    }
    assert_eq!(line.headers.len(), 100);
    line.pcm.split_off(to.spec().full_rate() as usize / 5)
}

fn pairs() -> impl Iterator<Item = (CodecId, CodecId)> {
    CODECS.iter().flat_map(|from| CODECS.iter().map(move |to| (from.id, to.id)))
}

/// These keep a voice's spectrum rather than its waveform, and take a lasting tone for something else.
fn models_a_voice(codec: CodecId) -> bool {
    matches!(codec, CodecId::G729 | CodecId::SpeexWide | CodecId::SpeexNarrow)
}

#[test]
fn one_packet_in_ten_lost_is_concealed_without_a_click_or_a_hole() {
    for (from, to) in pairs().filter(|(from, _)| !models_a_voice(*from)) {
        for hz in [440.0, 1000.0] {
            let rate = to.spec().full_rate();
            let mut source = Source::tone(from, hz, 20);
            source.encoder.expect_loss(10);
            let pcm = through(from, to, source, |place| place % 10 == 5, true);
            let snr = probe::snr_db(&pcm, rate, hz);
            let step = f64::from(probe::largest_step(&pcm)) / f64::from(probe::step_of_tone(rate, hz, LEVEL));
            let quiet = probe::longest_quiet_ms(&pcm, rate, LEVEL - 12.0);
            println!("{from} to {to}, {hz} Hz: SNR {snr:.1} dB, step {step:.2}, quiet {quiet} ms");
            // libopus takes a lasting tone for noise: it sends no copy of it, and what it makes up is low. A voice it
            // treats better: see the next test.
            let opus = from == CodecId::Opus;
            let (least_snr, most_step, most_quiet) = if opus { (4.0, 2.0, 40) } else { (20.0, 1.3, 0) };
            assert!(snr > least_snr, "{from} to {to}, {hz} Hz: SNR {snr}");
            assert!(step < most_step, "{from} to {to}, {hz} Hz: a click, {step} times the tone's own step");
            assert!(quiet <= most_quiet, "{from} to {to}, {hz} Hz: a hole of {quiet} ms");
        }
    }
}

#[test]
fn the_copy_in_the_next_opus_packet_is_better_than_a_guess() {
    let (from, to) = (CodecId::Opus, CodecId::Pcmu);
    // How near to the whole a voice comes whose encoder was told to expect this loss, one value after the other.
    let nearness = |expected: &[u8], copied| {
        let heard = |lost: fn(usize) -> bool| {
            let mut source = Source::voice(from, 20);
            expected.iter().for_each(|percent| source.encoder.expect_loss(*percent));
            through(from, to, source, lost, copied)
        };
        let (whole, pcm) = (heard(|_| false), heard(|place| place % 10 == 5));
        let error = pcm.iter().zip(&whole).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum::<f64>();
        10.0 * (whole.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / error).log10()
    };
    let (copied, guessed) = (nearness(&[10], true), nearness(&[10], false));
    println!("by copy {copied:.1} dB, by guess {guessed:.1} dB");
    assert!(copied > guessed + 3.0, "by copy {copied} dB, by guess {guessed} dB");
    // Nothing is spent on copies where nothing is lost, whatever was lost before.
    for expected in [&[][..], &[10, 0]] {
        let (copied, guessed) = (nearness(expected, true), nearness(expected, false));
        assert!((copied - guessed).abs() < 0.5, "{expected:?}: by copy {copied} dB, by guess {guessed} dB");
    }
}
