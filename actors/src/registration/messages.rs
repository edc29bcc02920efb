//! What may be said to a registration, and what it says.
use std::time::Duration;

use actix::{Message, Recipient, WeakRecipient};
use sip::message::SipUri;

use crate::sip::{KeepAlive, Locate, SendRequest};
use crate::vocabulary::{Account, Meters};

/// What a registration is told at birth.
pub struct RegistrationOrder {
    /// Whom to register.
    pub account: Account,
    /// User part of the Contact: a word of this account alone, by which an incoming INVITE finds it.
    pub contact_user: String,
    /// Expires to ask for.
    pub expires: Duration,
    /// The endpoint, asked for the registrar's address.
    pub locate: Recipient<Locate>,
    /// The endpoint, told what to send.
    pub send: Recipient<SendRequest>,
    /// The endpoint, asked to keep the way to the registrar open,
    pub keep: Recipient<KeepAlive>,
    /// and how often; `None`: never.
    pub keep_alive: Option<Duration>,
    /// Who hears of it.
    pub owner: WeakRecipient<RegistrationReport>,
    /// Where it counts.
    pub meters: Meters,
}

/// What a registration tells its owner: changes only.
#[derive(Debug, Clone, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct RegistrationReport {
    /// Which registration speaks.
    pub contact_user: String,
    /// What happened.
    pub event: RegistrationEvent,
}

/// What happened to a registration.
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
    /// Further requests of the account are to pass these routers, next hop first (RFC 3608). News only; empty: none.
    ServiceRoute(Vec<SipUri>),
    /// The registrar asked for credentials of this realm, and took them. News only.
    Realm(String),
    /// It is being un-registered: what was told before holds no longer.
    Unregistering,
    /// The last word.
    Over,
}

/// What may be said to a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub enum RegistrationCommand {
    /// A page uses the account: keep it registered, or register it again.
    Keep,
    /// No page does any more: un-register in 3 s, unless [`Keep`](Self::Keep) comes. A page that is loaded anew finds its binding as it left it.
    LetGo,
    /// Un-register now, if there is something to un-register, and stop within 2 s. The actor keeps itself alive for that; its
    /// address may be dropped.
    Unregister,
}
