//! Plays the switchboard for one page: wires calls as it does, and keeps what must be gone at the end.
use std::rc::Rc;
use std::time::Duration;

use actix::{Actor, Addr, AsyncContext, Context, Handler, Message, WeakAddr};
use actors::browser::PageWord;
use actors::browser::state::State;
use actors::call::{Begin, Call, CallEnded, CallOrder, HangUp};
use actors::dialog::{Dialog, DialogOrder, IncomingInvite, OutgoingInvite, Place, SipSide};
use actors::leg::Leg;
use actors::page::{CallView, ToPage};
use actors::session::{CallJoined, Session, SessionEvent};
use actors::sip::{IncomingRequest, Respond};
use actors::vocabulary::{Account, ActivityLimits, Additions, CallId, Cause, CodecId, EndReason, Side};
use sip::message::{SipUri, StatusCode};

use super::page::{PageLeg, Path};
use super::story::Story;

/// What the board knows of its page's only call at a time.
pub struct Board {
    pub sip: SipSide,
    pub account: Account,
    pub path: Path,
    pub no_answer: Duration,
    pub max_duration: Duration,
    pub activity: ActivityLimits,
    pub story: Rc<Story>,
    pub session: WeakAddr<Session>,
    pub call: Option<Addr<Call>>,
    pub wired: Rc<std::cell::RefCell<Wired>>,
}

/// The actors of the calls, to see whether they are gone.
#[derive(Default)]
pub struct Wired {
    pub calls: Vec<WeakAddr<Call>>,
    pub pages: Vec<WeakAddr<PageLeg>>,
    pub dialogs: Vec<WeakAddr<Dialog>>,
}

impl Wired {
    /// What still lives.
    pub fn left(&self) -> Vec<&'static str> {
        fn lives<A: Actor<Context = Context<A>>>(actors: &[WeakAddr<A>]) -> bool {
            actors.iter().any(|actor| actor.upgrade().is_some_and(|actor| actor.connected()))
        }
        let left = [
            ("call", lives(&self.calls)),
            ("page leg", lives(&self.pages)),
            ("dialog", lives(&self.dialogs)),
        ];
        left.into_iter().filter(|(_, lives)| *lives).map(|(name, _)| name).collect()
    }
}

/// Ends the call from above.
#[derive(Message)]
#[rtype(result = "()")]
pub struct ShutDown;

impl Board {
    fn wire(&mut self, view: CallView, side: Side, dialog: DialogOrder, ctx: &mut Context<Self>) {
        let Some(session) = self.session.upgrade() else { return };
        let meters = self.sip.meters.clone();
        let call = Call::new(CallOrder {
            call_id: view.call_id.clone(),
            direction: if side == Side::Caller { "outgoing" } else { "incoming" },
            no_answer: self.no_answer,
            max_duration: Some(self.max_duration),
            encoding: Default::default(),
            video: Default::default(),
            codec_lane: actix::Arbiter::current(),
            activity: self.activity,
            stand_in: Default::default(),
            sounds: Default::default(),
            owner: ctx.address().downgrade().recipient(),
            meters: meters.clone(),
        })
        .start();
        let reports: actix::WeakRecipient<_> = call.downgrade().recipient();
        let page = PageLeg {
            side,
            view: view.clone(),
            call: reports.clone(),
            page: session.downgrade().recipient::<ToPage>(),
            path: self.path,
            story: self.story.clone(),
            state: if side == Side::Caller { State::Offered } else { State::Idle },
            sink: None,
            signs: 0,
            _alive: meters.alive("browser"),
        }
        .start();
        let place = Place::first(side.other(), view.call_id.clone(), reports);
        let dialog = Dialog::new(dialog, place, self.sip.clone()).start();
        session.do_send(CallJoined { call_id: view.call_id, leg: page.clone().recipient::<PageWord>() });
        let mut wired = self.wired.borrow_mut();
        wired.calls.push(call.downgrade());
        wired.pages.push(page.downgrade());
        wired.dialogs.push(dialog.downgrade());
        let page = Leg { commands: page.clone().recipient(), packets: page.recipient() };
        let dialog = Leg { commands: dialog.clone().recipient(), packets: dialog.recipient() };
        call.do_send(match side {
            Side::Caller => Begin { caller: page, callees: vec![dialog] },
            Side::Callee => Begin { caller: dialog, callees: vec![page] },
        });
        self.call = Some(call);
    }
}

impl Actor for Board {
    type Context = Context<Self>;
}

impl Handler<SessionEvent> for Board {
    type Result = ();
    fn handle(&mut self, event: SessionEvent, ctx: &mut Self::Context) {
        match event {
            SessionEvent::CallWanted(_, wanted) => {
                let at = format!("127.0.0.1:{}", self.account.port.unwrap());
                let target: sip::message::Uri = format!("sip:phone@{at}").parse().unwrap();
                let order = OutgoingInvite {
                    next_hop: target.as_sip().unwrap().clone(),
                    target,
                    route: vec![],
                    from: SipUri::new("127.0.0.1".parse().unwrap()).with_user("1001").unwrap(),
                    display_name: None,
                    account: Some(self.account.clone()),
                    realm: None,
                    contact_user: "c1".into(),
                    additions: Additions::default(),
                    codecs: vec![CodecId::Pcmu],
                    video: vec![],
                    telephone_events: true,
                    headers: vec![],
                };
                let view = CallView::outgoing(&wanted, "1001");
                self.wire(view, Side::Caller, DialogOrder::Outgoing(Box::new(order)), ctx);
            }
            SessionEvent::Closed(_) => {
                if let Some(call) = &self.call {
                    call.do_send(HangUp(EndReason::new(None, Cause::SessionClosed)));
                }
            }
            SessionEvent::TextWanted(..) => {}
        }
    }
}

impl Handler<IncomingRequest> for Board {
    type Result = ();
    fn handle(&mut self, incoming: IncomingRequest, ctx: &mut Self::Context) {
        if self.session.upgrade().is_none() {
            let response = incoming.request.stateless_response(StatusCode::NOT_FOUND);
            return self.sip.endpoint.do_send(Respond { key: incoming.key, response });
        }
        let view = CallView { incoming: true, ..CallView::unknown(CallId::random()) };
        let order = IncomingInvite {
            key: incoming.key,
            request: incoming.request,
            hop: incoming.hop,
            way: None,
            contact_user: "c1".into(),
            codecs: vec![CodecId::Pcmu],
            video: vec![],
            telephone_events: true,
        };
        self.wire(view, Side::Callee, DialogOrder::Incoming(Box::new(order)), ctx);
    }
}

impl Handler<CallEnded> for Board {
    type Result = ();
    fn handle(&mut self, CallEnded(record): CallEnded, _: &mut Self::Context) {
        self.story.heard(&format!("the call ended: {}", record.reason));
        self.call = None;
    }
}

impl Handler<ShutDown> for Board {
    type Result = ();
    fn handle(&mut self, ShutDown: ShutDown, _: &mut Self::Context) {
        if let Some(call) = &self.call {
            self.story.acted("shutdown");
            call.do_send(HangUp(EndReason::new(None, Cause::Shutdown)));
        }
    }
}
