//! A browser as a leg: one page's peer connection, and what the page is shown of the call.
//!
//! The shell. `state` decides, `rtc` is the peer connection; this file joins them to the lane's sockets, the page's
//! session and the call. The page's path is negotiated once and never again.
mod bandwidth;
mod describing;
mod dtls;
mod figures;
mod messages;
mod once;
mod own_sound;
pub mod peer;
mod pictures;
mod remote_hold;
pub mod rtc;
pub mod sdp;
mod secrets;
mod stack;
mod stand_in;
pub mod state;
mod wishes;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, SpawnHandle, WeakRecipient};
use tracing::{info, warn};

use crate::generator::Sounds;
use crate::lanes::{LaneSender, LaneSocket, Learnt, Leave, PeerDatagram};
use crate::leg::{DigitMethod, Digits, LegCommand, LegEvent, LegReport};
use crate::page::{CallStatus, CallView, InviteHeaders, ToPage};
use crate::rtp::digits::DigitReceiver;
use crate::rtp::sequencer::{Incoming, Sequencer};
use crate::rtp::tally::Tally;
use crate::vocabulary::{Alive, AudioFormat, Cause, Counter, EndReason, Meters, Packet, Payload, Side, Sink};
pub use messages::PageWord;
use own_sound::OwnSound;
use peer::{Counts, Lost, Outgoing, Output};
use pictures::{Pictures, codec_of};
use remote_hold::RemoteHold;
use rtc::Peer;
pub use rtc::{Certificate, PeerConfig};
use sdp::Description;
use state::{Action, Event, State};

/// What a browser leg is told at birth.
pub struct BrowserOrder {
    /// Which end of the call the page is.
    pub side: Side,
    /// Which of several pages that ring at once.
    pub branch: usize,
    /// The call as the page sees it.
    pub view: CallView,
    /// Of the INVITE that the page is called by.
    pub invite_headers: InviteHeaders,
    /// The page's offer, if it calls.
    pub offer: Option<String>,
    /// The call.
    pub call: WeakRecipient<LegReport>,
    /// The page's session.
    pub page: WeakRecipient<ToPage>,
    /// The lane's sockets: where datagrams come from,
    pub lane: Addr<LaneSocket>,
    /// and where they go out.
    pub sender: LaneSender,
    /// Addresses, certificate and codecs of the peer connection.
    pub peer: PeerConfig,
    /// Whether the page's offer is answered at once,
    pub answer_at_once: bool,
    /// even if it offers pictures, of which nobody knows yet whether the other side has any.
    pub answer_video_at_once: bool,
    /// What the page may hear while it waits.
    pub sounds: Arc<Sounds>,
    /// Where it counts.
    pub meters: Meters,
}

/// The actor.
pub struct BrowserLeg {
    order: BrowserOrder,
    state: State,
    /// The page's offer or answer until the peer connection takes it.
    description: Option<Description>,
    peer: Option<Peer>,
    fragment: Option<String>,
    codec: Option<AudioFormat>,
    sink: Option<Sink>,
    /// Digits in the page's own stream.
    heard: DigitReceiver,
    outgoing: Option<Sequencer>,
    own_sound: OwnSound,
    remote_hold: RemoteHold,
    /// Datagrams that the peer connection refused, as far as they are in the meters.
    refused: Counts,
    /// Sound for the page from before its path is up.
    held_back: VecDeque<Packet>,
    pictures: Pictures,
    timer: Option<(Instant, SpawnHandle)>,
    described: Option<Instant>,
    /// RTP packets from and to the page.
    counted: [Counter; 2],
    tally: Tally,
    _alive: Alive,
}

/// Datagrams and packets that wait for their turn: over half a second of sound both ways.
const MAILBOX: usize = 128;

/// Packets that are held back until the page's path is up: a second of sound. More would take too long to catch up with.
const MAX_HELD_BACK: usize = 50;

/// How often a leg looks whether its call still lives.
const LIFE_CHECK: Duration = Duration::from_secs(5);

impl BrowserLeg {
    /// A leg that has not begun.
    pub fn new(order: BrowserOrder) -> Self {
        let own_sound = OwnSound::new(&order.meters);
        let counted = [order.meters.rtp("browser", "in"), order.meters.rtp("browser", "out")];
        Self {
            state: if order.offer.is_some() { State::Offered } else { State::Idle },
            _alive: order.meters.alive("browser"),
            order,
            description: None,
            peer: None,
            fragment: None,
            codec: None,
            sink: None,
            heard: DigitReceiver::new(),
            outgoing: None,
            own_sound,
            remote_hold: RemoteHold::default(),
            refused: Counts::default(),
            held_back: VecDeque::new(),
            pictures: Pictures::new(),
            timer: None,
            described: None,
            counted,
            tally: Tally::new(now(), 48_000),
        }
    }

    fn step(&mut self, event: Event, ctx: &mut Context<Self>) {
        for action in self.state.on(event, self.order.side) {
            self.perform(action, ctx);
        }
        self.tell_remote_hold();
    }

    /// A hold from before the answer is told after it: until then nothing is held.
    fn tell_remote_hold(&mut self) {
        if self.state == State::Talking
            && let Some(holds) = self.remote_hold.news()
        {
            self.tell(ToPage::RemoteHold(self.order.view.call_id.clone(), holds));
        }
    }

    fn perform(&mut self, action: Action, ctx: &mut Context<Self>) {
        match action {
            Action::AnswerOffer(format) => self.answer_offer(format, ctx),
            Action::Offer => self.offer(ctx),
            Action::TakeAnswer => self.take_answer(ctx),
            Action::AwaitPath => self.described = Some(now()),
            Action::ShowIncoming => {
                let headers = std::mem::take(&mut self.order.invite_headers);
                self.tell(ToPage::IncomingCall(self.order.view.clone(), headers));
            }
            Action::ShowRing => self.show(CallStatus::Ring),
            Action::ShowRingMedia => self.show(CallStatus::RingMedia),
            Action::PlayRingBack => self.own_sound.play(self.order.sounds.ring_back(), self.codec, ctx),
            Action::PlayWaiting => self.own_sound.play(Some(self.order.sounds.waiting()), self.codec, ctx),
            Action::Quiet => self.own_sound.stop(),
            Action::ShowTalk => self.show(CallStatus::Established),
            Action::ShowHold => self.show(CallStatus::Hold),
            Action::ShowTransferRefused { held, why } => {
                self.tell(ToPage::TransferRefused { call: self.order.view.clone(), held, why });
            }
            Action::ShowEnd(why) => self.end(why, ctx),
            Action::Report(event) => self.report(event),
        }
    }

    fn tell(&self, word: ToPage) {
        if let Some(page) = self.order.page.upgrade() {
            page.do_send(word);
        }
    }

    fn show(&self, status: CallStatus) {
        self.tell(ToPage::CallStatus(self.order.view.clone(), status));
    }

    fn report(&self, event: LegEvent) {
        if let Some(call) = self.order.call.upgrade() {
            call.do_send(LegReport { side: self.order.side, branch: self.order.branch, event });
        }
    }

    /// Takes everything that the peer connection has, then sleeps until it wants to be called.
    fn drive(&mut self, ctx: &mut Context<Self>) {
        while let Some(output) = self.peer.as_mut().and_then(Peer::poll) {
            match output {
                Output::Transmit { from, to, bytes } => self.order.sender.send(from, to, &bytes),
                Output::Learnt { from } => {
                    if let Some(fragment) = self.fragment.clone() {
                        self.order.lane.do_send(Learnt { fragment, from });
                    }
                }
                Output::Connected => self.connected(ctx),
                Output::Packet(packet) => self.forward(packet, ctx),
                Output::KeyFrameWanted(how) => self.page_wants_key_frame(how, ctx),
                Output::VideoLimited(bits) => self.report(LegEvent::VideoLimited(bits)),
                Output::Report(report) => self.page_reports(&report),
                Output::VideoReport(report) => self.pictures.page_reports(&report),
                Output::Disconnected(lost) => self.lost(&lost, ctx),
            }
        }
        self.arm(ctx);
    }

    /// The path is up. What was held back goes out at once: the page plays it a little faster until it has caught up, so that the
    /// first words of a greeting are heard.
    fn connected(&mut self, ctx: &mut Context<Self>) {
        for packet in std::mem::take(&mut self.held_back) {
            self.send(packet, ctx);
        }
        self.page_can_see(ctx);
        if let Some(since) = self.described {
            let took = now().saturating_duration_since(since);
            self.order.meters.ice_connect_seconds.observe(took.as_secs_f64());
            info!(call_id = %self.order.view.call_id, ms = took.as_millis() as u64, "browser path up");
        }
    }

    fn lost(&mut self, lost: &Lost, ctx: &mut Context<Self>) {
        let (cause, reason) = match lost {
            Lost::Ice => (Cause::IceFailed, "ice"),
            Lost::Consent => (Cause::IceFailed, "consent"),
            Lost::Dtls(_) => (Cause::DtlsFailed, "dtls"),
            Lost::Fingerprint => (Cause::DtlsFailed, "fingerprint"),
            Lost::Closed => (Cause::HangUp, "closed"),
        };
        self.order.meters.ice_failures_total.with_label_values(&[reason]).inc();
        let why = EndReason::new(Some(self.order.side), cause).with_detail(lost.to_string());
        self.step(Event::PathFailed(why), ctx);
    }

    /// A digit that the page plays into its own stream (RFC 4733) goes the way of those that it asks for; the packets
    /// end where the next leg numbers anew.
    fn forward(&mut self, packet: Packet, ctx: &mut Context<Self>) {
        if packet.payload.len() > peer::MAX_PAYLOAD {
            return self.order.meters.dropped("webrtc_rtp_too_long").inc();
        }
        if let Some(codec) = codec_of(&packet) {
            return self.page_shows(packet, codec, ctx);
        }
        self.counted[0].inc();
        if let Payload::TelephoneEvent(_) = packet.payload_kind {
            let digit = self.heard.on_packet(&packet.payload, packet.timestamp, packet.marker);
            if let Ok(Some(digit)) = digit {
                let digits = Digits { digits: digit.to_string(), method: DigitMethod::Rfc2833 };
                self.step(Event::PageDials(digits), ctx);
            }
        }
        let stands = (packet.ssrc, packet.sequence, packet.timestamp);
        self.tally.took(packet.received, stands, packet.payload.len());
        if self.sink.as_mut().is_some_and(|sink| !sink.send(packet)) {
            self.order.meters.dropped("sink").inc();
        }
    }

    /// One timer; re-armed only when the peer connection wants to be called earlier.
    fn arm(&mut self, ctx: &mut Context<Self>) {
        let Some(at) = self.peer.as_ref().map(Peer::deadline) else { return };
        if let Some((armed, timer)) = self.timer {
            if armed <= at {
                return;
            }
            ctx.cancel_future(timer);
        }
        let timer = ctx.run_later(at.saturating_duration_since(now()), |leg, ctx| {
            leg.timer = None;
            if let Some(peer) = &mut leg.peer {
                peer.timeout(now());
            }
            leg.drive(ctx);
        });
        self.timer = Some((at, timer));
    }

    fn send(&mut self, packet: Packet, ctx: &mut Context<Self>) {
        let (Some(peer), Some(format)) = (&mut self.peer, self.codec) else { return };
        if !peer.is_connected() {
            if self.held_back.len() >= MAX_HELD_BACK {
                self.held_back.pop_front();
            }
            return self.held_back.push_back(packet);
        }
        let clock = format.codec.spec().clock_rate;
        let outgoing = self.outgoing.get_or_insert_with(|| Sequencer::new(0, clock, 0, 0));
        let source = u64::from(packet.ssrc);
        if packet.payload_kind != Payload::Audio(format.codec) {
            // The WebSDK has no use for telephone-events.
            return outgoing.consumed(source, packet.sequence);
        }
        let (sequence, timestamp, marker) = (Some(packet.sequence), packet.timestamp, packet.marker);
        let Some(stamp) = outgoing.stamp(packet.received, Incoming { source, sequence, timestamp, marker })
        else {
            return;
        };
        let packet = Outgoing {
            kind: packet.payload_kind,
            sequence: stamp.extended_sequence,
            timestamp: stamp.timestamp,
            marker: stamp.marker,
            payload: packet.payload,
        };
        let length = packet.payload.len();
        if peer.send(packet, now()).is_ok() {
            self.counted[1].inc();
            self.tally.sent(length);
        }
        self.drive(ctx);
    }

    fn end(&mut self, why: EndReason, ctx: &mut Context<Self>) {
        if let Some(peer) = &mut self.peer {
            peer.close(now());
        }
        while let Some(output) = self.peer.as_mut().and_then(Peer::poll) {
            if let Output::Transmit { from, to, bytes } = output {
                self.order.sender.send(from, to, &bytes);
            }
        }
        if let Some(fragment) = self.fragment.take() {
            self.order.lane.do_send(Leave(fragment));
        }
        self.show(if why.is_failure() { CallStatus::Failed(why) } else { CallStatus::Finish(why) });
        ctx.stop();
    }
}

/// The clock that tests can stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl Actor for BrowserLeg {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        ctx.run_interval(LIFE_CHECK, |leg, ctx| {
            if leg.order.call.upgrade().is_none() {
                warn!(call_id = %leg.order.view.call_id, "the call fell");
                let why = EndReason::new(None, Cause::Internal);
                leg.step(Event::Command(LegCommand::HangUp(why)), ctx);
            }
        });
        self.begin(ctx);
    }
}

impl Drop for BrowserLeg {
    fn drop(&mut self) {
        self.count_refused();
        if self.state == State::Ended {
            return;
        }
        // It fell: the page must not wait for its finish, nor the lane for its leave.
        self.show(CallStatus::Failed(EndReason::new(None, Cause::Internal)));
        if let Some(fragment) = self.fragment.take() {
            self.order.lane.do_send(Leave(fragment));
        }
    }
}

impl Handler<LegCommand> for BrowserLeg {
    type Result = ();
    fn handle(&mut self, command: LegCommand, ctx: &mut Self::Context) {
        match command {
            LegCommand::Plug(sink) => self.sink = sink,
            LegCommand::PlugVideo(sink) => self.plug_video(sink),
            LegCommand::AskKeyFrame => self.ask_key_frame(ctx),
            LegCommand::LimitVideo(bits) => self.limit_video(bits, ctx),
            LegCommand::StandIn(delay) => self.stand_in_after(delay, ctx),
            LegCommand::Measure => self.report(LegEvent::Measured(self.measured())),
            LegCommand::SendDigits(digits) => {
                self.tell(ToPage::Digits(self.order.view.call_id.clone(), digits.digits));
            }
            LegCommand::ShowRemoteHold(holds) => {
                self.remote_hold.holds = holds;
                self.tell_remote_hold();
            }
            LegCommand::ShowSound(news) => self.tell(ToPage::Sound(self.order.view.call_id.clone(), news)),
            command => {
                if let LegCommand::Agree(format) = &command {
                    self.other_side_agreed(format, ctx);
                }
                self.step(Event::Command(command), ctx);
            }
        }
    }
}

impl Handler<PageWord> for BrowserLeg {
    type Result = ();
    fn handle(&mut self, word: PageWord, ctx: &mut Self::Context) {
        match word {
            PageWord::Answer(sdp, additions) => self.page_answered(&sdp, additions, ctx),
            PageWord::HangUp => self.step(Event::PageHangsUp, ctx),
            PageWord::Hold => self.step(Event::PageHolds, ctx),
            PageWord::Unhold => self.step(Event::PageResumes, ctx),
            PageWord::Transfer(to) => self.step(Event::PageTransfers(to), ctx),
            PageWord::Dial(digits) => self.step(Event::PageDials(digits), ctx),
            PageWord::Gone => self.step(Event::PageGone, ctx),
        }
    }
}

impl Handler<PeerDatagram> for BrowserLeg {
    type Result = ();
    fn handle(&mut self, datagram: PeerDatagram, ctx: &mut Self::Context) {
        if let Some(peer) = &mut self.peer {
            peer.receive(datagram.received, datagram.from, datagram.to, &datagram.bytes);
            self.drive(ctx);
        }
    }
}

impl Handler<Packet> for BrowserLeg {
    type Result = ();
    fn handle(&mut self, packet: Packet, ctx: &mut Self::Context) {
        if packet.payload_kind.is_video() {
            return self.show_page(packet, ctx);
        }
        let connected = self.peer.as_ref().is_some_and(Peer::is_connected);
        if self.own_sound.lets_pass(&packet, connected) {
            self.send(packet, ctx);
        }
    }
}
