//! RQ30: a call whose far ends live is not ended for half an hour, whatever they keep to themselves; one whose far end is gone is, within its
//! limit, and says which. A real call between two played legs, in virtual time.
#![allow(clippy::unwrap_used)]
use std::time::Duration;

use actix::{Actor, ActorContext, Addr, Context, Handler, WeakRecipient};
use actors::call::{Begin, Call, CallEnded, CallOrder};
use actors::leg::{Leg, LegCommand, LegEvent, LegReport};
use actors::vocabulary::{
    ActivityLimits, ActivityWish, Additions, CallId, Ear, EndReason, LegKind, Measured, Meters, Owes, Packet,
    Side,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, timeout};

const LIMITS: ActivityLimits = ActivityLimits {
    detecting: true,
    first: Duration::from_secs(30),
    running: Duration::from_secs(60),
    hold: Duration::from_secs(3600),
};

/// What a leg hears of its far end, so many seconds after the answer: signs of life, and what it is owed.
type Hears = fn(f64) -> (u64, Owes);

struct Played {
    side: Side,
    call: WeakRecipient<LegReport>,
    hears: Hears,
    begun: Instant,
}

impl Actor for Played {
    type Context = Context<Self>;
}

impl Handler<LegCommand> for Played {
    type Result = ();
    fn handle(&mut self, command: LegCommand, ctx: &mut Self::Context) {
        let event = match command {
            LegCommand::Measure => {
                let (signs, owes) = (self.hears)(self.begun.elapsed().as_secs_f64());
                let kind = if self.side == Side::Caller { LegKind::Browser } else { LegKind::Sip };
                let ear = Ear { owes, signs, path: true, ..Ear::default() };
                LegEvent::Measured(Measured { ear, ..Measured::nothing(kind) })
            }
            LegCommand::Hold => LegEvent::Held,
            LegCommand::HangUp(_) => return ctx.stop(),
            _ => return,
        };
        self.call.upgrade().unwrap().do_send(LegReport { side: self.side, branch: 0, event });
    }
}

impl Handler<Packet> for Played {
    type Result = ();
    fn handle(&mut self, _: Packet, _: &mut Self::Context) {}
}

struct Owner(UnboundedSender<EndReason>);

impl Actor for Owner {
    type Context = Context<Self>;
}

impl Handler<CallEnded> for Owner {
    type Result = ();
    fn handle(&mut self, CallEnded(record): CallEnded, _: &mut Self::Context) {
        let _ = self.0.send(record.reason);
    }
}

struct Stage {
    call: Addr<Call>,
    ended: UnboundedReceiver<EndReason>,
    answered: Instant,
    _owner: Addr<Owner>,
}

/// An answered call of a page to a phone, in time that is stopped.
fn answered(page: Hears, phone: Hears) -> Stage {
    let (tell, ended) = unbounded_channel();
    let owner = Owner(tell).start();
    let call = Call::new(CallOrder {
        call_id: CallId::random(),
        direction: "outgoing",
        no_answer: Duration::from_secs(180),
        max_duration: None,
        sounds: Default::default(),
        activity: LIMITS,
        stand_in: Default::default(),
        encoding: Default::default(),
        video: Default::default(),
        codec_lane: actix::Arbiter::current(),
        owner: owner.downgrade().recipient(),
        meters: Meters::new(),
    })
    .start();
    let answered = Instant::now();
    let leg = |side, hears| {
        let played = Played { side, call: call.downgrade().recipient(), hears, begun: answered }.start();
        Leg { commands: played.clone().recipient(), packets: played.recipient() }
    };
    let (caller, callee) = (leg(Side::Caller, page), leg(Side::Callee, phone));
    call.do_send(Begin { caller, callees: vec![callee] });
    call.do_send(LegReport { side: Side::Callee, branch: 0, event: LegEvent::Answered });
    Stage { call, ended, answered, _owner: owner }
}

impl Stage {
    fn says(&self, side: Side, event: LegEvent) {
        self.call.do_send(LegReport { side, branch: 0, event });
    }

    /// Asserts that the call lives for half an hour.
    async fn lives(mut self) {
        let end = timeout(Duration::from_secs(1800), self.ended.recv()).await;
        assert!(end.is_err(), "{end:?} after {:?}", self.answered.elapsed());
        assert!(self.call.connected());
    }

    /// Asserts that it ends within two seconds of `at`, for this reason.
    async fn dies(mut self, at: u64, reason: &str) {
        let end = timeout(Duration::from_secs(1800), self.ended.recv()).await.expect("no end").unwrap();
        let took = self.answered.elapsed();
        assert_eq!(end.to_string(), reason, "after {took:?}");
        assert!((at..=at + 2).contains(&took.as_secs()), "{took:?} instead of {at} s");
    }
}

/// 50 packets a second.
fn talks(seconds: f64) -> (u64, Owes) {
    ((seconds * 50.0) as u64, Owes::Sound)
}

#[actix::test]
async fn rq30_a_muted_page_is_not_hung_up() {
    tokio::time::pause();
    let dtx = |seconds: f64| ((seconds * 2.5) as u64, Owes::Sound);
    answered(dtx, talks).lives().await;
}

#[actix::test]
async fn rq30_a_page_without_microphone_is_not_hung_up() {
    tokio::time::pause();
    // Its SDP sends; not a packet comes, but a check of its ICE agent every few seconds.
    let consent = |seconds: f64| ((seconds / 5.0) as u64, Owes::Sound);
    answered(consent, talks).lives().await;
    answered(|_| (0, Owes::NothingEver), talks).lives().await;
}

#[actix::test]
async fn rq30_a_phone_that_suppresses_silence_is_not_hung_up() {
    tokio::time::pause();
    let reports = |seconds: f64| (100 + (seconds / 5.0) as u64, Owes::Sound);
    answered(talks, reports).lives().await;
}

#[actix::test]
async fn rq30_a_held_call_is_not_hung_up() {
    tokio::time::pause();
    let silent = |seconds: f64| {
        ((seconds.min(10.0) * 50.0) as u64, if seconds > 10.0 { Owes::NothingHeld } else { Owes::Sound })
    };
    let stage = answered(talks, silent);
    tokio::time::sleep(Duration::from_secs(10)).await;
    stage.says(Side::Caller, LegEvent::HoldAsked);
    stage.lives().await;
}

#[actix::test]
async fn rq30_a_phone_without_power_is_hung_up_within_the_limit() {
    tokio::time::pause();
    let gone = |seconds: f64| ((seconds.min(100.0) * 50.0) as u64, Owes::Sound);
    let reason = "media_timeout by callee, sip leg: nothing received for 60 s (no_packets_from_far_side)";
    answered(talks, gone).dies(160, reason).await;
    let reason = "media_timeout by caller, browser leg: nothing received for 60 s (no_packets_from_browser)";
    answered(gone, talks).dies(160, reason).await;
}

#[actix::test]
async fn rq30_a_phone_that_never_speaks_is_hung_up_earlier() {
    tokio::time::pause();
    let reason = "media_timeout by callee, sip leg: nothing ever received, 30 s after the answer (no_packets_from_far_side)";
    answered(talks, |_| (0, Owes::Sound)).dies(30, reason).await;
}

#[actix::test]
async fn rq30_a_page_that_answers_sets_the_limits_of_its_call() {
    tokio::time::pause();
    let gone = |seconds: f64| ((seconds.min(100.0) * 50.0) as u64, Owes::Sound);
    let wish = |activity| LegEvent::AdditionsGiven(Additions { activity, ..Additions::default() });
    let stage = answered(gone, talks);
    stage.says(
        Side::Caller,
        wish(ActivityWish { running: Some(Duration::from_secs(5)), ..ActivityWish::default() }),
    );
    stage
        .dies(105, "media_timeout by caller, browser leg: nothing received for 5 s (no_packets_from_browser)")
        .await;
    let stage = answered(gone, talks);
    stage.says(Side::Caller, wish(ActivityWish { detecting: Some(false), ..ActivityWish::default() }));
    stage.lives().await;
}
