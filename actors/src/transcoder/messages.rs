//! What a transcoder is told at birth, and what it says. Packets come and go as [`crate::vocabulary::Packet`].
use actix::Message;
use codecs::{CodecId, Hearing};

use crate::vocabulary::Playout;

/// What a transcoder is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conversion {
    /// The codec that comes in.
    pub from: CodecId,
    /// The codec that goes out.
    pub to: CodecId,
    /// Packet duration that goes out, in ms.
    pub ptime_ms: u32,
}

/// About so many percent of what goes out will be lost on the way to its listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct ExpectLoss(pub u8);

/// Say what you have heard since you began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "Hearing")]
pub struct Listen;

/// A transcoder is gone: its codec panicked, or it was replaced.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct TranscoderGone {
    /// Which.
    pub id: u64,
    /// What became of its stream.
    pub playout: Playout,
}
