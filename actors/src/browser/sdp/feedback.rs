//! RTCP feedback about pictures (RFC 4585, RFC 5104): what both ends understand.

/// Kinds of feedback, as `a=rtcp-fb` names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Feedback {
    /// Packets are missing: `nack`.
    pub nack: bool,
    /// A key frame is wanted: `nack pli`.
    pub pli: bool,
    /// The same, and no other way will do: `ccm fir`.
    pub fir: bool,
    /// Bits per second that are taken: `goog-remb`.
    pub remb: bool,
}

impl Feedback {
    /// All that we understand. No `transport-cc`: str0m would then say it both ways and for sound too, and a page that hears it sends
    /// no REMB any more, so that we had to estimate what it takes, and pace what phones send.
    pub const ALL: Self = Self { nack: true, pli: true, fir: true, remb: true };

    /// Notes what a line says after its payload type.
    pub(super) fn note(&mut self, value: &str) {
        let mut words = value.split_ascii_whitespace().map(str::to_ascii_lowercase);
        let (kind, what) = (words.next().unwrap_or_default(), words.next());
        match (kind.as_str(), what.as_deref()) {
            ("nack", None) => self.nack = true,
            ("nack", Some("pli")) => self.pli = true,
            ("ccm", Some("fir")) => self.fir = true,
            ("goog-remb", None) => self.remb = true,
            _ => {}
        }
    }

    /// The values of the lines.
    pub(super) fn values(self) -> impl Iterator<Item = &'static str> {
        let Self { nack, pli, fir, remb } = self;
        let all = [(nack, "nack"), (pli, "nack pli"), (fir, "ccm fir"), (remb, "goog-remb")];
        all.into_iter().filter(|(has, _)| *has).map(|(_, value)| value)
    }

    /// What both have.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            nack: self.nack && other.nack,
            pli: self.pli && other.pli,
            fir: self.fir && other.fir,
            remb: self.remb && other.remb,
        }
    }
}
