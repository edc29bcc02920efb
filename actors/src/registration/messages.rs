//! What may be said to a registration, and what it says.
use std::time::Duration;

use actix::{Message, Recipient, WeakRecipient};

use crate::sip::{Locate, SendRequest};
use crate::vocabulary::{Account, Meters};

/// What a registration is told at birth.
pub struct RegistrationOrder {
    /// Whom to register.
    pub account: Account,
    /// User part of the Contact: a random word of this account alone, by which an incoming INVITE finds it.
    pub contact_user: String,
    /// Expires to ask for.
    pub expires: Duration,
    /// The endpoint, asked for the registrar's address.
    pub locate: Recipient<Locate>,
    /// The endpoint, told what to send.
    pub send: Recipient<SendRequest>,
    /// Who hears of it.
    pub owner: WeakRecipient<RegistrationEvent>,
    /// Where it counts.
    pub meters: Meters,
}

/// What a registration tells its owner: changes only.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub enum RegistrationEvent {
    /// The account is registered, or is so again.
    Registered,
    /// It is not.
    Failed {
        /// For a person.
        info: String,
        /// The registrar's status code, if it spoke at all.
        sip_status: Option<u16>,
        /// Whether this is the end: the registrar refused the account. Else it is tried again, within seconds.
        last: bool,
    },
}

/// Ends the registration: un-registers if there is something to un-register, and stops within 2 s. The actor keeps itself alive for
/// that; its address may be dropped.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Unregister;
