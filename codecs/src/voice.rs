//! A sound like speech, without words: for benches and tests of codecs that model a voice and take a tone for noise.

use std::f32::consts::TAU;

/// Syllables of a quarter of a second: a hiss, a voiced vowel, a pause. The same samples every time.
#[derive(Debug, Clone)]
pub struct Voice {
    rate: f32,
    /// Samples so far.
    place: u32,
    /// Of the glottal pulse, 0 to 1.
    phase: f32,
    noise: u32,
    formants: [Resonator; 3],
}

impl Voice {
    /// At `rate` samples per second; about -20 dBFS while it speaks.
    pub fn new(rate: u32) -> Self {
        let rate = rate as f32;
        Self { rate, place: 0, phase: 0.0, noise: 1, formants: [Resonator::default(); 3] }
    }

    /// Writes the next samples over `pcm`.
    pub fn fill(&mut self, pcm: &mut [i16]) {
        pcm.fill_with(|| self.next_sample());
    }

    fn next_sample(&mut self) -> i16 {
        let seconds = self.place as f32 / self.rate;
        self.place = self.place.wrapping_add(1);
        let syllable = (seconds * 4.0) as usize;
        let within = (seconds * 4.0).fract();
        let vowel = VOWELS[syllable % VOWELS.len()];
        let pitch = 120.0 + 25.0 * (seconds * 0.7 * TAU).sin();
        self.phase += pitch / self.rate;
        let pulse = if self.phase >= 1.0 { 1.0 } else { 0.0 };
        self.phase = self.phase.fract();
        self.noise = self.noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let hiss = (self.noise >> 8) as f32 / 8_388_608.0 - 1.0;
        // 15 % hiss, 60 % vowel with soft edges, 25 % pause.
        let (voiced, breath) = match within {
            0.0..0.15 => (0.0, 0.1),
            0.15..0.75 => (((within - 0.15) / 0.6 * TAU / 2.0).sin(), 0.004),
            _ => (0.0, 0.0),
        };
        let excitation = pulse * voiced * (self.rate / 8000.0) + hiss * breath;
        let sound: f32 =
            self.formants.iter_mut().zip(vowel).map(|(f, hz)| f.pass(excitation, hz, self.rate)).sum();
        (sound * LOUDNESS) as i16 // `as` saturates
    }
}

/// A two-pole resonance of 90 Hz bandwidth.
#[derive(Debug, Clone, Copy, Default)]
struct Resonator {
    last: f32,
    before: f32,
}

impl Resonator {
    fn pass(&mut self, input: f32, hz: f32, rate: f32) -> f32 {
        let radius = (-TAU / 2.0 * 90.0 / rate).exp();
        let turn = TAU * hz / rate;
        let gain = (1.0 - radius) * turn.sin();
        let output = gain * input + 2.0 * radius * turn.cos() * self.last - radius * radius * self.before;
        (self.before, self.last) = (self.last, output);
        output
    }
}

/// First three formants of a, i, u, e, o in Hz.
const VOWELS: [[f32; 3]; 5] = [
    [730.0, 1090.0, 2440.0],
    [270.0, 2290.0, 3010.0],
    [300.0, 870.0, 2240.0],
    [530.0, 1840.0, 2480.0],
    [570.0, 840.0, 2410.0],
];
const LOUDNESS: f32 = 120_000.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe;

    #[test]
    fn it_is_as_loud_as_speech_at_every_rate_and_never_clips() {
        for rate in [8_000, 16_000, 48_000] {
            let mut pcm = vec![0; rate as usize * 2];
            Voice::new(rate).fill(&mut pcm);
            let level = probe::level_dbfs(&pcm);
            assert!((-26.0..-14.0).contains(&level), "{level} dBFS at {rate}");
            assert!(pcm.iter().all(|sample| sample.unsigned_abs() < 32_000));
        }
    }

    #[test]
    fn it_pauses_between_syllables() {
        let mut pcm = vec![0; 8000];
        Voice::new(8_000).fill(&mut pcm);
        assert!((30..=100).contains(&probe::longest_quiet_ms(&pcm, 8_000, -50.0)));
    }
}
