//! How sound passes between the legs: forwarded, through transcoders, or not at all while music plays. What passes is `wiring`'s to say.
use actix::{Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, WrapFuture};
use tracing::{error, info, warn};

use super::state::Event;
use super::wiring::Plan;
use super::{Call, HangUp};
use crate::generator::Generator;
use crate::leg::LegCommand;
use crate::transcoder::{Conversion, ExpectLoss, Listen, Transcoder, TranscoderGone};
use crate::vocabulary::{Both, Cause, EndReason, Side, Sink};

/// The transcoders of a call, one per direction, and how often one has died.
#[derive(Default)]
pub(super) struct Transcoders {
    pub(super) running: Vec<Running>,
    next_id: u64,
    deaths: u32,
    /// In percent, on the way to each side.
    expected_loss: Both<u8>,
}

/// A transcoder in front of a side.
pub(super) struct Running {
    id: u64,
    to: Side,
    pub(super) transcoder: Addr<Transcoder>,
}

/// A transcoder that died is started anew once; a second death ends the call.
const MAX_TRANSCODER_DEATHS: u32 = 1;

impl Call {
    /// Wires both directions, sinks first; leaves alone what is wired like that already.
    pub(super) fn connect(&mut self, ctx: &mut Context<Self>) {
        let (Some(there), Some(back)) = (self.wiring.plan(Side::Caller), self.wiring.plan(Side::Callee))
        else {
            return;
        };
        self.connect_video(ctx);
        if self.plugged.replace((there, back)) == Some((there, back)) {
            return;
        }
        self.stop_transcoders();
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
                let to = from.other();
                transcoder.do_send(ExpectLoss(self.transcoders.expected_loss[to]));
                self.transcoders.running.push(Running { id, to, transcoder });
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

    /// Asks the transcoders what they hear of each side.
    pub(super) fn listen(&mut self, ctx: &mut Context<Self>) {
        for &Running { id, to, ref transcoder } in &self.transcoders.running {
            let answer = transcoder.send(Listen).into_actor(self).map(move |heard, call, _| {
                if call.transcoders.running.iter().any(|running| running.id == id) {
                    call.measuring.hears(to.other(), heard.ok());
                }
            });
            ctx.spawn(answer);
        }
    }

    fn stop_transcoders(&mut self) {
        self.transcoders.running.clear();
        self.measuring.hears(Side::Caller, None);
        self.measuring.hears(Side::Callee, None);
    }

    /// So many percent of what is sent to this side will be lost; its transcoder hears of it when that changes.
    pub(super) fn expect_loss(&mut self, to: Side, percent: u8) {
        if std::mem::replace(&mut self.transcoders.expected_loss[to], percent) == percent {
            return;
        }
        info!(call_id = %self.order.call_id, to = to.as_str(), percent, "expected loss");
        for running in self.transcoders.running.iter().filter(|running| running.to == to) {
            running.transcoder.do_send(ExpectLoss(percent));
        }
    }

    pub(super) fn pause(&mut self) {
        self.tell(Side::Caller, LegCommand::Plug(None));
        self.tell(Side::Callee, LegCommand::Plug(None));
        self.pause_video();
        self.stop_transcoders();
        self.music = None;
        self.plugged = None;
    }

    /// A held far end that hears nothing at all may take the call for dead, and so may its PBX.
    pub(super) fn play_music(&mut self, side: Side) {
        let leg = self.legs.as_ref().and_then(|legs| legs.talking(side));
        let (Some(format), Some(leg)) = (self.wiring.format(side), leg) else { return };
        let sink = Sink::new(&leg.packets);
        let music = self.order.sounds.music();
        self.music = Some(Generator::play(music, format.audio.codec, sink, &self.order.meters));
    }
}

impl Handler<TranscoderGone> for Call {
    type Result = ();
    fn handle(&mut self, TranscoderGone { id, playout }: TranscoderGone, ctx: &mut Self::Context) {
        self.played(id, playout, ctx);
        if !self.transcoders.running.iter().any(|running| running.id == id) {
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
