//! The session descriptions exchanged with a page, read leniently and written small.
//!
//! The WebRTC stack never sees the page's text. [`Description::parse`] takes from it the few facts that a
//! call needs and drops everything else: unknown lines, header extensions, candidates (we are ICE-lite and
//! check nothing, so a candidate list cannot make us send a packet anywhere) and the debris that the WebSDK's
//! `stripCodecs` leaves behind. What we answer or offer is written from those facts by [`write`](self::write),
//! never copied, so that no byte of the page's text can reach a line of ours unchecked.

mod agree;
mod feedback;
mod parse;
mod video;
mod write;
mod write_video;

pub use agree::{Agreed, NumberedCodec, OpusParameters, TelephoneEvent};
pub use feedback::Feedback;
pub use video::{AgreedVideo, NumberedVideo};

pub(crate) use agree::Wanted;
pub(crate) use write::{Local, OFFERED_MID, OFFERED_MID_EXTENSION, OFFERED_VIDEO_MID, answer, offer};

use codecs::CodecId;
pub use sip::sdp::Direction;
use thiserror::Error;

/// Longest description accepted, in bytes. A page with every codec of a browser sends 6 KiB.
pub const MAX_BYTES: usize = 64 * 1024;
/// Most m-lines accepted. A page sends two.
pub const MAX_MEDIA: usize = 32;
/// Most payload types taken from one m-line; RTP has 128 numbers.
pub const MAX_PAYLOADS: usize = 128;

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
    pub(crate) feedback: Feedback,
}

impl Format {
    /// Which of our codecs this is. The channels count too: `opus/48000` without `/2` is no Opus (RFC 7587 §7).
    fn codec(&self) -> Option<CodecId> {
        let codec = CodecId::from_rtpmap(&self.name, self.clock_rate)?;
        (u32::from(codec.spec().sdp_channels) == self.channels).then_some(codec)
    }

    fn unnamed(number: u8) -> Self {
        let (name, fmtp) = (String::new(), String::new());
        Format { number, name, clock_rate: 0, channels: 1, fmtp, feedback: Feedback::default() }
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
    /// Of the retransmissions of `ssrc`.
    pub(crate) rtx_ssrc: Option<u32>,
    /// `b=TIAS`, `b=AS`: bits per second.
    pub(crate) bandwidth: Option<u32>,
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
    /// Whether it names a candidate on loopback: the client sits on our machine, and may have no other address.
    pub(crate) loopback: bool,
    pub(crate) bundle: Vec<String>,
    pub(crate) sections: Vec<Section>,
    /// Index of the section that carries the sound.
    pub(crate) audio: usize,
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
