//! The dialog's side of offer and answer (RFC 3264): descriptions in and out, each looked at before it is believed.
use sip::message::StatusCode;
use sip::sdp::{Agreed, Direction, LocalMedia, Session};

use codecs::video::{Passing, VideoFormat};

use super::Signalling;
use crate::dialog::media::{format_of, video_of};
use crate::vocabulary::{Cause, EndReason, MediaFormat, VideoLine};

impl Signalling {
    /// The other leg speaks this: rather not transcode. Which ways its pictures flow, ours shall.
    pub fn prefer(&mut self, format: MediaFormat) {
        let Some(local) = &mut self.local else { return };
        local.prefer = vec![format_of(format.audio.codec)];
        self.other_has_video = format.video.is_some();
        if let (Some(video), Some(other)) = (&mut local.video, format.video) {
            let shows = other.direction.receives() || self.stands_in;
            video.direction = Direction::new(shows, other.direction.sends());
            video.formats.sort_by_key(|format| effort(video_of(format), &other));
        }
    }

    /// Whether we have pictures for the far side even where the other leg sends none.
    pub fn stands_in(&mut self, stands_in: bool) {
        self.stands_in = stands_in;
    }

    /// What we have for an answer: no pictures where the other leg has none, unless they run already. An offer of ours is not taken back
    /// for that.
    fn local_for_answer(&self) -> Option<LocalMedia> {
        let mut local = self.local.clone()?;
        let in_use = self.negotiation.agreed().is_some_and(|agreed| agreed.video.is_some());
        local.video = local.video.filter(|_| self.other_has_video || in_use);
        Some(local)
    }

    /// An SDP answer in a response or an ACK; an empty body is none.
    pub fn take_answer(&mut self, body: &[u8]) -> Result<Option<Agreed>, EndReason> {
        if body.is_empty() {
            return Ok(None);
        }
        let session = Session::parse(body).map_err(|error| self.bad(error.to_string()))?;
        let agreed =
            self.negotiation.receive_answer(&session).map_err(|error| self.no_codec(error.to_string()))?;
        self.checked(&agreed)?;
        Ok(Some(agreed))
    }

    /// Refuses an agreement without sound, and one that sends media where nothing may go.
    pub(super) fn checked(&self, agreed: &Agreed) -> Result<(), EndReason> {
        if agreed.audio.is_none() {
            return Err(self.no_codec("audio was refused".to_owned()));
        }
        for address in agreed.addresses() {
            self.targets.check(address).map_err(|denied| {
                EndReason::new(None, Cause::Forbidden).with_detail(format!("media {denied}"))
            })?;
        }
        Ok(())
    }

    /// The INVITE's or re-INVITE's offer.
    pub fn take_offer(&mut self, body: &[u8]) -> Result<(), (StatusCode, EndReason)> {
        let session =
            Session::parse(body).map_err(|error| (StatusCode::BAD_REQUEST, self.bad(error.to_string())))?;
        self.negotiation.receive_offer(session).map_err(|error| {
            let code = StatusCode::try_from(error.status()).unwrap_or(StatusCode::NOT_ACCEPTABLE_HERE);
            (code, self.no_codec(error.to_string()))
        })
    }

    /// Whether the offer that we hold can be answered at all; if not, nobody need be rung for it.
    pub fn check_offer(&self) -> Result<(), EndReason> {
        let Some(local) = self.local_for_answer().filter(|_| self.negotiation.owes_answer()) else {
            return Ok(());
        };
        let (_, agreed) =
            self.negotiation.clone().answer(&local).map_err(|error| self.no_codec(error.to_string()))?;
        self.checked(&agreed)
    }

    /// Our SDP for a 200: the answer to their offer, or an offer of ours if they made none.
    pub fn describe(&mut self) -> Result<(String, Option<Agreed>), EndReason> {
        let (Some(local), Some(for_answer)) = (&self.local, self.local_for_answer()) else {
            return Err(EndReason::new(None, Cause::Overload));
        };
        let described = if self.negotiation.owes_answer() {
            self.negotiation.answer(&for_answer).map(|(session, agreed)| (session, Some(agreed)))
        } else {
            self.negotiation.make_offer(local).map(|session| (session, None))
        };
        let (session, agreed) = described.map_err(|error| self.no_codec(error.to_string()))?;
        if let Some(agreed) = &agreed {
            self.checked(agreed)?;
        }
        Ok((session.to_string(), agreed))
    }

    /// An offer of either side came to nothing; what was agreed before stays.
    pub fn drop_offer(&mut self) {
        self.negotiation.drop_offer();
    }

    /// Whether our last SDP was an offer that still waits.
    pub fn awaits_answer(&self) -> bool {
        self.negotiation.awaits_answer()
    }

    pub(super) fn bad(&self, detail: impl Into<String>) -> EndReason {
        EndReason::new(Some(self.far), Cause::BadDescription).with_detail(detail)
    }

    pub(super) fn no_codec(&self, detail: String) -> EndReason {
        EndReason::new(Some(self.far), Cause::NoCommonCodec).with_detail(detail)
    }
}

/// How much work one of our formats is beside the other leg's, both ways.
fn effort(ours: Option<VideoFormat>, other: &VideoLine) -> usize {
    let work = |from: &VideoFormat, to: &VideoFormat| match VideoFormat::passing(from, to) {
        Passing::Whole => 0,
        Passing::Repacketise => 1,
        Passing::Transcode => 4,
    };
    ours.map_or(usize::MAX, |ours| work(&other.sends, &ours) + work(&ours, &other.takes))
}
