//! How pictures pass between the legs, and what travels the other way: wishes for key frames, limits of bandwidth.
use tracing::{info, warn};

use codecs::video::Passing;

use super::Call;
use super::wiring::VideoPlan;
use crate::leg::LegCommand;
use crate::vocabulary::{Side, Sink};

/// What is plugged in for pictures now, from caller and from callee.
#[derive(Default)]
pub(super) struct Pictures {
    plugged: [Option<VideoPlan>; 2],
}

impl Call {
    /// Wires pictures as both legs have agreed; leaves alone what is wired like that already. A source that is plugged in
    /// is asked for a key frame, for nobody can begin without one.
    pub(super) fn connect_video(&mut self) {
        for (index, from) in [Side::Caller, Side::Callee].into_iter().enumerate() {
            let plan = self.wiring.video_plan(from);
            if self.pictures.plugged[index] == plan {
                continue;
            }
            let leg = self.legs.as_ref().and_then(|legs| legs.talking(from.other()));
            let sink = match (plan, leg) {
                (Some(VideoPlan { passing: Passing::Whole, from: format, .. }), Some(leg)) => {
                    info!(call_id = %self.order.call_id, from = from.as_str(), codec = format.codec().name(), "video passes");
                    Some(Sink::new(&leg.packets))
                }
                (Some(plan), Some(_)) => {
                    warn!(call_id = %self.order.call_id, from = from.as_str(), ?plan, "video cannot pass");
                    None
                }
                (None, _) | (_, None) => None,
            };
            self.pictures.plugged[index] = plan;
            let flows = sink.is_some();
            self.tell(from, LegCommand::PlugVideo(sink));
            if flows {
                self.tell(from, LegCommand::AskKeyFrame);
            }
        }
    }

    pub(super) fn pause_video(&mut self) {
        for (index, from) in [Side::Caller, Side::Callee].into_iter().enumerate() {
            if self.pictures.plugged[index].take().is_some() {
                self.tell(from, LegCommand::PlugVideo(None));
            }
        }
    }

    /// The far end of `side` sees nothing until the source of its pictures makes a key frame.
    pub(super) fn key_frame_wanted(&mut self, side: Side) {
        self.tell(side.other(), LegCommand::AskKeyFrame);
    }

    /// The far end of `side` takes only so much: the source is told.
    pub(super) fn video_limited(&mut self, side: Side, bits: u32) {
        self.tell(side.other(), LegCommand::LimitVideo(bits));
    }
}
