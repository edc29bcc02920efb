//! Dialogs: what two user agents remember of each other between requests (RFC 3261 §12, §13.2.2.4, §13.3.1.4, §14).
//!
//! - [`Profile`], [`InviteParams`], [`RegisterParams`], [`MessageParams`]: requests outside dialogs, safe against text from people.
//! - [`Dialog`]: one dialog as either side; builds its requests, checks what comes in.
//! - [`Forks`]: all dialogs that one INVITE of ours gives rise to.
//! - [`AckWait`]: our 2xx to an INVITE, repeated until the ACK comes.
//! - [`ReliableProvisionals`]: which provisional responses to acknowledge by PRACK; [`PrackWait`]: ours, repeated until it comes.
//! - [`Refer`]: whom the far side wants called; [`Notification`]: what a NOTIFY says of a REFER of ours; [`Replaces`]: whose place an INVITE takes.
//! - [`SessionTimer`]: when a call is to be refreshed, and when it counts as gone.
//!
//! Via is not set here: the transaction layer does it when it knows the transport.

mod ack_wait;
mod build;
mod forks;
mod id;
mod refer;
mod reliable;
mod replaces;
mod routing;
mod session_timer;
mod state;
#[cfg(test)]
mod tests;

pub use ack_wait::{AckStep, AckWait};
pub use build::{Ids, InviteParams, MessageParams, Profile, RegisterParams, callee_uri};
pub use forks::{ForkEvent, Forks};
pub use id::DialogId;
pub use refer::{Notification, Refer, is_silent, sipfrag};
pub use reliable::{PrackWait, Provisional, RAck, ReliableProvisionals, requires_reliable};
pub use replaces::Replaces;
pub use session_timer::{Refresher, SessionDue, SessionExpires, SessionTimer};
pub use state::{Dialog, DialogError, dialog_response};
