//! What a leg has counted of its pictures.
use std::time::Duration;

use codecs::VideoCodec;

use super::Flow;

/// The pictures of a leg, since it has had any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VideoMeasured {
    /// From its far end to us.
    pub received: VideoFlow,
    /// From us to its far end.
    pub sent: VideoFlow,
}

/// One direction of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VideoFlow {
    /// The codec of the last packet; `None`: there was none.
    pub codec: Option<VideoCodec>,
    /// Packets, bytes, losses.
    pub flow: Flow,
    /// Pictures of which anything came or went.
    pub pictures: u64,
    /// Those that need no other one before them.
    pub key_frames: u64,
    /// Times that the receiving end asked for one.
    pub key_frames_asked: u64,
    /// Times that the next picture came so late that the motion stopped,
    pub freezes: u64,
    /// and for how long in all.
    pub frozen: Duration,
    /// For how long pictures flowed: holds left out.
    pub lasted: Duration,
}

impl VideoMeasured {
    /// What was counted since an earlier look at the same leg.
    pub fn since(&self, before: &Self) -> Self {
        Self { received: self.received.since(&before.received), sent: self.sent.since(&before.sent) }
    }
}

impl VideoFlow {
    /// Bits per second on the mean; `None`: the time is too short to say.
    pub fn bitrate(&self) -> Option<u64> {
        let enough = self.lasted >= Duration::from_secs(1);
        enough.then(|| (self.flow.bytes as f64 * 8.0 / self.lasted.as_secs_f64()) as u64)
    }

    fn since(&self, before: &Self) -> Self {
        Self {
            codec: self.codec,
            flow: self.flow.since(&before.flow),
            pictures: self.pictures.saturating_sub(before.pictures),
            key_frames: self.key_frames.saturating_sub(before.key_frames),
            key_frames_asked: self.key_frames_asked.saturating_sub(before.key_frames_asked),
            freezes: self.freezes.saturating_sub(before.freezes),
            frozen: self.frozen.saturating_sub(before.frozen),
            lasted: self.lasted.saturating_sub(before.lasted),
        }
    }
}

/// How a key frame is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFrameAsk {
    /// Picture loss indication (RFC 4585 §6.3.1).
    Pli,
    /// Full intra request (RFC 5104 §4.3.1).
    Fir,
    /// SIP INFO with `picture_fast_update` (RFC 5168).
    Info,
}

impl KeyFrameAsk {
    /// One word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pli => "pli",
            Self::Fir => "fir",
            Self::Info => "info",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bitrate_is_that_of_the_time_in_which_pictures_flowed() {
        let flow = |bytes, ms| {
            let (flow, lasted) = (Flow { bytes, ..Flow::default() }, Duration::from_millis(ms));
            VideoFlow { flow, lasted, ..VideoFlow::default() }
        };
        assert_eq!(flow(1_000, 999).bitrate(), None);
        assert_eq!(flow(100_000, 2_000).bitrate(), Some(400_000));
        assert_eq!(flow(150_000, 4_000).since(&flow(100_000, 2_000)).bitrate(), Some(200_000));
    }
}
