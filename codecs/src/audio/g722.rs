//! G.722 at 64 kbit/s; the only file that imports audio-codec's wide-band codec.
//!
//! A byte is two samples at 16 kHz, so any payload is valid; loss is concealed by [`Concealer`]. The decoder's own state sees nothing
//! of a loss: adaptive quantisers find back within a packet (G.722 §1.4.4).

use crate::codec::{CodecId, Decoder, Encoder, MAX_PAYLOAD, Settings};
use crate::error::CodecError;
use crate::plc::Concealer;
use audio_codec::g722;
use audio_codec::{Decoder as _, Encoder as _};

/// For the table.
pub(crate) fn decoder(rate: u32, _: &Settings) -> Result<Box<dyn Decoder>, CodecError> {
    CodecId::G722.spec().check_rate(rate)?;
    Ok(Box::new(G722Decoder { inner: g722::G722Decoder::new(), concealer: Concealer::new(RATE) }))
}

/// For the table.
pub(crate) fn encoder(rate: u32, _: &Settings) -> Result<Box<dyn Encoder>, CodecError> {
    CodecId::G722.spec().check_rate(rate)?;
    Ok(Box::new(G722Encoder { inner: g722::G722Encoder::new() }))
}

struct G722Decoder {
    inner: g722::G722Decoder,
    concealer: Concealer,
}

impl Decoder for G722Decoder {
    fn rate(&self) -> u32 {
        RATE
    }

    fn samples_in(&self, payload: &[u8]) -> Result<usize, CodecError> {
        match payload.len() {
            0 => Err(CodecError::EmptyPayload),
            length @ 1..=MAX_PAYLOAD => Ok(length * SAMPLES_PER_BYTE),
            length => Err(CodecError::PayloadLength { length, least: 1, most: MAX_PAYLOAD }),
        }
    }

    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, CodecError> {
        let need = self.samples_in(payload)?;
        let short = CodecError::BufferTooSmall { have: pcm.len(), need };
        let room = pcm.get_mut(..need).ok_or_else(|| short.clone())?;
        self.inner.decode_into(payload, room).map_err(|_| short)?;
        self.concealer.heard(room);
        Ok(need)
    }

    fn conceal(&mut self, pcm: &mut [i16]) -> Result<(), CodecError> {
        self.concealer.conceal(pcm);
        Ok(())
    }
}

struct G722Encoder {
    inner: g722::G722Encoder,
}

impl Encoder for G722Encoder {
    fn rate(&self) -> u32 {
        RATE
    }

    fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> Result<usize, CodecError> {
        let (have, need) = (payload.len(), pcm.len().div_ceil(SAMPLES_PER_BYTE));
        self.inner.encode_into(pcm, payload).map_err(|_| CodecError::BufferTooSmall { have, need })
    }
}

const RATE: u32 = 16_000;
const SAMPLES_PER_BYTE: usize = 2;
