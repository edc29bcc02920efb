//! What the demo's answering machines say.
use codecs::tone::Tone;

use super::machine::Service;
use crate::generator::Sound;

/// Which sound there is at a sample.
pub(super) enum Script {
    /// One tone for ever.
    Steady(Tone),
    /// Second *n* has *n* beeps (1 to 5, then again); a digit is answered by a beep of its own pitch.
    Counting { tone: Tone, digit: Tone, digit_left: u32 },
}

impl Script {
    pub(super) fn of(service: Service, rate: u32) -> Self {
        match service {
            Service::Tone | Service::Video => Self::Steady(Tone::new(rate, 440.0, -12.0)),
            _ => Self::Counting {
                tone: Tone::new(rate, 800.0, -12.0),
                digit: Tone::new(rate, 1200.0, -12.0),
                digit_left: 0,
            },
        }
    }

    /// A digit came: 200 ms of beep.
    pub(super) fn digit(&mut self) {
        if let Self::Counting { digit_left, .. } = self {
            *digit_left = 10;
        }
    }
}

impl Sound for Script {
    fn fill(&mut self, frame: u32, pcm: &mut [i16]) {
        match self {
            Self::Steady(tone) => tone.fill(pcm),
            Self::Counting { digit, digit_left, .. } if *digit_left > 0 => {
                *digit_left -= 1;
                digit.fill(pcm);
            }
            Self::Counting { tone, .. } => {
                let (second, place) = (frame / 50, frame % 50);
                let beeps = second % 5 + 1;
                // Each beep is 80 ms of sound and 80 ms of silence.
                if place / 8 < beeps && place % 8 < 4 {
                    tone.fill(pcm);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counting_script_beeps_once_in_its_first_second_and_twice_in_the_next() {
        let mut script = Script::of(Service::Ivr, 8000);
        let mut loud = |frame| {
            let mut pcm = [0; 160];
            script.fill(frame, &mut pcm);
            pcm.iter().any(|sample| *sample != 0)
        };
        let beeps = |frames: std::ops::Range<u32>, loud: &mut dyn FnMut(u32) -> bool| {
            let sound: Vec<bool> = frames.map(loud).collect();
            sound.windows(2).filter(|pair| pair[0] && !pair[1]).count()
        };
        assert!(loud(0));
        assert_eq!(beeps(0..50, &mut loud), 1);
        assert_eq!(beeps(50..100, &mut loud), 2);
    }
}
