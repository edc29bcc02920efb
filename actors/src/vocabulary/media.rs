//! What flows between the actors of one call.
use std::fmt;
use std::time::Instant;

use actix::{Message, Recipient};
use bytes::Bytes;
use codecs::video::Passing;
use codecs::{CodecId, VideoCodec, VideoFormat};
use sip::sdp::Direction;

/// One RTP payload on its way from a leg or a transcoder to the next sink. Headers stay with the leg that
/// received it; the leg that sends it writes its own.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct Packet {
    /// What the payload is.
    pub payload_kind: Payload,
    /// The source's SSRC: a change means another source, whose numbers start anew.
    pub ssrc: u32,
    /// The source's sequence number, so that a loss upstream stays visible downstream.
    pub sequence: u16,
    /// The source's RTP timestamp, in ticks of the payload's clock.
    pub timestamp: u32,
    /// The marker bit: first packet after silence.
    pub marker: bool,
    /// The payload, without header, padding or extensions.
    pub payload: Bytes,
    /// When it reached us. Packets carry the time because a busy actor never sees its own timers.
    pub received: Instant,
}

impl Packet {
    /// Whether a decoder of pictures can begin with it.
    pub fn begins_key_picture(&self) -> bool {
        matches!(self.payload_kind, Payload::Video(codec) if codec.begins_key_picture(&self.payload))
    }
}

/// What a payload is, in our words: payload type numbers differ on each leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// Coded sound.
    Audio(CodecId),
    /// Coded pictures: an RTP payload of the codec's format. The marker ends a picture.
    Video(VideoCodec),
    /// Word that the source is silent, and how loud its silence is (RFC 3389, at 8 kHz).
    ComfortNoise,
    /// A telephone-event (RFC 4733) with its clock in Hz.
    TelephoneEvent(u32),
}

impl Payload {
    /// Whether it is of pictures.
    pub fn is_video(self) -> bool {
        matches!(self, Self::Video(_))
    }
}

/// What a leg sends and takes for sound, once its SDP is agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioFormat {
    /// The codec in use on the leg, both ways.
    pub codec: CodecId,
    /// Packet duration that the leg's peer wants, in ms.
    pub ptime_ms: u32,
    /// Whether the leg's peer takes telephone-events.
    pub telephone_event: bool,
}

/// What a leg sends and takes, once its SDP is agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaFormat {
    /// Sound; there is no call without it.
    pub audio: AudioFormat,
    /// Pictures; `None`: the leg has none, and will have none under this agreement.
    pub video: Option<VideoLine>,
}

/// What a leg sends and takes for pictures. The two formats are of one codec, unless its far end sends another one than it named first; for H.264
/// their parameters may differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoLine {
    /// What its far end takes.
    pub takes: VideoFormat,
    /// What its far end sends.
    pub sends: VideoFormat,
    /// Which ways pictures may flow now, as the leg sees it.
    pub direction: Direction,
    /// Bits per second that its far end takes at most (`b=AS`, `b=TIAS`).
    pub limit: Option<u32>,
}

/// How pictures pass from one leg to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoConversion {
    /// What comes in.
    pub from: VideoFormat,
    /// What goes out.
    pub to: VideoFormat,
    /// And how.
    pub passing: Passing,
}

/// Where packets go next. A full mailbox refuses: then the packet is dropped and counted, for sound that is late is worth
/// less than a sender that waits.
///
/// Strong, and one per sender (a clone is another handle): actix counts a mailbox's limit per sending handle, so a handle that is made
/// anew for each packet is never refused. The ring of legs and transcoders is opened by the call, which unplugs when it
/// pauses or ends, and by each leg's end.
#[derive(Clone)]
pub struct Sink {
    to: Recipient<Packet>,
    refused: u64,
}

impl Sink {
    /// A sink into `to`.
    pub fn new(to: &Recipient<Packet>) -> Self {
        Self { to: to.clone(), refused: 0 }
    }

    /// Passes `packet` on, or drops it. True: it was taken.
    pub fn send(&mut self, packet: Packet) -> bool {
        let taken = self.to.try_send(packet).is_ok();
        self.refused += u64::from(!taken);
        taken
    }

    /// Packets that found the mailbox full or its actor gone.
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

/// Two sinks are the same if they lead to the same mailbox.
impl PartialEq for Sink {
    fn eq(&self, other: &Self) -> bool {
        self.to == other.to
    }
}

impl Eq for Sink {}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("refused", &self.refused).finish_non_exhaustive()
    }
}

impl From<AudioFormat> for MediaFormat {
    fn from(audio: AudioFormat) -> Self {
        Self { audio, video: None }
    }
}

impl fmt::Display for VideoConversion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.from.codec().name(), self.to.codec().name());
        match self.passing {
            Passing::Whole => write!(f, "{from} as it is"),
            Passing::Repacketise => write!(f, "{from} in other packets"),
            Passing::Transcode => write!(f, "{from} to {to}"),
        }
    }
}

impl fmt::Display for AudioFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.codec)
    }
}
