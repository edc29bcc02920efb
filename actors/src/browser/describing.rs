//! Descriptions of the page and for it: read, answered, offered. Each once.
use actix::{AsyncContext, Context};

use super::rtc::Peer;
use super::sdp::{AgreedVideo, Description, SdpError};
use super::state::{Event, State};
use super::{BrowserLeg, now};
use crate::lanes::Join;
use crate::leg::LegEvent;
use crate::page::ToPage;
use crate::vocabulary::{Additions, AudioFormat, Cause, EndReason, MediaFormat};

impl BrowserLeg {
    /// The page that calls has brought its offer.
    pub(super) fn begin(&mut self, ctx: &mut Context<Self>) {
        let Some(offer) = self.order.offer.take() else { return };
        match Description::parse(&offer) {
            Ok(offer) => {
                let answer_at_once = self.order.answer_at_once && !self.waits_with_pictures(&offer);
                self.description = Some(offer);
                self.step(Event::Begun { answer_at_once }, ctx);
            }
            Err(error) => self.step(Event::DescriptionFailed(self.bad(&error)), ctx),
        }
    }

    /// Pictures that are promised and do not come keep the page's sound muted, and there is one answer only: it waits until the other side
    /// has said whether it has any.
    fn waits_with_pictures(&self, offer: &Description) -> bool {
        let may_come = offer.has_video() && !self.order.peer.video.is_empty();
        may_come && !self.order.answer_video_at_once
    }

    /// Answers the page's offer.
    pub(super) fn answer_offer(&mut self, other_side: Option<MediaFormat>, ctx: &mut Context<Self>) {
        let Some(offer) = self.description.take() else { return };
        match Peer::answer(&offer, &self.order.peer, other_side.as_ref(), now()) {
            Ok((peer, text)) => {
                self.has_peer(peer, ctx);
                self.tell(ToPage::RemoteDescription { call_id: self.order.view.call_id.clone(), sdp: text });
                if let Some(format) = self.agreed() {
                    self.step(Event::OfferAnswered(format), ctx);
                }
                self.drive(ctx);
            }
            Err(error) => self.step(Event::DescriptionFailed(self.bad(&error)), ctx),
        }
    }

    pub(super) fn offer(&mut self, ctx: &mut Context<Self>) {
        let (peer, text) = Peer::offer(&self.order.peer, now());
        self.has_peer(peer, ctx);
        // Before the call is announced: the WebSDK keeps an offer for a call that it does not know yet, and no other.
        self.tell(ToPage::RemoteDescription { call_id: self.order.view.call_id.clone(), sdp: text });
        self.drive(ctx);
    }

    pub(super) fn take_answer(&mut self, ctx: &mut Context<Self>) {
        let (Some(answer), Some(peer)) = (self.description.take(), &mut self.peer) else { return };
        match peer.accept_answer(&answer, now()) {
            Ok(()) => {
                if let Some(format) = self.agreed() {
                    self.step(Event::AnswerTaken(format), ctx);
                }
                self.drive(ctx);
            }
            Err(error) => self.step(Event::DescriptionFailed(self.bad(&error)), ctx),
        }
    }

    fn has_peer(&mut self, peer: Peer, ctx: &mut Context<Self>) {
        let fragment = peer.local_ufrag().to_owned();
        self.order.lane.do_send(Join { fragment: fragment.clone(), peer: ctx.address().recipient() });
        self.fragment = Some(fragment);
        self.peer = Some(peer);
    }

    /// What the page sends and takes, now that both descriptions are known: the first codec of the answer.
    fn agreed(&mut self) -> Option<MediaFormat> {
        let agreed = self.peer.as_ref()?.agreed();
        let codec = agreed.audio.first()?.codec;
        let ptime = agreed.ptime.unwrap_or(codec.spec().default_ptime_ms);
        let format = AudioFormat {
            codec,
            ptime_ms: codec.spec().ptime_at_most(ptime),
            telephone_event: !agreed.telephone_events.is_empty(),
        };
        self.codec = Some(format);
        self.tally.stream.set_clock_rate(codec.spec().clock_rate);
        Some(MediaFormat { audio: format, video: agreed.video.as_ref().map(AgreedVideo::line) })
    }

    fn bad(&self, error: &SdpError) -> EndReason {
        let cause = if matches!(error, SdpError::NoCommonCodec) {
            Cause::NoCommonCodec
        } else {
            Cause::BadDescription
        };
        EndReason::new(Some(self.order.side), cause).with_detail(error.to_string())
    }

    /// The page's answer came; a bad one ends the call.
    pub(super) fn page_answered(&mut self, sdp: &str, additions: Additions, ctx: &mut Context<Self>) {
        if self.state != State::Alerting {
            return; // answered already, or over
        }
        match Description::parse(sdp) {
            Ok(answer) => {
                self.description = Some(answer);
                if !additions.is_empty() {
                    self.report(LegEvent::AdditionsGiven(additions)); // before the answer, which goes out at once
                }
                self.step(Event::PageAnswered, ctx);
            }
            Err(error) => self.step(Event::DescriptionFailed(self.bad(&error)), ctx),
        }
    }
}
