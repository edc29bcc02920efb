//! A sine tone: what the generator plays and what tests send.

use std::f64::consts::TAU;

/// A tone without an end; its phase runs on from call to call.
#[derive(Debug, Clone)]
pub struct Tone {
    /// In turns, 0 to 1.
    phase: f64,
    step: f64,
    amplitude: f64,
}

impl Tone {
    /// A tone of `hz` at `rate` samples per second; `level_dbfs` is its peak against full scale (0 is the loudest).
    pub fn new(rate: u32, hz: f64, level_dbfs: f64) -> Self {
        let amplitude = f64::from(i16::MAX) * 10f64.powf(level_dbfs.min(0.0) / 20.0);
        Self { phase: 0.0, step: hz / f64::from(rate), amplitude }
    }

    /// Writes the next samples over `pcm`.
    pub fn fill(&mut self, pcm: &mut [i16]) {
        pcm.fill_with(|| self.next_sample());
    }

    /// Adds the next samples to `pcm`, for tones of several frequencies.
    pub fn add(&mut self, pcm: &mut [i16]) {
        for sample in pcm {
            *sample = sample.saturating_add(self.next_sample());
        }
    }

    fn next_sample(&mut self) -> i16 {
        let sample = (self.phase * TAU).sin() * self.amplitude;
        self.phase = (self.phase + self.step).fract();
        sample.round() as i16
    }
}
