//! The session descriptions exchanged with a page, read leniently and written small.
//!
//! The WebRTC stack never sees the page's text. [`Description::parse`] takes from it the few facts that a
//! call needs and drops everything else: unknown lines, header extensions, candidates (we are ICE-lite and
//! check nothing, so a candidate list cannot make us send a packet anywhere) and the debris that the WebSDK's
//! `stripCodecs` leaves behind. What we answer or offer is written from those facts by [`write`](self::write),
//! never copied, so that no byte of the page's text can reach a line of ours unchecked.

mod parse;
mod write;

pub(crate) use write::{Local, OFFERED_MID, OFFERED_MID_EXTENSION, answer, offer};

use codecs::CodecId;
use thiserror::Error;

use crate::vocabulary::Payload;

/// Longest description accepted, in bytes. A page with every codec of a browser sends 6 KiB.
pub const MAX_BYTES: usize = 64 * 1024;
/// Most m-lines accepted. A page sends two.
pub const MAX_MEDIA: usize = 32;
/// Most payload types taken from one m-line; RTP has 128 numbers.
pub const MAX_PAYLOADS: usize = 128;

/// Which way media flows, always told from the side whose description it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Both ways; the default when a description says nothing.
    #[default]
    SendRecv,
    /// Only from the describing side.
    SendOnly,
    /// Only to the describing side.
    RecvOnly,
    /// Neither way.
    Inactive,
}

impl Direction {
    /// Whether the describing side sends.
    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the describing side receives.
    pub fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The same flow told from the other side.
    #[must_use]
    pub fn inverted(self) -> Self {
        match self {
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            same => same,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

/// What an m-line carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Audio,
    Video,
    Other,
}

/// The page's part in the DTLS handshake, RFC 8842 §5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setup {
    ActPass,
    Active,
    Passive,
}

/// One payload type of an m-line with a usable `a=rtpmap` (or a static number).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) number: u8,
    pub(crate) name: String,
    pub(crate) clock_rate: u32,
    pub(crate) channels: u32,
    pub(crate) fmtp: String,
}

impl Format {
    /// Which of our codecs this is. The channels count too: `opus/48000` without `/2` is no Opus (RFC 7587 §7).
    fn codec(&self) -> Option<CodecId> {
        let codec = CodecId::from_rtpmap(&self.name, self.clock_rate)?;
        (u32::from(codec.spec().sdp_channels) == self.channels).then_some(codec)
    }

    fn unnamed(number: u8) -> Self {
        Format {
            number,
            name: String::new(),
            clock_rate: 0,
            channels: 1,
            fmtp: String::new(),
        }
    }
}

/// ICE user name fragment and password of the page, RFC 8839 §5.4. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct IceCredentials {
    pub(crate) ufrag: String,
    pub(crate) pwd: String,
}

impl std::fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IceCredentials(..)")
    }
}

/// One m-line and its attributes.
#[derive(Debug, Clone)]
pub(crate) struct Section {
    pub(crate) kind: Kind,
    /// The media name and the transport of the m-line, checked to be tokens, for answering a refused line.
    pub(crate) media: String,
    pub(crate) protocol: String,
    pub(crate) first_format: String,
    pub(crate) rejected: bool,
    pub(crate) mid: Option<String>,
    pub(crate) payloads: Vec<Format>,
    pub(crate) direction: Direction,
    pub(crate) rtcp_mux: bool,
    pub(crate) ssrc: Option<u32>,
    pub(crate) mid_extension: Option<u8>,
    pub(crate) ptime: Option<u32>,
}

/// What a page's offer or answer says, as far as a call needs it.
///
/// Made once when the text arrives (so that a bad one is refused at once) and used when the answer is due.
#[derive(Debug, Clone)]
pub struct Description {
    pub(crate) ice: IceCredentials,
    pub(crate) fingerprint: [u8; 32],
    pub(crate) setup: Setup,
    pub(crate) bundle: Vec<String>,
    pub(crate) sections: Vec<Section>,
    /// Index of the section that carries the sound.
    pub(crate) audio: usize,
}

/// Opus parameters that the page asks us to respect when we send, RFC 7587 §6.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpusParameters {
    /// `useinbandfec=1`: the page can use forward error correction.
    pub in_band_fec: bool,
    /// `stereo=1`: the page likes two channels.
    pub stereo: bool,
    /// `usedtx=1`: the page likes silence not to be sent.
    pub dtx: bool,
    /// `maxaveragebitrate`, bits per second.
    pub max_average_bitrate: Option<u32>,
    /// `maxplaybackrate`, Hz.
    pub max_playback_rate: Option<u32>,
}

/// A codec with the number it has in this session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumberedCodec {
    /// The codec.
    pub codec: CodecId,
    /// Its RTP payload type, the same both ways.
    pub payload_type: u8,
    /// The page's wishes; all off for anything but Opus.
    pub opus: OpusParameters,
}

/// A telephone-event payload type, RFC 4733.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TelephoneEvent {
    /// Its RTP payload type.
    pub payload_type: u8,
    /// The clock its durations count in, Hz: that of the codec it stands beside.
    pub clock_rate: u32,
}

/// What offer and answer settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// The common codecs in the order of the answer. A browser sends the first one.
    pub audio: Vec<NumberedCodec>,
    /// Telephone events, one for each RTP clock among the codecs that the page offered one for.
    pub telephone_events: Vec<TelephoneEvent>,
    /// Whether the page sends sound.
    pub page_sends: bool,
    /// Whether the page plays sound.
    pub page_receives: bool,
    /// Whether the page offered video. It is answered `inactive`: promised but silent video would keep the
    /// page's sound muted.
    pub video_offered: bool,
    /// The packet length the page asked for, ms.
    pub ptime: Option<u32>,
}

impl Agreed {
    /// What packets with this payload type carry; `None`: they were not agreed.
    pub fn kind(&self, payload_type: u8) -> Option<Payload> {
        let codec = self
            .audio
            .iter()
            .find(|numbered| numbered.payload_type == payload_type);
        let event = self
            .telephone_events
            .iter()
            .find(|event| event.payload_type == payload_type);
        codec
            .map(|numbered| Payload::Audio(numbered.codec))
            .or_else(|| event.map(|event| Payload::TelephoneEvent(event.clock_rate)))
    }

    /// The payload type for this; `None`: it was not agreed.
    pub fn payload_type(&self, kind: Payload) -> Option<u8> {
        match kind {
            Payload::Audio(codec) => self
                .audio
                .iter()
                .find(|numbered| numbered.codec == codec)
                .map(|numbered| numbered.payload_type),
            Payload::TelephoneEvent(clock) => self
                .telephone_events
                .iter()
                .find(|event| event.clock_rate == clock)
                .map(|event| event.payload_type),
        }
    }
}

impl Description {
    /// The codecs that the page offers and we know, in the page's order.
    pub fn audio_codecs(&self) -> Vec<NumberedCodec> {
        let mut found: Vec<NumberedCodec> = Vec::new();
        for payload in &self.sections[self.audio].payloads {
            let codec = payload.codec();
            if let Some(codec) = codec.filter(|codec| found.iter().all(|known| known.codec != *codec)) {
                let opus = if codec == CodecId::Opus {
                    opus_parameters(&payload.fmtp)
                } else {
                    OpusParameters::default()
                };
                found.push(NumberedCodec {
                    codec,
                    payload_type: payload.number,
                    opus,
                });
            }
        }
        found
    }

    /// Whether the page has a live video m-line.
    pub fn has_video(&self) -> bool {
        self.sections
            .iter()
            .any(|section| section.kind == Kind::Video && !section.rejected)
    }

    pub(crate) fn audio_section(&self) -> &Section {
        &self.sections[self.audio]
    }

    /// What an answer to our offer leaves of it. The order of the codecs is the page's: it sends its first.
    pub(crate) fn agree_as_answer(&self, offered: &Agreed) -> Result<Agreed, SdpError> {
        if self.audio != 0 {
            return Err(SdpError::AnswerMismatch("m=audio is not the first m-line"));
        }
        if self
            .audio_section()
            .mid
            .as_deref()
            .is_some_and(|mid| mid != OFFERED_MID)
        {
            return Err(SdpError::AnswerMismatch("another a=mid"));
        }
        let same = |numbered: &NumberedCodec| {
            let number = numbered.payload_type;
            offered
                .audio
                .iter()
                .any(|ours| ours.codec == numbered.codec && ours.payload_type == number)
        };
        let wanted: Vec<CodecId> = self
            .audio_codecs()
            .into_iter()
            .filter(same)
            .map(|numbered| numbered.codec)
            .collect();
        let mut agreed = self.agree(&wanted)?;
        agreed
            .telephone_events
            .retain(|event| offered.telephone_events.contains(event));
        Ok(agreed)
    }

    /// What we agree on when we want `wanted`, best first.
    pub(crate) fn agree(&self, wanted: &[CodecId]) -> Result<Agreed, SdpError> {
        let section = &self.sections[self.audio];
        let offered = self.audio_codecs();
        let audio: Vec<NumberedCodec> = wanted
            .iter()
            .filter_map(|codec| offered.iter().find(|numbered| numbered.codec == *codec).copied())
            .collect();
        if audio.is_empty() {
            return Err(SdpError::NoCommonCodec);
        }
        let mut telephone_events: Vec<TelephoneEvent> = Vec::new();
        for payload in section
            .payloads
            .iter()
            .filter(|p| p.name.eq_ignore_ascii_case("telephone-event"))
        {
            let clock_rate = payload.clock_rate;
            let wanted = audio
                .iter()
                .any(|numbered| numbered.codec.spec().clock_rate == clock_rate);
            if wanted
                && telephone_events
                    .iter()
                    .all(|known| known.clock_rate != clock_rate)
            {
                telephone_events.push(TelephoneEvent {
                    payload_type: payload.number,
                    clock_rate,
                });
            }
        }
        Ok(Agreed {
            audio,
            telephone_events,
            page_sends: section.direction.sends(),
            page_receives: section.direction.receives(),
            video_offered: self.has_video(),
            ptime: section.ptime,
        })
    }
}

fn opus_parameters(fmtp: &str) -> OpusParameters {
    let mut parameters = OpusParameters::default();
    for (key, value) in fmtp.split(';').filter_map(|pair| pair.trim().split_once('=')) {
        match key.to_ascii_lowercase().as_str() {
            "useinbandfec" => parameters.in_band_fec = value == "1",
            "stereo" => parameters.stereo = value == "1",
            "usedtx" => parameters.dtx = value == "1",
            // RFC 7587 §6.1 allows 6,000 to 510,000 bit/s and 8,000 to 48,000 Hz; anything else is no wish.
            "maxaveragebitrate" => {
                parameters.max_average_bitrate =
                    value.parse().ok().filter(|rate| (6_000..=510_000).contains(rate));
            }
            "maxplaybackrate" => {
                parameters.max_playback_rate =
                    value.parse().ok().filter(|rate| (8_000..=48_000).contains(rate));
            }
            _ => {}
        }
    }
    parameters
}

/// Why a page's description cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SdpError {
    /// Longer than [`MAX_BYTES`].
    #[error("SDP: {0} bytes, at most {MAX_BYTES} are accepted")]
    TooLong(usize),
    /// More m-lines than [`MAX_MEDIA`].
    #[error("SDP: more than {MAX_MEDIA} m-lines")]
    TooManyMedia,
    /// Not a session description at all.
    #[error("SDP: no v= line")]
    NotSdp,
    /// No m-line for sound, or it is switched off.
    #[error("SDP: no usable m=audio line")]
    NoAudio,
    /// Nothing in the audio m-line that we can use.
    #[error("no common codecs")]
    NoCommonCodec,
    /// A line that a peer connection needs is missing.
    #[error("SDP: a={0} is missing")]
    Missing(&'static str),
    /// A line is there but unusable.
    #[error("SDP: a={0} is malformed")]
    Malformed(&'static str),
    /// The certificate is announced with no SHA-256 fingerprint.
    #[error("SDP: a=fingerprint has no sha-256 value")]
    FingerprintHash,
    /// Two ICE-lite agents would both wait for ever.
    #[error("SDP: a=ice-lite, but we are ICE-lite ourselves")]
    IceLite,
    /// Media without DTLS.
    #[error("SDP: m=audio is not DTLS-SRTP")]
    NotSecure,
    /// An answer that does not fit the offer it answers.
    #[error("SDP: the answer does not fit the offer: {0}")]
    AnswerMismatch(&'static str),
}
