//! A video codec with the parameters that decide whether a stream of one side can be sent to the other as it is.

use crate::video::profile::ProfileLevel;
use std::fmt;

/// A codec for pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VideoCodec {
    /// RTP payload RFC 6184.
    H264,
    /// RFC 6386, RTP payload RFC 7741.
    Vp8,
}

/// Ticks per second of every video timestamp (RFC 6184 §8.2.1, RFC 7741 §6.1).
pub const VIDEO_CLOCK: u32 = 90_000;

/// A codec as one end of a call has agreed on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VideoFormat {
    /// VP8 has no parameter that matters here.
    Vp8,
    /// H.264 with its own.
    H264(H264Format),
}

/// What `a=fmtp` says of an H.264 payload type (RFC 6184 §8.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct H264Format {
    /// `profile-level-id`.
    pub profile_level: ProfileLevel,
    /// `packetization-mode`: 0 or 1.
    pub packetization_mode: u8,
    /// `level-asymmetry-allowed`: each side may send at its own level.
    pub level_asymmetry: bool,
}

/// How a stream of one format gets to an end that takes another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passing {
    /// As it is.
    Whole,
    /// The same pictures in other packets: packetization-mode 1 to 0.
    Repacketise,
    /// Decoded and encoded anew.
    Transcode,
}

impl VideoCodec {
    /// Encoding name in `a=rtpmap`.
    pub fn name(self) -> &'static str {
        match self {
            Self::H264 => "H264",
            Self::Vp8 => "VP8",
        }
    }

    /// The codec of an `a=rtpmap`; names compare without case (RFC 4855 §3).
    pub fn from_rtpmap(name: &str, clock_rate: u32) -> Option<Self> {
        let named = |codec: &Self| codec.name().eq_ignore_ascii_case(name) && clock_rate == VIDEO_CLOCK;
        [Self::H264, Self::Vp8].into_iter().find(named)
    }
}

impl VideoFormat {
    /// Its codec.
    pub fn codec(&self) -> VideoCodec {
        match self {
            Self::Vp8 => VideoCodec::Vp8,
            Self::H264(_) => VideoCodec::H264,
        }
    }

    /// The format of an `a=rtpmap` name and its `a=fmtp`; none: no codec of ours, or parameters that make no sense.
    pub fn from_sdp(name: &str, clock_rate: u32, fmtp: Option<&str>) -> Option<Self> {
        match VideoCodec::from_rtpmap(name, clock_rate)? {
            VideoCodec::Vp8 => Some(Self::Vp8),
            VideoCodec::H264 => H264Format::parse(fmtp.unwrap_or_default()).map(Self::H264),
        }
    }

    /// Its `a=fmtp`.
    pub fn fmtp(&self) -> Option<String> {
        match self {
            Self::Vp8 => None,
            Self::H264(format) => Some(format.to_string()),
        }
    }

    /// How what a `source` sends gets to a `target`.
    pub fn passing(source: &Self, target: &Self) -> Passing {
        match (source, target) {
            (Self::Vp8, Self::Vp8) => Passing::Whole,
            (Self::H264(source), Self::H264(target)) => source.passing(target),
            _ => Passing::Transcode,
        }
    }
}

impl H264Format {
    /// Constrained baseline 3.1, mode 1: what every browser with H.264 has (RFC 7742 §6.2).
    pub const BROWSER: Self = Self {
        profile_level: ProfileLevel { profile: 0x42, constraints: 0xe0, level: 0x1f },
        packetization_mode: 1,
        level_asymmetry: true,
    };

    /// Reads `a=fmtp` parameters. What is not said is baseline at level 1 and mode 0 (RFC 6184 §8.1).
    pub fn parse(fmtp: &str) -> Option<Self> {
        let mut format =
            Self { profile_level: ProfileLevel::UNSAID, packetization_mode: 0, level_asymmetry: false };
        for (key, value) in fmtp.split(';').filter_map(|pair| pair.trim().split_once('=')) {
            let value = value.trim();
            match key.trim().to_ascii_lowercase().as_str() {
                "profile-level-id" => {
                    format.profile_level = ProfileLevel::parse(value).filter(|id| id.profile().is_some())?;
                }
                // Mode 2 is interleaved: nobody has it, and we have not.
                "packetization-mode" => {
                    format.packetization_mode = value.parse().ok().filter(|mode| *mode <= 1)?;
                }
                "level-asymmetry-allowed" => format.level_asymmetry = value == "1",
                _ => {}
            }
        }
        Some(format)
    }

    /// What the end that described itself with `self` sends to one that described itself with `told` (RFC 6184 §8.2.2): no
    /// profile and no mode that `told` does not take, and at its level; but without both sides' leave for two levels, at
    /// the lower one.
    pub fn sent_to(&self, told: &Self) -> Self {
        let (own, theirs) = (self.profile_level, told.profile_level);
        let level_asymmetry = self.level_asymmetry && told.level_asymmetry;
        let level = if level_asymmetry || theirs.level() <= own.level() { theirs } else { own };
        let profile = if own.at_level_of(&level).is_taken_by(&theirs) { own } else { theirs };
        let packetization_mode = self.packetization_mode.min(told.packetization_mode);
        Self { profile_level: profile.at_level_of(&level), packetization_mode, level_asymmetry }
    }

    /// Its `a=fmtp` where bytes are dear: what may be left out is, and levels of one's own are not asked for.
    pub fn in_few_words(&self) -> String {
        match (self.packetization_mode, self.profile_level) {
            (0, id) => format!("profile-level-id={id}"),
            (mode, id) => format!("packetization-mode={mode};profile-level-id={id}"),
        }
    }

    /// Single NAL unit packets are mode 1's too (RFC 6184 §6.3): mode 0 to 1 needs nothing.
    fn passing(&self, target: &Self) -> Passing {
        if !self.profile_level.is_taken_by(&target.profile_level) {
            Passing::Transcode
        } else if self.packetization_mode > target.packetization_mode {
            Passing::Repacketise
        } else {
            Passing::Whole
        }
    }
}

impl fmt::Display for H264Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { profile_level, packetization_mode: mode, .. } = self;
        if self.level_asymmetry {
            f.write_str("level-asymmetry-allowed=1;")?;
        }
        write!(f, "packetization-mode={mode};profile-level-id={profile_level}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_baseline_at_level_1_in_mode_0() {
        let silent = H264Format::parse("").unwrap();
        assert_eq!(silent.to_string(), "packetization-mode=0;profile-level-id=42000a");
        let browser = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
        assert_eq!(H264Format::parse(browser), Some(H264Format::BROWSER));
        assert_eq!(H264Format::BROWSER.to_string(), browser);
        assert_eq!(H264Format::parse("packetization-mode=2"), None);
        assert_eq!(H264Format::parse("profile-level-id=42e0"), None);
        assert_eq!(H264Format::parse("profile-level-id=f4001f"), None, "4:4:4 is nobody's to decode here");
    }

    /// Modes as written, and what they mean.
    const MODES: [(&str, u8); 3] = [("", 0), (";packetization-mode=0", 0), (";packetization-mode=1", 1)];

    #[test]
    fn every_pair_of_ids_and_modes_finds_its_way() {
        // Smaller takes nothing of larger: constrained and plain baseline, then main, then high at a higher level.
        const IDS: [(&str, u8); 8] = [
            ("42e01f", 0),
            ("42E01F", 0),
            ("42001f", 0),
            ("42801F", 0),
            ("42801f", 0),
            ("4d001f", 1),
            ("4D001F", 1),
            ("640028", 2),
        ];
        let format = |id: &str, mode: &str| {
            let fmtp = format!("profile-level-id={id}{mode}");
            VideoFormat::from_sdp("h264", VIDEO_CLOCK, Some(&fmtp)).unwrap()
        };
        for ((from, stream), (to, decoder)) in IDS.iter().flat_map(|from| IDS.map(|to| (from, to))) {
            for ((sent, source_mode), (taken, target_mode)) in
                MODES.iter().flat_map(|sent| MODES.map(|taken| (sent, taken)))
            {
                let expected = match (*stream <= decoder, (source_mode, target_mode)) {
                    (false, _) => Passing::Transcode,
                    (true, (1, 0)) => Passing::Repacketise,
                    (true, _) => Passing::Whole,
                };
                let passing = VideoFormat::passing(&format(from, sent), &format(to, taken));
                assert_eq!(passing, expected, "{from}{sent} to {to}{taken}");
            }
        }
    }

    #[test]
    fn other_codecs_are_transcoded_and_vp8_passes_to_itself() {
        let h264 = VideoFormat::from_sdp("H264", VIDEO_CLOCK, None).unwrap();
        let vp8 = VideoFormat::from_sdp("vp8", VIDEO_CLOCK, Some("max-fr=30;max-fs=3600")).unwrap();
        assert_eq!(VideoFormat::passing(&vp8, &vp8), Passing::Whole);
        assert_eq!(VideoFormat::passing(&vp8, &h264), Passing::Transcode);
        assert_eq!(VideoFormat::passing(&h264, &vp8), Passing::Transcode);
        assert_eq!(VideoFormat::from_sdp("H265", VIDEO_CLOCK, None), None);
        assert_eq!(VideoFormat::from_sdp("H264", 8000, None), None);
    }

    #[test]
    fn a_sender_keeps_to_what_it_was_told_and_to_one_level_unless_both_allow_two() {
        let format = |text: &str| {
            let (id, rest) = text.split_once(' ').unwrap();
            let fmtp = format!("profile-level-id={id};{rest}");
            H264Format::parse(&fmtp).unwrap()
        };
        let check = |own: &str, told: &str, expected: &str| {
            let sent = format(own).sent_to(&format(told));
            let mode = sent.packetization_mode;
            assert_eq!(format!("{} {mode}", sent.profile_level), expected, "{own} told {told}");
        };
        let (one, both) = ("packetization-mode=1", "packetization-mode=1;level-asymmetry-allowed=1");
        check(&format!("42e01f {both}"), &format!("42e028 {both}"), "42e028 1");
        check(&format!("42e01f {both}"), &format!("42e028 {one}"), "42e01f 1");
        check(&format!("42e01f {one}"), &format!("42e028 {both}"), "42e01f 1");
        check(&format!("42e028 {one}"), &format!("42e01f {both}"), "42e01f 1");
        check(&format!("42801F {one}"), "42e01f packetization-mode=0", "42801f 0");
        check(&format!("640028 {one}"), &format!("42e01f {one}"), "42e01f 1");
        check(&format!("42e01f {both}"), &format!("640028 {both}"), "42e028 1");
    }
}
