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
    Ok(Box::new(G711Encoder { law: PcmaEncoder::new() }))
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

const RATE: u32 = 8_000;
