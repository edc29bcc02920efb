//! What became of a tone: its frequency, level, noise, clicks and holes. For tests and for answering machines.
//!
//! Levels are dBFS of a sine: a full-scale sine is 0 dB.

use std::f64::consts::{PI, TAU};

/// Peak amplitude, in sample units, of the component at `hz` (Goertzel's algorithm).
pub fn amplitude_at(pcm: &[i16], rate: u32, hz: f64) -> f64 {
    if pcm.is_empty() {
        return 0.0;
    }
    let turn = TAU * hz / f64::from(rate);
    let (mut last, mut before) = (0.0, 0.0);
    for sample in pcm {
        let next = f64::from(*sample) + 2.0 * turn.cos() * last - before;
        (before, last) = (last, next);
    }
    let power = last * last + before * before - 2.0 * turn.cos() * last * before;
    2.0 * power.max(0.0).sqrt() / pcm.len() as f64
}

/// The strongest frequency between 50 Hz and half the rate, in Hz; `None` for silence. Good to about 1 Hz from
/// 100 ms of sound on.
pub fn dominant_hz(pcm: &[i16], rate: u32) -> Option<f64> {
    if level_dbfs(pcm) < SILENCE_DBFS {
        return None;
    }
    // A window of 100 ms has lobes of 20 Hz: steps of 5 Hz cannot miss one.
    let window = &pcm[..pcm.len().min(rate as usize / 10)];
    let strongest = |pcm: &[i16], from: f64, to: f64, step: f64| {
        let steps = ((to - from) / step) as usize;
        let candidates = (0..=steps).map(|place| from + place as f64 * step);
        candidates.max_by(|a, b| amplitude_at(pcm, rate, *a).total_cmp(&amplitude_at(pcm, rate, *b)))
    };
    let coarse = strongest(window, 50.0, f64::from(rate) / 2.0 - 5.0, 5.0)?;
    let fine = strongest(window, coarse - 5.0, coarse + 5.0, 0.5)?;
    strongest(&pcm[..pcm.len().min(rate as usize)], fine - 0.5, fine + 0.5, 0.1)
}

/// Level of all that is there.
pub fn level_dbfs(pcm: &[i16]) -> f64 {
    let power = pcm.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / pcm.len().max(1) as f64;
    decibel((2.0 * power).sqrt() / FULL_SCALE)
}

/// Level of the component at `hz`.
pub fn tone_dbfs(pcm: &[i16], rate: u32, hz: f64) -> f64 {
    decibel(amplitude_at(pcm, rate, hz) / FULL_SCALE)
}

/// Signal-to-noise ratio in dB: the best-fitting sine of `hz` against all that is left without it.
pub fn snr_db(pcm: &[i16], rate: u32, hz: f64) -> f64 {
    let turn = TAU * hz / f64::from(rate);
    let (mut cc, mut ss, mut cs, mut xc, mut xs, mut xx) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
    for (place, sample) in pcm.iter().enumerate() {
        let (sin, cos) = (turn * place as f64).sin_cos();
        let sample = f64::from(*sample);
        cc += cos * cos;
        ss += sin * sin;
        cs += cos * sin;
        xc += sample * cos;
        xs += sample * sin;
        xx += sample * sample;
    }
    let determinant = cc * ss - cs * cs;
    let (a, b) = ((xc * ss - xs * cs) / determinant, (xs * cc - xc * cs) / determinant);
    let signal = a * xc + b * xs;
    10.0 * (signal / (xx - signal).max(1e-9)).log10()
}

/// The largest step between neighbouring samples: a click makes it larger than the tone's own.
pub fn largest_step(pcm: &[i16]) -> i32 {
    pcm.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap_or(0)
}

/// The largest step that a clean sine makes by itself.
pub fn step_of_tone(rate: u32, hz: f64, level_dbfs: f64) -> i32 {
    let amplitude = FULL_SCALE * 10f64.powf(level_dbfs / 20.0);
    (2.0 * amplitude * (PI * hz / f64::from(rate)).sin()).ceil() as i32
}

/// The longest stretch in ms, in whole blocks of 5 ms, whose level is below `floor_dbfs`.
pub fn longest_quiet_ms(pcm: &[i16], rate: u32, floor_dbfs: f64) -> u32 {
    let (mut run, mut longest) = (0, 0);
    for block in pcm.chunks_exact(rate as usize / 200) {
        run = if level_dbfs(block) < floor_dbfs { run + 5 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

fn decibel(ratio: f64) -> f64 {
    20.0 * ratio.max(1e-9).log10()
}

const FULL_SCALE: f64 = i16::MAX as f64;
/// Below this a probe names no frequency.
const SILENCE_DBFS: f64 = -60.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone::Tone;

    fn tone(rate: u32, hz: f64, level: f64) -> Vec<i16> {
        let mut pcm = vec![0; rate as usize];
        Tone::new(rate, hz, level).fill(&mut pcm);
        pcm
    }

    #[test]
    fn a_tone_is_found_with_its_frequency_and_level() {
        for (rate, hz) in [(8_000, 440.0), (8_000, 1000.0), (48_000, 440.0), (48_000, 697.3)] {
            let pcm = tone(rate, hz, -12.0);
            assert!((dominant_hz(&pcm, rate).unwrap() - hz).abs() < 0.2, "{hz} at {rate}");
            assert!((tone_dbfs(&pcm, rate, hz) + 12.0).abs() < 0.1);
            assert!((level_dbfs(&pcm) + 12.0).abs() < 0.1);
            assert!(snr_db(&pcm, rate, hz) > 60.0);
            assert!(largest_step(&pcm) <= step_of_tone(rate, hz, -12.0) + 1);
        }
    }

    #[test]
    fn another_tone_counts_as_noise() {
        let mut pcm = tone(8_000, 440.0, -10.0);
        Tone::new(8_000, 1234.0, -30.0).add(&mut pcm);
        assert!((snr_db(&pcm, 8_000, 440.0) - 20.0).abs() < 0.5);
        assert!(tone_dbfs(&pcm, 8_000, 2000.0) < -60.0);
    }

    #[test]
    fn silence_has_no_frequency_and_a_hole_has_a_length() {
        assert_eq!(dominant_hz(&[0; 800], 8_000), None);
        assert_eq!(dominant_hz(&[], 8_000), None);
        let mut pcm = tone(8_000, 440.0, -10.0);
        pcm[1600..2400].fill(0);
        assert_eq!(longest_quiet_ms(&pcm, 8_000, -40.0), 100);
    }
}
