//! G.711 µ-law and A-law; the only file that imports audio-codec's tables.
//!
//! A byte is a sample, so any payload is valid; loss is concealed by [`Concealer`].

use crate::codec::{CodecId, Decoder, Encoder, MAX_PAYLOAD, Settings};
use crate::error::CodecError;
use crate::plc::Concealer;
use audio_codec::pcma::{PcmaDecoder, PcmaEncoder};
use audio_codec::pcmu::{PcmuDecoder, PcmuEncoder};
use audio_codec::{Decoder as Expand, Encoder as Compress};

/// For the table.
pub(crate) fn pcmu_decoder(rate: u32, _: &Settings) -> Result<Box<dyn Decoder>, CodecError> {
    CodecId::Pcmu.spec().check_rate(rate)?;
    Ok(Box::new(G711Decoder { law: PcmuDecoder::new(), concealer: Concealer::new(RATE) }))
}

/// For the table.
pub(crate) fn pcmu_encoder(rate: u32, _: &Settings) -> Result<Box<dyn Encoder>, CodecError> {
    CodecId::Pcmu.spec().check_rate(rate)?;
    Ok(Box::new(G711Encoder { law: PcmuEncoder::new() }))
}

/// For the table.
pub(crate) fn pcma_decoder(rate: u32, _: &Settings) -> Result<Box<dyn Decoder>, CodecError> {
    CodecId::Pcma.spec().check_rate(rate)?;
    Ok(Box::new(G711Decoder { law: PcmaDecoder::new(), concealer: Concealer::new(RATE) }))
}

/// For the table.
pub(crate) fn pcma_encoder(rate: u32, _: &Settings) -> Result<Box<dyn Encoder>, CodecError> {
    CodecId::Pcma.spec().check_rate(rate)?;
    Ok(Box::new(G711Encoder { law: ExactPcma(PcmaEncoder::new()) }))
}

struct G711Decoder<L> {
    law: L,
    concealer: Concealer,
}

impl<L: Expand> Decoder for G711Decoder<L> {
    fn rate(&self) -> u32 {
        RATE
    }

    fn samples_in(&self, payload: &[u8]) -> Result<usize, CodecError> {
        match payload.len() {
            0 => Err(CodecError::EmptyPayload),
            length @ 1..=MAX_PAYLOAD => Ok(length),
            length => Err(CodecError::PayloadLength { length, least: 1, most: MAX_PAYLOAD }),
        }
    }

    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, CodecError> {
        let need = self.samples_in(payload)?;
        let short = CodecError::BufferTooSmall { have: pcm.len(), need };
        let room = pcm.get_mut(..need).ok_or_else(|| short.clone())?;
        self.law.decode_into(payload, room).map_err(|_| short)?;
        self.concealer.heard(room);
        Ok(need)
    }

    fn conceal(&mut self, pcm: &mut [i16]) -> Result<(), CodecError> {
        self.concealer.conceal(pcm);
        Ok(())
    }
}

struct G711Encoder<L> {
    law: L,
}

impl<L: Compress> Encoder for G711Encoder<L> {
    fn rate(&self) -> u32 {
        RATE
    }

    fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> Result<usize, CodecError> {
        let (have, need) = (payload.len(), pcm.len());
        self.law.encode_into(pcm, payload).map_err(|_| CodecError::BufferTooSmall { have, need })
    }
}

/// The library's A-law puts the lowest 7 of each negative step into the step below, and -8 to -1 among the positive ones.
/// By G.711 (tables 1a, 1b) the negative side mirrors the positive one, so we ask the library for positive samples only.
struct ExactPcma(PcmaEncoder);

impl Compress for ExactPcma {
    fn encode_into(&mut self, pcm: &[i16], payload: &mut [u8]) -> Result<usize, audio_codec::CodecError> {
        let room = payload.get_mut(..pcm.len()).ok_or(audio_codec::CodecError::BufferTooSmall)?;
        let mut folded = [0; 160];
        for (samples, codes) in pcm.chunks(folded.len()).zip(room.chunks_mut(folded.len())) {
            let folded = &mut folded[..samples.len()];
            folded.iter_mut().zip(samples).for_each(|(folded, sample)| *folded = sample ^ (sample >> 15));
            self.0.encode_into(folded, codes)?;
            codes.iter_mut().zip(samples).for_each(|(code, sample)| *code ^= (sample >> 15) as u8 & SIGN);
        }
        Ok(pcm.len())
    }

    fn max_encode_bytes(&self, samples: usize) -> usize {
        self.0.max_encode_bytes(samples)
    }

    fn sample_rate(&self) -> u32 {
        self.0.sample_rate()
    }

    fn channels(&self) -> u16 {
        self.0.channels()
    }
}

const RATE: u32 = 8_000;
const SIGN: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(codec: CodecId, payload: &[u8]) -> Vec<i16> {
        let mut pcm = vec![0; payload.len()];
        let mut decoder = (codec.spec().decoder)(RATE, &Settings::default()).unwrap();
        for (codes, samples) in payload.chunks(MAX_PAYLOAD).zip(pcm.chunks_mut(MAX_PAYLOAD)) {
            assert_eq!(decoder.decode(codes, samples), Ok(codes.len()));
        }
        pcm
    }

    fn encoded(codec: CodecId, pcm: &[i16]) -> Vec<u8> {
        let mut payload = vec![0; pcm.len()];
        let mut encoder = (codec.spec().encoder)(RATE, &Settings::default()).unwrap();
        assert_eq!(encoder.encode(pcm, &mut payload), Ok(pcm.len()));
        payload
    }

    /// G.711 tables 1a to 2b, scaled to 16 bits: code, value.
    #[test]
    fn codes_have_the_values_of_the_recommendation() {
        let mu =
            [(0x80, 32_124), (0x8f, 16_764), (0x90, 15_996), (0xef, 132), (0xf0, 120), (0xfe, 8), (0xff, 0)];
        let a = [(0xaa, 32_256), (0xa5, 16_896), (0x80, 5_504), (0xd4, 24), (0xd5, 8)];
        for (codec, pairs) in [(CodecId::Pcmu, &mu[..]), (CodecId::Pcma, &a[..])] {
            for (code, value) in pairs {
                assert_eq!(decoded(codec, &[*code, code ^ 0x80]), [*value, -*value], "{codec} {code:#x}");
                assert_eq!(encoded(codec, &[*value]), [*code], "{codec} {value}");
                if *value != 0 {
                    assert_eq!(encoded(codec, &[-*value]), [code ^ 0x80], "{codec} -{value}");
                }
            }
        }
    }

    #[test]
    fn every_code_comes_back_as_itself() {
        for codec in [CodecId::Pcmu, CodecId::Pcma] {
            let codes: Vec<u8> = (0..=255).collect();
            let mut expected = codes.clone();
            if codec == CodecId::Pcmu {
                expected[0x7f] = 0xff; // minus zero is zero
            }
            // Twice through the law, and nothing more is lost: tandem calls do not pile up noise.
            assert_eq!(encoded(codec, &decoded(codec, &codes)), expected, "{codec}");
        }
    }

    #[test]
    fn a_sample_is_off_by_half_a_step_at_most() {
        let pcm: Vec<i16> = (i16::MIN..=i16::MAX).collect();
        // µ-law ends at 32,635 and starts with steps of 8; A-law starts with steps of 16. Steps double per segment, and
        // a segment has 16 of them.
        for (codec, end, bias, least) in [(CodecId::Pcmu, 32_635, 132, 8), (CodecId::Pcma, 32_767, 0, 16)] {
            for (before, after) in pcm.iter().zip(decoded(codec, &encoded(codec, &pcm))) {
                let before = i32::from(*before).clamp(-end, end);
                let step = ((before.abs() + bias) / 16).max(least);
                assert!(
                    (before - i32::from(after)).abs() <= step / 2 + 1,
                    "{codec}: {before} became {after}"
                );
            }
        }
    }
}
