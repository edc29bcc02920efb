//! What a leg has counted of its sound and its pictures, and what it hears of its far end. Plain numbers: what they mean is said in `quality`.
mod pictures;

use std::time::Duration;

use codecs::{CodecId, Hearing};
pub use pictures::{KeyFrameAsk, VideoFlow, VideoMeasured};

/// What a leg is, in labels, logs and to pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LegKind {
    /// A page's peer connection.
    Browser,
    /// A SIP dialog.
    Sip,
    /// An answering machine of the demo.
    Machine,
}

impl LegKind {
    /// One word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Browser => "browser",
            Self::Sip => "sip",
            Self::Machine => "machine",
        }
    }
}

/// One direction of a leg, since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flow {
    /// RTP packets, doubles included.
    pub packets: u64,
    /// Payload bytes.
    pub bytes: u64,
    /// What the receiving end counted; `None`: it has not said.
    pub reception: Option<Reception>,
}

impl Flow {
    /// What was counted since an earlier look at the same direction.
    pub fn since(&self, before: &Self) -> Self {
        let lost_before = before.reception.map_or(0, |reception| reception.lost);
        let less = |reception: Reception| Reception {
            lost: reception.lost.saturating_sub(lost_before),
            ..reception
        };
        Self {
            packets: self.packets.saturating_sub(before.packets),
            bytes: self.bytes.saturating_sub(before.bytes),
            reception: self.reception.map(less),
        }
    }
}

/// What a receiver counts of a stream (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reception {
    /// Packets that never came.
    pub lost: u64,
    /// Mean deviation of the arrival times.
    pub jitter: Duration,
}

/// What became of a stream before a decoder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Playout {
    /// Packets that came after they had been given up.
    pub late: u64,
    /// Sound that was made up.
    pub concealed: Duration,
}

/// What a leg answers when it is asked how it fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// What it is.
    pub kind: LegKind,
    /// What it speaks, once that is agreed.
    pub codec: Option<CodecId>,
    /// From its far end to us.
    pub received: Flow,
    /// From us to its far end.
    pub sent: Flow,
    /// To the far end and back, by RTCP.
    pub round_trip: Option<Duration>,
    /// What it hears of its far end.
    pub ear: Ear,
    /// Its pictures, if it has agreed on any.
    pub video: Option<Box<VideoMeasured>>,
}

impl Measured {
    /// A leg without any sound yet.
    pub fn nothing(kind: LegKind) -> Self {
        let (received, sent, round_trip) = (Flow::default(), Flow::default(), None);
        let ear = Ear { owes: Owes::NothingEver, ..Ear::default() };
        Self { kind, codec: None, received, sent, round_trip, ear, video: None }
    }

    /// What was counted since an earlier look at the same leg.
    pub fn since(&self, before: &Self) -> Self {
        let (received, sent) = (self.received.since(&before.received), self.sent.since(&before.sent));
        let earlier = before.video.as_deref().copied().unwrap_or_default();
        let video = self.video.as_ref().map(|video| Box::new(video.since(&earlier)));
        Self { received, sent, video, ..self.clone() }
    }
}

/// What a leg hears of its far end beside good packets. The numbers only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ear {
    /// What the far end owes us now.
    pub owes: Owes,
    /// Whether the way to the far end is up: ICE and DTLS, an address in the SDP.
    pub path: bool,
    /// Signs of life: RTP, RTCP, ICE consent.
    pub signs: u64,
    /// Packets that the far end says it has sent (its sender reports).
    pub claimed: Option<u64>,
    /// Its RTCP reports.
    pub reports: u64,
    /// Those of them that named newer packets of ours than the one before.
    pub progress: u64,
    /// RTP packets that could not be decrypted.
    pub undecryptable: u64,
    /// RTP packets of a payload type that nobody agreed on.
    pub wrong_payload_type: u64,
    /// RTP packets of somebody else.
    pub foreign: u64,
    /// What the decoder made of its packets; `None`: they are not decoded.
    pub hearing: Option<Hearing>,
}

/// What a far end has agreed to send.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Owes {
    /// Sound.
    #[default]
    Sound,
    /// Nothing: one side holds the other.
    NothingHeld,
    /// Nothing: its SDP does not send.
    NothingEver,
}
