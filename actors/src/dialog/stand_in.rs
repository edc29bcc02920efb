//! A still picture for the far side while the page sends none: it has no camera, or turned it off.
use std::time::Duration;

use actix::Context;
use codecs::VideoFormat;
use sip::message::{HeaderName, Headers};

use super::Dialog;
use crate::generator::stand_in::{self, Action, Event, STOPPED, Stage, StandIn, Words};
use crate::leg::LegEvent;
use crate::vocabulary::{MediaFormat, Meters, Packet, VideoLine};

/// What the far side sees below the name.
const WHY: &str = "audio only";

/// What is known about it.
#[derive(Default)]
pub(super) struct Cover {
    stand_in: StandIn,
    /// After how long without a picture it begins; none: never.
    delay: Option<Duration>,
    /// What the far side takes, while it takes something.
    taken: Option<VideoFormat>,
    /// Whether the other leg sends, once that is known.
    other_sends: Option<bool>,
    /// What the far side said last that it runs.
    software: Option<Box<str>>,
}

/// Longest name of a far side's software that is looked at.
const MAX_SOFTWARE: usize = 128;

impl Dialog {
    /// The call says whether a still picture stands in, and after how long.
    pub(super) fn stand_in_after(&mut self, delay: Option<Duration>, ctx: &mut Context<Self>) {
        self.pictures.cover.delay = delay;
        if let Some(signalling) = &mut self.signalling {
            signalling.stands_in(delay.is_some());
        }
        self.consider_stand_in(ctx);
    }

    /// The other leg's media are agreed, or have changed.
    pub(super) fn other_leg_agreed(&mut self, format: &MediaFormat, ctx: &mut Context<Self>) {
        let sends = format.video.is_some_and(|line| line.direction.receives());
        self.pictures.cover.other_sends = Some(sends);
        self.consider_stand_in(ctx);
        if !sends {
            stand_in::step(self, Event::Stopped, ctx);
        }
    }

    /// What is agreed with the far side.
    pub(super) fn cover(&mut self, line: Option<&VideoLine>, ctx: &mut Context<Self>) {
        self.pictures.cover.taken = line.filter(|line| line.direction.sends()).map(|line| line.takes);
        self.consider_stand_in(ctx);
    }

    /// A page that has promised pictures gets the time to bring them: the phone's sound does not wait for them, as a page's does.
    fn consider_stand_in(&mut self, ctx: &mut Context<Self>) {
        let Cover { delay, taken, other_sends, .. } = self.pictures.cover;
        match (delay, taken, other_sends) {
            (Some(delay), Some(format), Some(sends)) => {
                let account = self.home.way.as_ref().map(|way| way.account.login.clone());
                let name = self.home.display_name.clone().or(account).unwrap_or_default();
                let words = Words { format, lines: vec![name, WHY.to_owned()] };
                stand_in::open(self, words, if sends { delay.max(STOPPED) } else { delay }, ctx);
            }
            _ => stand_in::shut(self, ctx),
        }
    }

    /// A picture for the far side, or a part of one.
    pub(super) fn show_far_side(&mut self, packet: &Packet, ctx: &mut Context<Self>) {
        match stand_in::judge(self, packet, packet.begins_key_picture(), ctx) {
            Action::Pass => {
                if let Some(session) = &mut self.pictures.session {
                    session.send(packet);
                }
            }
            Action::DropAndAsk => self.report(LegEvent::KeyFrameWanted),
            _ => {}
        }
    }

    /// The far side cannot go on without a key frame.
    pub(super) fn far_side_wants_key_frame(&mut self, ctx: &mut Context<Self>) {
        if stand_in::step(self, Event::Wanted, ctx) == Action::AskSource {
            self.report(LegEvent::KeyFrameWanted);
        }
    }

    /// Tells the call what the far side runs, if that is news.
    pub(super) fn look_at_software(&mut self, headers: &Headers) {
        let name = headers.get(&HeaderName::Server);
        let Some(name) = name.or_else(|| headers.get(&HeaderName::UserAgent)) else { return };
        let name: Box<str> = name.chars().take(MAX_SOFTWARE).collect::<String>().into();
        if self.pictures.cover.software.as_ref() != Some(&name) {
            self.pictures.cover.software = Some(name.clone());
            self.report(LegEvent::SoftwareSeen(name));
        }
    }
}

impl Stage for Dialog {
    fn stand_in(&mut self) -> &mut StandIn {
        &mut self.pictures.cover.stand_in
    }

    fn meters(&self) -> &Meters {
        &self.sip.meters
    }
}
