//! A still picture for the page while the other side sends none: its element stays muted until it has shown something.
use std::time::Duration;

use actix::Context;

use super::BrowserLeg;
use crate::generator::stand_in::{self, Action, Event, Stage, StandIn, Words};
use crate::leg::LegEvent;
use crate::vocabulary::{KeyFrameAsk, MediaFormat, Meters};

/// What the page sees below the name.
const WHY: &str = "audio only";

/// What is known about it.
#[derive(Default)]
pub(super) struct Cover {
    stand_in: StandIn,
    /// After how long without a picture it begins; none: never.
    delay: Option<Duration>,
    /// The other side has said what it has. Before that, nobody need be told that there is nothing to see.
    other_known: bool,
}

impl BrowserLeg {
    /// The call says whether a still picture stands in, and after how long.
    pub(super) fn stand_in_after(&mut self, delay: Option<Duration>, ctx: &mut Context<Self>) {
        self.order.peer.stands_in = delay.is_some();
        self.pictures.cover.delay = delay;
        self.consider_stand_in(ctx);
    }

    /// The other side's media are agreed, or have changed.
    pub(super) fn other_side_agreed(&mut self, format: &MediaFormat, ctx: &mut Context<Self>) {
        self.pictures.cover.other_known = true;
        self.consider_stand_in(ctx);
        if !format.video.is_some_and(|line| line.direction.receives()) {
            stand_in::step(self, Event::Stopped, ctx);
        }
    }

    /// Something has changed of what it depends on.
    pub(super) fn consider_stand_in(&mut self, ctx: &mut Context<Self>) {
        let Cover { delay, other_known, .. } = self.pictures.cover;
        let peer = self.peer.as_ref().filter(|peer| other_known && peer.is_connected());
        let seen = peer.and_then(|peer| peer.agreed().video.as_ref()).filter(|video| video.page_receives);
        match (delay, seen) {
            (Some(delay), Some(video)) => {
                let view = &self.order.view;
                let name = if view.incoming { &view.visible_name } else { &view.callee };
                let lines = vec![name.clone(), WHY.to_owned()];
                stand_in::open(self, Words { format: video.first().page, lines }, delay, ctx);
            }
            _ => stand_in::shut(self, ctx),
        }
    }

    /// The page cannot go on without a key frame.
    pub(super) fn page_wants_key_frame(&mut self, how: KeyFrameAsk, ctx: &mut Context<Self>) {
        self.count_wish(how);
        if stand_in::step(self, Event::Wanted, ctx) == Action::AskSource {
            self.report(LegEvent::KeyFrameWanted);
        }
    }
}

impl Stage for BrowserLeg {
    fn stand_in(&mut self) -> &mut StandIn {
        &mut self.pictures.cover.stand_in
    }

    fn meters(&self) -> &Meters {
        &self.order.meters
    }
}
