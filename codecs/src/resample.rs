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
