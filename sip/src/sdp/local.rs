//! What this side can do: the data behind every SDP that we write.

use std::fmt;
use std::net::IpAddr;

use super::{Format, LocalVideo, SrtpPolicy};

/// Our half of a negotiation. Codecs are data: the table of codecs decides, this module only orders and numbers them.
#[derive(Debug, Clone)]
pub struct LocalMedia {
    /// Address that we advertise, in `o=` and `c=`.
    pub address: IpAddr,
    /// Our RTP port.
    pub rtp_port: u16,
    /// Our RTCP port; written as `a=rtcp` unless it is the RTP port + 1.
    pub rtcp_port: u16,
    /// Whether we can take RTP and RTCP on one port: offered, and accepted when offered.
    pub rtcp_mux: bool,
    /// Codecs in our order, with the payload types that we give in offers.
    pub codecs: Vec<Format>,
    /// `telephone-event` rows, one per clock: all stand in answers, in offers those that [`offered_events`](Self::offered_events) picks.
    pub events: Vec<Format>,
    /// Packet length that we want to receive, in ms; `None` writes none.
    pub ptime: Option<u16>,
    /// Codecs that need no transcoding, best first: the first that both sides know is sent, whatever the order of the lists.
    pub prefer: Vec<Format>,
    /// Lines between `c=` and `t=`, in order; the first [`ExtraLine::MAX`] are written.
    pub extra_lines: Vec<ExtraLine>,
    /// Whether media is encrypted.
    pub srtp: SrtpPolicy,
    /// What we have for pictures; `None`: video is neither offered nor taken.
    pub video: Option<LocalVideo>,
}

impl LocalMedia {
    /// Audio with these codecs in this order; RTCP on the next port, 20 ms packets, telephone-event at 8 kHz and at the clocks of the codecs.
    pub fn audio(address: IpAddr, rtp_port: u16, codecs: Vec<Format>) -> Self {
        let events = EVENTS
            .iter()
            .filter(|(_, clock)| *clock == PLAIN_CLOCK || codecs.iter().any(|codec| codec.clock == *clock))
            .map(|(number, clock)| Format::new(*number, "telephone-event", *clock, 1).with_fmtp("0-15"))
            .collect();
        Self {
            address,
            rtp_port,
            rtcp_port: rtp_port.saturating_add(1),
            rtcp_mux: false,
            codecs,
            events,
            ptime: Some(20),
            prefer: Vec::new(),
            extra_lines: Vec::new(),
            srtp: SrtpPolicy::Off,
            video: None,
        }
    }

    /// Codecs with those of [`prefer`](Self::prefer) first, both parts in their own order.
    pub(super) fn ordered_codecs(&self) -> Vec<&Format> {
        let mut codecs: Vec<&Format> = self.codecs.iter().collect();
        codecs.sort_by_key(|codec| self.prefer_rank(codec));
        codecs
    }

    /// The rows of an offer: the one at 8 kHz, which phones have in any case, and one more, for the codec in use or else for the first that has
    /// another clock. A third would make an INVITE with the usual codecs too long for a datagram.
    pub(super) fn offered_events(&self, in_use: Option<&Format>) -> impl Iterator<Item = &Format> {
        let codecs = in_use.into_iter().chain(self.ordered_codecs());
        let other = codecs.map(|codec| codec.clock).find(|clock| *clock != PLAIN_CLOCK);
        self.events.iter().filter(move |row| row.clock == PLAIN_CLOCK || Some(row.clock) == other)
    }

    /// Place in `prefer`, or its length: smaller is better.
    pub(super) fn prefer_rank(&self, format: &Format) -> usize {
        self.prefer.iter().position(|preferred| preferred.same_codec(format)).unwrap_or(self.prefer.len())
    }
}

/// The numbers of our `telephone-event` rows, and their clocks.
const EVENTS: [(u8, u32); 3] = [(110, 48_000), (109, 16_000), (101, PLAIN_CLOCK)];
/// The clock of telephony.
const PLAIN_CLOCK: u32 = 8000;

/// One line that a page asked to have in our SDP, such as `b=AS:3000`. Made only by [`ExtraLine::new`], so that it is one line
/// and cannot open a new section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraLine(String);

impl ExtraLine {
    /// Longest line in bytes: no line met in the field comes near it.
    pub const MAX_BYTES: usize = 1024;
    /// Most lines written.
    pub const MAX: usize = 32;

    /// Checks `x=…`: no control characters, and not one of the letters that occur once or that shape the description
    /// (`v o s c t r z m`).
    ///
    /// # Errors
    /// Says what is wrong with the line.
    pub fn new(line: &str) -> Result<Self, ExtraLineError> {
        let bytes = line.as_bytes();
        if bytes.len() > Self::MAX_BYTES {
            return Err(ExtraLineError::TooLong(bytes.len()));
        }
        if line.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
            return Err(ExtraLineError::ControlCharacter);
        }
        match bytes {
            [b'v' | b'o' | b's' | b'c' | b't' | b'r' | b'z' | b'm', b'=', ..] => {
                Err(ExtraLineError::Reserved(char::from(bytes[0])))
            }
            [letter, b'=', _, ..] if letter.is_ascii_lowercase() => Ok(Self(line.to_owned())),
            _ => Err(ExtraLineError::NotALine),
        }
    }

    /// The line without its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ExtraLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a line cannot stand in our SDP.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtraLineError {
    /// CR, LF or another control character: it could add lines.
    #[error("an SDP line may not hold control characters")]
    ControlCharacter,
    /// Not `x=…` with a lower-case letter and a value.
    #[error("an SDP line must look like `x=value`")]
    NotALine,
    /// A line that we write ourselves.
    #[error("an SDP line `{0}=` may not be added")]
    Reserved(char),
    /// Longer than [`ExtraLine::MAX_BYTES`].
    #[error("an SDP line of {0} bytes is too long")]
    TooLong(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, want: Result<(), ExtraLineError>) {
        assert_eq!(ExtraLine::new(line).map(|_| ()), want, "{line:?}");
    }

    #[test]
    fn an_extra_line_is_one_line_and_shapes_nothing() {
        check("b=AS:3000", Ok(()));
        check("a=x-note:grüße", Ok(()));
        check("b=AS:1\r\nm=audio 1 RTP/AVP 0", Err(ExtraLineError::ControlCharacter));
        check("a=x\u{85}y", Err(ExtraLineError::ControlCharacter));
        check("a=x\u{2028}y", Err(ExtraLineError::ControlCharacter));
        check("a=\0", Err(ExtraLineError::ControlCharacter));
        check("m=video 1 RTP/AVP 96", Err(ExtraLineError::Reserved('m')));
        check("c=IN IP4 10.0.0.1", Err(ExtraLineError::Reserved('c')));
        check("b", Err(ExtraLineError::NotALine));
        check("b=", Err(ExtraLineError::NotALine));
        check("B=AS:1", Err(ExtraLineError::NotALine));
        check("", Err(ExtraLineError::NotALine));
        check(&format!("a={}", "x".repeat(1023)), Err(ExtraLineError::TooLong(1025)));
    }

    #[test]
    fn an_offer_has_events_at_8_khz_and_at_one_other_clock() {
        let (opus, wide) = (Format::new(111, "opus", 48_000, 2), Format::new(97, "speex", 16_000, 1));
        let law = Format::new(0, "PCMU", 8000, 1);
        let check = |codecs: [&Format; 3], in_use: Option<&Format>, want: &[u32]| {
            let codecs = codecs.map(Clone::clone).to_vec();
            let local = LocalMedia::audio(IpAddr::from([127, 0, 0, 1]), 2, codecs);
            let rows: Vec<_> = local.offered_events(in_use).map(|row| row.clock).collect();
            assert_eq!(rows, want, "{:?}, in use {in_use:?}", local.codecs);
        };
        check([&opus, &law, &wide], None, &[48_000, 8000]);
        check([&wide, &opus, &law], None, &[16_000, 8000]);
        check([&law, &law, &wide], None, &[16_000, 8000]);
        check([&law, &law, &law], None, &[8000]);
        check([&opus, &law, &wide], Some(&wide), &[16_000, 8000]);
        check([&opus, &law, &wide], Some(&law), &[48_000, 8000]);
    }

    #[test]
    fn preferred_codecs_come_first_and_the_rest_keeps_its_order() {
        let speex = |clock| Format::new(97, "speex", clock, 1);
        let codecs = vec![speex(16_000), speex(8_000), Format::new(0, "pcmu", 8000, 1)];
        let mut local = LocalMedia::audio(IpAddr::from([127, 0, 0, 1]), 2, codecs);
        local.prefer = vec![Format::new(9, "G722", 8000, 1), Format::new(0, "PCMU", 8000, 1), speex(8_000)];
        let names: Vec<_> = local.ordered_codecs().iter().map(ToString::to_string).collect();
        assert_eq!(names, ["pcmu/8000", "speex/8000", "speex/16000"]);
    }
}
