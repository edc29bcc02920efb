//! What a dialog remembers between its messages: identity, negotiation, credentials, hops. Builds the messages that
//! `state` asks for and reads those that come into its events. No actor, no socket, no clock.
use std::net::IpAddr;

use sip::auth::{Client, SentTo, Tries};
use sip::dialog::{Dialog, ForkEvent, Forks, Ids, InviteParams, Profile, dialog_response};
use sip::message::{
    Capabilities, HeaderName, InvalidField, Method, NameAddr, Request, Response, SipUri, StatusCode,
    Transport, random_tag,
};
use sip::resolve::AddressPolicy;
use sip::sdp::{Agreed, ExtraLine, LocalMedia, OfferAnswer, Session, SrtpPolicy};

use super::messages::{IncomingInvite, OutgoingInvite};
use super::state::{Change, Event};
use crate::sip::Hop;
use crate::vocabulary::{AudioFormat, Cause, CodecId, EndReason, Side, SipSettings};

/// The methods that a dialog of ours answers.
const METHODS: [Method; 6] =
    [Method::Invite, Method::Ack, Method::Cancel, Method::Bye, Method::Options, Method::Update];

const CAPABILITIES: Capabilities<'static> =
    Capabilities { methods: &METHODS, extensions: &[], schemes: &["sip", "sips", "tel"], bodies: &[] };

/// The memory of one dialog.
pub struct Signalling {
    far: Side,
    user_agent: String,
    /// Addresses that no media may go to.
    targets: AddressPolicy,
    role: Role,
    dialog: Option<Dialog>,
    negotiation: OfferAnswer,
    local: Option<LocalMedia>,
    codecs: Vec<CodecId>,
    extra_lines: Vec<ExtraLine>,
    srtp: SrtpPolicy,
    credentials: Option<Client>,
    tries: Tries,
    /// The INVITE or re-INVITE that is out, for its ACK and its next try.
    invite: Option<Request>,
    /// Whether the next INVITE is the last one once more, with credentials or to the next hop.
    again: bool,
}

/// Who called.
enum Role {
    Caller { order: Box<OutgoingInvite>, forks: Option<Forks> },
    Called { invite: Box<Request>, tag: String, contact: NameAddr },
}

/// What a response to an INVITE of ours means.
pub struct Heard {
    /// For the state machine; none: nothing new.
    pub event: Option<Event>,
    /// What offer and answer settled now.
    pub agreed: Option<Agreed>,
    /// A dialog that lost the race of forks: ACK and BYE for it.
    pub lost: Option<Box<Dialog>>,
    /// A 2xx that came again: its ACK, to go out again.
    pub ack_again: Option<Box<Request>>,
    /// The same hop will not do; the next one may.
    pub next_hop: bool,
}

impl Heard {
    fn event(event: Event) -> Self {
        Self { event: Some(event), ..Self::nothing() }
    }

    fn nothing() -> Self {
        Self { event: None, agreed: None, lost: None, ack_again: None, next_hop: false }
    }
}

impl Signalling {
    /// The memory of a call of ours.
    pub fn caller(
        order: Box<OutgoingInvite>,
        far: Side,
        settings: &SipSettings,
    ) -> Result<Self, InvalidField> {
        let credentials = match &order.account {
            Some(account) => Some(Client::new(&account.auth_name, account.password.clone())?),
            None => None,
        };
        let (codecs, extra_lines) = (order.codecs.clone(), order.extra_lines.clone());
        let role = Role::Caller { order, forks: None };
        Ok(Self::new(role, far, settings, codecs, extra_lines, credentials))
    }

    /// The memory of a call to us; an INVITE that makes no dialog is refused with the code.
    pub fn called(order: Box<IncomingInvite>, far: Side, settings: &SipSettings) -> Result<Self, StatusCode> {
        let tag = random_tag();
        let contact =
            contact(&order.contact_user, &order.hop).map_err(|_| StatusCode::SERVER_INTERNAL_ERROR)?;
        let dialog = Dialog::uas(&order.request, &tag, contact.clone()).map_err(|error| error.status())?;
        let role = Role::Called { invite: Box::new(order.request), tag, contact };
        let mut signalling = Self::new(role, far, settings, order.codecs, vec![], None);
        signalling.dialog = Some(dialog);
        Ok(signalling)
    }

    fn new(
        role: Role,
        far: Side,
        settings: &SipSettings,
        codecs: Vec<CodecId>,
        extra_lines: Vec<ExtraLine>,
        credentials: Option<Client>,
    ) -> Self {
        let session_id = u64::from(getrandom::u32().unwrap_or(1));
        Self {
            far,
            user_agent: settings.user_agent.clone(),
            targets: settings.target_policy.clone(),
            role,
            dialog: None,
            negotiation: OfferAnswer::new(session_id),
            local: None,
            codecs,
            extra_lines,
            srtp: settings.srtp,
            credentials,
            tries: Tries::default(),
            invite: None,
            again: false,
        }
    }

    /// Our RTP address, once there is one.
    pub fn has_media(&mut self, address: IpAddr, port: u16) {
        let names: Vec<&str> = self.codecs.iter().map(|codec| codec.spec().name).collect();
        let mut local = LocalMedia::audio(address, port, &names);
        local.extra_lines.clone_from(&self.extra_lines);
        local.srtp = self.srtp;
        self.local = Some(local);
    }

    /// The other leg speaks this: rather not transcode.
    pub fn prefer(&mut self, format: AudioFormat) {
        if let Some(local) = &mut self.local {
            local.prefer = vec![format.codec.spec().name.to_owned()];
        }
    }

    /// The confirmed or only dialog.
    pub fn dialog(&mut self) -> Option<&mut Dialog> {
        self.dialog.as_mut()
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
                let profile = Profile {
                    address: order.from.clone(),
                    display_name: order.display_name.clone(),
                    contact: contact.clone(),
                    outbound_proxy: order.outbound_proxy.clone(),
                    user_agent: self.user_agent.clone(),
                    methods: METHODS.to_vec(),
                    extensions: vec![],
                };
                let sdp = Some(offer.to_string().into());
                let ids = Ids::random();
                profile.invite(&InviteParams { callee: &order.target, display_name: None, sdp, ids: &ids })?
            }
        };
        request.headers.set(HeaderName::Contact, contact);
        if let Some(credentials) = &mut self.credentials {
            credentials.authorize(&mut request);
        }
        self.again = false;
        match forks {
            Some(forks) => forks.restarted(request.clone()),
            None => *forks = Some(Forks::new(request.clone())),
        }
        self.invite = Some(request.clone());
        Ok(request)
    }

    /// The re-INVITE for a change: a fresh one, or the last one again.
    pub fn reinvite(&mut self, change: Change) -> Option<Request> {
        let dialog = self.dialog.as_mut()?;
        let mut request = match (&self.invite, self.again) {
            (Some(last), true) => dialog.again(last),
            _ => {
                self.tries = Tries::default();
                self.negotiation.set_held(change == Change::Hold);
                let offer = self.negotiation.make_offer(self.local.as_ref()?).ok()?;
                dialog.request(Method::Invite).with_body(SDP, offer.to_string())
            }
        };
        self.again = false;
        if let Some(credentials) = &mut self.credentials {
            credentials.authorize(&mut request);
        }
        self.invite = Some(request.clone());
        Some(request)
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

    /// A response to our first INVITE.
    pub fn invite_answered(&mut self, response: &Response) -> Heard {
        let code = response.code;
        if code.is_provisional() || code.is_success() {
            return self.invite_goes_on(response);
        }
        if let Some(again) = self.challenged(SentTo::Home, response) {
            return again;
        }
        let why = EndReason::from_sip(self.far, code.as_u16(), response.reason());
        let next_hop = code == StatusCode::SERVICE_UNAVAILABLE; // RFC 3263 §4.3
        Heard { next_hop, ..Heard::event(Event::Rejected(why)) }
    }

    fn invite_goes_on(&mut self, response: &Response) -> Heard {
        let Role::Caller { forks: Some(forks), .. } = &mut self.role else { return Heard::nothing() };
        match forks.receive(response) {
            Ok(ForkEvent::Progress | ForkEvent::Early(_)) => {
                let agreed = self.take_answer(&response.body).ok().flatten();
                let event = match &agreed {
                    Some(_) => Some(Event::EarlyMedia),
                    None => (response.code == StatusCode::RINGING).then_some(Event::Rang),
                };
                Heard { agreed, event, ..Heard::nothing() }
            }
            Ok(ForkEvent::Won(dialog)) => {
                self.dialog = Some(*dialog);
                self.accepted(response)
            }
            Ok(ForkEvent::Lost(dialog)) => Heard { lost: Some(dialog), ..Heard::nothing() },
            Ok(ForkEvent::AckAgain(ack)) => Heard { ack_again: Some(ack), ..Heard::nothing() },
            Ok(_) => Heard::nothing(),
            Err(_) if response.code.is_success() => {
                Heard::event(Event::AcceptedBadly(self.bad("a 200 without Contact")))
            }
            Err(_) => Heard::nothing(),
        }
    }

    /// A final response to our re-INVITE.
    ///
    /// `sent_to`: a phone that is reached past the account's servers gets no credentials.
    pub fn reinvite_answered(&mut self, response: &Response, sent_to: SentTo) -> Heard {
        if let Some(dialog) = &mut self.dialog {
            // A Contact that cannot be read leaves the old target in place.
            let _ = dialog.concluded(&Method::Invite, Some(response));
        }
        let code = response.code;
        if code.is_success() {
            return self.accepted(response);
        }
        if let Some(again) = self.challenged(sent_to, response) {
            return again;
        }
        self.negotiation.drop_offer();
        self.negotiation.set_held(!self.negotiation.is_held());
        Heard::event(match code {
            StatusCode::REQUEST_PENDING => Event::Glare,
            StatusCode::CALL_DOES_NOT_EXIST => {
                Event::Rejected(EndReason::from_sip(self.far, code.as_u16(), response.reason()))
            }
            _ => Event::ChangeRefused,
        })
    }

    /// Nobody answered our re-INVITE.
    pub fn reinvite_failed(&mut self) {
        if let Some(dialog) = &mut self.dialog {
            let _ = dialog.concluded(&Method::Invite, None);
        }
        self.negotiation.drop_offer();
    }

    fn accepted(&mut self, response: &Response) -> Heard {
        match self.take_answer(&response.body) {
            Ok(agreed) if agreed.is_some() || self.negotiation.agreed().is_some() => {
                Heard { agreed, ..Heard::event(Event::Accepted) }
            }
            Ok(_) => Heard::event(Event::AcceptedBadly(self.bad("a 200 without SDP"))),
            Err(why) => Heard::event(Event::AcceptedBadly(why)),
        }
    }

    /// A 401 or 407 that we may answer: then the request goes out again.
    fn challenged(&mut self, sent_to: SentTo, response: &Response) -> Option<Heard> {
        let (credentials, invite) = (self.credentials.as_mut()?, self.invite.as_ref()?);
        if !matches!(response.code, StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED) {
            return None;
        }
        credentials.challenged(&mut self.tries, invite, response, sent_to).ok()?;
        self.again = true;
        Some(Heard::event(Event::TryAgain))
    }

    /// The INVITE that is out goes out again, to another hop.
    pub fn try_next_hop(&mut self) {
        self.again = self.invite.is_some();
    }

    /// An SDP answer in a response or an ACK; an empty body is none.
    pub fn take_answer(&mut self, body: &[u8]) -> Result<Option<Agreed>, EndReason> {
        if body.is_empty() {
            return Ok(None);
        }
        let session = Session::parse(body).map_err(|error| self.bad(error.to_string()))?;
        let agreed =
            self.negotiation.receive_answer(&session).map_err(|error| self.no_codec(error.to_string()))?;
        self.checked(&agreed)?;
        Ok(Some(agreed))
    }

    /// Refuses an agreement without sound, and one that sends media where nothing may go.
    fn checked(&self, agreed: &Agreed) -> Result<(), EndReason> {
        let Some(stream) = &agreed.audio else { return Err(self.no_codec("audio was refused".to_owned())) };
        for address in stream.addresses() {
            self.targets.check(address).map_err(|denied| {
                EndReason::new(None, Cause::Forbidden).with_detail(format!("media {denied}"))
            })?;
        }
        Ok(())
    }

    /// The INVITE's or re-INVITE's offer.
    pub fn take_offer(&mut self, body: &[u8]) -> Result<(), (StatusCode, EndReason)> {
        let session =
            Session::parse(body).map_err(|error| (StatusCode::BAD_REQUEST, self.bad(error.to_string())))?;
        self.negotiation.receive_offer(session).map_err(|error| {
            let code = StatusCode::try_from(error.status()).unwrap_or(StatusCode::NOT_ACCEPTABLE_HERE);
            (code, self.no_codec(error.to_string()))
        })
    }

    /// Our SDP for a 200: the answer to their offer, or an offer of ours if they made none.
    pub fn describe(&mut self) -> Result<(String, Option<Agreed>), EndReason> {
        let Some(local) = &self.local else { return Err(EndReason::new(None, Cause::Overload)) };
        let described = if self.negotiation.owes_answer() {
            self.negotiation.answer(local).map(|(session, agreed)| (session, Some(agreed)))
        } else {
            self.negotiation.make_offer(local).map(|session| (session, None))
        };
        let (session, agreed) = described.map_err(|error| self.no_codec(error.to_string()))?;
        if let Some(agreed) = &agreed {
            self.checked(agreed)?;
        }
        Ok((session.to_string(), agreed))
    }

    /// Whether our last SDP was an offer that still waits.
    pub fn awaits_answer(&self) -> bool {
        self.negotiation.awaits_answer()
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
            Role::Caller { .. } => match self.dialog.as_ref() {
                Some(dialog) => self.contact().map_or_else(
                    || Ok(request.response(code)),
                    |contact| dialog_response(request, code, &dialog.id().local_tag, &contact),
                ),
                None => Ok(request.response(code)),
            },
        };
        let mut response = made.unwrap_or_else(|_| request.response(code));
        if code.is_success() || code == StatusCode::METHOD_NOT_ALLOWED {
            CAPABILITIES.advertise(&mut response.headers);
        }
        response
    }

    /// A 200 with SDP.
    pub fn respond_with(&self, request: &Request, sdp: String) -> Response {
        self.respond(request, StatusCode::OK).with_body(SDP, sdp)
    }

    fn contact(&self) -> Option<NameAddr> {
        self.invite.as_ref()?.headers.contacts().ok()?.into_iter().next()
    }

    fn bad(&self, detail: impl Into<String>) -> EndReason {
        EndReason::new(Some(self.far), Cause::BadDescription).with_detail(detail)
    }

    fn no_codec(&self, detail: String) -> EndReason {
        EndReason::new(Some(self.far), Cause::NoCommonCodec).with_detail(detail)
    }
}

const SDP: &str = "application/sdp";

/// Our Contact as it looks from a hop.
fn contact(user: &str, hop: &Hop) -> Result<NameAddr, InvalidField> {
    let uri = SipUri::new(hop.contact.host.clone()).with_port(hop.contact.port).with_user(user)?;
    let uri = if hop.transport == Transport::Udp { uri } else { uri.with_transport(hop.transport) };
    Ok(NameAddr::new(uri))
}
