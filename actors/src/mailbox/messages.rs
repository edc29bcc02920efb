//! What a mailbox's subscription is told at birth, and what it tells.
use actix::{Message, Recipient, WeakRecipient};

use crate::page::MailWaiting;
use crate::sip::{JoinDialog, LeaveDialog, Locate, Respond, SendRequest};
use crate::vocabulary::{Meters, Way};

/// A mailbox to ask for.
pub struct MailboxOrder {
    /// Whose, and how its requests travel.
    pub way: Way,
    /// User part of the Contact.
    pub contact_user: String,
    /// The User-Agent header.
    pub user_agent: String,
    /// The endpoint.
    pub endpoint: MailboxEndpoint,
    /// Who hears of it.
    pub owner: WeakRecipient<MailboxReport>,
    /// Where it counts.
    pub meters: Meters,
}

/// What a subscription wants of the endpoint.
pub struct MailboxEndpoint {
    /// Where requests go.
    pub locate: Recipient<Locate>,
    /// Requests.
    pub send: Recipient<SendRequest>,
    /// Answers to NOTIFYs.
    pub respond: Recipient<Respond>,
    /// The dialog in which they come,
    pub join: Recipient<JoinDialog>,
    /// until it is over.
    pub leave: Recipient<LeaveDialog>,
}

/// What a PBX said of the mailbox of the account with this Contact.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct MailboxReport {
    /// User part of the account's Contact.
    pub contact_user: String,
    /// What.
    pub mail: MailWaiting,
}

/// The account is no longer registered: ends the subscription within two seconds. The actor keeps itself alive for that; its address may be
/// dropped.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct StopMailbox;
