//! A call: two legs and what lies between them. While it rings, several legs may stand on the callee's side.
//!
//! This file is the shell: it turns messages into events, asks `state` what to do, and does it. It owns its
//! legs and transcoders and is owned by the switchboard. Crash group: when a call falls, its legs notice
//! that nobody listens and end by themselves.
mod asked;
#[cfg(test)]
mod codec_falls;
mod counting;
mod fork;
mod legs;
mod measuring;
mod messages;
mod passing;
#[cfg(test)]
mod picture_limits;
mod pictures;
mod state;
mod succession;
mod wiring;

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ArbiterHandle, AsyncContext, Context, Handler, SpawnHandle, WeakRecipient};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::generator::{Playing, Sounds};
use crate::leg::{LegCommand, LegEvent, LegReport};
use crate::vocabulary::{ActivityLimits, Alive, CallId, Cause, EndReason, Meters, Side, StandInRules};
use asked::Waiting;
pub use asked::{AskFailed, Hold, Introduce, Transfer};
use fork::Fork;
use legs::Legs;
use measuring::Measuring;
pub use messages::{Begin, CallEnded, HangUp};
use passing::Transcoders;
use pictures::Pictures;
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
    /// The same for pictures,
    pub video: codecs::video::VideoSettings,
    /// and the thread on which they are encoded.
    pub codec_lane: ArbiterHandle,
    /// How long a far end may give no sign of life, once the call is answered.
    pub activity: ActivityLimits,
    /// For whom a still picture stands in.
    pub stand_in: StandInRules,
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
    pictures: Pictures,
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

/// What legs can have to say before the call has begun: a description, a failure.
const MAX_EARLY: usize = 8;

/// How often a call looks whether its legs still live: one that fell says nothing.
const LIFE_CHECK: Duration = Duration::from_secs(5);

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
            pictures: Pictures::default(),
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
                self.order.stand_in = self.order.stand_in.clone().with(&additions.stand_in);
                self.rule_stand_in();
                Event::AdditionsGiven(side, additions)
            }
            LegEvent::Answered => Event::Answered,
            LegEvent::RemoteHeld(held) => Event::RemoteHeld(side, held),
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
            LegEvent::SoftwareSeen(name) => return self.software_seen(name),
            LegEvent::KeyFrameWanted => return self.key_frame_wanted(side),
            LegEvent::VideoLimited(bits) => return self.video_limited(side, bits),
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

    /// Commands are few and bounded by the state machine, so they may pass the mailbox limit.
    fn tell(&self, side: Side, command: LegCommand) {
        for (_, leg) in self.legs.iter().flat_map(|legs| legs.of(side)) {
            leg.commands.do_send(command.clone());
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
        self.rule_stand_in();
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
