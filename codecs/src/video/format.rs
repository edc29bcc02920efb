//! A video codec with the parameters that decide whether a stream of one side can be sent to the other as it is.

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

/// The three bytes of `profile-level-id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProfileLevel {
    /// `profile_idc`.
    pub profile: u8,
    /// The constraint flags, `constraint_set0_flag` highest.
    pub constraints: u8,
    /// `level_idc`: ten times the level.
    pub level: u8,
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
        let mut format = Self {
            profile_level: ProfileLevel { profile: 0x42, constraints: 0, level: 10 },
            packetization_mode: 0,
            level_asymmetry: false,
        };
        for (key, value) in fmtp.split(';').filter_map(|pair| pair.trim().split_once('=')) {
            let value = value.trim();
            match key.trim().to_ascii_lowercase().as_str() {
                "profile-level-id" => format.profile_level = ProfileLevel::parse(value)?,
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

impl ProfileLevel {
    /// Six hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = (text.len() == 6 && text.is_ascii()).then_some(text)?;
        let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).ok();
        Some(Self { profile: byte(0)?, constraints: byte(2)?, level: byte(4)? })
    }

    /// Whether a decoder of `other` can decode this: the same profile, by the bits that matter.
    fn is_taken_by(&self, other: &Self) -> bool {
        self.profile == other.profile
    }
}

impl fmt::Display for H264Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ProfileLevel { profile, constraints, level } = self.profile_level;
        if self.level_asymmetry {
            f.write_str("level-asymmetry-allowed=1;")?;
        }
        let mode = self.packetization_mode;
        write!(f, "packetization-mode={mode};profile-level-id={profile:02x}{constraints:02x}{level:02x}")
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
    }
}
