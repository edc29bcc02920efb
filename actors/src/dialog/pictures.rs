//! The pictures of a dialog: their RTP ports from the first SDP to the end, what passes between them and the call, and key frames asked both
//! ways: by RTCP, and by SIP INFO (RFC 5168) where RTCP does not help.
use std::net::IpAddr;

use actix::{AsyncContext, Context, SpawnHandle, StreamHandler};
use futures_util::StreamExt;
use sip::message::{Method, StatusCode};
use sip::sdp::Agreed;
use tracing::{debug, warn};

use super::media::{RtpSession, Seen, VideoSession};
use super::outbound::{Outbound, Purpose};
use super::signalling::Signalling;
use super::stand_in::Cover;
use super::state::State;
use super::{Dialog, now};
use crate::rtp::packet::is_rtcp;
use crate::rtp::socket::Port;
use crate::udp::Datagram;
use crate::vocabulary::{Sink, VideoLine};

/// What a dialog has for pictures; all empty in an audio call.
#[derive(Default)]
pub(super) struct Pictures {
    pub(super) session: Option<VideoSession>,
    sink: Option<Sink>,
    /// What came before the first sink: phones send their only key frame with their 200. None: it is over, or was too much.
    early: Option<Vec<OfPictures>>,
    listening: Option<SpawnHandle>,
    timer: Option<SpawnHandle>,
    /// An INFO of ours is out, or the far side refused one: then none follows.
    no_info: bool,
    pub(super) cover: Cover,
}

/// A datagram that came in for pictures.
pub(super) struct OfPictures(Port, Datagram);

/// Most datagrams that are kept for the first sink: a second of pictures of 1 Mbit/s, some 150 KiB.
const MOST_EARLY: usize = 128;

/// The body of an INFO that asks for a key frame (RFC 5168 §7.1).
const PICTURE_FAST_UPDATE: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n<media_control><vc_primitive><to_encoder>\
    <picture_fast_update/></to_encoder></vc_primitive></media_control>\r\n";

/// Its media type.
pub(super) const MEDIA_CONTROL: &str = "application/media_control+xml";

/// Whether a body asks for a key frame. Peers write all sorts of XML around the one word that counts; no other primitive is anybody's.
pub(super) fn asks_for_key_frame(body: &[u8]) -> bool {
    const WORD: &[u8] = b"picture_fast_update";
    body.windows(WORD.len() + 1).any(|window| window[0] == b'<' && window[1..] == *WORD)
}

impl OfPictures {
    fn is_rtp(&self) -> bool {
        self.0 == Port::Rtp && !is_rtcp(&self.1.bytes)
    }
}

impl Dialog {
    /// Takes ports for pictures, if there may be any. Without free ones the call has sound alone.
    pub(super) fn bind_pictures(
        &mut self,
        ip: IpAddr,
        sound: &RtpSession,
        ctx: &mut Context<Self>,
    ) -> Option<u16> {
        if self.home.video.is_empty() {
            return None;
        }
        let (ports, meters) = (&self.sip.ports, &self.sip.meters);
        let session = VideoSession::bind(ports, ip, now(), meters, sound.identity());
        match session.and_then(|session| Ok((session.incoming()?, session))) {
            Ok((incoming, session)) => {
                let port = session.port();
                let incoming = incoming.map(|(port, datagram)| OfPictures(port, datagram));
                self.pictures.listening = Some(ctx.add_stream(incoming));
                self.pictures.session = Some(session);
                self.pictures.early = Some(vec![]);
                Some(port)
            }
            Err(error) => {
                warn!(call_id = %self.call_id, %error, "no ports for pictures");
                None
            }
        }
    }

    /// Follows a new agreement on pictures.
    pub(super) fn follow_pictures(&mut self, agreed: &Agreed, ctx: &mut Context<Self>) -> Option<VideoLine> {
        let line = self.pictures.session.as_mut()?.agree(agreed.video.as_ref(), now());
        self.cover(line.as_ref(), ctx);
        if let Some(line) = &line {
            debug!(call_id = %self.call_id, ?line, "video agreed");
        }
        line
    }

    pub(super) fn end_pictures(&mut self, ctx: &mut Context<Self>) {
        let Pictures { session, listening, timer, .. } = std::mem::take(&mut self.pictures);
        for handle in [listening, timer].into_iter().flatten() {
            ctx.cancel_future(handle);
        }
        if let Some(mut session) = session {
            session.conclude(now());
        }
    }

    /// Where the far end's pictures go from now on.
    pub(super) fn plug_video(&mut self, sink: Option<Sink>, ctx: &mut Context<Self>) {
        let begins = sink.is_some();
        self.pictures.sink = sink;
        for early in self.pictures.early.take_if(|_| begins).into_iter().flatten() {
            self.take_picture(&early, ctx);
        }
    }

    fn take_picture(&mut self, OfPictures(port, datagram): &OfPictures, ctx: &mut Context<Self>) {
        let Pictures { session: Some(session), sink, .. } = &mut self.pictures else { return };
        match session.receive(*port, datagram) {
            Some(Seen::Picture(packet)) => {
                let torn = session.is_torn();
                let Some(sink) = sink else { return };
                if !sink.send(packet) {
                    self.sip.meters.dropped("sink").inc();
                }
                if torn {
                    self.ask_key_frame(ctx);
                }
            }
            Some(Seen::KeyFrameWanted) => self.far_side_wants_key_frame(ctx),
            None => {}
        }
    }

    /// The other leg needs a key frame.
    pub(super) fn ask_key_frame(&mut self, ctx: &mut Context<Self>) {
        let Some(session) = self.pictures.session.as_mut().filter(|session| session.is_agreed()) else {
            return;
        };
        let by_info = session.wish(now());
        self.key_frame_asked(by_info, ctx);
    }

    /// Asks by INFO too, if that is due, and comes back when the source has had its second.
    fn key_frame_asked(&mut self, by_info: bool, ctx: &mut Context<Self>) {
        if by_info {
            self.ask_by_info(ctx);
        }
        if let Some(timer) = self.pictures.timer.take() {
            ctx.cancel_future(timer);
        }
        let deadline = self.pictures.session.as_ref().and_then(VideoSession::deadline);
        self.pictures.timer = deadline.map(|at| {
            ctx.run_later(at.saturating_duration_since(now()), |dialog, ctx| {
                dialog.pictures.timer = None;
                let Some(session) = &mut dialog.pictures.session else { return };
                let by_info = session.due(now());
                dialog.key_frame_asked(by_info, ctx);
            })
        });
    }

    fn ask_by_info(&mut self, ctx: &mut Context<Self>) {
        if self.pictures.no_info || !matches!(self.state, State::Up(_)) {
            return;
        }
        let Some(dialog) = self.signalling.as_mut().and_then(Signalling::dialog) else { return };
        let request = dialog.request(Method::Info).with_body(MEDIA_CONTROL, PICTURE_FAST_UPDATE);
        self.pictures.no_info = true;
        self.send_inside(Outbound::Request(Purpose::KeyFrame, request), ctx);
    }

    /// The INFO has its final response; a far side that refuses it is asked no more by this way.
    pub(super) fn key_frame_info_concluded(&mut self, code: Option<StatusCode>) {
        self.pictures.no_info = !code.is_some_and(StatusCode::is_success);
    }
}

impl StreamHandler<OfPictures> for Dialog {
    fn handle(&mut self, datagram: OfPictures, ctx: &mut Self::Context) {
        match &mut self.pictures.early {
            Some(early) if datagram.is_rtp() && early.len() < MOST_EARLY => early.push(datagram),
            early => {
                *early = early.take().filter(|early| early.len() < MOST_EARLY);
                self.take_picture(&datagram, ctx);
            }
        }
    }

    /// As with sound, the end of the sockets is not the dialog's.
    fn finished(&mut self, _: &mut Self::Context) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_word_of_a_picture_fast_update_asks_for_a_key_frame() {
        assert!(asks_for_key_frame(PICTURE_FAST_UPDATE.as_bytes()));
        assert!(asks_for_key_frame(b"<media_control>\n <picture_fast_update>\n</picture_fast_update>"));
        for body in [
            &b""[..],
            b"<media_control/>",
            b"picture_fast_update",
            b"<general_error>no picture_fast_update",
            b"<picture_fast_updat",
        ] {
            assert!(!asks_for_key_frame(body), "{body:?}");
        }
    }
}
