//! What a page says about one call, as its session passes it on.
use actix::Message;
use sip::message::Uri;

use crate::leg::Digits;
use crate::vocabulary::Additions;

/// A word of the page to one of its calls.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub enum PageWord {
    /// It takes the call: its SDP answer, and what the 200 is to say besides.
    Answer(String, Additions),
    /// It hangs up, cancels or rejects.
    HangUp,
    /// It holds the other side.
    Hold,
    /// It goes on.
    Unhold,
    /// It wants the other side to call somebody else.
    Transfer(Uri),
    /// It sends digits.
    Dial(Digits),
    /// Its socket is gone.
    Gone,
}
