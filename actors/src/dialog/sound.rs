//! The sound of a dialog: its RTP ports from the first SDP to the end, and what passes between them and the call. `pictures` goes along.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use actix::{AsyncContext, Context, Handler, StreamHandler};
use sip::sdp::Agreed;
use tracing::{debug, warn};

use super::media::RtpSession;
use super::{Dialog, now};
use crate::leg::LegEvent;
use crate::rtp::socket::Port;
use crate::udp::Datagram;
use crate::vocabulary::{Cause, EndReason, MediaFormat, Owes, Packet, Payload};

impl Dialog {
    pub(super) fn bind_media(&mut self, local_ip: IpAddr, ctx: &mut Context<Self>) -> Result<(), EndReason> {
        let advertised = self.sip.settings.media.advertised_address;
        // On loopback nothing beyond it is wanted; elsewhere the far end's media may come by any card.
        let bind_ip = match (advertised, local_ip) {
            (None, ip) if ip.is_loopback() => ip,
            (_, IpAddr::V4(_)) => Ipv4Addr::UNSPECIFIED.into(),
            (_, IpAddr::V6(_)) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let (incoming, media) = RtpSession::bind(&self.sip.ports, bind_ip, now(), &self.sip.meters)
            .and_then(|media| Ok((media.incoming()?, media)))
            .map_err(|error| EndReason::new(None, Cause::Overload).with_detail(error.to_string()))?;
        self.listening = Some(ctx.add_stream(incoming));
        let video_port = self.bind_pictures(bind_ip, &media, ctx);
        let told = advertised.filter(|ip| ip.is_ipv4() == local_ip.is_ipv4());
        if let Some(signalling) = &mut self.signalling {
            signalling.has_media(told.unwrap_or(local_ip), media.port(), video_port);
        }
        self.media = Some(media);
        Ok(())
    }

    /// Follows a new agreement, and tells the call when the format is news to it.
    pub(super) fn follow(&mut self, agreed: &Agreed, ctx: &mut Context<Self>) {
        let video = self.follow_pictures(agreed, ctx);
        let (Some(stream), Some(media)) = (&agreed.audio, &mut self.media) else { return };
        if let Some(keys) = &stream.srtp {
            debug!(call_id = %self.call_id, suite = keys.suite.name(), "media encrypted");
        }
        match media.agree(stream, now()) {
            Some(audio) => {
                // Who is held by us takes nothing either, and holds nobody by that.
                let holds =
                    stream.remote_holds && self.signalling.as_ref().is_none_or(|told| !told.is_holding());
                self.report(LegEvent::MediaAgreed(MediaFormat { audio, video }));
                self.report(LegEvent::RemoteHeld(holds));
                self.fill_silence(ctx);
            }
            None => {
                warn!(call_id = %self.call_id, codec = %stream.send, "agreed on a codec that is none of ours")
            }
        }
    }

    /// Tells how the sound fares; after its end, how it fared.
    pub(super) fn measure(&mut self) {
        if let Some(media) = &self.media {
            self.measured = media.measured();
        }
        self.report(LegEvent::Measured(self.measured.clone()));
    }

    pub(super) fn end_media(&mut self, ctx: &mut Context<Self>) {
        if let Some(listening) = self.listening.take() {
            ctx.cancel_future(listening); // it holds the sockets, whose ports are about to go back
        }
        if let Some(mut media) = self.media.take() {
            media.conclude(now());
            self.measured = media.measured();
            self.measured.ear.owes = Owes::NothingEver;
        }
        self.sink = None;
        self.end_pictures(ctx);
    }

    pub(super) fn pump_digits(&mut self, ctx: &mut Context<Self>) {
        let Some(media) = &mut self.media else { return };
        let now = now();
        self.digit_timer = media.pump_digits(now).map(|at| {
            ctx.run_later(at.saturating_duration_since(now), |dialog, ctx| dialog.pump_digits(ctx))
        });
    }

    pub(super) fn fill_silence(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.silence_timer.take() {
            ctx.cancel_future(timer);
        }
        let Some(media) = &mut self.media else { return };
        let now = now();
        let wait = media.fill(now).saturating_duration_since(now);
        self.silence_timer = Some(ctx.run_later(wait, |dialog, ctx| {
            dialog.silence_timer = None;
            dialog.fill_silence(ctx);
        }));
    }
}

impl Handler<Packet> for Dialog {
    type Result = ();
    fn handle(&mut self, packet: Packet, ctx: &mut Self::Context) {
        if let Payload::Video(_) = packet.payload_kind {
            self.show_far_side(&packet, ctx);
        } else if let Some(media) = &mut self.media {
            media.send(&packet);
        }
    }
}

impl StreamHandler<(Port, Datagram)> for Dialog {
    fn handle(&mut self, (port, datagram): (Port, Datagram), _: &mut Self::Context) {
        let Some(heard) = self.media.as_mut().and_then(|media| media.receive(port, &datagram)) else {
            return;
        };
        if let Some(digit) = heard.digit {
            self.digit_heard(digit, "rfc4733");
        }
        if self.sink.as_mut().is_some_and(|sink| !sink.send(heard.packet)) {
            self.sip.meters.dropped("sink").inc();
        }
    }

    /// Sockets never end; without this, the end of their stream would stop the actor before its BYE.
    fn finished(&mut self, _: &mut Self::Context) {}
}
