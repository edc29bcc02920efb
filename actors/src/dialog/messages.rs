//! What a dialog is told at birth. Commands and reports are in `crate::leg`, SIP events in `crate::sip`.
use std::sync::Arc;

use actix::Addr;
use sip::message::{Request, SipUri, Uri};
use sip::transaction::ServerKey;

use crate::rtp::ports::PortPool;
use crate::sip::{Hop, SipEndpoint};
use crate::vocabulary::{Account, Additions, CodecId, Meters, SwitchSettings};

/// What all dialogs of a switch share.
#[derive(Clone)]
pub struct SipSide {
    /// Sends and receives SIP.
    pub endpoint: Addr<SipEndpoint>,
    /// RTP ports.
    pub ports: PortPool,
    /// Settings.
    pub settings: Arc<SwitchSettings>,
    /// Counters.
    pub meters: Meters,
}

/// Which way a dialog begins.
pub enum DialogOrder {
    /// We call.
    Outgoing(Box<OutgoingInvite>),
    /// We are called.
    Incoming(Box<IncomingInvite>),
}

/// A call of ours.
pub struct OutgoingInvite {
    /// Whom.
    pub target: Uri,
    /// Where the INVITE goes first.
    pub next_hop: SipUri,
    /// The loose routers that it passes first, for its Route headers.
    pub route: Vec<SipUri>,
    /// Who calls.
    pub from: SipUri,
    /// Under which name.
    pub display_name: Option<String>,
    /// Whose credentials answer challenges; none: no challenge is answered.
    pub account: Option<Account>,
    /// User part of our Contact.
    pub contact_user: String,
    /// Of the page.
    pub additions: Additions,
    /// What we offer, by preference.
    pub codecs: Vec<CodecId>,
    /// Whether we offer telephone-events.
    pub telephone_events: bool,
}

/// A call to us.
pub struct IncomingInvite {
    /// The INVITE's transaction.
    pub key: ServerKey,
    /// The INVITE.
    pub request: Request,
    /// Where it came from, and how we look from there.
    pub hop: Hop,
    /// User part of our Contact.
    pub contact_user: String,
    /// What we speak, by preference.
    pub codecs: Vec<CodecId>,
    /// Whether we take telephone-events.
    pub telephone_events: bool,
}
