//! A SIP dialog as a leg of a call: the SIP side's signalling and its RTP.
//!
//! The shell. `state` decides, `signalling` reads and writes SIP, `media` handles packets; this file turns messages into
//! events and carries actions out. Requests inside the dialog go where its route set says, which may need a look-up:
//! until that is done they wait in order in the outbox.
mod inbound;
mod media;
mod messages;
mod signalling;
mod state;

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use actix::fut::WrapFuture;
use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, SpawnHandle, StreamHandler,
    WeakRecipient,
};
use sip::auth::SentTo;
use sip::dialog::AckWait;
use sip::message::{Method, Request, StatusCode, Uri};
use sip::sdp::Agreed;
use sip::transaction::ServerKey;
use tracing::{debug, info, warn};

use crate::leg::{LegCommand, LegEvent, LegReport};
use crate::rtp::socket::Port;
use crate::sip::{
    CancelRequest, DialogKey, Hop, JoinDialog, LeaveDialog, Locate, RequestId, SendAck, SendRequest, SipEvent,
};
use crate::udp::Datagram;
use crate::vocabulary::{Alive, AudioFormat, CallId, Cause, EndReason, Packet, Side, Sink};
use media::{RTCP_INTERVAL, RtpSession};
pub use messages::{DialogOrder, IncomingInvite, OutgoingInvite, SipSide};
use signalling::{Heard, Signalling};
use state::{Action, Change, Event, State};

/// The actor.
pub struct Dialog {
    far: Side,
    call_id: CallId,
    call: WeakRecipient<LegReport>,
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
    locating: bool,
    outbox: VecDeque<Outbound>,
    waiting: Vec<(RequestId, Purpose)>,
    invite_key: Option<ServerKey>,
    /// Our SDP for the 200, made before the answer is decided.
    description: Option<String>,
    ack_wait: Option<(ServerKey, AckWait)>,
    key: Option<DialogKey>,
    media: Option<RtpSession>,
    listening: Option<SpawnHandle>,
    sink: Option<Sink>,
    ack_timer: Option<SpawnHandle>,
    digit_timer: Option<SpawnHandle>,
    _alive: Alive,
}

/// A message that goes where the dialog's route set says.
enum Outbound {
    Ack(Request),
    Request(Purpose, Request),
}

/// What a request of ours was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Invite,
    Reinvite,
    Bye,
    /// The BYE of a fork that lost.
    Aside,
}

/// T1, T2 and 64·T1 (RFC 3261 §17.1.1.1).
const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
const LIMIT: Duration = Duration::from_secs(32);

/// Packets and events that wait for their turn: over a second of sound.
const MAILBOX: usize = 64;

/// Messages that wait for a look-up: an ACK, a BYE, a re-INVITE, a fork's ACK and BYE.
const MAX_OUTBOX: usize = 16;

impl Dialog {
    /// A dialog that has not begun. `far`: which end of the call the far end is.
    pub fn new(
        order: DialogOrder,
        far: Side,
        call_id: CallId,
        call: WeakRecipient<LegReport>,
        sip: SipSide,
    ) -> Self {
        let state = match &order {
            DialogOrder::Outgoing(_) => State::Idle,
            DialogOrder::Incoming(_) => State::Invited,
        };
        Self {
            far,
            call_id,
            call,
            _alive: sip.meters.alive("dialog"),
            sip,
            state,
            order: Some(order),
            signalling: None,
            first_hop: None,
            hops: vec![],
            hop: 0,
            route: None,
            locating: false,
            outbox: VecDeque::new(),
            waiting: vec![],
            invite_key: None,
            description: None,
            ack_wait: None,
            key: None,
            media: None,
            listening: None,
            sink: None,
            ack_timer: None,
            digit_timer: None,
        }
    }

    fn step(&mut self, event: Event, ctx: &mut Context<Self>) {
        let (before, what) = (self.state, format!("{event:?}"));
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
            Action::Ack => {
                if let Some(ack) = self.signalling.as_mut().and_then(Signalling::ack) {
                    self.send_inside(Outbound::Ack(ack), ctx);
                }
            }
            Action::Cancel => {
                let invite = self.waiting.iter().find(|(_, purpose)| *purpose == Purpose::Invite);
                if let Some((id, _)) = invite {
                    self.sip.endpoint.do_send(CancelRequest(*id));
                }
            }
            Action::Respond180 => self.respond_to_invite(StatusCode::RINGING),
            Action::Respond200 => self.accept_invite(ctx),
            Action::Refuse(why) => {
                let code =
                    StatusCode::try_from(why.as_sip_code()).unwrap_or(StatusCode::SERVER_INTERNAL_ERROR);
                self.respond_to_invite(code);
            }
            Action::Bye => {
                self.end_media();
                if let Some(dialog) = self.signalling.as_mut().and_then(Signalling::dialog) {
                    let bye = dialog.request(Method::Bye);
                    self.send_inside(Outbound::Request(Purpose::Bye, bye), ctx);
                }
            }
            Action::StartLimit => {
                ctx.run_later(LIMIT, |dialog, ctx| dialog.step(Event::LimitOver, ctx));
            }
            Action::StartGlareWait => {
                ctx.run_later(self.glare_wait(), |dialog, ctx| dialog.step(Event::GlareOver, ctx));
            }
            Action::Report(event) => self.report(event),
            Action::Finish => self.finish(ctx),
        }
    }

    fn report(&self, event: LegEvent) {
        if let Some(call) = self.call.upgrade() {
            call.do_send(LegReport { side: self.far, event });
        }
    }

    /// The owner of the Call-ID waits 2.1 to 4 s, the other up to 2 s, so that they do not collide again (RFC 3261 §14.1).
    fn glare_wait(&self) -> Duration {
        let random = u64::from(getrandom::u32().unwrap_or(0)) % 1900;
        let owns_call_id = self.first_hop.is_some();
        Duration::from_millis(if owns_call_id { 2100 + random } else { random })
    }

    // --- our requests ---

    fn locate_first(&mut self, ctx: &mut Context<Self>) {
        let Some(target) = self.first_hop.clone() else { return };
        let located = self.sip.endpoint.send(Locate { target });
        ctx.spawn(located.into_actor(self).map(|found, dialog, ctx| match found {
            Ok(Ok(hops)) if !hops.is_empty() => {
                let address = hops[0].local_ip;
                dialog.hops = hops;
                match dialog.bind_media(address, ctx) {
                    Ok(()) => dialog.step(Event::Located, ctx),
                    Err(why) => dialog.step(Event::Rejected(why), ctx),
                }
            }
            Ok(Ok(_)) => dialog.step(Event::Rejected(unreachable("no address")), ctx),
            Ok(Err(error)) => dialog.step(Event::Rejected(unreachable(&error.to_string())), ctx),
            Err(_) => dialog.step(Event::Rejected(unreachable("the SIP endpoint is busy")), ctx),
        }));
    }

    fn send_invite(&mut self, ctx: &mut Context<Self>) {
        let (Some(hop), Some(signalling)) = (self.hops.get(self.hop).cloned(), &mut self.signalling) else {
            return;
        };
        match signalling.invite(&hop) {
            Ok(request) => {
                self.join(&request, ctx);
                self.send(Purpose::Invite, request, hop, ctx);
            }
            Err(error) => {
                let why = EndReason::new(None, Cause::BadRequest).with_detail(error.to_string());
                self.step(Event::Rejected(why), ctx);
            }
        }
    }

    fn send_reinvite(&mut self, change: Change, ctx: &mut Context<Self>) {
        match self.signalling.as_mut().and_then(|signalling| signalling.reinvite(change)) {
            Some(request) => self.send_inside(Outbound::Request(Purpose::Reinvite, request), ctx),
            None => self.step(Event::ChangeRefused, ctx),
        }
    }

    fn send(&mut self, purpose: Purpose, request: Request, hop: Hop, ctx: &mut Context<Self>) {
        let id = RequestId::fresh();
        self.waiting.push((id, purpose));
        let owner = ctx.address().downgrade().recipient();
        self.sip.endpoint.do_send(SendRequest { id, request, hop, owner });
    }

    /// Sends where the route set says, after those that wait already.
    fn send_inside(&mut self, message: Outbound, ctx: &mut Context<Self>) {
        if self.outbox.len() < MAX_OUTBOX {
            self.outbox.push_back(message);
        }
        self.flush(ctx);
    }

    fn flush(&mut self, ctx: &mut Context<Self>) {
        if self.locating || self.outbox.is_empty() {
            return;
        }
        let next =
            self.signalling.as_mut().and_then(Signalling::dialog).map(|dialog| dialog.next_hop().clone());
        let Some(target) = next else { return self.outbox.clear() };
        if let Some((known, hop)) = &self.route
            && *known == target
        {
            let hop = hop.clone();
            for message in std::mem::take(&mut self.outbox) {
                match message {
                    Outbound::Ack(request) => {
                        self.sip.endpoint.do_send(SendAck { request, hop: hop.clone() })
                    }
                    Outbound::Request(purpose, request) => self.send(purpose, request, hop.clone(), ctx),
                }
            }
            return;
        }
        self.locating = true;
        let located = self.sip.endpoint.send(Locate { target: target.clone() });
        ctx.spawn(located.into_actor(self).map(|found, dialog, ctx| {
            dialog.locating = false;
            match found {
                Ok(Ok(hops)) if !hops.is_empty() => {
                    dialog.route = hops.into_iter().next().map(|hop| (target, hop));
                    dialog.flush(ctx);
                }
                other => {
                    warn!(call_id = %dialog.call_id, ?other, "the far end's route leads nowhere");
                    dialog.outbox_failed(ctx);
                }
            }
        }));
    }

    fn outbox_failed(&mut self, ctx: &mut Context<Self>) {
        for message in std::mem::take(&mut self.outbox) {
            match message {
                Outbound::Request(Purpose::Bye, _) => self.step(Event::ByeDone, ctx),
                Outbound::Request(Purpose::Reinvite, _) => self.reinvite_failed(unreachable("route"), ctx),
                Outbound::Ack(_) => self.step(Event::HangUp(unreachable("route")), ctx),
                Outbound::Request(..) => {}
            }
        }
    }

    /// From now on, requests inside the dialog come to us.
    fn join(&mut self, request: &Request, ctx: &mut Context<Self>) {
        if self.key.is_some() {
            return;
        }
        let (Ok(call_id), Ok(from)) = (request.headers.call_id(), request.headers.from()) else { return };
        let local_tag = from.tag().unwrap_or_default().to_owned();
        let dialog = DialogKey { call_id: call_id.to_owned(), local_tag };
        let owner = ctx.address().downgrade().recipient();
        self.sip.endpoint.do_send(JoinDialog { dialog: dialog.clone(), owner, invite: None });
        self.key = Some(dialog);
    }

    // --- responses ---

    fn answered(&mut self, id: RequestId, response: &sip::message::Response, ctx: &mut Context<Self>) {
        let Some(purpose) = self.purpose(id, response.code.is_final()) else { return };
        let Some(signalling) = &mut self.signalling else { return };
        let heard = match purpose {
            Purpose::Invite => signalling.invite_answered(response),
            Purpose::Reinvite if response.code.is_final() => {
                // Only a hop that the account itself named may ask for credentials.
                let home = self
                    .route
                    .as_ref()
                    .is_some_and(|(_, hop)| self.hops.iter().any(|known| known.remote == hop.remote));
                signalling.reinvite_answered(response, if home { SentTo::Home } else { SentTo::Elsewhere })
            }
            Purpose::Bye if response.code.is_final() => return self.step(Event::ByeDone, ctx),
            _ => return,
        };
        self.hear(heard, ctx);
    }

    fn hear(&mut self, heard: Heard, ctx: &mut Context<Self>) {
        let Heard { event, agreed, lost, ack_again, next_hop } = heard;
        if let Some(agreed) = agreed {
            self.follow(&agreed);
        }
        if let Some(mut lost) = lost {
            self.say_goodbye_to_fork(&mut lost, ctx);
        }
        if let Some(ack) = ack_again {
            self.send_inside(Outbound::Ack(*ack), ctx);
        }
        match event {
            Some(Event::Rejected(_)) if next_hop && self.try_next_hop(ctx) => {}
            Some(event) => self.step(event, ctx),
            None => {}
        }
    }

    fn failed(&mut self, id: RequestId, cause: Cause, ctx: &mut Context<Self>) {
        let Some(purpose) = self.purpose(id, true) else { return };
        let code = if cause == Cause::SignallingTimeout { 408 } else { 503 };
        let why = EndReason { sip_code: Some(code), ..EndReason::new(None, cause) };
        match purpose {
            Purpose::Invite if self.state == State::Inviting && self.try_next_hop(ctx) => {}
            Purpose::Invite => self.step(Event::Rejected(why), ctx),
            Purpose::Reinvite => self.reinvite_failed(why, ctx),
            Purpose::Bye => self.step(Event::ByeDone, ctx),
            Purpose::Aside => {}
        }
    }

    fn reinvite_failed(&mut self, why: EndReason, ctx: &mut Context<Self>) {
        if let Some(signalling) = &mut self.signalling {
            signalling.reinvite_failed();
        }
        self.step(Event::Rejected(why), ctx);
    }

    /// Takes the next of several targets (RFC 3263 §4.3). False: there is none.
    fn try_next_hop(&mut self, ctx: &mut Context<Self>) -> bool {
        if self.state != State::Inviting || self.hop + 1 >= self.hops.len() {
            return false;
        }
        self.hop += 1;
        info!(call_id = %self.call_id, hop = %self.hops[self.hop].remote, "next SIP target");
        if let Some(signalling) = &mut self.signalling {
            signalling.try_next_hop();
        }
        self.step(Event::TryAgain, ctx);
        true
    }

    /// A fork that answered too late: it is acknowledged and ended (RFC 3261 §13.2.2.4).
    fn say_goodbye_to_fork(&mut self, fork: &mut sip::dialog::Dialog, ctx: &mut Context<Self>) {
        let ack = self.signalling.as_mut().and_then(|signalling| signalling.ack_of(fork));
        let (Some(hop), Some(ack)) = (self.hops.get(self.hop).cloned(), ack) else { return };
        self.sip.endpoint.do_send(SendAck { request: ack, hop: hop.clone() });
        let bye = fork.request(Method::Bye);
        self.send(Purpose::Aside, bye, hop, ctx);
    }

    fn purpose(&mut self, id: RequestId, last: bool) -> Option<Purpose> {
        let index = self.waiting.iter().position(|(waiting, _)| *waiting == id)?;
        let purpose = self.waiting[index].1;
        // An INVITE may bring further 2xx; it stays until the dialog ends.
        if last && purpose != Purpose::Invite {
            self.waiting.swap_remove(index);
        }
        Some(purpose)
    }

    // --- media ---

    fn bind_media(&mut self, local_ip: IpAddr, ctx: &mut Context<Self>) -> Result<(), EndReason> {
        let advertised = self.sip.settings.media.advertised_address;
        // On loopback nothing beyond it is wanted; elsewhere the far end's media may come by any card.
        let bind_ip = match (advertised, local_ip) {
            (None, ip) if ip.is_loopback() => ip,
            (_, IpAddr::V4(_)) => Ipv4Addr::UNSPECIFIED.into(),
            (_, IpAddr::V6(_)) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let media = RtpSession::bind(&self.sip.ports, bind_ip, now(), &self.sip.meters)
            .map_err(|error| EndReason::new(None, Cause::Overload).with_detail(error.to_string()))?;
        self.listening = Some(ctx.add_stream(media.incoming()));
        if let Some(signalling) = &mut self.signalling {
            signalling.has_media(advertised.unwrap_or(local_ip), media.port());
        }
        self.media = Some(media);
        Ok(())
    }

    /// Follows a new agreement, and tells the call when the format is news to it.
    fn follow(&mut self, agreed: &Agreed) {
        let (Some(stream), Some(media)) = (&agreed.audio, &mut self.media) else { return };
        match media.agree(stream, now()) {
            Some(format) => self.report(LegEvent::MediaAgreed(format)),
            None => {
                warn!(call_id = %self.call_id, codec = %stream.send, "agreed on a codec that is none of ours")
            }
        }
    }

    fn end_media(&mut self) {
        if let Some(mut media) = self.media.take() {
            media.conclude(now());
        }
        self.sink = None;
    }

    fn pump_digits(&mut self, ctx: &mut Context<Self>) {
        let Some(media) = &mut self.media else { return };
        let now = now();
        self.digit_timer = media.pump_digits(now).map(|at| {
            ctx.run_later(at.saturating_duration_since(now), |dialog, ctx| dialog.pump_digits(ctx))
        });
    }

    fn every_few_seconds(&mut self, ctx: &mut Context<Self>) {
        if let Some(media) = &mut self.media {
            media.report(now(), false);
        }
        if self.call.upgrade().is_none() && !matches!(self.state, State::Leaving | State::Cancelling) {
            // The call is gone and did not say goodbye: it fell.
            self.step(Event::HangUp(EndReason::new(None, Cause::Internal)), ctx);
        }
    }

    fn finish(&mut self, ctx: &mut Context<Self>) {
        self.end_media();
        if let Some(key) = self.key.take() {
            self.sip.endpoint.do_send(LeaveDialog(key));
        }
        ctx.stop();
    }

    fn command(&mut self, command: LegCommand, ctx: &mut Context<Self>) {
        match command {
            LegCommand::Dial => self.step(Event::Dial, ctx),
            LegCommand::Ring | LegCommand::RingMedia => self.step(Event::Ring, ctx),
            LegCommand::Agree(format) => self.prefer(format),
            LegCommand::Answer => self.answer(ctx),
            LegCommand::Plug(sink) => self.sink = sink,
            LegCommand::Hold => self.step(Event::Ask(Change::Hold), ctx),
            LegCommand::Resume => self.step(Event::Ask(Change::Resume), ctx),
            LegCommand::ShowHold(_) => {}
            LegCommand::SendDigits(digits) => {
                let Some(media) = &mut self.media else { return };
                match media.queue_digits(&digits.digits) {
                    Ok(()) => {
                        let count = digits.digits.len() as u64;
                        self.sip.meters.dtmf_total.with_label_values(&["rfc4733", "out"]).inc_by(count);
                        if self.digit_timer.is_none() {
                            self.pump_digits(ctx);
                        }
                    }
                    Err(error) => warn!(call_id = %self.call_id, %error, "digits not sent"),
                }
            }
            LegCommand::HangUp(why) => self.step(Event::HangUp(why), ctx),
        }
    }

    fn prefer(&mut self, format: AudioFormat) {
        if let Some(signalling) = &mut self.signalling {
            signalling.prefer(format);
        }
    }
}

fn unreachable(detail: &str) -> EndReason {
    EndReason { sip_code: Some(503), ..EndReason::new(None, Cause::Unreachable) }.with_detail(detail)
}

/// The clock that tests can stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl Actor for Dialog {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        ctx.run_interval(RTCP_INTERVAL, |dialog, ctx| dialog.every_few_seconds(ctx));
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
            SipEvent::TimedOut(id) => self.failed(id, Cause::SignallingTimeout, ctx),
            SipEvent::TransportFailed(id) => self.failed(id, Cause::Unreachable, ctx),
            SipEvent::Request { key, request } => self.request(key, &request, ctx),
            SipEvent::Ack(ack) => self.acknowledged(&ack, ctx),
            SipEvent::Cancelled(_) => self.step(Event::Cancelled, ctx),
        }
    }
}

impl Handler<Packet> for Dialog {
    type Result = ();
    fn handle(&mut self, packet: Packet, _: &mut Self::Context) {
        if let Some(media) = &mut self.media {
            media.send(&packet);
        }
    }
}

impl StreamHandler<(Port, Datagram)> for Dialog {
    fn handle(&mut self, (port, datagram): (Port, Datagram), _: &mut Self::Context) {
        let Some(heard) = self.media.as_mut().and_then(|media| media.receive(port, &datagram)) else {
            return;
        };
        if let Some(digit) = heard.digit {
            debug!(call_id = %self.call_id, "digit received");
            self.sip.meters.dtmf_total.with_label_values(&["rfc4733", "in"]).inc();
            let digits =
                crate::leg::Digits { digits: digit.to_string(), method: crate::leg::DigitMethod::Rfc2833 };
            self.report(LegEvent::DigitsAsked(digits));
        }
        if let Some(sink) = &mut self.sink {
            sink.send(heard.packet);
        }
    }

    /// Sockets never end; without this, the end of their stream would stop the actor before its BYE.
    fn finished(&mut self, _: &mut Self::Context) {}
}
