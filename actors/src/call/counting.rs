//! What a call leaves in the metrics when it is over.
use std::time::Duration;

use super::Call;
use crate::quality::LegRecord;
use crate::quality::monitor::Verdict;
use crate::vocabulary::{Both, EndReason, VideoFlow};

impl Call {
    pub(super) fn count_end(
        &self,
        reason: &EndReason,
        talked: Option<Duration>,
        legs: &Both<Option<LegRecord>>,
        verdict: &Verdict,
    ) {
        let meters = &self.order.meters;
        meters.calls_total.with_label_values(&[self.order.direction, reason.cause.as_str()]).inc();
        if let Some(talked) = talked {
            meters.call_duration_seconds.observe(talked.as_secs_f64());
        }
        for leg in [&legs.caller, &legs.callee].into_iter().flatten() {
            self.count_sound(leg);
            if let Some(video) = &leg.measured.video {
                let leg = leg.measured.kind.as_str();
                self.count_video(&[leg, "in"], &video.received);
                self.count_video(&[leg, "out"], &video.sent);
            }
        }
        meters.one_way_calls_total.inc_by(u64::from(verdict.one_way));
        for leg in &verdict.mute {
            meters.no_media_calls_total.with_label_values(&[leg.as_str()]).inc();
        }
    }

    fn count_sound(&self, leg: &LegRecord) {
        let (meters, kind) = (&self.order.meters, leg.measured.kind.as_str());
        let Some(reception) = leg.measured.received.reception else { return };
        meters.rtp_lost_total.with_label_values(&[kind]).inc_by(reception.lost);
        meters.rtp_jitter_seconds.with_label_values(&[kind]).observe(reception.jitter.as_secs_f64());
        if let Some(mos) = leg.mos_received {
            meters.mos.with_label_values(&[kind]).observe(mos.as_f64());
        }
    }

    fn count_video(&self, way: &[&str], video: &VideoFlow) {
        let meters = &self.order.meters.video;
        meters.packets_total.with_label_values(way).inc_by(video.flow.packets);
        meters.pictures_total.with_label_values(way).inc_by(video.pictures);
        meters.freezes_total.with_label_values(way).inc_by(video.freezes);
        if let Some(reception) = video.flow.reception {
            meters.lost_total.with_label_values(way).inc_by(reception.lost);
        }
        if let Some(bitrate) = video.bitrate() {
            meters.bits_per_second.with_label_values(way).observe(bitrate as f64);
            meters.frozen_seconds.with_label_values(way).observe(video.frozen.as_secs_f64());
        }
    }
}
