//! What a call knows of its sound: each leg's figures, and the record that they become at its end.
//!
//! The record waits for both legs' last figures, which come before they hang up; not for long, since a leg may have fallen.
use std::time::Duration;

use actix::{ActorContext, AsyncContext, Context};
use tokio::time::Instant;

use super::state::Event;
use super::{Call, CallEnded, succession};
use crate::leg::LegCommand;
use crate::quality::activity::{Silent, Watch};
use crate::quality::{CallRecord, LegRecord};
use crate::vocabulary::{Both, Cause, EndReason, LegKind, Measured, Side};

/// The figures of both legs.
#[derive(Default)]
pub(super) struct Measuring {
    latest: Both<Option<Measured>>,
    /// Legs that have been asked and have not answered.
    asked: Both<bool>,
    /// Once the call is answered.
    watches: Both<Option<Watch>>,
    /// The call is over for this reason; its record is not written yet.
    closing: Option<EndReason>,
}

/// How long the record waits: legs on the same lane answer within microseconds.
const LAST_FIGURES: Duration = Duration::from_millis(200);

/// How often legs are asked how they fare: limits are whole seconds.
const PULSE: Duration = Duration::from_secs(1);

impl Call {
    /// The call has been answered.
    pub(super) fn measure_each_second(&mut self, ctx: &mut Context<Self>) {
        self.watch_anew(Side::Caller);
        self.watch_anew(Side::Callee);
        ctx.run_interval(PULSE, |call, _| call.measure());
    }

    /// Another leg has taken its place on this side.
    pub(super) fn watch_anew(&mut self, side: Side) {
        self.measuring.watches[side] = self.answered.map(|_| Watch::new(now()));
    }

    /// Asks both legs how their sound fares; of several that ring, none.
    pub(super) fn measure(&mut self) {
        let Some(legs) = &self.legs else { return };
        for side in [Side::Caller, Side::Callee] {
            let leg = legs.talking(side).filter(|leg| leg.commands.connected());
            self.measuring.asked[side] = leg.is_some();
            if let Some(leg) = leg {
                leg.commands.do_send(LegCommand::Measure);
            }
        }
    }

    /// A leg said how its sound fares.
    pub(super) fn measured(&mut self, side: Side, measured: Measured, ctx: &mut Context<Self>) {
        let limits = self.order.activity;
        let watch = self.measuring.watches[side].as_mut();
        let silent = watch.and_then(|watch| watch.on(now(), &measured.ear, &limits));
        let kind = measured.kind;
        self.measuring.latest[side] = Some(measured);
        self.measuring.asked[side] = false;
        if let Some(silent) = silent {
            self.step(Event::HangUpAsked(media_timeout(side, kind, silent)), ctx);
        }
        self.close_if_told(ctx);
    }

    /// The call is over.
    pub(super) fn close(&mut self, why: EndReason, ctx: &mut Context<Self>) {
        self.succession_step(succession::Event::Over, ctx);
        self.transfer_over(&why);
        self.measuring.closing = Some(why);
        ctx.run_later(LAST_FIGURES, Self::write_record);
        self.close_if_told(ctx);
    }

    fn close_if_told(&mut self, ctx: &mut Context<Self>) {
        if self.measuring.asked == Both::default() {
            self.write_record(ctx);
        }
    }

    fn write_record(&mut self, ctx: &mut Context<Self>) {
        let Some(reason) = self.measuring.closing.take() else { return };
        self.say_ended(reason);
        ctx.stop();
    }

    /// Counts the end and tells the owner.
    pub(super) fn say_ended(&mut self, reason: EndReason) {
        let Measuring { latest, .. } = std::mem::take(&mut self.measuring);
        let legs =
            Both { caller: latest.caller.map(LegRecord::of), callee: latest.callee.map(LegRecord::of) };
        let talked = self.answered.map(|since| since.elapsed());
        let meters = &self.order.meters;
        meters.calls_total.with_label_values(&[self.order.direction, reason.cause.as_str()]).inc();
        if let Some(talked) = talked {
            meters.call_duration_seconds.observe(talked.as_secs_f64());
        }
        for leg in [&legs.caller, &legs.callee].into_iter().flatten() {
            let (kind, received) = (leg.measured.kind.as_str(), leg.measured.received);
            let Some(reception) = received.reception else { continue };
            meters.rtp_lost_total.with_label_values(&[kind]).inc_by(reception.lost);
            meters.rtp_jitter_seconds.with_label_values(&[kind]).observe(reception.jitter.as_secs_f64());
            if let Some(mos) = leg.mos_received {
                meters.mos.with_label_values(&[kind]).observe(mos.as_f64());
            }
        }
        let setup = self.answered.map(|answered| answered.saturating_duration_since(self.begun));
        let (call_id, direction) = (self.order.call_id.clone(), self.order.direction);
        if let Some(owner) = self.order.owner.upgrade() {
            owner.do_send(CallEnded(CallRecord { call_id, direction, reason, setup, talked, legs }));
        }
        self.said_ended = true;
    }
}

/// Why a call ends whose far end on this side is gone.
fn media_timeout(side: Side, kind: LegKind, Silent { ever, lasted }: Silent) -> EndReason {
    let (leg, seconds) = (kind.as_str(), lasted.as_secs());
    let detail = match ever {
        true => format!("{leg} leg: nothing received for {seconds} s"),
        false => format!("{leg} leg: nothing ever received, {seconds} s after the answer"),
    };
    EndReason::new(Some(side), Cause::MediaTimeout).with_detail(detail)
}

/// The clock that tests can stop.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}
