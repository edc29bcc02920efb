//! One payload format of an m-line: a number and what it stands for.

use std::fmt;

/// A payload type with its `a=rtpmap` and `a=fmtp` (RFC 8866 §6.6, §6.15).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// RTP payload type, 0–127.
    pub payload_type: u8,
    /// Encoding name as written; compared without case. Empty if a dynamic number came without `a=rtpmap`.
    pub encoding: String,
    /// RTP clock in Hz.
    pub clock: u32,
    /// Channels; 1 for what has none (video, events). Opus always has 2 (RFC 7587 §7).
    pub channels: u8,
    /// Format parameters, raw.
    pub fmtp: Option<String>,
}

impl Format {
    /// A format without parameters.
    pub fn new(payload_type: u8, encoding: &str, clock: u32, channels: u8) -> Self {
        Self { payload_type, encoding: encoding.to_owned(), clock, channels, fmtp: None }
    }

    /// The same with parameters.
    #[must_use]
    pub fn with_fmtp(mut self, fmtp: &str) -> Self {
        self.fmtp = Some(fmtp.to_owned());
        self
    }

    /// The same under another number.
    #[must_use]
    pub fn numbered(mut self, payload_type: u8) -> Self {
        self.payload_type = payload_type;
        self
    }

    /// What a static payload type means without `a=rtpmap` (RFC 3551 §6).
    pub fn of_static(payload_type: u8) -> Option<Self> {
        STATIC
            .iter()
            .find(|row| row.0 == payload_type)
            .map(|&(number, encoding, clock, channels)| Self::new(number, encoding, clock, channels))
    }

    /// Reads the value of an `a=rtpmap` after the number: `opus/48000/2`.
    ///
    /// Two usual mistakes are put right, so that a comparison is enough afterwards: Opus without its two channels, and
    /// G.722 with its true sampling rate instead of the 8000 that RFC 3551 §4.5.2 prescribes.
    pub fn from_rtpmap(payload_type: u8, rtpmap: &str) -> Option<Self> {
        let mut parts = rtpmap.trim().split('/').map(str::trim);
        let encoding = parts.next().filter(|name| !name.is_empty())?;
        let mut format = Self::new(payload_type, encoding, parts.next()?.parse().ok()?, 1);
        if let Some(channels) = parts.next().and_then(|text| text.parse().ok()) {
            format.channels = channels;
        }
        if format.is("opus") {
            format.channels = 2;
        }
        if format.is("G722") {
            format.clock = 8000;
        }
        Some(format)
    }

    /// Whether the encoding has this name, in any case.
    pub fn is(&self, encoding: &str) -> bool {
        self.encoding.eq_ignore_ascii_case(encoding)
    }

    /// Whether this is `telephone-event` (RFC 4733) rather than a codec.
    pub fn is_event(&self) -> bool {
        self.is("telephone-event")
    }

    /// Whether both stand for the same codec: name, clock and channels. Numbers and parameters may differ.
    pub fn same_codec(&self, other: &Self) -> bool {
        !self.encoding.is_empty()
            && self.is(&other.encoding)
            && self.clock == other.clock
            && self.channels == other.channels
    }
}

/// As in `a=rtpmap`: `opus/48000/2`, `PCMU/8000`.
impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.encoding, self.clock)?;
        if self.channels > 1 { write!(f, "/{}", self.channels) } else { Ok(()) }
    }
}

/// The static numbers still met in the field (RFC 3551 tables 4 and 5).
const STATIC: &[(u8, &str, u32, u8)] = &[
    (0, "PCMU", 8000, 1),
    (3, "GSM", 8000, 1),
    (4, "G723", 8000, 1),
    (5, "DVI4", 8000, 1),
    (6, "DVI4", 16000, 1),
    (7, "LPC", 8000, 1),
    (8, "PCMA", 8000, 1),
    (9, "G722", 8000, 1),
    (10, "L16", 44100, 2),
    (11, "L16", 44100, 1),
    (13, "CN", 8000, 1),
    (15, "G728", 8000, 1),
    (18, "G729", 8000, 1),
    (26, "JPEG", 90000, 1),
    (31, "H261", 90000, 1),
    (32, "MPV", 90000, 1),
    (34, "H263", 90000, 1),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rtpmap: &str, want: Option<&str>) {
        let got = Format::from_rtpmap(96, rtpmap).map(|format| format.to_string());
        assert_eq!(got.as_deref(), want, "{rtpmap}");
    }

    #[test]
    fn rtpmap_values_are_read_and_usual_mistakes_put_right() {
        check("opus/48000/2", Some("opus/48000/2"));
        check("OPUS/48000", Some("OPUS/48000/2"));
        check("G722/16000", Some("G722/8000"));
        check("PCMU/8000/1", Some("PCMU/8000"));
        check(" L16/44100/2 ", Some("L16/44100/2"));
        check("speex/16000/x", Some("speex/16000"));
        check("speex", None);
        check("/8000", None);
        check("speex/-1", None);
        check("", None);
    }

    #[test]
    fn codecs_compare_by_name_without_case_clock_and_channels() {
        let pcmu = Format::of_static(0).unwrap();
        assert!(pcmu.same_codec(&Format::new(96, "pcmu", 8000, 1)));
        assert!(!pcmu.same_codec(&Format::new(96, "PCMU", 16000, 1)));
        assert!(!pcmu.same_codec(&Format::new(96, "PCMU", 8000, 2)));
        assert!(!Format::new(97, "", 0, 1).same_codec(&Format::new(97, "", 0, 1)), "unknown matches nothing");
    }
}
