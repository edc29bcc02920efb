//! What a dialog is told at birth. Commands and reports are in `crate::leg`, SIP events in `crate::sip`.
use std::sync::Arc;

use actix::{Addr, WeakRecipient};
use codecs::VideoFormat;
use sip::message::{HeaderName, Request, SipUri, Uri};
use sip::transaction::ServerKey;

use crate::leg::LegReport;
use crate::rtp::ports::PortPool;
use crate::sip::{Hop, SipEndpoint};
use crate::vocabulary::{Account, Additions, CallId, CodecId, FieldError, Meters, Side, SwitchSettings, Way};

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

/// Where a dialog belongs.
pub struct Place {
    /// Its number among the legs of that end.
    pub branch: usize,
    /// Which end of the call the far end is.
    pub far: Side,
    /// The call.
    pub call_id: CallId,
    /// Hears its reports.
    pub call: WeakRecipient<LegReport>,
    /// How often the far side of the call has been moved.
    pub transfers: u8,
}

impl Place {
    /// The first leg of this side.
    pub fn first(far: Side, call_id: CallId, call: WeakRecipient<LegReport>) -> Self {
        Self { branch: 0, far, call_id, call, transfers: 0 }
    }
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
    /// The realm that they are good for.
    pub realm: Option<String>,
    /// User part of our Contact.
    pub contact_user: String,
    /// Of the page.
    pub additions: Additions,
    /// What we offer for sound, by preference.
    pub codecs: Vec<CodecId>,
    /// And for pictures; empty: an audio call.
    pub video: Vec<VideoFormat>,
    /// Whether we offer telephone-events.
    pub telephone_events: bool,
    /// Headers that whoever asked for the call wants in it: Replaces, Referred-By.
    pub headers: Vec<(HeaderName, String)>,
}

impl OutgoingInvite {
    /// A call to `target` by this way.
    pub fn by(way: Way, contact_user: String, target: Uri) -> Result<Self, FieldError> {
        let Way { account, realm, next_hop, route } = way;
        Ok(Self {
            target,
            next_hop,
            route,
            from: account.address_of_record()?,
            display_name: None,
            account: Some(account),
            realm,
            contact_user,
            additions: Additions::default(),
            codecs: vec![],
            video: vec![],
            telephone_events: true,
            headers: vec![],
        })
    }
}

/// A call to us.
pub struct IncomingInvite {
    /// The INVITE's transaction.
    pub key: ServerKey,
    /// The INVITE.
    pub request: Request,
    /// Where it came from, and how we look from there.
    pub hop: Hop,
    /// How we call whom the caller refers us to; none: nobody is called.
    pub way: Option<Way>,
    /// User part of our Contact.
    pub contact_user: String,
    /// What we speak, by preference.
    pub codecs: Vec<CodecId>,
    /// The same for pictures; empty: video is refused.
    pub video: Vec<VideoFormat>,
    /// Whether we take telephone-events.
    pub telephone_events: bool,
}

/// Whose the dialog is, and what it would call somebody else with.
pub(super) struct Home {
    pub(super) way: Option<Way>,
    pub(super) contact_user: String,
    pub(super) display_name: Option<String>,
    pub(super) codecs: Vec<CodecId>,
    pub(super) video: Vec<VideoFormat>,
    pub(super) telephone_events: bool,
}

impl Home {
    pub(super) fn of(order: &DialogOrder) -> Self {
        match order {
            DialogOrder::Outgoing(order) => Self {
                way: order.account.clone().map(|account| Way {
                    account,
                    realm: order.realm.clone(),
                    next_hop: order.next_hop.clone(),
                    route: order.route.clone(),
                }),
                contact_user: order.contact_user.clone(),
                display_name: order.display_name.clone(),
                codecs: order.codecs.clone(),
                video: order.video.clone(),
                telephone_events: order.telephone_events,
            },
            DialogOrder::Incoming(order) => Self {
                way: order.way.clone(),
                contact_user: order.contact_user.clone(),
                display_name: None,
                codecs: order.codecs.clone(),
                video: order.video.clone(),
                telephone_events: order.telephone_events,
            },
        }
    }
}
