//! The switchboard: who is here, who calls whom, and the one function that wires a call.
mod accounts;
mod book;
mod incoming;
mod mailboxes;
mod messages;
mod outgoing;
mod registering;
mod texting;
mod texts;

use std::sync::Arc;

use ::sip::dialog::SessionTimer;
use ::sip::message::{Method, StatusCode};
use actix::{Actor, Addr, AsyncContext, Context, Handler, MessageResult, Recipient, WeakRecipient};
use codecs::VideoFormat;
use tracing::info;

use crate::browser::{BrowserLeg, BrowserOrder, Certificate, PageWord, PeerConfig};
use crate::call::{Begin, Call, CallEnded, CallOrder, HangUp};
use crate::dialog::{Dialog, DialogOrder, IncomingInvite, OutgoingInvite, Place, SipSide};
use crate::generator::Sounds;
use crate::lanes::Lanes;
use crate::leg::{Leg, LegReport};
use crate::page::{CallStatus, CallView, InviteHeaders, PlaceCall, ToPage};
use crate::quality::Recorder;
use crate::registration::Registration;
use crate::session::{CallJoined, Close, MAX_CALLS, Session, SessionEvent, SessionOrder};
use crate::sip::{IncomingRequest, Respond, Transport};
use crate::vocabulary::{
    Account, ActivityWish, Alive, AnswerTiming, CallId, Cause, EndReason, FieldError, SessionId, Side,
    StandInWish, SwitchSettings, Way, random_hex,
};
use accounts::Accounts;
use book::{Book, Entry};
pub use messages::{FindCall, FoundCall, OpenError, OpenSession, OpenedSession, Shutdown};

/// The actor.
pub struct Switchboard {
    settings: Arc<SwitchSettings>,
    lanes: Lanes,
    sip: SipSide,
    certificate: Certificate,
    recorder: Recorder,
    sounds: Arc<Sounds>,
    book: Book<Addr<Session>, Wired>,
    accounts: Accounts<Addr<Registration>>,
    stopping: bool,
    _alive: Alive,
}

/// Requests and events of all sessions and calls pass here; each takes some 10 µs.
const MAILBOX: usize = 4096;

/// Pages of one account that a call rings at once, those that connected last. More tabs than that are forgotten ones.
const MAX_RINGING: usize = 16;

/// A call in the book.
struct Wired {
    call: Addr<Call>,
    page_side: Side,
    /// Its pages and what reaches their legs: those that ring, and the one that has the call.
    pages: Vec<(SessionId, Recipient<PageWord>)>,
}

/// What differs between a call that a page makes and one that it takes.
struct Parties {
    direction: &'static str,
    view: CallView,
    page_side: Side,
    /// Of the INVITE, if the page is called.
    invite_headers: InviteHeaders,
    /// The pages that it rings, or the one that calls.
    pages: Vec<(SessionId, Addr<Session>)>,
    /// The page's offer, if it calls.
    offer: Option<String>,
    dialog: DialogOrder,
    /// What the page may have for pictures, by preference.
    page_video: Vec<VideoFormat>,
    /// What the page wants of the call's limits, if it calls,
    activity: ActivityWish,
    /// and of still pictures.
    stand_in: StandInWish,
}

impl Wired {
    /// The leg of a page, as long as it lives.
    fn leg_of(&self, session: SessionId) -> Option<&Recipient<PageWord>> {
        let mine = self.pages.iter().find(|(page, leg)| *page == session && leg.connected());
        mine.map(|(_, leg)| leg)
    }
}

impl Switchboard {
    /// A switchboard with an empty book.
    pub fn new(settings: Arc<SwitchSettings>, lanes: Lanes, sip: SipSide, recorder: Recorder) -> Self {
        let alive = sip.meters.alive("switchboard");
        let sounds = Sounds::new(&settings.media);
        if settings.media.hold_music.is_some() {
            sounds.prepare(settings.media.audio_codecs.clone());
        }
        Self {
            settings,
            lanes,
            sip,
            certificate: Certificate::generate(),
            recorder,
            sounds: Arc::new(sounds),
            book: Book::new(),
            accounts: Accounts::default(),
            stopping: false,
            _alive: alive,
        }
    }

    /// Where all SIP goes by TLS, a page that names the usual port means the usual port of TLS.
    fn as_reached(&self, mut account: Account) -> Account {
        if self.settings.sip.tls.only && account.port == Some(Transport::Tcp.default_port()) {
            account.port = Some(Transport::Tls.default_port());
        }
        account
    }

    fn open(&mut self, order: OpenSession, ctx: &mut Context<Self>) -> Result<OpenedSession, OpenError> {
        if self.stopping {
            return Err(OpenError::Full);
        }
        let id = self.book.next_session_id().map_err(|_| OpenError::Full)?;
        let account = order.account.map(|account| self.as_reached(account));
        let session = Session::new(SessionOrder {
            id,
            account: account.clone(),
            page: order.page,
            page_headers: self.settings.sip.page_headers.clone(),
            owner: ctx.address().downgrade().recipient(),
            meters: self.sip.meters.clone(),
        })
        .start();
        let contact = match &account {
            Some(account) => self.join_account(account, id, &session, ctx)?,
            None => String::new(),
        };
        info!(session = %id, account = account.as_ref().map(Account::address), "session opened");
        self.book.add_session(id, Entry { session: session.clone(), account, contact });
        Ok(OpenedSession { id, token: random_hex::<16>(), session })
    }

    /// A page calls.
    fn place(&mut self, id: SessionId, call: PlaceCall, ctx: &mut Context<Self>) {
        let Some(entry) = self.book.session(id) else { return };
        let (session, contact_user) = (entry.session.clone(), entry.contact.clone());
        let view = CallView::outgoing(&call, entry.login());
        // The page has been shown TRYING: whatever is wrong now ends its call, even an id that another page's call has.
        let free = self.book.check_call_id(&call.call_id);
        let invite = free
            .map_err(|_| FieldError::new("callId", "in use"))
            .and_then(|()| self.way_of(&contact_user))
            .map_err(bad_request)
            .and_then(|way| self.invite(way, contact_user, &call));
        match invite {
            Ok(invite) => {
                let view = CallView { has_video: !invite.video.is_empty(), ..view };
                let (dialog, offer) = (DialogOrder::Outgoing(Box::new(invite)), Some(call.sdp));
                let (activity, stand_in) = (call.additions.activity, call.additions.stand_in);
                let parties = Parties {
                    direction: "outgoing",
                    view,
                    page_side: Side::Caller,
                    invite_headers: InviteHeaders::new(),
                    pages: vec![(id, session)],
                    offer,
                    dialog,
                    page_video: self.settings.media.video.page(),
                    activity,
                    stand_in,
                };
                self.connect(parties, ctx);
            }
            Err(why) => session.do_send(ToPage::CallStatus(view, CallStatus::Failed(why))),
        }
    }

    fn invite(&self, way: Way, contact_user: String, call: &PlaceCall) -> Result<OutgoingInvite, EndReason> {
        if self.stopping {
            return Err(bad_request(FieldError::new("call", "Tandem is stopping")));
        }
        let outgoing::Offered { codecs, telephone_events, video } =
            outgoing::offered(&self.settings.media, &call.sdp);
        if codecs.is_empty() {
            let why = EndReason::new(Some(Side::Caller), Cause::NoCommonCodec);
            return Err(why.with_detail("the page offers no codec that SIP may be offered"));
        }
        let target = way.account.address_named("callee", &call.callee).map_err(bad_request)?;
        Ok(OutgoingInvite {
            display_name: call.visible_name.clone(),
            additions: call.additions.clone(),
            codecs,
            telephone_events,
            video,
            ..OutgoingInvite::by(way, contact_user, target).map_err(bad_request)?
        })
    }

    /// How requests of the account with this Contact travel.
    fn way_of(&self, contact_user: &str) -> Result<Way, FieldError> {
        let shared = self.accounts.get(contact_user);
        shared.ok_or_else(|| FieldError::new("sipLogin", "this session has no SIP account"))?.way()
    }

    /// A call for one of our accounts came in.
    fn incoming(&mut self, incoming: IncomingRequest, ctx: &mut Context<Self>) {
        let user = incoming.request.uri.user().map(|user| user.into_owned()).unwrap_or_default();
        let Some(shared) = self.accounts.find_user(&user) else {
            return self.refuse(incoming, StatusCode::NOT_FOUND);
        };
        if SessionTimer::too_small(&incoming.request) {
            return self.refuse(incoming, StatusCode::SESSION_INTERVAL_TOO_SMALL); // it comes again at once; nothing has rung
        }
        let most = if self.settings.second_incoming_rings { MAX_CALLS } else { 1 };
        let busy = |page: &SessionId| self.calls_of(*page).count() >= most;
        let rings = match shared.pages.iter().any(busy) {
            true if !self.settings.second_incoming_rings => vec![], // whoever talks is busy, on whichever page
            _ => shared.pages.iter().rev().filter(|page| !busy(page)).take(MAX_RINGING).copied().collect(),
        };
        if self.stopping {
            return self.refuse(incoming, StatusCode::SERVICE_UNAVAILABLE);
        }
        if rings.is_empty() {
            let code = match shared.pages.is_empty() {
                true => StatusCode::TEMPORARILY_UNAVAILABLE, // its page may be on its way back
                false => StatusCode::BUSY_HERE,
            };
            return self.refuse(incoming, code);
        }
        let pages = rings.into_iter().filter_map(|id| Some((id, self.book.session(id)?.session.clone())));
        let pages = pages.collect();
        let mut view = incoming::view_of(&incoming.request, CallId::random(), &shared.account.login);
        let ours = &self.settings.media.video;
        let page_video = incoming::video_for_page(&incoming.request, &ours.page());
        view.has_video = !page_video.is_empty();
        let invite_headers = incoming::shown_headers(&incoming.request);
        let way = shared.way().ok();
        let dialog = DialogOrder::Incoming(Box::new(IncomingInvite {
            key: incoming.key,
            request: incoming.request,
            hop: incoming.hop,
            way,
            contact_user: shared.contact.clone(),
            codecs: self.settings.media.audio_codecs.clone(),
            video: if view.has_video { ours.sip.clone() } else { vec![] },
            telephone_events: self.settings.media.telephone_events,
        }));
        let (page_side, offer) = (Side::Callee, None);
        let parties = Parties {
            direction: "incoming",
            view,
            page_side,
            invite_headers,
            pages,
            offer,
            dialog,
            page_video,
            activity: ActivityWish::default(),
            stand_in: StandInWish::default(),
        };
        self.connect(parties, ctx);
    }

    /// The legs of a page's calls.
    fn calls_of(&self, page: SessionId) -> impl Iterator<Item = &Recipient<PageWord>> {
        self.book.calls().filter_map(move |wired| wired.leg_of(page))
    }

    fn refuse(&self, incoming: IncomingRequest, code: StatusCode) {
        let mut response = incoming.request.stateless_response(code);
        if code == StatusCode::SESSION_INTERVAL_TOO_SMALL {
            SessionTimer::say_min_se(&mut response);
        }
        self.sip.endpoint.do_send(Respond { key: incoming.key, response });
    }

    /// Wires one call: the call, then its legs, then the start. All on one lane.
    fn connect(&mut self, parties: Parties, ctx: &mut Context<Self>) {
        let Parties {
            direction,
            view,
            page_side,
            invite_headers,
            pages,
            offer,
            dialog,
            page_video,
            activity,
            stand_in,
        } = parties;
        let lane = self.lanes.pick();
        let order = CallOrder {
            call_id: view.call_id.clone(),
            direction,
            no_answer: self.settings.no_answer,
            max_duration: self.settings.max_duration,
            encoding: self.settings.media.encoding.clone(),
            video: self.settings.media.video.encoding.clone(),
            codec_lane: self.lanes.codec_lane(),
            activity: self.settings.activity.with(&activity),
            stand_in: self.settings.media.video.stand_in.clone().with(&stand_in),
            sounds: self.sounds.clone(),
            owner: ctx.address().downgrade().recipient(),
            meters: self.sip.meters.clone(),
        };
        let call = Call::start_in_arbiter(lane.arbiter(), move |_| Call::new(order));
        let reports: WeakRecipient<LegReport> = call.downgrade().recipient();

        let order = |branch, page: &Addr<Session>| BrowserOrder {
            side: page_side,
            branch,
            view: view.clone(),
            invite_headers: invite_headers.clone(),
            offer: offer.clone(),
            call: reports.clone(),
            page: page.downgrade().recipient(),
            lane: lane.socket().clone(),
            sender: lane.sender().clone(),
            peer: PeerConfig {
                local: lane.addresses().to_vec(),
                certificate: self.certificate.clone(),
                audio: self.settings.media.browser_codecs(),
                video: page_video.clone(),
                stands_in: false,
            },
            answer_at_once: self.settings.media.answer_audio == AnswerTiming::AtOnce,
            answer_video_at_once: self.settings.media.video.answer == AnswerTiming::AtOnce,
            sounds: self.sounds.clone(),
            meters: self.sip.meters.clone(),
        };
        let (mut browsers, mut at_page) = (vec![], vec![]);
        for (branch, (id, session)) in pages.into_iter().enumerate() {
            let order = order(branch, &session);
            let browser = BrowserLeg::start_in_arbiter(lane.arbiter(), move |_| BrowserLeg::new(order));
            let words = browser.clone().recipient();
            session.do_send(CallJoined { call_id: view.call_id.clone(), leg: words.clone() });
            at_page.push((id, words));
            browsers.push(Leg { commands: browser.clone().recipient(), packets: browser.recipient() });
        }

        let place = Place::first(page_side.other(), view.call_id.clone(), reports.clone());
        let sip = self.sip.clone();
        let dialog = Dialog::start_in_arbiter(lane.arbiter(), move |_| Dialog::new(dialog, place, sip));
        let dialog = Leg { commands: dialog.clone().recipient(), packets: dialog.recipient() };
        let begin = match page_side {
            Side::Caller => browsers.pop().map(|page| Begin { caller: page, callees: vec![dialog] }),
            Side::Callee => Some(Begin { caller: dialog, callees: browsers }),
        };
        if let Some(begin) = begin {
            call.do_send(begin);
        }
        self.book.add_call(view.call_id, Wired { call, page_side, pages: at_page });
    }

    fn find_call(&self, id: &CallId) -> Option<FoundCall> {
        let Wired { call, page_side, pages } = self.book.call(id)?;
        let pages: Vec<_> = pages.iter().map(|(page, _)| *page).collect();
        let session = pages.iter().find_map(|page| self.book.session(*page));
        let account = session.and_then(|entry| entry.account.clone());
        Some(FoundCall { call: call.clone(), page_side: *page_side, account, pages })
    }

    fn shut_down(&mut self) {
        self.stopping = true;
        for call in self.book.calls() {
            call.call.do_send(HangUp(EndReason::new(None, Cause::Shutdown)));
        }
        for entry in self.book.sessions() {
            entry.session.do_send(Close);
        }
        self.unregister_all();
    }
}

/// What a page asked for cannot be sent.
fn bad_request(error: impl Into<FieldError>) -> EndReason {
    EndReason::new(None, Cause::BadRequest).with_detail(error.into().to_string())
}

impl Actor for Switchboard {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<OpenSession> for Switchboard {
    type Result = Result<OpenedSession, OpenError>;
    fn handle(&mut self, order: OpenSession, ctx: &mut Self::Context) -> Self::Result {
        self.open(order, ctx)
    }
}

impl Handler<SessionEvent> for Switchboard {
    type Result = ();
    fn handle(&mut self, event: SessionEvent, ctx: &mut Self::Context) {
        match event {
            SessionEvent::CallWanted(id, call) => self.place(id, call, ctx),
            SessionEvent::TextWanted(id, text) => self.send_text(id, text),
            SessionEvent::Closed(id) => {
                info!(session = %id, "session closed");
                // Its legs were told, but not those of a call that was being wired meanwhile.
                self.calls_of(id).for_each(|leg| leg.do_send(PageWord::Gone));
                if let Some(entry) = self.book.remove_session(id) {
                    self.leave_account(&entry.contact, id);
                }
            }
        }
    }
}

impl Handler<IncomingRequest> for Switchboard {
    type Result = ();
    fn handle(&mut self, incoming: IncomingRequest, ctx: &mut Self::Context) {
        match incoming.request.method {
            Method::Message => self.text_came(&incoming),
            Method::Notify => self.mail_came(&incoming),
            _ => self.incoming(incoming, ctx),
        }
    }
}

impl Handler<FindCall> for Switchboard {
    type Result = MessageResult<FindCall>;
    fn handle(&mut self, FindCall(id): FindCall, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.find_call(&id))
    }
}

impl Handler<CallEnded> for Switchboard {
    type Result = ();
    fn handle(&mut self, CallEnded(record): CallEnded, _: &mut Self::Context) {
        self.book.remove_call(&record.call_id);
        (self.recorder)(&record);
    }
}

impl Handler<Shutdown> for Switchboard {
    type Result = ();
    fn handle(&mut self, Shutdown: Shutdown, _: &mut Self::Context) {
        self.shut_down();
    }
}
