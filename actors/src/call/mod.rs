//! A call: two legs and what lies between them. While it rings, several legs may stand on the callee's side.
//!
//! This file is the shell: it turns messages into events, asks `state` what to do, and does it. It owns its
//! legs and transcoders and is owned by the switchboard. Crash group: when a call falls, its legs notice
//! that nobody listens and end by themselves.
mod asked;
#[cfg(test)]
mod codec_falls;
mod fork;
mod measuring;
mod messages;
mod state;
mod succession;
mod wiring;

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, SpawnHandle, WeakRecipient};
use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::generator::{Generator, Playing, Sounds};
use crate::leg::{Leg, LegCommand, LegEvent, LegReport};
use crate::transcoder::{Conversion, Transcoder, TranscoderGone};
use crate::vocabulary::{ActivityLimits, Alive, CallId, Cause, EndReason, Meters, Side, Sink};
use asked::Waiting;
pub use asked::{AskFailed, Hold, Introduce, Transfer};
use fork::Fork;
use measuring::Measuring;
pub use messages::{Begin, CallEnded, HangUp};
use state::{Action, Event, State};
use succession::{Heir, Succession};
use wiring::{Plan, Wiring};

/// What a call is told at birth.
pub struct CallOrder {
    /// Its key.
    pub call_id: CallId,
    /// `outgoing` (a page called) or `incoming`, for logs and metrics.
    pub direction: &'static str,
    /// How long the callee may ring.
    pub no_answer: Duration,
    /// How long an answered call may last; `None`: as long as it likes.
    pub max_duration: Option<Duration>,
    /// How its transcoders encode.
    pub encoding: codecs::Settings,
    /// How long a far end may give no sign of life, once the call is answered.
    pub activity: ActivityLimits,
    /// What a side hears that is held.
    pub sounds: Arc<Sounds>,
    /// Who is told of the end.
    pub owner: WeakRecipient<CallEnded>,
    /// Where it counts.
    pub meters: Meters,
}

/// The actor.
pub struct Call {
    order: CallOrder,
    state: State,
    wiring: Wiring,
    /// What is plugged in now, from caller and from callee.
    plugged: Option<(Plan, Plan)>,
    legs: Option<Legs>,
    /// Reports that overtook [`Begin`]: legs start on their own.
    early: Vec<LegReport>,
    transcoders: Transcoders,
    music: Option<Playing>,
    limit: Option<SpawnHandle>,
    succession: Succession,
    heir: Option<Heir>,
    measuring: Measuring,
    /// The owner has been told of the end.
    said_ended: bool,
    waiting: Waiting,
    /// A transfer that waits until a hold is decided.
    postponed: Option<Event>,
    begun: Instant,
    answered: Option<Instant>,
    _alive: Alive,
}

/// The legs of a call.
struct Legs {
    /// With its branch: 0, until another takes its place.
    caller: (usize, Leg),
    callees: Vec<(usize, Leg)>,
    fork: Fork,
}

/// The transcoders of a call, one per direction, and how often one has died.
#[derive(Default)]
struct Transcoders {
    running: Vec<(u64, actix::Addr<Transcoder>)>,
    next_id: u64,
    deaths: u32,
}

/// What legs can have to say before the call has begun: a description, a failure.
const MAX_EARLY: usize = 8;

/// How often a call looks whether its legs still live: one that fell says nothing.
const LIFE_CHECK: Duration = Duration::from_secs(5);

/// A transcoder that died is started anew once; a second death ends the call.
const MAX_TRANSCODER_DEATHS: u32 = 1;

impl Call {
    /// A call without legs; [`Begin`] plugs them in.
    pub fn new(order: CallOrder) -> Self {
        order.meters.calls_active.with_label_values(&[order.direction]).inc();
        Self {
            _alive: order.meters.alive("call"),
            order,
            state: State::default(),
            wiring: Wiring::default(),
            plugged: None,
            legs: None,
            early: vec![],
            transcoders: Transcoders::default(),
            music: None,
            limit: None,
            succession: Succession::default(),
            heir: None,
            measuring: Measuring::default(),
            said_ended: false,
            waiting: Waiting::default(),
            postponed: None,
            begun: Instant::now(),
            answered: None,
        }
    }

    fn step(&mut self, event: Event, ctx: &mut Context<Self>) {
        let before = std::mem::discriminant(&self.state);
        for action in self.state.on(event) {
            self.perform(action, ctx);
        }
        if std::mem::discriminant(&self.state) != before {
            info!(call_id = %self.order.call_id, state = ?self.state, "call");
            if let Some(event) = self.postponed.take() {
                self.step(event, ctx);
            }
        }
    }

    /// Several callees are one to the state machine.
    fn hear(&mut self, LegReport { side, branch, event }: LegReport, ctx: &mut Context<Self>) {
        if self.is_heir(side, branch) {
            return self.hear_heir(event, ctx);
        }
        let Some(legs) = &mut self.legs else { return };
        if let LegEvent::Measured(measured) = event {
            if legs.talking_branch(side) == Some(branch) {
                self.measured(side, measured, ctx);
            }
            return;
        }
        if side == Side::Caller {
            if legs.caller.0 == branch {
                self.take(side, event, ctx);
            }
            return; // else its place is another's
        }
        let heard = legs.fork.hear(branch, event);
        for (branch, why) in heard.hang_up {
            info!(call_id = %self.order.call_id, branch, end = %why, "a callee is out");
            if let Some(leg) = legs.callee(branch) {
                leg.commands.do_send(LegCommand::HangUp(why));
            }
        }
        if let Some(event) = heard.pass {
            self.take(side, event, ctx);
        }
    }

    fn take(&mut self, side: Side, event: LegEvent, ctx: &mut Context<Self>) {
        let event = match event {
            LegEvent::SuccessorOffered(successor) => return self.succeed(side, successor, ctx),
            LegEvent::Ended(_) if self.is_replaced(side) => {
                return self.succession_step(succession::Event::OldEnded, ctx);
            }
            LegEvent::Rang => Event::Rang,
            LegEvent::SentEarlyMedia => Event::SentEarlyMedia,
            LegEvent::MediaAgreed(format) => {
                if !self.wiring.agree(side, format) {
                    return;
                }
                Event::MediaAgreed(side, format)
            }
            LegEvent::AdditionsGiven(additions) => {
                self.order.activity = self.order.activity.with(&additions.activity);
                Event::AdditionsGiven(side, additions)
            }
            LegEvent::Answered => Event::Answered,
            LegEvent::HoldAsked => Event::HoldAsked(side),
            LegEvent::ResumeAsked => Event::ResumeAsked(side),
            LegEvent::Held => Event::Held,
            LegEvent::Resumed => Event::Resumed,
            LegEvent::Refused(why) => {
                self.hold_refused(why);
                Event::Refused
            }
            LegEvent::TransferAsked(to) => Event::TransferAsked(side, to),
            LegEvent::TransferRefused(why) => {
                self.transfer_refused(&why);
                Event::TransferRefused(why)
            }
            LegEvent::Introduced(to) => return self.introduced(to),
            LegEvent::DigitsAsked(digits) => Event::DigitsAsked(side, digits),
            LegEvent::Measured(_) => return,
            LegEvent::Ended(why) => Event::LegEnded(why),
        };
        self.step(event, ctx);
    }

    fn perform(&mut self, action: Action, ctx: &mut Context<Self>) {
        match action {
            Action::Tell(side, command) => {
                if matches!(command, LegCommand::Answer) && self.answered.is_none() {
                    self.answered = Some(Instant::now());
                    self.measure_each_second(ctx);
                    self.order.meters.call_setup_seconds.observe(self.begun.elapsed().as_secs_f64());
                }
                if let LegCommand::ShowHold(held) = command {
                    self.hold_shown(side, held);
                }
                self.tell(side, command);
            }
            Action::StartNoAnswerLimit => {
                self.set_limit(Some(self.order.no_answer), Event::NoAnswer, ctx);
            }
            Action::StartDurationLimit => self.set_limit(self.order.max_duration, Event::TooLong, ctx),
            Action::StopLimit => self.set_limit(None, Event::TooLong, ctx),
            Action::Connect => self.connect(ctx),
            Action::Pause => self.pause(),
            Action::Postpone(event) => self.postponed = Some(event),
            Action::PlayMusic(side) => self.play_music(side),
            Action::Measure => self.measure(),
            Action::Finish(why) => self.close(why, ctx),
        }
    }

    /// There is one limit at a time: on ringing, then on talking.
    fn set_limit(&mut self, after: Option<Duration>, event: Event, ctx: &mut Context<Self>) {
        if let Some(limit) = self.limit.take() {
            ctx.cancel_future(limit);
        }
        self.limit = after.map(|after| ctx.run_later(after, |call, ctx| call.step(event, ctx)));
    }

    /// Wires both directions, sinks first; leaves alone what is wired like that already.
    fn connect(&mut self, ctx: &mut Context<Self>) {
        let (Some(there), Some(back)) = (self.wiring.plan(Side::Caller), self.wiring.plan(Side::Callee))
        else {
            return;
        };
        if self.plugged.replace((there, back)) == Some((there, back)) {
            return;
        }
        self.transcoders.running.clear();
        self.music = None;
        for (from, plan) in [(Side::Caller, there), (Side::Callee, back)] {
            let Some(leg) = self.legs.as_ref().and_then(|legs| legs.talking(from.other())) else { return };
            let target = Sink::new(&leg.packets);
            let sink = match plan {
                Plan::Forward(codec) => {
                    info!(call_id = %self.order.call_id, from = from.as_str(), path = %codec, "forwarding");
                    target
                }
                Plan::Transcode(conversion) => match self.transcode(from, conversion, target, ctx) {
                    Some(sink) => sink,
                    None => return,
                },
            };
            self.tell(from, LegCommand::Plug(Some(sink)));
        }
    }

    /// Starts a transcoder of what `from` sends in front of `target`; a codec that cannot be had ends the call.
    fn transcode(
        &mut self,
        from: Side,
        conversion: Conversion,
        target: Sink,
        ctx: &mut Context<Self>,
    ) -> Option<Sink> {
        let id = self.transcoders.next_id;
        self.transcoders.next_id += 1;
        let owner = ctx.address().downgrade().recipient();
        match Transcoder::new(conversion, &self.order.encoding, target, id, owner, &self.order.meters) {
            Ok(transcoder) => {
                info!(call_id = %self.order.call_id, path = %transcoder, "transcoding");
                let transcoder = transcoder.start();
                let sink = Sink::new(&transcoder.clone().recipient());
                self.transcoders.running.push((id, transcoder));
                self.measuring.plays(id, from);
                Some(sink)
            }
            Err(problem) => {
                warn!(call_id = %self.order.call_id, %problem, "no transcoder");
                let why = EndReason::new(None, Cause::NoCommonCodec).with_detail(problem.to_string());
                ctx.notify(HangUp(why));
                None
            }
        }
    }

    fn pause(&mut self) {
        self.tell(Side::Caller, LegCommand::Plug(None));
        self.tell(Side::Callee, LegCommand::Plug(None));
        self.transcoders.running.clear();
        self.music = None;
        self.plugged = None;
    }

    /// A held far end that hears nothing at all may take the call for dead, and so may its PBX.
    fn play_music(&mut self, side: Side) {
        let leg = self.legs.as_ref().and_then(|legs| legs.talking(side));
        let (Some(format), Some(leg)) = (self.wiring.format(side), leg) else { return };
        let sink = Sink::new(&leg.packets);
        let music = self.order.sounds.music();
        self.music = Some(Generator::play(music, format.codec, sink, &self.order.meters));
    }

    /// Commands are few and bounded by the state machine, so they may pass the mailbox limit.
    fn tell(&self, side: Side, command: LegCommand) {
        for (_, leg) in self.legs.iter().flat_map(|legs| legs.of(side)) {
            leg.commands.do_send(command.clone());
        }
    }
}

impl Legs {
    /// The legs of a side with their branches: one, or those that ring.
    fn of(&self, side: Side) -> impl Iterator<Item = (usize, &Leg)> {
        let (caller, live) = match side {
            Side::Caller => (Some((self.caller.0, &self.caller.1)), &[][..]),
            Side::Callee => (None, self.fork.live()),
        };
        let callees = live.iter().filter_map(|branch| Some((*branch, self.callee(*branch)?)));
        caller.into_iter().chain(callees)
    }

    fn callee(&self, branch: usize) -> Option<&Leg> {
        self.callees.iter().find(|(known, _)| *known == branch).map(|(_, leg)| leg)
    }

    /// Puts another leg in the place of a side's; gives those that stood there.
    fn replace(&mut self, side: Side, branch: usize, leg: Leg) -> Vec<Leg> {
        match side {
            Side::Caller => vec![std::mem::replace(&mut self.caller, (branch, leg)).1],
            Side::Callee => {
                let old = self.of(side).map(|(_, leg)| leg.clone()).collect();
                (self.callees, self.fork) = (vec![(branch, leg)], Fork::of(branch));
                old
            }
        }
    }

    /// The leg whose sound passes; none while several ring.
    fn talking(&self, side: Side) -> Option<&Leg> {
        match side {
            Side::Caller => Some(&self.caller.1),
            Side::Callee => self.callee(self.fork.only()?),
        }
    }

    fn talking_branch(&self, side: Side) -> Option<usize> {
        match side {
            Side::Caller => Some(self.caller.0),
            Side::Callee => self.fork.only(),
        }
    }
}

impl Actor for Call {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(LIFE_CHECK, |call, ctx| {
            let Some(legs) = &call.legs else { return };
            let all = [Side::Caller, Side::Callee].into_iter();
            let all = all.flat_map(|side| legs.of(side).map(move |(branch, leg)| (side, branch, leg)));
            // One that left and has a successor on its way may have gone.
            let fallen = all.filter(|(side, _, leg)| !leg.commands.connected() && !call.is_replaced(*side));
            let fallen: Vec<_> = fallen.map(|(side, branch, _)| (side, branch)).collect();
            for (side, branch) in fallen {
                warn!(call_id = %call.order.call_id, leg = side.as_str(), branch, "a leg fell");
                let event = LegEvent::Ended(EndReason::new(None, Cause::Internal));
                call.hear(LegReport { side, branch, event }, ctx);
            }
        });
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.order.meters.calls_active.with_label_values(&[self.order.direction]).dec();
        if !self.said_ended {
            // It fell: its owner would keep its id for ever.
            self.say_ended(EndReason::new(None, Cause::Internal));
        }
    }
}

impl Handler<Begin> for Call {
    type Result = ();
    fn handle(&mut self, Begin { caller, callees }: Begin, ctx: &mut Self::Context) {
        let fork = Fork::new(callees.len());
        let callees = callees.into_iter().enumerate().collect();
        self.legs = Some(Legs { caller: (0, caller), callees, fork });
        self.step(Event::Begun, ctx);
        for report in std::mem::take(&mut self.early) {
            self.hear(report, ctx);
        }
    }
}

impl Handler<LegReport> for Call {
    type Result = ();
    fn handle(&mut self, report: LegReport, ctx: &mut Self::Context) {
        if self.legs.is_some() {
            self.hear(report, ctx);
        } else if self.early.len() < MAX_EARLY {
            self.early.push(report);
        }
    }
}
impl Handler<HangUp> for Call {
    type Result = ();
    fn handle(&mut self, HangUp(why): HangUp, ctx: &mut Self::Context) {
        self.step(Event::HangUpAsked(why), ctx);
    }
}

impl Handler<TranscoderGone> for Call {
    type Result = ();
    fn handle(&mut self, TranscoderGone { id, playout }: TranscoderGone, ctx: &mut Self::Context) {
        self.played(id, playout, ctx);
        if !self.transcoders.running.iter().any(|(running, _)| *running == id) {
            return; // one that we replaced ourselves
        }
        self.transcoders.deaths += 1;
        error!(call_id = %self.order.call_id, deaths = self.transcoders.deaths, "a transcoder died");
        if self.transcoders.deaths > MAX_TRANSCODER_DEATHS {
            self.step(Event::HangUpAsked(EndReason::new(None, Cause::Internal)), ctx);
        } else {
            self.plugged = None;
            self.connect(ctx);
        }
    }
}
