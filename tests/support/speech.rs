//! Speech that the tests make with espeak-ng, and what PESQ thinks of it afterwards.

use super::{Bench, Recording, wav};
use std::path::{Path, PathBuf};
use std::process::Command;

/// One turn of a loop of speech.
pub struct Speech {
    samples: Vec<f32>,
    /// The turn as a file at 8 kHz, to compare with.
    pub sent: PathBuf,
}

/// What became of one turn.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Mean opinion score as PESQ estimates it: 1 (bad) to 4.5.
    pub mos: f64,
    /// How far the turn lags behind the loop's beginning, milliseconds; only differences mean anything.
    pub lag_ms: f64,
    /// The same for each two seconds of it; nobody knows where nothing is said.
    pub lags_ms: Vec<f64>,
}

/// Length of a turn.
pub const TURN_S: f64 = 8.0;

impl Speech {
    /// Makes the loop; what it says is of no matter.
    #[track_caller]
    pub fn new(bench: &Bench) -> Self {
        let text = "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background. \
                    It is easy to tell the depth of a well.";
        let said = bench.path("said.wav");
        let mut speaker = Command::new("espeak-ng");
        speaker.args(["-v", "en-us+f3", "-s", "150", "-w"]).arg(&said).arg(text);
        assert!(speaker.status().expect("espeak-ng").success());
        let (rate, mut samples) = wav::read(&said);
        samples.resize((f64::from(rate) * TURN_S) as usize, 0.0);
        // PESQ expects telephone's level, -26 dB below full scale.
        let power = samples.iter().map(|s| s * s).sum::<f32>() / samples.len() as f32;
        samples.iter_mut().for_each(|s| *s *= 0.05 / power.sqrt());
        let speech = Self { samples: resampled(&samples, rate), sent: bench.path("sent.wav") };
        wav::write(&speech.sent, 8000, &speech.at(8000));
        speech
    }

    /// Writes `turns` of it.
    pub fn write(&self, path: &Path, rate: u32, turns: usize) {
        wav::write(path, rate, &self.at(rate).repeat(turns));
    }

    /// Judges the turns that begin at these moments.
    #[track_caller]
    pub fn judge(&self, bench: &Bench, heard: &Recording, turns: &[f64]) -> Vec<Heard> {
        let file = bench.path("judged.wav");
        wav::write(&file, heard.rate, &heard.samples);
        let python = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("pesq/bin/python");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/mos.py");
        let starts = turns.iter().map(|at| format!("{:.4}", (at - heard.started_at) / 1000.0));
        let output = Command::new(&python).args([&script, &self.sent, &file]).args(starts).output();
        let output = output
            .unwrap_or_else(|error| panic!("{}: {error}: run scripts/setup.sh --tests", python.display()));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let numbers = |line: &str| line.split(' ').map(|word| word.parse().unwrap()).collect::<Vec<f64>>();
        let lines = String::from_utf8(output.stdout).unwrap();
        let judged = lines.lines().map(numbers).map(|line| Heard {
            mos: line[0],
            lag_ms: line[1],
            lags_ms: line[2..].iter().copied().filter(|lag| !lag.is_nan()).collect(),
        });
        judged.collect()
    }

    /// At a rate that divides 48 kHz.
    fn at(&self, rate: u32) -> Vec<f32> {
        let factor = (48_000 / rate) as usize;
        let smooth =
            if factor == 1 { self.samples.clone() } else { low_pass(&self.samples, 0.45 / factor as f64) };
        smooth.into_iter().step_by(factor).collect()
    }
}

impl Heard {
    /// How much later than `before`, milliseconds; the loop is a circle.
    pub fn later_than(&self, before: &Self) -> f64 {
        around(self.lag_ms - before.lag_ms)
    }

    /// The same for each part of the turn.
    pub fn parts_later_than(&self, before: &Self) -> Vec<f64> {
        self.lags_ms.iter().map(|lag| around(lag - before.lag_ms)).collect()
    }
}

fn around(ms: f64) -> f64 {
    let turn = TURN_S * 1000.0;
    (ms + turn * 1.5).rem_euclid(turn) - turn / 2.0
}

/// To 48 kHz, by straight lines: what they add lies above the band of espeak-ng's speech.
fn resampled(samples: &[f32], rate: u32) -> Vec<f32> {
    let step = f64::from(rate) / 48_000.0;
    let length = (samples.len() as f64 / step) as usize;
    let at = |place: f64| {
        let (left, part) = (place as usize, place.fract() as f32);
        samples[left] * (1.0 - part) + samples.get(left + 1).copied().unwrap_or(0.0) * part
    };
    (0..length).map(|i| at(i as f64 * step)).collect()
}

/// A windowed sinc over the loop; `cut` in cycles a sample.
fn low_pass(samples: &[f32], cut: f64) -> Vec<f32> {
    let taps: Vec<f64> = (-HALF..=HALF)
        .map(|k| {
            let x = std::f64::consts::TAU * cut * k as f64;
            let sinc = if k == 0 { 1.0 } else { x.sin() / x };
            let hann = 0.5 + 0.5 * (std::f64::consts::PI * k as f64 / (HALF + 1) as f64).cos();
            2.0 * cut * sinc * hann
        })
        .collect();
    let length = samples.len() as i64;
    let around = |i: i64| f64::from(samples[i.rem_euclid(length) as usize]);
    (0..length)
        .map(|i| taps.iter().zip(-HALF..).map(|(tap, k)| tap * around(i + k)).sum::<f64>() as f32)
        .collect()
}

const HALF: i64 = 96;
