//! How pictures pass between the legs: as they are, in other packets, or through a codec; and what travels the other way: wishes for key
//! frames, limits of bandwidth.
use std::time::Duration;

use actix::{Addr, AsyncContext, Context, Handler};
use codecs::video::Passing;
use tracing::{error, info, warn};

use super::Call;
use crate::leg::LegCommand;
use crate::transcoder::{VideoAsk, VideoNews, VideoSaid, VideoTranscoder};
use crate::vocabulary::{Both, Side, Sink, VideoConversion};

/// What is plugged in for pictures now, from caller and from callee.
#[derive(Default)]
pub(super) struct Pictures {
    ways: [Way; 2],
    next_id: u64,
    /// What the SIP side runs.
    software: Option<Box<str>>,
    /// What both legs know of still pictures.
    stand_in: Option<Duration>,
}

/// One direction.
#[derive(Default)]
struct Way {
    plugged: Option<VideoConversion>,
    /// What was plugged in last, also when it is no more.
    passed: Option<VideoConversion>,
    /// What stands between, and its number.
    transcoder: Option<(u64, Addr<VideoTranscoder>)>,
    /// Packets of the source did not fit the target once.
    misfits: bool,
    deaths: u32,
    /// What the target said last of how much it takes, and what whoever makes its pictures was told.
    reported: Option<u32>,
    limit: Option<u32>,
}

impl Pictures {
    /// What makes the pictures of this side anew, if something does.
    pub(super) fn transcoder(&self, from: Side) -> Option<&Addr<VideoTranscoder>> {
        self.ways[index(from)].transcoder.as_ref().map(|(_, transcoder)| transcoder)
    }

    /// How the pictures of each side went to the other.
    pub(super) fn passed(&self) -> Both<Option<VideoConversion>> {
        let [caller, callee] = [&self.ways[0], &self.ways[1]].map(|way| way.passed);
        Both { caller, callee }
    }
}

/// A transcoder that died is started anew once; after a second death that direction stays without pictures.
const MAX_DEATHS: u32 = 1;

fn index(from: Side) -> usize {
    match from {
        Side::Caller => 0,
        Side::Callee => 1,
    }
}

impl Call {
    /// Wires pictures as both legs have agreed; leaves alone what is wired like that already. A source that is plugged in
    /// is asked for a key frame, for nobody can begin without one.
    pub(super) fn connect_video(&mut self, ctx: &mut Context<Self>) {
        for from in [Side::Caller, Side::Callee] {
            let way = &self.pictures.ways[index(from)];
            let plan = self.wiring.video_plan(from).filter(|_| way.deaths <= MAX_DEATHS).map(|plan| {
                let encoded = way.misfits && plan.passing == Passing::Repacketise;
                VideoConversion { passing: if encoded { Passing::Transcode } else { plan.passing }, ..plan }
            });
            if way.plugged == plan {
                self.pass_limit(from);
                continue;
            }
            let leg = self.legs.as_ref().and_then(|legs| legs.talking(from.other()));
            let target = leg.map(|leg| Sink::new(&leg.packets));
            let sink = plan.zip(target).and_then(|(plan, target)| self.pass_video(from, plan, target, ctx));
            let flows = sink.is_some();
            let way = &mut self.pictures.ways[index(from)];
            (way.plugged, way.limit) = (plan, None);
            self.count_way(from, plan.filter(|_| flows));
            self.pass_limit(from);
            self.tell(from, LegCommand::PlugVideo(sink));
            if flows {
                self.tell(from, LegCommand::AskKeyFrame);
            }
        }
    }

    /// Where the pictures of `from` go on their way to `target`.
    fn pass_video(
        &mut self,
        from: Side,
        plan: VideoConversion,
        target: Sink,
        ctx: &mut Context<Self>,
    ) -> Option<Sink> {
        self.pictures.ways[index(from)].transcoder = None;
        let (call_id, codec) = (&self.order.call_id, plan.from.codec().name());
        if plan.passing == Passing::Whole {
            info!(%call_id, from = from.as_str(), codec, "video passes");
            return Some(target);
        }
        let id = self.pictures.next_id;
        self.pictures.next_id += 1;
        let owner = (id, ctx.address().downgrade().recipient());
        let (settings, lane) = (&self.order.video, &self.order.codec_lane);
        match VideoTranscoder::begin(plan, settings, target, owner, lane, &self.order.meters) {
            Ok(transcoder) => {
                info!(%call_id, from = from.as_str(), codec, to = plan.to.codec().name(), how = ?plan.passing, "video");
                let sink = Sink::new(&transcoder.clone().recipient());
                self.pictures.ways[index(from)].transcoder = Some((id, transcoder));
                Some(sink)
            }
            Err(problem) => {
                warn!(%call_id, from = from.as_str(), %problem, "no video");
                None
            }
        }
    }

    /// Counts whether a codec was needed: once each time that this is news.
    fn count_way(&mut self, from: Side, plan: Option<VideoConversion>) {
        let Some(plan) = plan else { return };
        let before = self.pictures.ways[index(from)].passed.replace(plan);
        let encoded = |plan: VideoConversion| plan.passing == Passing::Transcode;
        if before.map(encoded) == Some(encoded(plan)) {
            return;
        }
        let (meters, codecs) =
            (&self.order.meters.video, [plan.from, plan.to].map(|format| format.codec().name()));
        match plan.passing {
            Passing::Transcode => meters.transcoded_total.with_label_values(&codecs).inc(),
            Passing::Whole | Passing::Repacketise => meters.transcode_avoided_total.inc(),
        }
    }

    pub(super) fn pause_video(&mut self) {
        for from in [Side::Caller, Side::Callee] {
            let way = &mut self.pictures.ways[index(from)];
            (way.transcoder, way.reported) = (None, None);
            if way.plugged.take().is_some() {
                self.tell(from, LegCommand::PlugVideo(None));
            }
        }
    }

    /// A leg has said what its far end runs.
    pub(super) fn software_seen(&mut self, name: Box<str>) {
        self.pictures.software = Some(name);
        self.rule_stand_in();
    }

    /// Tells the legs whether still pictures stand in for those that are not sent, as far as that is known now.
    pub(super) fn rule_stand_in(&mut self) {
        let delay = self.order.stand_in.delay_for(self.pictures.software.as_deref());
        if std::mem::replace(&mut self.pictures.stand_in, delay) != delay {
            self.tell_stand_in();
        }
    }

    /// The same for legs of which one is new.
    pub(super) fn tell_stand_in(&self) {
        for side in [Side::Caller, Side::Callee] {
            self.tell(side, LegCommand::StandIn(self.pictures.stand_in));
        }
    }

    /// The far end of `side` sees nothing until whoever makes its pictures makes a key frame.
    pub(super) fn key_frame_wanted(&mut self, side: Side) {
        match self.pictures.transcoder(side.other()) {
            Some(transcoder) => transcoder.do_send(VideoAsk::KeyFrame),
            None => self.tell(side.other(), LegCommand::AskKeyFrame),
        }
    }

    /// The far end of `side` takes only so much, for now.
    pub(super) fn video_limited(&mut self, side: Side, bits: u32) {
        self.pictures.ways[index(side.other())].reported = Some(bits);
        self.pass_limit(side.other());
    }

    /// Tells whoever makes what the pictures of `from` become how much their target takes, by its SDP and by its last word, if that is news.
    fn pass_limit(&mut self, from: Side) {
        let agreed = self.wiring.format(from.other()).and_then(|format| format.video?.limit);
        let way = &mut self.pictures.ways[index(from)];
        let Some(bits) = [agreed, way.reported].into_iter().flatten().min() else { return };
        if way.plugged.is_none() || way.limit.replace(bits) == Some(bits) {
            return;
        }
        match self.pictures.transcoder(from) {
            Some(transcoder) => transcoder.do_send(VideoAsk::Limit(bits)),
            None => self.tell(from, LegCommand::LimitVideo(bits)),
        }
    }
}

impl Handler<VideoSaid> for Call {
    type Result = ();
    fn handle(&mut self, VideoSaid { id, news }: VideoSaid, ctx: &mut Self::Context) {
        let speaks = |from: &Side| {
            let way = &self.pictures.ways[index(*from)];
            way.transcoder.as_ref().is_some_and(|(running, _)| *running == id)
        };
        let Some(from) = [Side::Caller, Side::Callee].into_iter().find(speaks) else {
            return; // one that we replaced ourselves
        };
        match news {
            VideoNews::WantsKeyFrame => self.tell(from, LegCommand::AskKeyFrame),
            VideoNews::Limits(bits) => self.tell(from, LegCommand::LimitVideo(bits)),
            VideoNews::DoesNotFit => {
                self.pictures.ways[index(from)].misfits = true;
                self.connect_video(ctx);
            }
            VideoNews::Gone => {
                let way = &mut self.pictures.ways[index(from)];
                way.deaths += 1;
                (way.plugged, way.transcoder) = (None, None);
                error!(call_id = %self.order.call_id, deaths = way.deaths, "a video transcoder died");
                if way.deaths > MAX_DEATHS {
                    self.tell(from, LegCommand::PlugVideo(None));
                }
                self.connect_video(ctx);
            }
        }
    }
}
