//! What a page adds to our SIP beside the call itself.
use sip::sdp::ExtraLine;

/// Lines of a page for the SIP side, checked at the door.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Additions {
    /// `sipSDP`: between `c=` and `t=` of every SDP of ours.
    pub lines: Vec<ExtraLine>,
}

impl Additions {
    /// Whether there is nothing to add.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}
