//! From one sample rate to another; the only file that imports audio-codec's resampler.
//!
//! Stands in a chain only when two codecs share no rate (PCMU to G.722); Opus never needs it.

use crate::error::CodecError;
use audio_codec::BoxedResampler;

/// A resampler of one stream. Output counts are exact: equal durations give equal counts, with no drift.
pub struct Resampler {
    inner: BoxedResampler,
    from: u32,
    to: u32,
}

impl Resampler {
    /// From `from` Hz to `to` Hz. Delays the sound by 12 samples of the lower rate.
    pub fn new(from: u32, to: u32) -> Result<Self, CodecError> {
        let refused = |_| CodecError::SampleRate { codec: "resampler", rate: from };
        let inner = BoxedResampler::new(from as usize, to as usize).map_err(refused)?;
        Ok(Self { inner, from, to })
    }

    /// Most samples that `samples` input samples can become.
    pub fn room_for(&self, samples: usize) -> usize {
        self.inner.max_output_samples(samples)
    }

    /// Resamples all of `pcm` into `out`, returns how many samples were written.
    pub fn resample(&mut self, pcm: &[i16], out: &mut [i16]) -> Result<usize, CodecError> {
        let (have, need) = (out.len(), self.room_for(pcm.len()));
        self.inner.resample_into(pcm, out).map_err(|_| CodecError::BufferTooSmall { have, need })
    }

    /// Rate that goes in, in Hz.
    pub fn from(&self) -> u32 {
        self.from
    }

    /// Rate that comes out, in Hz.
    pub fn to(&self) -> u32 {
        self.to
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe;
    use crate::tone::Tone;

    #[test]
    fn a_tone_keeps_frequency_and_level_and_frames_keep_their_length() {
        for (from, to) in [(8_000, 16_000), (16_000, 8_000), (48_000, 8_000), (8_000, 48_000)] {
            let mut resampler = Resampler::new(from, to).unwrap();
            let mut tone = Tone::new(from, 1000.0, -12.0);
            let (mut frame, mut heard) = (vec![0; from as usize / 50], Vec::new());
            for _ in 0..50 {
                tone.fill(&mut frame);
                let mut out = vec![0; resampler.room_for(frame.len())];
                let samples = resampler.resample(&frame, &mut out).unwrap();
                assert_eq!(samples, to as usize / 50, "{from} to {to}");
                heard.extend_from_slice(&out[..samples]);
            }
            let heard = &heard[to as usize / 10..];
            assert!((probe::tone_dbfs(heard, to, 1000.0) + 12.0).abs() < 0.5, "{from} to {to}");
            assert!(probe::snr_db(heard, to, 1000.0) > 40.0, "{from} to {to}");
        }
    }

    #[test]
    fn rates_and_buffers_that_cannot_be_are_refused() {
        assert!(Resampler::new(0, 8_000).is_err());
        let mut resampler = Resampler::new(8_000, 48_000).unwrap();
        let short = resampler.resample(&[0; 160], &mut [0; 100]);
        assert_eq!(short, Err(CodecError::BufferTooSmall { have: 100, need: 960 }));
    }
}
