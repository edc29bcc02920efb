//! A SIP dialog as a leg of a call: the SIP side's signalling and its RTP.
//!
//! The shell. `state` decides, `signalling` reads and writes SIP, `media` handles packets and `sound` joins it to the call; this file turns
//! messages into events and carries actions out. Requests inside the dialog go where its route set says, which may need a look-up:
//! until that is done they wait in order in the outbox.
mod inbound;
mod info;
mod media;
mod messages;
mod outbound;
mod pictures;
mod prack;
mod reasons;
mod refresh;
mod replaced;
mod signalling;
mod sound;
mod stand_in;
mod state;
mod transferee;
mod transferor;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, SpawnHandle, WeakRecipient};
use sip::dialog::{AckWait, PrackWait};
use sip::message::{HeaderName, Method, Reason, StatusCode, Uri};
use sip::transaction::ServerKey;
use sip::transport::Flow;
use tracing::debug;

use crate::leg::{LegCommand, LegEvent, LegReport};
use crate::sip::{CancelRequest, DialogKey, Hop, LeaveDialog, RequestId, Respond, SipEvent};
use crate::vocabulary::{Alive, CallId, Cause, EndReason, LegKind, Measured, Side, Sink};
use info::InfoDigits;
use media::{RtpSession, next_report};
use messages::Home;
pub use messages::{DialogOrder, IncomingInvite, OutgoingInvite, Place, SipSide};
use outbound::{Outbound, Purpose};
use pictures::Pictures;
use signalling::Signalling;
use state::{Action, Change, Event, State};
use transferee::Transferee;
use transferor::Transferor;

/// The actor.
pub struct Dialog {
    branch: usize,
    far: Side,
    call_id: CallId,
    call: WeakRecipient<LegReport>,
    transfers: u8,
    home: Home,
    sip: SipSide,
    state: State,
    /// How the dialog begins; taken when it does.
    order: Option<DialogOrder>,
    signalling: Option<Signalling>,
    /// The first next hop, for [`Action::Locate`].
    first_hop: Option<Uri>,
    hops: Vec<Hop>,
    hop: usize,
    /// Where requests inside the dialog go, once looked up.
    route: Option<(Uri, Hop)>,
    /// The connection by which the far side's INVITE came.
    came_by: Option<Flow>,
    locating: bool,
    outbox: VecDeque<Outbound>,
    waiting: Vec<(RequestId, Purpose)>,
    invite_key: Option<ServerKey>,
    /// Our SDP for the 200, made before the answer is decided.
    description: Option<String>,
    ack_wait: Option<(ServerKey, AckWait)>,
    /// Whether that ACK owes us the answer to the offer in our 200.
    ack_answers: bool,
    key: Option<DialogKey>,
    media: Option<RtpSession>,
    pictures: Pictures,
    /// How its sound fared, as of the last look.
    measured: Measured,
    listening: Option<SpawnHandle>,
    sink: Option<Sink>,
    ack_timer: Option<SpawnHandle>,
    digit_timer: Option<SpawnHandle>,
    silence_timer: Option<SpawnHandle>,
    info: InfoDigits,
    transferor: Transferor,
    transferee: Transferee,
    transfer_timer: Option<SpawnHandle>,
    /// Our reliable 180.
    prack_wait: Option<(ServerKey, PrackWait)>,
    session_timer: Option<SpawnHandle>,
    /// What our BYE or CANCEL says about its cause (RFC 3326), where the far side could not guess it.
    our_reason: Option<Reason>,
    /// What theirs said.
    their_reason: Option<String>,
    /// Keeps the mailbox open for the answer to a BYE or CANCEL when the call has let go: actix shuts it with the last address.
    own_address: Option<Addr<Self>>,
    _alive: Alive,
}

/// T1, T2 and 64·T1 (RFC 3261 §17.1.1.1).
const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
const LIMIT: Duration = Duration::from_secs(32);

/// Packets and events that wait for their turn: over a second of sound.
const MAILBOX: usize = 64;

/// The same where pictures pass: a key frame of 300 KB comes all at once.
const VIDEO_MAILBOX: usize = 256;

impl Dialog {
    /// A dialog that has not begun.
    pub fn new(order: DialogOrder, place: Place, sip: SipSide) -> Self {
        let state = match &order {
            DialogOrder::Outgoing(_) => State::Idle,
            DialogOrder::Incoming(_) => State::Invited,
        };
        let Place { branch, far, call_id, call, transfers } = place;
        Self {
            branch,
            far,
            call_id,
            call,
            transfers,
            home: Home::of(&order),
            _alive: sip.meters.alive("dialog"),
            sip,
            state,
            order: Some(order),
            signalling: None,
            first_hop: None,
            hops: vec![],
            hop: 0,
            route: None,
            came_by: None,
            locating: false,
            outbox: VecDeque::new(),
            waiting: vec![],
            invite_key: None,
            description: None,
            ack_wait: None,
            ack_answers: false,
            key: None,
            media: None,
            pictures: Pictures::default(),
            measured: Measured::nothing(LegKind::Sip),
            listening: None,
            sink: None,
            ack_timer: None,
            digit_timer: None,
            silence_timer: None,
            info: InfoDigits::default(),
            transferor: Transferor::default(),
            transferee: Transferee::default(),
            transfer_timer: None,
            prack_wait: None,
            session_timer: None,
            our_reason: None,
            their_reason: None,
            own_address: None,
        }
    }

    fn step(&mut self, event: Event, ctx: &mut Context<Self>) {
        let (before, what) = (self.state, format!("{event:?}"));
        if let Some(why) = event.ends_for() {
            self.our_reason = self.our_reason.take().or_else(|| reasons::ours(why));
        }
        for action in self.state.on(event, self.far) {
            self.perform(action, ctx);
        }
        if self.state != before {
            debug!(call_id = %self.call_id, event = what, state = ?self.state, "dialog");
        }
    }

    fn perform(&mut self, action: Action, ctx: &mut Context<Self>) {
        match action {
            Action::Locate => self.locate_first(ctx),
            Action::Invite => self.send_invite(ctx),
            Action::Reinvite(change) => self.send_reinvite(change, ctx),
            Action::Refresh => self.send_refresh(ctx),
            Action::Ack => {
                if let Some(ack) = self.signalling.as_mut().and_then(Signalling::ack) {
                    self.send_inside(Outbound::Ack(ack), ctx);
                }
            }
            Action::Cancel => {
                let invite = self.waiting.iter().find(|(_, purpose)| *purpose == Purpose::Invite);
                if let Some((id, _)) = invite {
                    let (id, reason) = (*id, self.our_reason.clone());
                    self.sip.endpoint.do_send(CancelRequest { id, reason });
                }
            }
            Action::Respond180 => self.ring(ctx),
            Action::Respond200 => self.accept_invite(ctx),
            Action::Refuse(why) => {
                let code =
                    StatusCode::try_from(why.as_sip_code()).unwrap_or(StatusCode::SERVER_INTERNAL_ERROR);
                self.respond_to_invite(code);
            }
            Action::Bye => {
                self.end_media(ctx);
                if let Some(dialog) = self.signalling.as_mut().and_then(Signalling::dialog) {
                    let mut bye = dialog.request(Method::Bye);
                    if let Some(reason) = self.our_reason.clone() {
                        bye.headers.push(HeaderName::Reason, reason);
                    }
                    self.send_inside(Outbound::Request(Purpose::Bye, bye), ctx);
                }
            }
            Action::StartLimit => {
                ctx.run_later(LIMIT, |dialog, ctx| dialog.step(Event::LimitOver, ctx));
            }
            Action::StartGlareWait => {
                ctx.run_later(self.glare_wait(), |dialog, ctx| dialog.step(Event::GlareOver, ctx));
            }
            Action::Report(event) => self.report(self.transferor.explained(event)),
            Action::Finish => self.finish(ctx),
        }
    }

    fn report(&mut self, event: LegEvent) {
        if let LegEvent::Ended(_) = event {
            self.measure(); // nobody can ask any more
        }
        let event = match event {
            LegEvent::Ended(why) if why.detail.is_none() => {
                LegEvent::Ended(EndReason { detail: self.their_reason.take(), ..why })
            }
            event => event,
        };
        if let Some(call) = self.call.upgrade() {
            call.do_send(LegReport { side: self.far, branch: self.branch, event });
        }
    }

    /// The owner of the Call-ID waits 2.1 to 4 s, the other up to 2 s, so that they do not collide again (RFC 3261 §14.1).
    fn glare_wait(&self) -> Duration {
        let random = u64::from(getrandom::u32().unwrap_or(0)) % 1900;
        let owns_call_id = self.first_hop.is_some();
        Duration::from_millis(if owns_call_id { 2100 + random } else { random })
    }

    fn every_few_seconds(&mut self, ctx: &mut Context<Self>) {
        if let Some(media) = &mut self.media {
            media.report(now());
        }
        if let Some(session) = &mut self.pictures.session {
            session.report(now());
        }
        ctx.run_later(next_report(), Self::every_few_seconds);
        if self.call.upgrade().is_some() {
            return;
        }
        if self.state == State::Over {
            self.let_go(ctx); // nobody says any more how a transfer ends
        } else if !matches!(self.state, State::Leaving | State::Cancelling) {
            // The call is gone and did not say goodbye: it fell.
            self.step(Event::HangUp(EndReason::new(None, Cause::Internal)), ctx);
        }
    }

    /// The dialog is over; who asked for a transfer may still have to hear how it ends.
    fn finish(&mut self, ctx: &mut Context<Self>) {
        self.abandon_reinvite();
        self.end_media(ctx);
        if !self.transferee.is_open() {
            self.let_go(ctx);
        }
    }

    fn let_go(&mut self, ctx: &mut Context<Self>) {
        if let Some(key) = self.key.take() {
            self.sip.endpoint.do_send(LeaveDialog(key));
        }
        self.own_address = None;
        ctx.stop();
    }

    fn command(&mut self, command: LegCommand, ctx: &mut Context<Self>) {
        match command {
            LegCommand::Dial => self.step(Event::Dial, ctx),
            LegCommand::Ring | LegCommand::RingMedia => self.step(Event::Ring, ctx),
            LegCommand::Agree(format) => {
                self.other_leg_agreed(&format, ctx);
                if let Some(signalling) = &mut self.signalling {
                    signalling.prefer(format);
                }
            }
            LegCommand::Add(additions) => {
                if let Some(signalling) = &mut self.signalling {
                    signalling.add(additions);
                }
            }
            LegCommand::Answer => self.answer(ctx),
            LegCommand::Plug(sink) => self.sink = sink,
            LegCommand::PlugVideo(sink) => self.plug_video(sink, ctx),
            LegCommand::AskKeyFrame => self.ask_key_frame(ctx),
            LegCommand::StandIn(delay) => self.stand_in_after(delay, ctx),
            LegCommand::LimitVideo(bits) => self.limit_video(bits),
            LegCommand::Hold => self.step(Event::Ask(Change::Hold), ctx),
            LegCommand::Resume => self.step(Event::Ask(Change::Resume), ctx),
            LegCommand::Transfer(to) => self.transfer(to, ctx),
            LegCommand::Introduce => self.introduce(),
            LegCommand::Measure => self.measure(),
            LegCommand::Quiet
            | LegCommand::ShowHold(_)
            | LegCommand::ShowRemoteHold(_)
            | LegCommand::ShowSound(_)
            | LegCommand::ShowTransferRefused { .. } => {}
            LegCommand::SendDigits(digits) => self.send_digits(&digits, ctx),
            LegCommand::SuccessorFared(fared) => self.successor_fared(fared, ctx),
            LegCommand::HangUp(why) => self.hang_up(why, ctx),
        }
    }
}

/// The clock that tests can stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl Actor for Dialog {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(if self.home.video.is_empty() { MAILBOX } else { VIDEO_MAILBOX });
        self.own_address = Some(ctx.address());
        ctx.run_later(next_report(), Self::every_few_seconds);
        match self.order.take() {
            Some(DialogOrder::Outgoing(order)) => self.begin_call(order, ctx),
            Some(DialogOrder::Incoming(order)) => self.begin_called(order, ctx),
            None => {}
        }
    }
}

impl Handler<LegCommand> for Dialog {
    type Result = ();
    fn handle(&mut self, command: LegCommand, ctx: &mut Self::Context) {
        self.command(command, ctx);
    }
}

impl Handler<SipEvent> for Dialog {
    type Result = ();
    fn handle(&mut self, event: SipEvent, ctx: &mut Self::Context) {
        match event {
            SipEvent::Response { id, response } => self.answered(id, &response, ctx),
            SipEvent::TimedOut(id) => {
                self.failed(id, EndReason::new(None, Cause::SignallingTimeout), ctx);
            }
            SipEvent::TransportFailed(id) => self.failed(id, EndReason::new(None, Cause::Unreachable), ctx),
            SipEvent::TlsFailed { id, why } => {
                self.failed(id, EndReason::new(None, Cause::Unreachable).with_detail(why), ctx);
            }
            SipEvent::Request { key, request } => self.request(key, &request, ctx),
            SipEvent::Replacing { key, request, hop } => self.replacing(key, request, hop),
            SipEvent::Ack(ack) => self.acknowledged(&ack, ctx),
            SipEvent::Cancelled { cancel, .. } => {
                self.their_reason = cancel.and_then(|cancel| reasons::theirs(&cancel));
                self.step(Event::Cancelled, ctx);
            }
        }
    }
}
