//! What may be said to a call, and what a call says. (What passes between it and its legs is in `crate::leg`.)
use actix::Message;

use crate::leg::Leg;
use crate::quality::CallRecord;
use crate::vocabulary::EndReason;

/// Plugs in the legs and starts the call.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Begin {
    /// Who asked for it.
    pub caller: Leg,
    /// Who is asked: one, or several that ring at once, of whom the first that answers has the call.
    pub callees: Vec<Leg>,
}

/// Ends the call from above: shutdown, a REST request, a closed session.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct HangUp(pub EndReason);

/// The call is over; its legs may still be saying goodbye.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct CallEnded(pub CallRecord);
