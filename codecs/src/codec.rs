//! What a codec is: an id, a row of facts, and two traits that all codecs share.

use crate::audio::opus::OpusSettings;
use crate::error::CodecError;
use crate::table;
use std::fmt;

/// A codec that we can decode and encode. Facts about it stand in its row of [`table::CODECS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CodecId {
    /// RFC 6716, RTP payload RFC 7587.
    Opus,
    /// G.711 µ-law, RTP payload RFC 3551 §4.5.14.
    Pcmu,
    /// G.711 A-law, RTP payload RFC 3551 §4.5.14.
    Pcma,
    /// G.722 at 64 kbit/s, RTP payload RFC 3551 §4.5.2.
    G722,
    /// G.729 with annex A, RTP payload RFC 3551 §4.5.6.
    G729,
    /// Speex in wide band, RTP payload RFC 5574.
    SpeexWide,
    /// Speex in narrow band, RTP payload RFC 5574.
    SpeexNarrow,
}

impl CodecId {
    /// The codec of an `a=rtpmap`; names compare without case (RFC 4855 §3).
    pub fn from_rtpmap(name: &str, clock_rate: u32) -> Option<Self> {
        let found = |spec: &&CodecSpec| spec.name.eq_ignore_ascii_case(name) && spec.clock_rate == clock_rate;
        table::CODECS.iter().find(found).map(|spec| spec.id)
    }

    /// The codec of a static payload type (RFC 3551 §6), for `m=` lines without an `a=rtpmap`.
    pub fn from_static_payload_type(payload_type: u8) -> Option<Self> {
        let meant = |spec: &&CodecSpec| spec.payload_type == payload_type && payload_type < DYNAMIC;
        table::CODECS.iter().find(meant).map(|spec| spec.id)
    }

    /// The codec by the name that the settings use (`opus`, `alaw`, `speex16`).
    pub fn from_setting(name: &str) -> Option<Self> {
        table::CODECS.iter().find(|spec| spec.setting.eq_ignore_ascii_case(name)).map(|spec| spec.id)
    }

    /// The names of the settings, all of them.
    pub fn settings() -> Vec<&'static str> {
        table::CODECS.iter().map(|spec| spec.setting).collect()
    }

    /// Its row of the table.
    pub fn spec(self) -> &'static CodecSpec {
        table::CODECS.iter().find(|spec| spec.id == self).expect("the table has a row for every id")
    }
}

impl fmt::Display for CodecId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.spec().fmt(f)
    }
}

/// The facts about one codec, as SDP, RTP and the chain need them.
#[derive(Debug)]
pub struct CodecSpec {
    /// Whose facts these are.
    pub id: CodecId,
    /// Encoding name in `a=rtpmap`.
    pub name: &'static str,
    /// Name in the settings' `codecs` lists, which are WCS's.
    pub setting: &'static str,
    /// RTP clock in Hz: what timestamps count. Not always the sample rate (G.722: RFC 3551 §4.5.2).
    pub clock_rate: u32,
    /// Channels in `a=rtpmap`; 1 is not written. Opus always says 2 (RFC 7587 §7).
    pub sdp_channels: u8,
    /// Payload type in our offers: the static one where there is one (RFC 3551 §6), else a dynamic one of its own.
    pub payload_type: u8,
    /// `a=fmtp` parameters that we offer.
    pub fmtp: Option<&'static str>,
    /// Which browsers have it.
    pub browsers: Browsers,
    /// Why this machine has not got it, for its operator; `None`: it has.
    pub missing: fn() -> Option<&'static str>,
    /// Rates in Hz at which samples go in and come out, lowest first. The last is the codec's full band.
    pub sample_rates: &'static [u32],
    /// Packet durations in ms that we can send, shortest first.
    pub ptimes_ms: &'static [u32],
    /// Packet duration in ms unless the peer asks for another.
    pub default_ptime_ms: u32,
    /// Makes a decoder that gives mono samples at the rate.
    pub decoder: Make<dyn Decoder>,
    /// Makes an encoder that takes mono samples at the rate.
    pub encoder: Make<dyn Encoder>,
}

/// Which browsers know a codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Browsers {
    /// Every one must (RFC 7874 §3): where it is missing, the page has taken it out.
    All,
    /// Some do.
    Some,
    /// None does.
    None,
}

/// Makes one side of a codec that runs at a rate in Hz.
pub type Make<T> = fn(rate: u32, settings: &Settings) -> Result<Box<T>, CodecError>;

impl CodecSpec {
    /// The longest packet duration that we can send and that is not above what the peer asks (`a=ptime`,
    /// `a=maxptime`); our shortest if it asks for less than that.
    pub fn ptime_at_most(&self, asked_ms: u32) -> u32 {
        let fitting = self.ptimes_ms.iter().rev().find(|ptime| **ptime <= asked_ms);
        *fitting.or(self.ptimes_ms.first()).expect("every row has a ptime")
    }

    /// The codec's full band, in Hz.
    pub fn full_rate(&self) -> u32 {
        *self.sample_rates.last().expect("every row has a sample rate")
    }

    /// Refuses a rate at which this codec does not run.
    pub(crate) fn check_rate(&self, rate: u32) -> Result<(), CodecError> {
        let known = self.sample_rates.contains(&rate);
        known.then_some(()).ok_or(CodecError::SampleRate { codec: self.name, rate })
    }
}

/// As in `a=rtpmap`: `opus/48000/2`, `PCMU/8000`.
impl fmt::Display for CodecSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.clock_rate)?;
        if self.sdp_channels > 1 {
            write!(f, "/{}", self.sdp_channels)?;
        }
        Ok(())
    }
}

/// What an operator may tune. One field per codec that has something to tune.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// How we encode Opus.
    pub opus: OpusSettings,
}

/// Payloads to mono samples. Holds the state of one stream; never shared between streams.
pub trait Decoder: Send {
    /// Samples per second that come out.
    fn rate(&self) -> u32;

    /// Samples that the payload will give, read from its head without decoding.
    fn samples_in(&self, payload: &[u8]) -> Result<usize, CodecError>;

    /// Decodes one payload, returns how many samples were written. `pcm` must hold [`MAX_FRAME_MS`].
    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, CodecError>;

    /// Fills `pcm` with what a lost packet may have said. At most [`MAX_FRAME_MS`] at once, in steps of 2.5 ms.
    fn conceal(&mut self, pcm: &mut [i16]) -> Result<(), CodecError>;

    /// Whether the last payload announced a silence: until the next one comes, what `conceal` makes up is the noise of that silence.
    fn is_silent(&self) -> bool {
        false
    }

    /// Fills `pcm` with the lost packet just before `next`, from the copy that `next` carries (in-band FEC,
    /// RFC 6716 §2.1.7). `next` itself is decoded afterwards. A codec without FEC conceals.
    fn decode_fec(&mut self, next: &[u8], pcm: &mut [i16]) -> Result<(), CodecError> {
        let _ = next;
        self.conceal(pcm)
    }
}

/// Mono samples to payloads. Holds the state of one stream.
pub trait Encoder: Send {
    /// Samples per second that go in.
    fn rate(&self) -> u32;

    /// Encodes one packet's samples, returns how many bytes were written: none where silence needs no packet (DTX). `payload` should
    /// hold [`MAX_PAYLOAD`].
    fn encode(&mut self, pcm: &[i16], payload: &mut [u8]) -> Result<usize, CodecError>;

    /// From now on about so many percent of the packets will be lost on their way. A codec without FEC has no use for that.
    fn expect_loss(&mut self, percent: u8) {
        let _ = percent;
    }
}

/// The first payload type that means nothing without an `a=rtpmap` (RFC 3551 §3).
const DYNAMIC: u8 = 96;

/// Longest payload that we decode or make, in bytes: what fits an Ethernet frame.
pub const MAX_PAYLOAD: usize = 1500;

/// Longest audio in one payload, in ms: 1,500 bytes of G.711 (Opus ends at 120 ms, RFC 6716 §3.1).
pub const MAX_FRAME_MS: u32 = 190;

/// Samples that a decoder may give for one payload at this rate.
pub const fn max_samples(rate: u32) -> usize {
    (rate / 1000 * MAX_FRAME_MS) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_sdp_name_finds_its_codec_whatever_its_case() {
        let check =
            |name, rate, expected| assert_eq!(CodecId::from_rtpmap(name, rate), expected, "{name}/{rate}");
        check("opus", 48000, Some(CodecId::Opus));
        check("OPUS", 48000, Some(CodecId::Opus));
        check("pcmu", 8000, Some(CodecId::Pcmu));
        check("PCMA", 8000, Some(CodecId::Pcma));
        check("PCMA", 16000, None);
        check("g722", 8000, Some(CodecId::G722));
        check("G722", 16000, None);
        check("telephone-event", 8000, None);
        check("Speex", 16000, Some(CodecId::SpeexWide));
        check("speex", 8000, Some(CodecId::SpeexNarrow));
        check("speex", 32000, None);
    }

    #[test]
    fn a_static_number_finds_its_codec_and_a_dynamic_one_does_not() {
        let check = |number, expected| assert_eq!(CodecId::from_static_payload_type(number), expected);
        check(0, Some(CodecId::Pcmu));
        check(18, Some(CodecId::G729));
        check(111, None);
        check(3, None);
    }

    #[test]
    fn a_codec_prints_as_its_rtpmap() {
        assert_eq!(CodecId::Opus.to_string(), "opus/48000/2");
        assert_eq!(CodecId::Pcmu.to_string(), "PCMU/8000");
    }

    #[test]
    fn a_peer_gets_the_longest_ptime_that_it_can_take() {
        let check = |id: CodecId, asked, expected| {
            assert_eq!(id.spec().ptime_at_most(asked), expected, "{id} {asked}")
        };
        check(CodecId::Pcmu, 20, 20);
        check(CodecId::Pcmu, 30, 30);
        check(CodecId::Opus, 30, 20);
        check(CodecId::Opus, 1000, 60);
        check(CodecId::Pcma, 5, 10);
        check(CodecId::SpeexWide, 10, 20);
    }

    #[test]
    fn every_row_makes_its_codec_at_each_of_its_rates() {
        for spec in &table::CODECS {
            for rate in spec.sample_rates {
                assert_eq!((spec.decoder)(*rate, &Settings::default()).unwrap().rate(), *rate);
                assert_eq!((spec.encoder)(*rate, &Settings::default()).unwrap().rate(), *rate);
            }
            let odd = (spec.decoder)(11_025, &Settings::default()).err();
            assert_eq!(odd, Some(CodecError::SampleRate { codec: spec.name, rate: 11_025 }));
            assert!(spec.ptimes_ms.contains(&spec.default_ptime_ms));
            let same =
                |other: &CodecSpec| other.payload_type == spec.payload_type || other.setting == spec.setting;
            assert_eq!(
                table::CODECS.iter().filter(|other| same(other)).count(),
                1,
                "{spec}: one number, one name"
            );
        }
    }
}
