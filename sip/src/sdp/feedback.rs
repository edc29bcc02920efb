//! RTCP feedback (`a=rtcp-fb`; RFC 4585 §4.2, RFC 5104 §7.1).

use super::{Attribute, Media};

/// What the writer of a line understands by RTCP.
///
/// The attribute belongs to `RTP/AVPF`; phones write and obey it under `RTP/AVP` too, and so do we, for an offer with
/// `RTP/AVPF` is refused by those that know no feedback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Feedback {
    /// Picture loss indication: `nack pli`.
    pub pli: bool,
    /// Full intra request: `ccm fir`.
    pub fir: bool,
    /// Packets that were lost are sent again: `nack`.
    pub nack: bool,
    /// Temporary limits of the bit rate: `ccm tmmbr`.
    pub tmmbr: bool,
}

impl Feedback {
    /// What a line says of a payload type, or of all.
    pub(super) fn of(media: &Media, payload_type: u8) -> Self {
        let mut feedback = Self::default();
        let lines = media.attributes.iter().filter(|line| line.name.eq_ignore_ascii_case("rtcp-fb"));
        for value in lines.filter_map(|line| line.value.as_deref()) {
            let mut words = value.split_whitespace();
            if words.next().is_some_and(|which| which == "*" || which.parse() == Ok(payload_type)) {
                let is = |word: Option<&str>, name| word.is_some_and(|word| word.eq_ignore_ascii_case(name));
                let (kind, what) = (words.next(), words.next());
                feedback.nack |= is(kind, "nack") && what.is_none();
                feedback.pli |= is(kind, "nack") && is(what, "pli");
                feedback.fir |= is(kind, "ccm") && is(what, "fir");
                feedback.tmmbr |= is(kind, "ccm") && is(what, "tmmbr");
            }
        }
        feedback
    }

    /// What a first offer says. Limits of the bit rate are not worth their bytes there: few phones know them, and those that
    /// call us name them themselves.
    pub(super) fn in_few_words(self) -> Self {
        Self { tmmbr: false, ..self }
    }

    /// What both understand: an answer has nothing that its offer had not (RFC 4585 §4.2).
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            pli: self.pli && other.pli,
            fir: self.fir && other.fir,
            nack: self.nack && other.nack,
            tmmbr: self.tmmbr && other.tmmbr,
        }
    }

    /// The lines that say so, for all payload types.
    pub(super) fn lines(self) -> Vec<Attribute> {
        let all = [
            (self.nack, "* nack"),
            (self.pli, "* nack pli"),
            (self.fir, "* ccm fir"),
            (self.tmmbr, "* ccm tmmbr"),
        ];
        let said = all.into_iter().filter(|(said, _)| *said);
        said.map(|(_, value)| Attribute { name: "rtcp-fb".into(), value: Some(value.into()) }).collect()
    }
}
