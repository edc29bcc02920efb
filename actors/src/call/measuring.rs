//! What a call knows of its sound and pictures: each second it asks both legs how they fare, tells what is wrong, and ends when one is gone. At its end
//! the figures become a record.
//!
//! The record waits for both legs' last figures, which come before they hang up, and for those of the transcoders; not for long, since a leg may have fallen.
use std::time::Duration;

use actix::{ActorContext, AsyncContext, Context};
use codecs::Hearing;
use tokio::time::Instant;
use tracing::{info, warn};

use super::state::Event;
use super::{Call, CallEnded, succession};
use crate::leg::LegCommand;
use crate::quality::activity::Silent;
use crate::quality::monitor::{Monitor, News};
use crate::quality::outlook::Outlook;
use crate::quality::{CallRecord, LegRecord, SoundNews, Trouble};
use crate::vocabulary::{Both, Cause, EndReason, LegKind, Measured, Playout, Side};

/// The figures of both legs, and what they mean.
#[derive(Default)]
pub(super) struct Measuring {
    monitor: Monitor,
    outlook: Both<Outlook>,
    latest: Both<Option<Measured>>,
    /// Legs that have been asked and have not answered.
    asked: Both<bool>,
    /// The call is over for this reason; its record is not written yet.
    closing: Option<EndReason>,
    /// Transcoders that have not ended, by the side that they decode.
    playing: Vec<(u64, Side)>,
    playout: Both<Playout>,
    /// What is heard of each side, where it is decoded.
    hearing: Both<Option<Hearing>>,
}

impl Measuring {
    /// A transcoder decodes what this side sends.
    pub(super) fn plays(&mut self, id: u64, from: Side) {
        self.playing.push((id, from));
    }

    /// What its decoder has heard of this side.
    pub(super) fn hears(&mut self, from: Side, heard: Option<Hearing>) {
        self.hearing[from] = heard;
    }
}

/// How long the record waits: legs on the same lane answer within microseconds.
const LAST_FIGURES: Duration = Duration::from_millis(200);
/// How often legs are asked how they fare: limits are whole seconds.
const PULSE: Duration = Duration::from_secs(1);

impl Call {
    /// The call has been answered.
    pub(super) fn measure_each_second(&mut self, ctx: &mut Context<Self>) {
        self.measuring.monitor.answered(now());
        ctx.run_interval(PULSE, |call, ctx| {
            if let Some(legs) = call.measuring.monitor.look(now()) {
                call.show(&SoundNews::Quality(legs));
            }
            call.measure();
            call.listen(ctx);
        });
    }

    /// Another leg has taken its place on this side.
    pub(super) fn watch_anew(&mut self, side: Side) {
        self.measuring.monitor.anew(side, now());
        self.measuring.outlook[side] = Outlook::default();
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
    pub(super) fn measured(&mut self, side: Side, mut measured: Measured, ctx: &mut Context<Self>) {
        measured.ear.hearing = self.measuring.hearing[side];
        let news = match self.measuring.closing {
            Some(_) => vec![],
            None => self.measuring.monitor.on(now(), side, &measured, &self.order.activity),
        };
        let expected = self.measuring.outlook[side].on(&measured);
        self.expect_loss(side, expected);
        self.measuring.latest[side] = Some(measured);
        self.measuring.asked[side] = false;
        for news in news {
            self.hear_news(side, news, ctx);
        }
        self.close_if_told(ctx);
    }

    fn hear_news(&mut self, side: Side, news: News, ctx: &mut Context<Self>) {
        let call_id = self.order.call_id.clone();
        match news {
            News::Trouble(trouble) => {
                let (leg, way, cause) = (trouble.leg.as_str(), trouble.way.as_str(), trouble.word());
                let lasted = now().saturating_duration_since(trouble.since);
                if trouble.is_fault() {
                    warn!(%call_id, leg, way, cause, seconds = lasted.as_secs(), "no sound");
                } else {
                    info!(%call_id, leg, way, cause, seconds = lasted.as_secs(), "no sound, as agreed");
                }
                self.order.meters.media_troubles_total.with_label_values(&[leg, way, cause]).inc();
                self.show(&SoundNews::Trouble(trouble, lasted));
            }
            News::Well(trouble) => {
                info!(%call_id, leg = trouble.leg.as_str(), way = trouble.way.as_str(), "sound again");
                self.show(&SoundNews::Well(trouble));
            }
            News::Gone(leg, silent, trouble) => {
                self.step(Event::HangUpAsked(media_timeout(side, leg, silent, trouble)), ctx);
            }
        }
    }

    /// Pages that want to know hear of it; other legs have nobody to tell.
    fn show(&self, news: &SoundNews) {
        self.tell(Side::Caller, LegCommand::ShowSound(news.clone()));
        self.tell(Side::Callee, LegCommand::ShowSound(news.clone()));
    }

    /// The call is over.
    pub(super) fn close(&mut self, why: EndReason, ctx: &mut Context<Self>) {
        self.succession_step(succession::Event::Over, ctx);
        self.asked_in_vain(&why);
        self.measuring.closing = Some(why);
        ctx.run_later(LAST_FIGURES, Self::write_record);
        self.close_if_told(ctx);
    }

    /// A transcoder has ended.
    pub(super) fn played(&mut self, id: u64, playout: Playout, ctx: &mut Context<Self>) {
        let playing = &mut self.measuring.playing;
        let Some(at) = playing.iter().position(|(known, _)| *known == id) else { return };
        let (_, side) = playing.swap_remove(at);
        let sum = &mut self.measuring.playout[side];
        sum.late += playout.late;
        sum.concealed += playout.concealed;
        self.close_if_told(ctx);
    }

    fn close_if_told(&mut self, ctx: &mut Context<Self>) {
        if self.measuring.asked == Both::default() && self.measuring.playing.is_empty() {
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
        let Measuring { latest, mut monitor, playout, .. } = std::mem::take(&mut self.measuring);
        let verdict = monitor.close(now());
        let Both { caller, callee } = latest;
        let legs = Both {
            caller: caller.map(|leg| LegRecord::of(leg, playout.caller)),
            callee: callee.map(|leg| LegRecord::of(leg, playout.callee)),
        };
        let talked = self.answered.map(|since| since.elapsed());
        self.count_end(&reason, talked, &legs, &verdict);
        let setup = self.answered.map(|answered| answered.saturating_duration_since(self.begun));
        let (call_id, direction) = (self.order.call_id.clone(), self.order.direction);
        if let Some(owner) = self.order.owner.upgrade() {
            let (troubles, video) = (verdict.troubles, self.pictures.passed());
            let record = CallRecord { call_id, direction, reason, setup, talked, legs, video, troubles };
            owner.do_send(CallEnded(record));
        }
        self.said_ended = true;
    }
}

/// Why a call ends whose far end on this side is gone.
fn media_timeout(side: Side, leg: LegKind, silent: Silent, trouble: Option<Trouble>) -> EndReason {
    let Silent { ever, lasted } = silent;
    let (leg, seconds) = (leg.as_str(), lasted.as_secs());
    let mut detail = match ever {
        true => format!("{leg} leg: nothing received for {seconds} s"),
        false => format!("{leg} leg: nothing ever received, {seconds} s after the answer"),
    };
    if let Some(trouble) = trouble {
        detail += &format!(" ({})", trouble.word());
    }
    EndReason::new(Some(side), Cause::MediaTimeout).with_detail(detail)
}

/// The clock that tests can stop.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}
