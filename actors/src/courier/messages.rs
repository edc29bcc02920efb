//! What a courier is told at birth, and what it tells.
use actix::{Message, Recipient, WeakRecipient};
use sip::message::Uri;

use super::state::Outcome;
use crate::sip::{Locate, SendRequest};
use crate::vocabulary::{Meters, Way};

/// A text message to deliver.
pub struct CourierOrder {
    /// The page's name for it.
    pub id: String,
    /// Who sends it, with which credentials, and where it goes first.
    pub way: Way,
    /// Under which name.
    pub display_name: Option<String>,
    /// To whom.
    pub target: Uri,
    /// The text.
    pub body: String,
    /// The User-Agent header.
    pub user_agent: String,
    /// The endpoint, asked for the next hop's address.
    pub locate: Recipient<Locate>,
    /// The endpoint, told what to send.
    pub send: Recipient<SendRequest>,
    /// Who hears what became of it.
    pub owner: WeakRecipient<CourierEvent>,
    /// Where it counts.
    pub meters: Meters,
}

/// What became of a message: Sent at most once, then one last word.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct CourierEvent {
    /// Of which message.
    pub id: String,
    /// What.
    pub outcome: Outcome,
}
