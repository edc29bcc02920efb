//! Opus (RFC 6716) by libopus; the only file that imports the `opus` crate.
//!
//! Decodes and encodes straight at the other side's rate, so that no resampler stands beside it. A stereo stream
//! is mixed down by the decoder, which is asked for one channel.

use crate::codec::{CodecId, Decoder, Encoder, MAX_PAYLOAD, Settings};
use crate::error::CodecError;
use ::opus as libopus;
use libopus::{Application, Bitrate, Channels};

/// How we encode Opus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpusSettings {
    /// Bits per second, 6,000 to 510,000. The default leaves room for FEC beside telephone-band speech.
    pub bitrate: u32,
    /// 0 (cheapest) to 10 (best).
    pub complexity: u32,
    /// The same for sound of the telephone's band (8 kHz) without FEC, which gains little from more.
    pub complexity_telephone: u32,
    /// Puts a coarse copy of each packet into the next one, while loss is expected.
    pub fec: bool,
    /// The least loss that is expected whatever listeners report, in percent.
    pub expected_loss: u32,
    /// Sends no packets in silence.
    pub dtx: bool,
}

impl Default for OpusSettings {
    fn default() -> Self {
        Self {
            bitrate: 24_000,
            complexity: 6,
            complexity_telephone: 1,
            fec: true,
            expected_loss: 0,
            dtx: false,
        }
    }
}

/// For the table.
pub(crate) fn decoder(rate: u32, _: &Settings) -> Result<Box<dyn Decoder>, CodecError> {
    CodecId::Opus.spec().check_rate(rate)?;
    let inner = libopus::Decoder::new(rate, Channels::Mono).map_err(library)?;
    Ok(Box::new(OpusDecoder { inner, rate, silent: false }))
}

/// For the table.
pub(crate) fn encoder(rate: u32, settings: &Settings) -> Result<Box<dyn Encoder>, CodecError> {
    CodecId::Opus.spec().check_rate(rate)?;
    let OpusSettings { bitrate, fec, expected_loss, dtx, .. } = settings.opus;
    let mut inner = libopus::Encoder::new(rate, Channels::Mono, Application::Voip).map_err(library)?;
    inner.set_bitrate(Bitrate::Bits(signed(bitrate))).map_err(|_| refused("bitrate", bitrate))?;
    inner.set_inband_fec(fec).map_err(library)?;
    inner.set_dtx(dtx).map_err(library)?;
    let mut encoder = OpusEncoder { inner, rate, settings: settings.opus.clone() };
    // Against some loss first, so that no setting is refused only when it comes.
    encoder.arm(expected_loss.max(1))?;
    encoder.arm(expected_loss)?;
    Ok(Box::new(encoder))
}

struct OpusDecoder {
    inner: libopus::Decoder,
    rate: u32,
    /// The last packet held nothing but its head.
    silent: bool,
}

impl Decoder for OpusDecoder {
    fn rate(&self) -> u32 {
        self.rate
    }

    fn samples_in(&self, payload: &[u8]) -> Result<usize, CodecError> {
        check_length(payload)?;
        self.inner.get_nb_samples(payload).map_err(malformed)
    }

    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, CodecError> {
        // libopus takes an empty packet for a lost one; from the network it is an error.
        let need = self.samples_in(payload)?;
        let have = pcm.len();
        let room = pcm.get_mut(..need).ok_or(CodecError::BufferTooSmall { have, need })?;
        self.silent = payload.len() <= DTX_BYTES;
        self.inner.decode(payload, room, false).map_err(malformed)
    }

    fn is_silent(&self) -> bool {
        self.silent
    }

    fn conceal(&mut self, pcm: &mut [i16]) -> Result<(), CodecError> {
        self.inner.decode(&[], pcm, false).map(drop).map_err(library)
    }

    fn decode_fec(&mut self, next: &[u8], pcm: &mut [i16]) -> Result<(), CodecError> {
        check_length(next)?;
        self.inner.decode(next, pcm, true).map(drop).map_err(malformed)
    }
}

struct OpusEncoder {
    inner: libopus::Encoder,
    rate: u32,
    settings: OpusSettings,
}

impl OpusEncoder {
    /// Sets what is done against so much loss, and the work that goes with it.
    fn arm(&mut self, loss: u32) -> Result<(), CodecError> {
        let OpusSettings { complexity, complexity_telephone, fec, .. } = self.settings;
        let copies = fec && loss > 0;
        let (name, complexity) = match self.rate {
            8_000 if !copies => ("complexity_telephone", complexity_telephone),
            _ => ("complexity", complexity),
        };
        self.inner.set_packet_loss_perc(signed(loss)).map_err(|_| refused("expected_loss", loss))?;
        self.inner.set_complexity(signed(complexity)).map_err(|_| refused(name, complexity))
    }
}

impl Encoder for OpusEncoder {
    fn rate(&self) -> u32 {
        self.rate
    }

    fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> Result<usize, CodecError> {
        let length = self.inner.encode(pcm, payload).map_err(library)?;
        Ok(if self.settings.dtx && length <= DTX_BYTES { 0 } else { length })
    }

    fn expect_loss(&mut self, percent: u8) {
        // Nothing to refuse: the settings have been taken already, and a share is at most 100 %.
        let _ = self.arm(self.settings.expected_loss.max(u32::from(percent.min(100))));
    }
}

/// A packet of so few bytes says only that there is silence, and need not be sent (`opus_encode`).
const DTX_BYTES: usize = 2;

fn check_length(payload: &[u8]) -> Result<(), CodecError> {
    match payload.len() {
        0 => Err(CodecError::EmptyPayload),
        1..=MAX_PAYLOAD => Ok(()),
        length => Err(CodecError::PayloadLength { length, least: 1, most: MAX_PAYLOAD }),
    }
}

/// Settings are small; what does not fit is refused by libopus as out of range.
fn signed(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

fn malformed(error: libopus::Error) -> CodecError {
    CodecError::Malformed { codec: "opus", reason: error.description() }
}

fn library(error: libopus::Error) -> CodecError {
    CodecError::Library { codec: "opus", reason: error.description() }
}

fn refused(name: &'static str, value: u32) -> CodecError {
    CodecError::Setting { codec: "opus", name, value }
}
