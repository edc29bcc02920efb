//! What a call knows of its sound: each leg's figures, and the record that they become at its end.
//!
//! The record waits for both legs' last figures, which come before they hang up; not for long, since a leg may have fallen.
use std::time::Duration;

use actix::{ActorContext, AsyncContext, Context};

use super::{Call, CallEnded, succession};
use crate::leg::LegCommand;
use crate::quality::{CallRecord, LegRecord};
use crate::vocabulary::{Both, EndReason, Measured, Side};

/// The figures of both legs.
#[derive(Default)]
pub(super) struct Measuring {
    latest: Both<Option<Measured>>,
    /// Legs that have been asked and have not answered.
    asked: Both<bool>,
    /// The call is over for this reason; its record is not written yet.
    closing: Option<EndReason>,
}

/// How long the record waits: legs on the same lane answer within microseconds.
const LAST_FIGURES: Duration = Duration::from_millis(200);

impl Call {
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
        self.measuring.latest[side] = Some(measured);
        self.measuring.asked[side] = false;
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
