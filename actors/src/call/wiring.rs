//! Two sides' formats in, a plan out: forward or transcode. Pure.
use codecs::{CodecId, VideoFormat};

use crate::transcoder::Conversion;
use crate::vocabulary::{MediaFormat, Side, VideoConversion};

/// What each leg has agreed with its far end, as far as it is known.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wiring {
    caller: Option<MediaFormat>,
    callee: Option<MediaFormat>,
}

/// How sound passes in one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Both legs speak this codec: only headers are rewritten.
    Forward(CodecId),
    /// One codec in, another out.
    Transcode(Conversion),
}

impl Wiring {
    /// Notes what a leg has agreed. True: it is news.
    pub fn agree(&mut self, side: Side, format: MediaFormat) -> bool {
        let known = match side {
            Side::Caller => &mut self.caller,
            Side::Callee => &mut self.callee,
        };
        known.replace(format) != Some(format)
    }

    /// What a side has agreed.
    pub fn format(&self, side: Side) -> Option<MediaFormat> {
        match side {
            Side::Caller => self.caller,
            Side::Callee => self.callee,
        }
    }

    /// How sound passes from `from` to the other side; `None` until both legs have agreed.
    ///
    /// A packet duration that differs is no reason to transcode: every phone takes 10 to 60 ms.
    pub fn plan(&self, from: Side) -> Option<Plan> {
        let (source, target) = (self.format(from)?.audio, self.format(from.other())?.audio);
        Some(if source.codec == target.codec {
            Plan::Forward(source.codec)
        } else {
            Plan::Transcode(Conversion { from: source.codec, to: target.codec, ptime_ms: target.ptime_ms })
        })
    }

    /// How pictures pass from `from` to the other side; `None` while either has none, or does not let them flow.
    pub fn video_plan(&self, from: Side) -> Option<VideoConversion> {
        let (source, target) = (self.format(from)?.video?, self.format(from.other())?.video?);
        let flows = source.direction.receives() && target.direction.sends();
        let (from, to) = (source.sends, target.takes);
        flows.then(|| VideoConversion { from, to, passing: VideoFormat::passing(&from, &to) })
    }
}

#[cfg(test)]
mod tests {
    use codecs::video::{H264Format, Passing};
    use sip::sdp::Direction;

    use super::*;
    use crate::vocabulary::{AudioFormat, VideoLine};

    fn format(codec: CodecId, ptime_ms: u32) -> MediaFormat {
        AudioFormat { codec, ptime_ms, telephone_event: true }.into()
    }

    fn with_video(format: VideoFormat, direction: Direction) -> MediaFormat {
        let line = VideoLine { takes: format, sends: format, direction, limit: None };
        MediaFormat { video: Some(line), ..self::format(CodecId::Opus, 20) }
    }

    #[test]
    fn pictures_pass_where_both_sides_have_them_and_let_them_flow() {
        let h264 = VideoFormat::H264(H264Format::BROWSER);
        let check = |caller: MediaFormat, callee: MediaFormat, there, back| {
            let mut wiring = Wiring::default();
            wiring.agree(Side::Caller, caller);
            assert_eq!(wiring.video_plan(Side::Caller), None, "the callee has not spoken");
            wiring.agree(Side::Callee, callee);
            let passing = |side| wiring.video_plan(side).map(|plan| plan.passing);
            assert_eq!((passing(Side::Caller), passing(Side::Callee)), (there, back));
        };
        let both = Direction::new(true, true);
        let (whole, anew) = (Some(Passing::Whole), Some(Passing::Transcode));
        check(with_video(h264, both), format(CodecId::Opus, 20), None, None);
        check(with_video(h264, both), with_video(h264, both), whole, whole);
        check(with_video(h264, both), with_video(VideoFormat::Vp8, both), anew, anew);
        // The callee only sends: what we have of it is received, and nothing goes there.
        check(with_video(h264, both), with_video(h264, Direction::new(false, true)), None, whole);
    }

    #[test]
    fn nothing_passes_until_both_sides_have_agreed() {
        let mut wiring = Wiring::default();
        assert_eq!(wiring.plan(Side::Caller), None);
        assert!(wiring.agree(Side::Caller, format(CodecId::Opus, 20)));
        assert_eq!(wiring.plan(Side::Callee), None);
        assert!(!wiring.agree(Side::Caller, format(CodecId::Opus, 20)));
    }

    #[test]
    fn one_codec_is_forwarded_and_two_are_transcoded_to_the_targets_duration() {
        let mut wiring = Wiring::default();
        wiring.agree(Side::Caller, format(CodecId::Opus, 20));
        wiring.agree(Side::Callee, format(CodecId::Pcmu, 30));
        let there = Conversion { from: CodecId::Opus, to: CodecId::Pcmu, ptime_ms: 30 };
        let back = Conversion { from: CodecId::Pcmu, to: CodecId::Opus, ptime_ms: 20 };
        assert_eq!(wiring.plan(Side::Caller), Some(Plan::Transcode(there)));
        assert_eq!(wiring.plan(Side::Callee), Some(Plan::Transcode(back)));
        assert!(wiring.agree(Side::Callee, format(CodecId::Opus, 40)));
        assert_eq!(wiring.plan(Side::Caller), Some(Plan::Forward(CodecId::Opus)));
    }
}
