//! A page's session: its account and its calls, as long as its socket lives.
//!
//! The shell between the page and its browser legs. It decides little: which leg a word of the page is for,
//! and that a page which does not read is gone.
use std::collections::HashMap;
use std::time::Duration;

use actix::dev::SendError;
use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, Recipient, WeakRecipient};
use tokio::sync::mpsc;
use tracing::info;

use crate::browser::PageWord;
use crate::courier::{CourierEvent, Outcome};
use crate::page::{CallStatus, CallView, FromPage, PlaceCall, SendText, Text, TextStatus, ToPage};
use crate::registration::RegistrationEvent;
use crate::vocabulary::{
    Account, Alive, CallId, Cause, EndReason, FieldError, HeaderRules, Meters, SessionId,
};

/// What a session tells its switchboard.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum SessionEvent {
    /// The page wants to call.
    CallWanted(SessionId, PlaceCall),
    /// The page sends a text message.
    TextWanted(SessionId, SendText),
    /// The session is over.
    Closed(SessionId),
}

/// Hands a browser leg of a new call to its session.
#[derive(Message)]
#[rtype(result = "()")]
pub struct CallJoined {
    /// The call.
    pub call_id: CallId,
    /// Takes what the page says about it.
    pub leg: Recipient<PageWord>,
}

/// Ends a session from above, after the calls that are being ended: Tandem is stopping.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Close;

/// What a session is told at birth.
pub struct SessionOrder {
    /// Its id.
    pub id: SessionId,
    /// The page's account; none for a page without SIP.
    pub account: Option<Account>,
    /// To the page's socket.
    pub page: mpsc::Sender<ToPage>,
    /// Header fields that the page may add.
    pub page_headers: HeaderRules,
    /// The switchboard.
    pub owner: WeakRecipient<SessionEvent>,
    /// Where it counts.
    pub meters: Meters,
}

/// The actor.
pub struct Session {
    order: SessionOrder,
    calls: HashMap<CallId, Line>,
    /// Text messages of the page on their way, by the page's name for them.
    texts: HashMap<String, Text>,
    told_registered: bool,
    /// Told to close; waits for the last words about its calls.
    closing: bool,
    _alive: Alive,
}

/// A call as its session holds it.
enum Line {
    /// The switchboard is wiring it. True: the page has hung up meanwhile.
    Wanted(bool),
    /// Takes the page's words. Strong, so that its mailbox can refuse a page that floods it.
    Joined(Recipient<PageWord>),
    /// The page has hung up; its leg says the rest.
    HungUp,
}

/// Calls of one page at a time; a person has a handful, a script that asks for more is broken.
pub const MAX_CALLS: usize = 32;

/// How long the page may wait for the ends of its calls when Tandem stops; they take a few messages between actors.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Text messages of one page on their way at a time; each may take half a minute.
const MAX_TEXTS: usize = 16;

/// A page's words wait here while the session works: more than a page can say in one breath.
const MAILBOX: usize = 64;

impl Session {
    /// A session without calls.
    pub fn new(order: SessionOrder) -> Self {
        order.meters.ws_sessions_active.inc();
        let alive = order.meters.alive("session");
        Self {
            order,
            calls: HashMap::new(),
            texts: HashMap::new(),
            told_registered: false,
            closing: false,
            _alive: alive,
        }
    }

    /// Tells the page. A page that lets its queue fill up is gone or asleep: the session ends.
    fn tell(&mut self, word: ToPage, ctx: &mut Context<Self>) {
        if self.order.page.try_send(word).is_err() {
            info!(session = %self.order.id, "the page does not read");
            self.close(ctx);
        }
    }

    fn place_call(&mut self, call: PlaceCall, ctx: &mut Context<Self>) {
        let login = self.order.account.as_ref().map_or("", |account| &account.login);
        let view = CallView::outgoing(&call, login);
        if self.calls.contains_key(&call.call_id) {
            let info = "callId: in use".to_owned(); // the first call goes on
            return self.tell(ToPage::Refused { call_id: call.call_id, info }, ctx);
        }
        if self.calls.len() >= MAX_CALLS {
            let why = EndReason::new(None, Cause::Overload).with_detail("too many calls in one session");
            return self.tell(ToPage::CallStatus(view, CallStatus::Failed(why)), ctx);
        }
        if let Err(error) = self.order.page_headers.check(&call.additions) {
            let (call_id, info) = (call.call_id, error.to_string());
            let why = EndReason::new(None, Cause::BadRequest).with_detail(&*info);
            self.tell(ToPage::Refused { call_id, info }, ctx);
            return self.tell(ToPage::CallStatus(view, CallStatus::Failed(why)), ctx);
        }
        // At once, before any SIP: a page that hangs up without having seen TRYING tells nobody.
        self.calls.insert(call.call_id.clone(), Line::Wanted(false));
        self.tell(ToPage::CallStatus(view, CallStatus::Trying), ctx);
        if let Some(owner) = self.order.owner.upgrade() {
            owner.do_send(SessionEvent::CallWanted(self.order.id, call));
        }
    }

    /// Passes a word of the page to the call's leg. The page may name calls that are over, or never were:
    /// then its `hangup` still wants its `finish`.
    fn pass(&mut self, call_id: CallId, word: PageWord, ctx: &mut Context<Self>) {
        match (self.calls.get_mut(&call_id), word) {
            (Some(line @ Line::Joined(_)), PageWord::HangUp) => {
                if let Line::Joined(leg) = std::mem::replace(line, Line::HungUp) {
                    leg.do_send(PageWord::HangUp); // the one word that is never refused, and never said twice
                }
            }
            (Some(Line::Joined(leg)), word) => {
                if let Err(SendError::Full(_)) = leg.try_send(word) {
                    self.order.meters.dropped("page_word").inc();
                }
            }
            (Some(Line::Wanted(hung_up)), PageWord::HangUp) => *hung_up = true,
            (Some(_), _) => {}
            (None, PageWord::HangUp) => {
                let why = EndReason::new(None, Cause::HangUp).with_detail("no such call");
                self.tell(ToPage::CallStatus(CallView::unknown(call_id), CallStatus::Finish(why)), ctx);
            }
            (None, _) => {}
        }
    }

    /// Passes a transfer to the call's leg, if its target is somebody that can be called.
    fn transfer(&mut self, call_id: CallId, target: &str, ctx: &mut Context<Self>) {
        let account = self.order.account.as_ref();
        let to = account
            .ok_or_else(|| FieldError::new("sipLogin", "this session has no SIP account"))
            .and_then(|account| account.address_named("target", target));
        match to {
            Ok(to) => self.pass(call_id, PageWord::Transfer(to), ctx),
            Err(error) => self.tell(ToPage::BadTransfer { call_id, info: error.to_string() }, ctx),
        }
    }

    fn send_text(&mut self, send: SendText, ctx: &mut Context<Self>) {
        let login = self.order.account.as_ref().map_or("", |account| &account.login);
        let SendText { id, to, visible_name, body } = send.clone();
        let text = Text { id, from: login.to_owned(), to, visible_name, body };
        let problem = match (self.texts.contains_key(&text.id), self.texts.len() >= MAX_TEXTS) {
            (true, _) => "id: in use",
            (false, true) => "too many messages at once",
            (false, false) => {
                self.texts.insert(text.id.clone(), text);
                if let Some(owner) = self.order.owner.upgrade() {
                    owner.do_send(SessionEvent::TextWanted(self.order.id, send));
                }
                return;
            }
        };
        let status = TextStatus::Failed { info: problem.to_owned(), sip_status: None };
        self.tell(ToPage::Text(text, status), ctx);
    }

    fn close(&mut self, ctx: &mut Context<Self>) {
        for (_, line) in self.calls.drain() {
            // Calls that are still being wired are ended by the switchboard, when it hears that the session is over.
            if let Line::Joined(leg) = line {
                leg.do_send(PageWord::Gone);
            }
        }
        ctx.stop();
    }
}

impl Actor for Session {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.order.meters.ws_sessions_active.dec();
        if let Some(owner) = self.order.owner.upgrade() {
            owner.do_send(SessionEvent::Closed(self.order.id));
        }
    }
}

impl Handler<FromPage> for Session {
    type Result = ();
    fn handle(&mut self, ask: FromPage, ctx: &mut Self::Context) {
        match ask {
            FromPage::Call(call) => self.place_call(call, ctx),
            FromPage::Answer { call_id, sdp, additions } => match self.order.page_headers.check(&additions) {
                Ok(()) => self.pass(call_id, PageWord::Answer(sdp, additions), ctx),
                Err(error) => self.tell(ToPage::Refused { call_id, info: error.to_string() }, ctx),
            },
            FromPage::HangUp(call_id) => self.pass(call_id, PageWord::HangUp, ctx),
            FromPage::Hold(call_id) => self.pass(call_id, PageWord::Hold, ctx),
            FromPage::Unhold(call_id) => self.pass(call_id, PageWord::Unhold, ctx),
            FromPage::Transfer { call_id, target } => self.transfer(call_id, &target, ctx),
            FromPage::SendDigits(call_id, digits) => self.pass(call_id, PageWord::Dial(digits), ctx),
            FromPage::SendText(text) => self.send_text(text, ctx),
            FromPage::Gone => self.close(ctx),
        }
    }
}

impl Handler<CallJoined> for Session {
    type Result = ();
    fn handle(&mut self, CallJoined { call_id, leg }: CallJoined, _: &mut Self::Context) {
        let line = match self.calls.get(&call_id) {
            Some(Line::Wanted(true)) => {
                leg.do_send(PageWord::HangUp);
                Line::HungUp
            }
            _ => Line::Joined(leg),
        };
        self.calls.insert(call_id, line);
    }
}

impl Handler<ToPage> for Session {
    type Result = ();
    fn handle(&mut self, word: ToPage, ctx: &mut Self::Context) {
        if let ToPage::CallStatus(view, CallStatus::Finish(_) | CallStatus::Failed(_)) = &word {
            self.calls.remove(&view.call_id);
        }
        self.tell(word, ctx);
        if self.closing && self.calls.is_empty() {
            self.close(ctx);
        }
    }
}

impl Handler<RegistrationEvent> for Session {
    type Result = ();
    fn handle(&mut self, event: RegistrationEvent, ctx: &mut Self::Context) {
        match event {
            RegistrationEvent::Registered if self.told_registered => {} // news only: pages re-arm on it
            RegistrationEvent::Registered => {
                self.told_registered = true;
                self.tell(ToPage::Registered, ctx);
            }
            RegistrationEvent::Failed { info, sip_status, last } => {
                self.told_registered = false;
                self.tell(ToPage::RegistrationFailed { info, sip_status, last }, ctx);
            }
            RegistrationEvent::ServiceRoute(_)
            | RegistrationEvent::Realm(_)
            | RegistrationEvent::Unregistering
            | RegistrationEvent::Over => {}
        }
    }
}

impl Handler<CourierEvent> for Session {
    type Result = ();
    fn handle(&mut self, CourierEvent { id, outcome }: CourierEvent, ctx: &mut Self::Context) {
        let status = match outcome {
            Outcome::Sent => TextStatus::Sent,
            Outcome::Accepted => TextStatus::Accepted,
            Outcome::Failed { info, sip_status } => TextStatus::Failed { info, sip_status },
        };
        let last = status != TextStatus::Sent;
        let text = if last { self.texts.remove(&id) } else { self.texts.get(&id).cloned() };
        if let Some(text) = text {
            self.tell(ToPage::Text(text, status), ctx);
        }
    }
}

impl Handler<Close> for Session {
    type Result = ();
    fn handle(&mut self, Close: Close, ctx: &mut Self::Context) {
        if self.calls.is_empty() {
            return self.close(ctx);
        }
        self.closing = true;
        ctx.run_later(LAST_WORDS, Self::close);
    }
}
