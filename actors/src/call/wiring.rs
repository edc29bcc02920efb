//! Two sides' formats in, a plan out: forward or transcode. Pure.
use codecs::CodecId;

use crate::transcoder::Conversion;
use crate::vocabulary::{AudioFormat, Side};

/// What each leg has agreed with its far end, as far as it is known.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wiring {
    caller: Option<AudioFormat>,
    callee: Option<AudioFormat>,
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
    pub fn agree(&mut self, side: Side, format: AudioFormat) -> bool {
        let known = match side {
            Side::Caller => &mut self.caller,
            Side::Callee => &mut self.callee,
        };
        known.replace(format) != Some(format)
    }

    /// What a side has agreed.
    pub fn format(&self, side: Side) -> Option<AudioFormat> {
        match side {
            Side::Caller => self.caller,
            Side::Callee => self.callee,
        }
    }

    /// How sound passes from `from` to the other side; `None` until both legs have agreed.
    ///
    /// A packet duration that differs is no reason to transcode: every phone takes 10 to 60 ms.
    pub fn plan(&self, from: Side) -> Option<Plan> {
        let (source, target) = match from {
            Side::Caller => (self.caller?, self.callee?),
            Side::Callee => (self.callee?, self.caller?),
        };
        Some(if source.codec == target.codec {
            Plan::Forward(source.codec)
        } else {
            Plan::Transcode(Conversion { from: source.codec, to: target.codec, ptime_ms: target.ptime_ms })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(codec: CodecId, ptime_ms: u32) -> AudioFormat {
        AudioFormat { codec, ptime_ms, telephone_event: true }
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
