//! What a dialog remembers between its messages: identity, negotiation, credentials, hops. Builds the messages that
//! `state` asks for and reads those that come into its events. No actor, no socket, no clock.
mod answered;
mod offer_answer;
mod refer;

use std::net::IpAddr;

use codecs::VideoFormat;
use sip::auth::{Client, Tries};
use sip::dialog::{
    Dialog, Forks, Ids, InviteParams, Profile, Provisional, RAck, ReliableProvisionals, SessionTimer,
    dialog_response,
};
use sip::message::{
    Capabilities, HeaderName, InvalidField, Method, NameAddr, Request, Response, SipUri, StatusCode,
    Transport, random_tag,
};
use sip::resolve::AddressPolicy;
use sip::sdp::{LocalMedia, OfferAnswer, OfferAnswerError, Session, SrtpPolicy};

use super::messages::{IncomingInvite, OutgoingInvite};
use super::refresh::Refreshing;
use super::state::Change;
use crate::sip::{Hop, dialog_capabilities};
use crate::vocabulary::{Additions, CodecId, Side, SipSettings};

pub use answered::Heard;

/// The memory of one dialog.
pub struct Signalling {
    far: Side,
    user_agent: String,
    capabilities: Capabilities<'static>,
    /// Addresses that no media may go to.
    targets: AddressPolicy,
    role: Role,
    dialog: Option<Dialog>,
    negotiation: OfferAnswer,
    local: Option<LocalMedia>,
    codecs: Vec<CodecId>,
    /// What we may have for pictures, by our own preference.
    formats: Vec<VideoFormat>,
    /// Whether the other leg may have pictures too, as far as it is known.
    other_has_video: bool,
    /// Whether the far side is shown a picture of ours while the other leg sends none.
    stands_in: bool,
    telephone_events: bool,
    additions: Additions,
    srtp: SrtpPolicy,
    credentials: Option<Client>,
    tries: Tries,
    /// The INVITE or re-INVITE that is out, for its ACK and its next try.
    invite: Option<Request>,
    /// Whether the next INVITE is the last one once more, with credentials or to the next hop.
    again: bool,
    /// Whether we held the far end before the change that is out.
    held_before: bool,
    /// 491s in a row.
    glares: u8,
    /// The REFER that is out.
    refer: Option<refer::Out>,
    /// Reliable provisional responses to our INVITE.
    reliable: ReliableProvisionals,
    /// The session timer.
    pub(super) refreshing: Refreshing,
}

/// Who called.
enum Role {
    Caller { order: Box<OutgoingInvite>, forks: Option<Forks> },
    Called { invite: Box<Request>, tag: String, contact: NameAddr },
}

impl Signalling {
    /// The memory of a call of ours.
    pub fn caller(
        order: Box<OutgoingInvite>,
        far: Side,
        settings: &SipSettings,
    ) -> Result<Self, InvalidField> {
        let credentials = match &order.account {
            Some(account) => {
                let client = Client::new(&account.auth_name, account.password.clone())?;
                Some(client.with_realm(order.realm.clone()))
            }
            None => None,
        };
        let (codecs, additions) = (order.codecs.clone(), order.additions.clone());
        let (formats, events) = (order.video.clone(), order.telephone_events);
        let role = Role::Caller { order, forks: None };
        Ok(Self { additions, credentials, formats, ..Self::new(role, far, settings, codecs, events) })
    }

    /// The memory of a call to us; an INVITE that makes no dialog is refused with the code.
    pub fn called(order: Box<IncomingInvite>, far: Side, settings: &SipSettings) -> Result<Self, StatusCode> {
        let tag = random_tag();
        let contact =
            contact(&order.contact_user, &order.hop).map_err(|_| StatusCode::SERVER_INTERNAL_ERROR)?;
        let dialog = Dialog::uas(&order.request, &tag, contact.clone()).map_err(|error| error.status())?;
        let role = Role::Called { invite: Box::new(order.request), tag, contact };
        let mut signalling = Self::new(role, far, settings, order.codecs, order.telephone_events);
        (signalling.dialog, signalling.formats) = (Some(dialog), order.video);
        Ok(signalling)
    }

    fn new(
        role: Role,
        far: Side,
        settings: &SipSettings,
        codecs: Vec<CodecId>,
        telephone_events: bool,
    ) -> Self {
        let session_id = u64::from(getrandom::u32().unwrap_or(1));
        Self {
            far,
            user_agent: settings.user_agent.clone(),
            capabilities: dialog_capabilities(settings.refer_policy),
            targets: settings.target_policy.clone(),
            role,
            dialog: None,
            negotiation: OfferAnswer::new(session_id),
            local: None,
            codecs,
            formats: vec![],
            other_has_video: true,
            stands_in: false,
            telephone_events,
            additions: Additions::default(),
            srtp: settings.srtp,
            credentials: None,
            tries: Tries::default(),
            invite: None,
            again: false,
            held_before: false,
            glares: 0,
            refer: None,
            reliable: ReliableProvisionals::default(),
            refreshing: Refreshing::default(),
        }
    }

    /// Our RTP address, once there is one; `video_port`: if there may be pictures.
    pub fn has_media(&mut self, address: IpAddr, port: u16, video_port: Option<u16>) {
        let codecs = self.codecs.iter().copied().map(super::media::format_of).collect();
        let mut local = LocalMedia::audio(address, port, codecs);
        local.extra_lines.clone_from(&self.additions.lines);
        if !self.telephone_events {
            local.events.clear();
        }
        local.srtp = self.srtp;
        local.video = video_port.map(|port| super::media::local_video(&self.formats, port));
        self.local = Some(local);
    }

    /// What a page adds from now on, in this message and in every later SDP of ours.
    pub fn add(&mut self, additions: Additions) {
        if let Some(local) = &mut self.local {
            local.extra_lines.clone_from(&additions.lines);
        }
        self.additions = additions;
    }

    /// What the page has added.
    pub fn additions(&self) -> &Additions {
        &self.additions
    }

    /// The confirmed or only dialog.
    pub fn dialog(&mut self) -> Option<&mut Dialog> {
        self.dialog.as_mut()
    }

    /// The dialog with this remote tag: the confirmed one, or an early one of a call of ours. Those who send reliable responses may
    /// send UPDATE and OPTIONS before they answer (RFC 3311 §5.1).
    pub fn dialog_with(&mut self, remote_tag: &str) -> Option<&mut Dialog> {
        match (&mut self.dialog, &mut self.role) {
            (Some(dialog), _) => Some(dialog).filter(|dialog| dialog.id().remote_tag == remote_tag),
            (None, Role::Caller { forks: Some(forks), .. }) => forks.early(remote_tag),
            _ => None,
        }
    }

    /// The INVITE for `hop`: the first one, or the last one again.
    pub fn invite(&mut self, hop: &Hop) -> Result<Request, InvalidField> {
        let Role::Caller { order, forks } = &mut self.role else {
            unreachable!("only callers send the first INVITE")
        };
        let contact = contact(&order.contact_user, hop)?;
        let mut request = match (&self.invite, self.again) {
            (Some(last), true) => last.again(),
            _ => {
                let local = self.local.as_ref().expect("media is bound before the INVITE");
                let offer = self.negotiation.make_offer(local).expect("nothing was offered before");
                // The first INVITE must fit a datagram: who refers us reads the rest in what follows.
                let extensions = self.capabilities.extensions.iter().filter(|tag| **tag != "norefersub");
                let profile = Profile {
                    address: order.from.clone(),
                    display_name: order.display_name.clone(),
                    contact: contact.clone(),
                    route: order.route.clone(),
                    user_agent: self.user_agent.clone(),
                    methods: self.capabilities.methods.to_vec(),
                    extensions: extensions.map(|tag| (*tag).to_owned()).collect(),
                };
                let sdp = Some(offer.to_string().into());
                let ids = Ids::random();
                let params = InviteParams { callee: &order.target, display_name: None, sdp, ids: &ids };
                let mut request = profile.invite(&params)?;
                self.additions.write(&mut request.headers);
                for (name, value) in &order.headers {
                    request.headers.set_text(name.clone(), value)?;
                }
                request
            }
        };
        request.headers.set(HeaderName::Contact, contact);
        self.refreshing.ask(&mut request);
        if let Some(credentials) = &mut self.credentials {
            credentials.authorize(&mut request);
        }
        self.again = false;
        self.reliable.restarted();
        match forks {
            Some(forks) => forks.restarted(request.clone()),
            None => *forks = Some(Forks::new(request.clone())),
        }
        self.invite = Some(request.clone());
        Ok(request)
    }

    /// The re-INVITE for a change: a fresh one, or the last one again.
    pub fn reinvite(&mut self, change: Change) -> Option<Request> {
        if !self.again {
            self.held_before = self.negotiation.is_held();
            self.negotiation.set_held(change == Change::Hold);
        }
        self.offer_inside(OfferAnswer::make_offer)
    }

    /// Whether we hold the far end.
    pub fn is_holding(&self) -> bool {
        self.negotiation.is_held()
    }

    /// The re-INVITE that only refreshes the session: our last SDP under its version.
    pub fn refresh_invite(&mut self) -> Option<Request> {
        self.held_before = self.negotiation.is_held();
        self.offer_inside(OfferAnswer::repeat_offer)
    }

    fn offer_inside(
        &mut self,
        offer: fn(&mut OfferAnswer, &LocalMedia) -> Result<Session, OfferAnswerError>,
    ) -> Option<Request> {
        let dialog = self.dialog.as_mut()?;
        let mut request = match (&self.invite, self.again) {
            (Some(last), true) => dialog.again(last),
            _ => {
                self.tries = Tries::default();
                let Ok(offer) = offer(&mut self.negotiation, self.local.as_ref()?) else {
                    self.negotiation.set_held(self.held_before);
                    return None;
                };
                dialog.request(Method::Invite).with_body(SDP, offer.to_string())
            }
        };
        self.again = false;
        self.introduce(&mut request);
        if let Some(credentials) = &mut self.credentials {
            credentials.authorize(&mut request);
        }
        self.invite = Some(request.clone());
        Some(request)
    }

    /// Says what we can and what we ask of the session, as INVITE and UPDATE should (RFC 3261 §13.2.1, RFC 4028 §7.4).
    pub(super) fn introduce(&self, request: &mut Request) {
        self.capabilities.advertise(&mut request.headers);
        self.refreshing.ask(request);
    }

    /// The ACK for the 2xx that came last.
    pub fn ack(&mut self) -> Option<Request> {
        let (invite, dialog) = (self.invite.as_ref()?, self.dialog.as_mut()?);
        let ack = dialog.ack(invite, None);
        if let Role::Caller { forks: Some(forks), .. } = &mut self.role {
            forks.acknowledged(dialog, ack.clone());
        }
        Some(ack)
    }

    /// The ACK for a fork that answered too late.
    pub fn ack_of(&mut self, fork: &mut Dialog) -> Option<Request> {
        let Role::Caller { forks: Some(forks), .. } = &mut self.role else { return None };
        let ack = fork.ack(forks.invite(), None);
        forks.acknowledged(fork, ack.clone());
        Some(ack)
    }

    /// Whether a response is a reliable 1xx to our first INVITE, to be acknowledged after it was taken.
    pub fn provisional(&mut self, to_invite: bool, response: &Response) -> Provisional {
        match to_invite && response.code.is_provisional() {
            true => self.reliable.receive(response),
            false => Provisional::Plain,
        }
    }

    /// The PRACK for a reliable 1xx that [`invite_answered`](Self::invite_answered) has taken. It carries no SDP: our offer was in the
    /// INVITE, and an answer in the 1xx is complete (RFC 3262 §5).
    pub fn prack(&mut self, response: &Response, rack: RAck) -> Option<Request> {
        let Role::Caller { forks: Some(forks), .. } = &mut self.role else { return None };
        let tag = response.headers.to().ok()?.tag()?.to_owned();
        let mut prack = forks.early(&tag)?.request(Method::Prack);
        prack.headers.set_text(HeaderName::RAck, &rack.to_string()).ok()?;
        Some(prack)
    }

    /// The INVITE that is out goes out again, to another hop.
    pub fn try_next_hop(&mut self) {
        self.again = self.invite.is_some();
    }

    /// The INVITE that came in.
    pub fn incoming_invite(&self) -> Option<&Request> {
        match &self.role {
            Role::Called { invite, .. } => Some(invite),
            Role::Caller { .. } => None,
        }
    }

    /// A response of this dialog to `request`, with our tag and Contact.
    pub fn respond(&self, request: &Request, code: StatusCode) -> Response {
        let made = match &self.role {
            Role::Called { tag, contact, .. } => dialog_response(request, code, tag, contact),
            // Our tag stands in the request already, be the dialog early or confirmed.
            Role::Caller { .. } => match (self.contact(), request.headers.to().ok()) {
                (Some(contact), Some(to)) => {
                    dialog_response(request, code, to.tag().unwrap_or_default(), &contact)
                }
                _ => Ok(request.response(code)),
            },
        };
        let mut response = made.unwrap_or_else(|_| request.response(code));
        if code.is_success() || code == StatusCode::METHOD_NOT_ALLOWED {
            self.capabilities.advertise(&mut response.headers);
        }
        if code == StatusCode::SESSION_INTERVAL_TOO_SMALL {
            SessionTimer::say_min_se(&mut response);
        }
        response
    }

    /// The 200 to the INVITE that came in, with what the page adds.
    pub fn accept(&self, invite: &Request, sdp: String) -> Response {
        let mut response = self.respond_with(invite, sdp);
        self.additions.write(&mut response.headers);
        response
    }

    /// A 200 with SDP.
    pub fn respond_with(&self, request: &Request, sdp: String) -> Response {
        self.respond(request, StatusCode::OK).with_body(SDP, sdp)
    }

    fn contact(&self) -> Option<NameAddr> {
        self.invite.as_ref()?.headers.contacts().ok()?.into_iter().next()
    }
}

const SDP: &str = "application/sdp";

/// Our Contact as it looks from a hop.
fn contact(user: &str, hop: &Hop) -> Result<NameAddr, InvalidField> {
    let uri = SipUri::new(hop.contact.host.clone()).with_port(hop.contact.port).with_user(user)?;
    let uri = if hop.transport == Transport::Udp { uri } else { uri.with_transport(hop.transport) };
    Ok(NameAddr::new(uri))
}
