//! The comfort noise payload (RFC 3389): how loud the silence is. The spectrum that may follow is left out of account: noise is white here.

use crate::error::CodecError;

/// Payload type of comfort noise at 8 kHz (RFC 3551 §6).
pub const PAYLOAD_TYPE: u8 = 13;

/// Noise of one level.
#[derive(Debug, Clone, PartialEq)]
pub struct ComfortNoise {
    /// Largest sample.
    peak: f32,
    /// State of a congruential generator: noise needs no better one.
    seed: u32,
}

impl ComfortNoise {
    /// Reads a payload; the level is in -dBov (0: as loud as can be).
    pub fn decode(payload: &[u8]) -> Result<Self, CodecError> {
        let level = payload.first().ok_or(CodecError::EmptyPayload)? & 0x7f;
        let level = level.max(LOUDEST);
        // A uniform distribution has its peak √3 above its root mean square.
        let peak = 32_768.0 * 10f32.powf(-f32::from(level) / 20.0) * 3f32.sqrt();
        Ok(Self { peak, seed: 1 })
    }

    /// Writes noise over `pcm`.
    pub fn fill(&mut self, pcm: &mut [i16]) {
        pcm.fill_with(|| {
            self.seed = self.seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let unit = (self.seed >> 8) as f32 / 8_388_608.0 - 1.0;
            (unit * self.peak).round() as i16 // `as` saturates
        });
    }
}

/// Rooms are at -40 dBov and below; what claims to be louder than this is not background.
const LOUDEST: u8 = 25;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe;

    #[test]
    fn noise_has_the_level_that_the_payload_names() {
        // A full-scale sine, the probe's 0 dB, is -3 dBov.
        for (payload, level) in
            [(&[40][..], -37.0), (&[60, 127, 80], -57.0), (&[0], -22.0), (&[0x80 | 50], -47.0)]
        {
            let mut pcm = vec![0; 8000];
            ComfortNoise::decode(payload).unwrap().fill(&mut pcm);
            let heard = probe::level_dbfs(&pcm);
            assert!((heard - level).abs() < 0.5, "{payload:?}: {heard} dBFS");
        }
    }

    #[test]
    fn the_lowest_level_is_silence_and_no_level_is_an_error() {
        let mut pcm = [1; 80];
        ComfortNoise::decode(&[127]).unwrap().fill(&mut pcm);
        assert!(pcm.iter().all(|sample| sample.unsigned_abs() < 2));
        assert_eq!(ComfortNoise::decode(&[]), Err(CodecError::EmptyPayload));
    }
}
