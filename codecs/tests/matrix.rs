//! Every codec into every other, at every packet length (RQ08): tones, a voice, timestamps, and no delay that grows.
//! `cargo test -p codecs --test matrix -- --nocapture` prints the figures of docs/audio.md.
#![allow(clippy::unwrap_used)]

mod support;

use codecs::voice::Voice;
use codecs::{CODECS, Chain, CodecId, CodecSpec, Settings, probe};
use support::likeness::{distance_db, lag_ms};
use support::{LEVEL, Line, Source};

const TONES: &[f64] = &[440.0, 1000.0, 2000.0];

/// These keep a voice's spectrum rather than its waveform.
fn models_a_voice(codec: CodecId) -> bool {
    matches!(codec, CodecId::G729 | CodecId::SpeexWide | CodecId::SpeexNarrow)
}

/// Opus does not quite: at our bit rate it models a voice too, if less so.
fn keeps_waves(codec: CodecId) -> bool {
    matches!(codec, CodecId::G722 | CodecId::Pcmu | CodecId::Pcma)
}

/// What came of one pair.
struct Figures {
    snr_db: f64,
    voice_db: f64,
    late_ms: usize,
}

/// The tones through a pair at two packet lengths: each arrives as itself, and no timestamp is off. The SNR of that of 1 kHz.
fn tones(from: CodecId, to: CodecId, ptime_in: u32, ptime_out: u32) -> f64 {
    let what = format!("{from} {ptime_in} ms to {to} {ptime_out} ms");
    let mut line = Line::new(from, to, ptime_out);
    let seconds = TONES.len() as u32 / 2 + 1;
    for (payload, timestamp) in
        Source::tones(from, TONES, ptime_in).take((seconds * 1000 / ptime_in) as usize)
    {
        line.push(&payload, timestamp).unwrap();
    }
    let step = line.chain.timestamp_step();
    let sent = seconds * 1000 / ptime_in * ptime_in / ptime_out;
    let expected: Vec<(u32, bool)> = (0..sent).map(|n| (n * step, n == 0)).collect();
    assert_eq!(line.headers, expected, "{what}: as much out as in, steps exact");

    let rate = to.spec().full_rate();
    let slack = if keeps_waves(from) && keeps_waves(to) { 1.0 } else { 3.0 };
    // At 48 kHz Opus overshoots where another tone begins. No call needs Opus to Opus: it is forwarded.
    let (steepest, most_quiet) =
        if (from, to) == (CodecId::Opus, CodecId::Opus) { (2.5, 5) } else { (1.6, 0) };
    let mut snr_db = 0.0;
    for (place, hz) in TONES.iter().enumerate() {
        let start = rate as usize * (place * 500 + 150) / 1000;
        let pcm = &line.pcm[start..start + rate as usize * 3 / 10];
        // In 300 ms a tone that is off by 2 Hz has lost 6 dB.
        let level = probe::tone_dbfs(pcm, rate, *hz);
        let step = f64::from(probe::largest_step(pcm)) / f64::from(probe::step_of_tone(rate, *hz, LEVEL));
        assert!((level - LEVEL).abs() < slack, "{what}, {hz} Hz: {level} dBFS");
        assert!(step < steepest, "{what}, {hz} Hz: a click of {step} times the tone's own step");
        let quiet = probe::longest_quiet_ms(pcm, rate, LEVEL - 6.0);
        assert!(quiet <= most_quiet, "{what}, {hz} Hz: a hole of {quiet} ms");
        if *hz == 1000.0 {
            snr_db = probe::snr_db(pcm, rate, *hz);
        }
    }
    snr_db
}

/// A voice through a pair: how far its spectrum is from what was said, and how late it is.
fn voice(from: CodecId, to: CodecId) -> (f64, usize) {
    let mut line = Line::new(from, to, 20);
    for (payload, timestamp) in Source::voice(from, 20).take(125) {
        line.push(&payload, timestamp).unwrap();
    }
    let (rate_in, rate_out) = (from.spec().full_rate(), to.spec().full_rate());
    let mut said = vec![0; rate_in as usize * 2];
    Voice::new(rate_in).fill(&mut said);
    let (said, heard) = ((&said[..], rate_in), (&line.pcm[..], rate_out));
    (distance_db(said, heard), lag_ms(said, heard))
}

/// All pairs of one source, as the row of a table.
fn row(from: CodecId) -> Vec<Figures> {
    let figures = |to: CodecId| {
        let (ins, outs) = (from.spec().ptimes_ms, to.spec().ptimes_ms);
        let ends = |all: &[u32]| [all[0], all[all.len() - 1]];
        for (ptime_in, ptime_out) in [(ends(ins)[0], ends(outs)[1]), (ends(ins)[1], ends(outs)[0])] {
            tones(from, to, ptime_in, ptime_out);
        }
        let (snr_db, (voice_db, late_ms)) = (tones(from, to, 20, 20), voice(from, to));
        let (waves, models) =
            (keeps_waves(from) && keeps_waves(to), models_a_voice(from) || models_a_voice(to));
        let (least, most) = match (waves, models) {
            (true, _) => (20.0, 2.0),
            (_, false) => (20.0, 3.0),
            (_, true) => (12.0, 6.0),
        };
        assert!(snr_db > least, "{from} to {to}: SNR {snr_db}");
        assert!(voice_db < most, "{from} to {to}: a voice is {voice_db} dB off");
        assert!(late_ms <= 60, "{from} to {to}: late by {late_ms} ms");
        Figures { snr_db, voice_db, late_ms }
    };
    CODECS.iter().map(|to| figures(to.id)).collect()
}

#[test]
fn rq08_every_pair_keeps_tones_and_a_voice() {
    let rows: Vec<_> = std::thread::scope(|scope| {
        let all: Vec<_> = CODECS.iter().map(|from| scope.spawn(move || row(from.id))).collect();
        all.into_iter().map(|row| row.join().expect("a row")).collect()
    });
    let names: Vec<String> = CODECS.iter().map(|spec| spec.setting.to_owned()).collect();
    println!("| from \\ to | {} |\n|---|{}", names.join(" | "), "---|".repeat(names.len()));
    for (name, row) in names.iter().zip(&rows) {
        let cell = |figures: &Figures| {
            format!("{:.0} / {:.1} / {}", figures.snr_db, figures.voice_db, figures.late_ms)
        };
        println!("| {name} | {} |", row.iter().map(cell).collect::<Vec<_>>().join(" | "));
    }
}

#[test]
fn the_measure_of_voices_tells_other_sounds() {
    let mut said = vec![0; 16_000];
    Voice::new(8_000).fill(&mut said);
    let distance = |heard: &[i16]| distance_db((&said, 8_000), (heard, 8_000));
    assert!(distance(&said) < 0.01);
    let softer: Vec<i16> = said.iter().map(|sample| sample / 2).collect();
    assert!((distance(&softer) - 6.0).abs() < 1.0, "{}", distance(&softer));
    let mut backwards = said.clone();
    backwards.reverse();
    assert!(distance(&backwards) > 8.0, "{}", distance(&backwards));
}

#[test]
fn wide_bands_stay_wide() {
    // 6 kHz passes where both sides have it: each chain runs at the rate that its source really has.
    // Speex makes its upper band of noise, so it is heard by what it is decoded to and from.
    let wide = |spec: &&CodecSpec| spec.full_rate() > 8_000;
    for from in CODECS.iter().filter(wide).filter(|spec| !models_a_voice(spec.id)) {
        for to in CODECS.iter().filter(wide) {
            let mut line = Line::new(from.id, to.id, 20);
            for (payload, timestamp) in Source::tone(from.id, 6000.0, 20).take(50) {
                line.push(&payload, timestamp).unwrap();
            }
            let rate = to.full_rate();
            let level = probe::tone_dbfs(&line.pcm[rate as usize / 2..], rate, 6000.0);
            println!("{from} to {to}: 6 kHz at {level:.1} dBFS");
            assert!(level > LEVEL - 8.0, "{from} to {to}: {level} dBFS");
        }
    }
    let path = |from, to| Chain::new(from, to, 20, &Settings::default()).unwrap().to_string();
    for (from, to, khz) in [
        (CodecId::G722, CodecId::Opus, "16"),
        (CodecId::SpeexWide, CodecId::Opus, "16"),
        (CodecId::Opus, CodecId::SpeexWide, "16"),
        (CodecId::G729, CodecId::Opus, "8"),
        (CodecId::SpeexNarrow, CodecId::Opus, "8"),
        (CodecId::G722, CodecId::SpeexWide, "16"),
        (CodecId::G729, CodecId::SpeexNarrow, "8"),
    ] {
        assert_eq!(path(from, to), format!("{from} → {khz} kHz → {to}"));
    }
}

#[test]
fn rq08_ten_minutes_in_are_ten_minutes_out() {
    // Each codec once on either side; packets of 20 ms in, the longest out.
    for (place, from) in CODECS.iter().enumerate() {
        let to = &CODECS[(place + 3) % CODECS.len()];
        let ptime = *to.ptimes_ms.last().unwrap();
        let mut chain = Chain::new(from.id, to.id, ptime, &Settings::default()).unwrap();
        let packets: Vec<_> = Source::voice(from.id, 20).take(50).collect();
        let (step_in, mut sent) = (from.clock_rate / 50, 0u32);
        for place in 0..600 * 50u32 {
            let (payload, _) = &packets[place as usize % packets.len()];
            let step_out = chain.timestamp_step();
            chain
                .push(payload, place.wrapping_mul(step_in), &mut |frame| {
                    assert_eq!(frame.timestamp, sent * step_out, "{from} to {to}");
                    sent += 1;
                })
                .unwrap();
        }
        assert_eq!(sent, 600_000 / ptime, "{from} to {to}");
    }
}
