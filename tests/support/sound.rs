//! What was heard: frequency, level, gaps and the moment of the first sound.

use super::tone::Tone;
use super::{now_ms, wav};
use std::fmt;
use std::path::Path;

/// Mono sound with the wall clock of its first sample.
#[derive(Clone)]
pub struct Recording {
    /// Samples a second.
    pub rate: u32,
    /// -1.0 to 1.0.
    pub samples: Vec<f32>,
    /// Milliseconds since 1970 of the first sample.
    pub started_at: f64,
}

/// One look at 20 ms of sound.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Milliseconds since 1970 of its first sample.
    pub at: f64,
    /// The strongest frequency.
    pub hz: f64,
    /// Root mean square in dB; a full-scale sine is 0.
    pub dbfs: f64,
}

/// What the analysis of one tone found.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Median frequency of the windows with the tone in them.
    pub hz: f64,
    /// Median level of these windows.
    pub dbfs: f64,
    /// Milliseconds since 1970 of the first window with the tone.
    pub first_at: f64,
    /// Milliseconds since 1970 of the last one's end.
    pub last_at: f64,
    /// Longest time without the tone between first and last, milliseconds.
    pub gap_ms: f64,
    /// When that gap began.
    pub gap_at: f64,
}

impl Recording {
    /// Reads a WAV file.
    pub fn read(path: &Path, started_at: f64) -> Self {
        let (rate, samples) = wav::read(path);
        Self { rate, samples, started_at }
    }

    /// The part between two moments.
    pub fn between(&self, from: f64, to: f64) -> Self {
        let index = |at: f64| {
            let samples = (at - self.started_at) / 1000.0 * f64::from(self.rate);
            (samples.max(0.0) as usize).min(self.samples.len())
        };
        let (from_index, to_index) = (index(from), index(to).max(index(from)));
        Self {
            rate: self.rate,
            samples: self.samples[from_index..to_index].to_vec(),
            started_at: self.started_at + from_index as f64 * 1000.0 / f64::from(self.rate),
        }
    }

    /// Length in milliseconds.
    pub fn length_ms(&self) -> f64 {
        self.samples.len() as f64 * 1000.0 / f64::from(self.rate)
    }

    /// Looks at the sound through a window of 20 ms every 5 ms.
    pub fn looks(&self) -> Vec<Look> {
        let (samples, rate) = to_8k(&self.samples, self.rate);
        let (window, hop) = ((rate * WINDOW_MS / 1000.0) as usize, (rate * HOP_MS / 1000.0) as usize);
        let starts = (0..(samples.len() + 1).saturating_sub(window)).step_by(hop);
        starts
            .map(|start| {
                let part = &samples[start..start + window];
                let at = self.started_at + start as f64 * 1000.0 / rate;
                let dbfs = level(part);
                Look { at, dbfs, hz: if dbfs < SILENT_DBFS { 0.0 } else { strongest(part, rate) } }
            })
            .collect()
    }

    /// Finds `tone` in the recording; `None` when not one window holds it.
    pub fn find(&self, tone: Tone) -> Option<Figures> {
        let looks = self.looks();
        let right =
            |look: &&Look| (look.hz / tone.hz - 1.0).abs() <= FREQUENCY_SLACK && look.dbfs > SILENT_DBFS;
        let mut heard: Vec<&Look> = looks.iter().filter(right).collect();
        let usual = median(heard.iter().map(|look| look.dbfs))?;
        heard.retain(|look| look.dbfs > usual - LEVEL_SLACK_DB);
        let (first_at, last_at) = (heard.first()?.at, heard.last()?.at + WINDOW_MS);
        // A window counts while a quarter of it holds the tone. So the windows on both sides of a silence of g ms stand
        // g - 10 to g ms apart.
        let gaps = heard.windows(2).map(|pair| (pair[1].at - pair[0].at, pair[0].at + WINDOW_MS));
        let gaps = gaps.filter(|(apart, _)| *apart > HOP_MS * 1.5).map(|(apart, at)| (apart + HOP_MS, at));
        let (gap_ms, gap_at) =
            gaps.fold((0.0, first_at), |worst, gap| if gap.0 > worst.0 { gap } else { worst });
        Some(Figures {
            hz: median(heard.iter().map(|look| look.hz))?,
            dbfs: usual,
            first_at,
            last_at,
            gap_ms,
            gap_at,
        })
    }

    /// Asserts that `tone` is there as sent: frequency within 2 %, level within 6 dB, no gap over 60 ms, and there until
    /// 200 ms before the recording ends. Gives the figures, so that the test can ask for more.
    #[track_caller]
    pub fn assert_tone(&self, tone: Tone) -> Figures {
        let found = self.find(tone).unwrap_or_else(|| panic!("no {} Hz in it: {self}", tone.hz));
        assert!(
            (found.dbfs - tone.dbfs).abs() <= LEVEL_SLACK_DB,
            "level {:.1} dBFS, sent {}: {self}",
            found.dbfs,
            tone.dbfs
        );
        assert!(
            found.gap_ms <= GAP_MS,
            "gap of {:.0} ms after {:.0} ms: {self}",
            found.gap_ms,
            found.gap_at - self.started_at
        );
        let end = self.started_at + self.length_ms();
        assert!(
            end - found.last_at <= 200.0,
            "the tone ended {:.0} ms before the recording: {self}",
            end - found.last_at
        );
        found
    }

    /// The same, and the first sound not later than one second after `answered_at`.
    #[track_caller]
    pub fn assert_tone_since(&self, tone: Tone, answered_at: f64) -> Figures {
        let found = self.assert_tone(tone);
        let late = found.first_at - answered_at;
        assert!(late <= FIRST_SOUND_MS, "first sound {late:.0} ms after the answer: {self}");
        found
    }

    /// Asserts that something is heard all the time: hardly a window below -50 dBFS.
    #[track_caller]
    pub fn assert_never_silent(&self) {
        let looks = self.looks();
        let quiet = looks.iter().filter(|look| look.dbfs <= SILENT_DBFS).count();
        assert!(
            !looks.is_empty() && quiet * 20 <= looks.len(),
            "{quiet} of {} windows are silent: {self}",
            looks.len()
        );
    }

    /// Asserts that nothing is heard: every window below -50 dBFS.
    #[track_caller]
    pub fn assert_silent(&self) {
        if let Some(loud) = self.looks().iter().find(|look| look.dbfs > SILENT_DBFS) {
            panic!(
                "not silent after {:.0} ms ({:.0} Hz, {:.0} dBFS): {self}",
                loud.at - self.started_at,
                loud.hz,
                loud.dbfs
            );
        }
    }
}

impl fmt::Display for Recording {
    /// The sound in one line: runs of like windows, as `0..480 silence, 480..3000 440 Hz -12 dBFS`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:.0} ms:", self.length_ms())?;
        let mut runs: Vec<(f64, f64, Look)> = Vec::new();
        for look in self.looks() {
            let at = look.at - self.started_at;
            let same = |last: &Look| {
                (last.dbfs < SILENT_DBFS && look.dbfs < SILENT_DBFS)
                    || (last.dbfs > SILENT_DBFS
                        && look.dbfs > SILENT_DBFS
                        && (last.hz / look.hz - 1.0).abs() < 0.03)
            };
            match runs.last_mut() {
                Some((_, end, last)) if same(last) => *end = at + WINDOW_MS,
                _ => runs.push((at, at + WINDOW_MS, look)),
            }
        }
        for (from, to, look) in runs.iter().take(40) {
            match look.dbfs < SILENT_DBFS {
                true => write!(out, " {from:.0}..{to:.0} silence")?,
                false => write!(out, " {from:.0}..{to:.0} {:.0} Hz {:.0} dBFS", look.hz, look.dbfs)?,
            }
        }
        if runs.len() > 40 { write!(out, " and {} more changes", runs.len() - 40) } else { Ok(()) }
    }
}

/// A moment in the test, on the same clock as the recordings.
pub fn moment() -> f64 {
    now_ms()
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Telephone sound fits in 4 kHz: averaging is filter enough for tones below 3 kHz.
fn to_8k(samples: &[f32], rate: u32) -> (Vec<f32>, f64) {
    let factor = (rate / 8000).max(1) as usize;
    let averaged = samples.chunks_exact(factor).map(|part| part.iter().sum::<f32>() / factor as f32);
    (averaged.collect(), f64::from(rate) / factor as f64)
}

fn level(part: &[f32]) -> f64 {
    let square = part.iter().map(|s| f64::from(*s) * f64::from(*s)).sum::<f64>() / part.len() as f64;
    10.0 * (square * 2.0).max(1e-12).log10()
}

/// The frequency with the most power: in steps of 25 Hz under a Hann window, then refined by ever smaller steps.
fn strongest(part: &[f32], rate: f64) -> f64 {
    let length = part.len() as f64;
    let hann = |i: usize| 0.5 - 0.5 * (std::f64::consts::TAU * (i as f64 + 0.5) / length).cos();
    let shaped: Vec<f64> = part.iter().enumerate().map(|(i, s)| f64::from(*s) * hann(i)).collect();
    let power = |hz: f64| goertzel(&shaped, hz / rate);
    let coarse = (4..(rate / 50.0) as usize).map(|k| k as f64 * 25.0);
    let mut best = coarse.map(|hz| (power(hz), hz)).fold((0.0, 0.0), |a, b| if b.0 > a.0 { b } else { a });
    let mut step = 12.5;
    while step > 0.5 {
        for hz in [best.1 - step, best.1 + step] {
            let candidate = power(hz);
            if candidate > best.0 {
                best = (candidate, hz);
            }
        }
        step /= 2.0;
    }
    best.1
}

/// Power at `turn` cycles a sample.
fn goertzel(samples: &[f64], turn: f64) -> f64 {
    let factor = 2.0 * (std::f64::consts::TAU * turn).cos();
    let (a, b) = samples.iter().fold((0.0, 0.0), |(a, b), s| (s + factor * a - b, a));
    a * a + b * b - factor * a * b
}

const WINDOW_MS: f64 = 20.0;
const HOP_MS: f64 = 5.0;
const SILENT_DBFS: f64 = -50.0;
// The figures of the acceptance tests.
const FREQUENCY_SLACK: f64 = 0.02;
const LEVEL_SLACK_DB: f64 = 6.0;
const GAP_MS: f64 = 60.0;
const FIRST_SOUND_MS: f64 = 1000.0;
