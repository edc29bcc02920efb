//! The sounds that the tests send.

use super::wav;
use std::path::Path;

/// A steady sine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tone {
    /// Frequency.
    pub hz: f64,
    /// Level in dB below a full-scale sine.
    pub dbfs: f64,
}

impl Tone {
    /// A tone at -12 dBFS: well above every threshold, well below clipping.
    pub const fn of(hz: u32) -> Self {
        Self { hz: hz as f64, dbfs: -12.0 }
    }

    /// Its samples.
    pub fn samples(self, rate: u32, seconds: f64) -> Vec<f32> {
        let amplitude = 10f64.powf(self.dbfs / 20.0);
        let step = self.hz / f64::from(rate) * std::f64::consts::TAU;
        (0..(f64::from(rate) * seconds) as usize)
            .map(|i| ((i as f64 * step).sin() * amplitude) as f32)
            .collect()
    }

    /// Writes it as a WAV file. Whole seconds of whole hertz loop without a jump.
    pub fn write(self, path: &Path, rate: u32, seconds: f64) {
        wav::write(path, rate, &self.samples(rate, seconds));
    }
}
