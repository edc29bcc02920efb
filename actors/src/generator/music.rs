//! Music for whoever is on hold: the operator's, or a slow broken chord, made here so that nobody owns it but us.
use codecs::tone::Tone;
use codecs::wav::Wav;

/// Frequencies in Hz: F major and D minor with added sixths, one note after the other.
const NOTES: [f64; 12] =
    [349.23, 440.0, 523.25, 587.33, 523.25, 440.0, 293.66, 349.23, 440.0, 523.25, 440.0, 349.23];

/// Length of a note in ms.
const NOTE_MS: u32 = 450;

/// Peak against full scale. Soft, so that a person who waits is not startled.
const LEVEL_DBFS: f64 = -18.0;

/// Where a file's round begins and ends: it fades so long, for few recordings were made to go round.
const FADE_MS: u32 = 20;

/// One round of our own music at `rate` samples a second. Never silent, so that no timer takes the call for dead.
pub fn round(rate: u32) -> Vec<i16> {
    let length = (rate / 1000 * NOTE_MS) as usize;
    let mut pcm = vec![0; length * NOTES.len()];
    for (note, hz) in pcm.chunks_exact_mut(length).zip(NOTES) {
        Tone::new(rate, hz, LEVEL_DBFS).fill(note);
        let edge = f64::from(rate) * 0.01;
        for (place, sample) in note.iter_mut().enumerate() {
            // Up within 10 ms, then fading to a third: no clicks between notes, and no gap either.
            let (attack, release) = (place as f64 / edge, (length - place) as f64 / edge);
            let fade = 1.0 - 0.67 * place as f64 / length as f64;
            *sample = (f64::from(*sample) * attack.min(release).min(1.0) * fade) as i16;
        }
    }
    pcm
}

/// One round of the operator's music.
pub fn of_file(file: &Wav, rate: u32) -> Vec<i16> {
    let mut pcm = file.at_rate(rate).unwrap_or_default();
    let fade = (rate / 1000 * FADE_MS) as usize;
    let soften = |(place, sample): (usize, &mut i16)| {
        *sample = (f64::from(*sample) * place as f64 / fade as f64) as i16;
    };
    pcm.iter_mut().take(fade).enumerate().for_each(soften);
    pcm.iter_mut().rev().take(fade).enumerate().for_each(soften);
    pcm
}

#[cfg(test)]
mod tests {
    use codecs::probe::{dominant_hz, largest_step, longest_quiet_ms};

    use super::*;

    #[test]
    fn notes_follow_each_other_without_clicks_and_without_gaps() {
        let music = round(8000);
        assert_eq!(music.len(), 8000 * 54 / 10);
        for (note, samples) in [(NOTES[0], &music[400..3200]), (NOTES[1], &music[4000..6800])] {
            let heard = dominant_hz(samples, 8000).unwrap();
            assert!((heard - note).abs() < 8.0, "{heard} instead of {note}");
        }
        let twice = [&music[..], &music[..]].concat();
        assert!(largest_step(&twice) < 2500, "{}", largest_step(&twice));
        assert!(longest_quiet_ms(&twice, 8000, -45.0) <= 40);
    }

    #[test]
    fn a_recording_goes_round_without_a_click() {
        let mut bytes =
            b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\0\0\0\0\x02\0\x10\0data\0\0\0\xff"
                .to_vec();
        bytes.extend([0, 0x40].repeat(8000)); // half of full scale: a step from and to silence
        let music = of_file(&Wav::read(&bytes).unwrap(), 8000);
        assert_eq!((music.len(), music[0], music[7999], music[4000]), (8000, 0, 0, 0x4000));
        assert!(largest_step(&[&music[..], &music[..]].concat()) < 200);
    }
}
