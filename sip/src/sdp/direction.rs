//! Which way media flows in one m-line.

use std::fmt;

/// `a=sendrecv` and its kin (RFC 8866 §6.7), always from the point of view of the side that wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Both ways; what a missing attribute means.
    #[default]
    SendRecv,
    /// The writer sends and does not listen: it holds its peer, with music perhaps.
    SendOnly,
    /// The writer listens and does not send.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    /// Builds the direction out of its two halves.
    pub fn new(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// Reads an attribute name, in any case.
    pub fn from_attribute(name: &str) -> Option<Self> {
        [Self::SendRecv, Self::SendOnly, Self::RecvOnly, Self::Inactive]
            .into_iter()
            .find(|direction| name.eq_ignore_ascii_case(direction.attribute()))
    }

    /// The attribute's name.
    pub fn attribute(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// Whether the writer sends.
    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the writer listens.
    pub fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The same flow seen from the other end.
    pub fn reversed(self) -> Self {
        Self::new(self.receives(), self.sends())
    }

    /// What is left when both wishes must hold; an answer is this side's wish and the offer reversed (RFC 3264 §6.1).
    pub fn and(self, other: Self) -> Self {
        Self::new(self.sends() && other.sends(), self.receives() && other.receives())
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.attribute())
    }
}

#[cfg(test)]
mod tests {
    use super::Direction::{self, *};

    fn check(ours: Direction, offered: Direction, answer: Direction) {
        assert_eq!(ours.and(offered.reversed()), answer, "{ours} answers {offered}");
    }

    #[test]
    fn an_answer_is_never_more_than_the_offer_allows() {
        check(SendRecv, SendRecv, SendRecv);
        check(SendRecv, SendOnly, RecvOnly);
        check(SendRecv, RecvOnly, SendOnly);
        check(SendRecv, Inactive, Inactive);
    }

    #[test]
    fn a_side_that_holds_answers_with_what_is_left() {
        check(SendOnly, SendRecv, SendOnly);
        check(SendOnly, SendOnly, Inactive);
        check(SendOnly, RecvOnly, SendOnly);
        check(SendOnly, Inactive, Inactive);
    }

    #[test]
    fn attribute_names_are_read_in_any_case() {
        assert_eq!(Direction::from_attribute("SendOnly"), Some(SendOnly));
        assert_eq!(Direction::from_attribute("sendsometimes"), None);
    }
}
