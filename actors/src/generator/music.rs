//! Music for whoever is on hold: a slow broken chord, made here so that nobody owns it but us.
use codecs::tone::Tone;

use super::player::Sound;

/// Plays for ever. Soft, so that a person who waits is not startled, and never silent, so that no timer takes the call for dead.
pub struct HoldMusic {
    rate: u32,
    played: u64,
    note: Tone,
}

/// Frequencies in Hz: F major and D minor with added sixths, one note after the other.
const NOTES: [f64; 12] =
    [349.23, 440.0, 523.25, 587.33, 523.25, 440.0, 293.66, 349.23, 440.0, 523.25, 440.0, 349.23];

/// Length of a note in ms.
const NOTE_MS: u64 = 450;

/// Peak against full scale.
const LEVEL_DBFS: f64 = -18.0;

impl HoldMusic {
    /// Music at `rate` samples a second.
    pub fn new(rate: u32) -> Self {
        Self { rate, played: 0, note: Tone::new(rate, NOTES[0], LEVEL_DBFS) }
    }
}

impl Sound for HoldMusic {
    fn fill(&mut self, _: u32, pcm: &mut [i16]) {
        let length = u64::from(self.rate) * NOTE_MS / 1000;
        for sample in pcm {
            let (note, place) = (self.played / length, self.played % length);
            if place == 0 {
                let notes = NOTES.len() as u64;
                self.note = Tone::new(self.rate, NOTES[(note % notes) as usize], LEVEL_DBFS);
            }
            let mut one = [0];
            self.note.fill(&mut one);
            // Up within 10 ms, then fading to a third: no clicks between notes, and no gap either.
            let (place, length) = (place as f64, length as f64);
            let attack = (place / (f64::from(self.rate) * 0.01)).min(1.0);
            let release = ((length - place) / (f64::from(self.rate) * 0.01)).min(1.0);
            let fade = 1.0 - 0.67 * place / length;
            *sample = (f64::from(one[0]) * attack * release * fade) as i16;
            self.played += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use codecs::probe::{dominant_hz, largest_step, longest_quiet_ms};

    use super::*;

    #[test]
    fn notes_follow_each_other_without_clicks_and_without_gaps() {
        let mut music = HoldMusic::new(8000);
        let mut pcm = vec![0; 8000 * 3];
        music.fill(0, &mut pcm);
        for (note, samples) in [(NOTES[0], &pcm[400..3200]), (NOTES[1], &pcm[4000..6800])] {
            let heard = dominant_hz(samples, 8000).unwrap();
            assert!((heard - note).abs() < 8.0, "{heard} instead of {note}");
        }
        assert!(largest_step(&pcm) < 2500, "{}", largest_step(&pcm));
        assert!(longest_quiet_ms(&pcm, 8000, -45.0) <= 40);
    }
}
