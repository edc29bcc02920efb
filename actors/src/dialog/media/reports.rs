//! RTCP of a SIP leg, and its books.
//!
//! Reports go where the SDP says (`a=rtcp`, else the port above), unless the source is locked elsewhere: then where theirs come from
//! (RFC 4961), else the port above the source. We offer no `rtcp-mux` and so agree to none; reports that come to the RTP port anyway
//! are read. A BYE of theirs ends nothing.
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sip::sdp::Stream;

use super::{RtpSession, random_u32};
use crate::rtp::rtcp::{self, Report, ReportBlock, Rtcp, SenderInfo};
use crate::rtp::socket::Port;
use crate::rtp::srtp::Kind;
use crate::udp::Datagram;
use crate::vocabulary::{LegKind, Measured, Owes};

/// When the next report is due; never in step with other calls (RFC 3550 §6.2).
pub fn next_report() -> Duration {
    rtcp::interval(f64::from(random_u32()) / f64::from(u32::MAX))
}

impl RtpSession {
    /// Sends an RTCP report.
    pub fn report(&mut self, now: Instant, bye: bool) {
        let Some(agreed) = &self.agreed else { return };
        let Some(remote) = self.rtcp_remote(&agreed.stream) else { return };
        let timestamp = self.sequencer.timestamp_at(now);
        let sender = (self.sent.packets > 0).then(|| SenderInfo {
            ntp: self.ntp.at(now),
            rtp_timestamp: timestamp,
            packets: self.sent.packets,
            octets: self.sent.octets,
        });
        let block = self.tally.stream.report(now);
        let report = Report { ssrc: self.sequencer.ssrc(), cname: &self.cname, sender, block, bye };
        let report = report.build();
        let sealed = match &mut self.srtp {
            Some(srtp) => match srtp.protect(Kind::Rtcp, &report) {
                Some(sealed) => Some(sealed),
                None => return,
            },
            None => None,
        };
        if self.sockets.send(Port::Rtcp, sealed.as_deref().unwrap_or(&report), remote).is_err() {
            self.dropped("sip_socket");
        }
    }

    /// Says goodbye to the far end's RTCP.
    pub fn conclude(&mut self, now: Instant) {
        self.report(now, true);
    }

    /// How the leg fares.
    pub fn measured(&self) -> Measured {
        let agreed = self.agreed.as_ref();
        let owes = agreed.map_or(Owes::NothingHeld, |agreed| match &agreed.stream {
            stream if stream.remote_holds || !stream.direction.receives() => Owes::NothingHeld,
            _ => Owes::Sound,
        });
        let path = self.latch.remote().is_some();
        Measured {
            kind: LegKind::Sip,
            codec: agreed.map(|agreed| agreed.codec),
            received: self.tally.received(),
            sent: self.tally.gone_out(),
            round_trip: self.tally.round_trip(),
            ear: self.tally.ear(owes, path),
        }
    }

    pub(super) fn receive_rtcp(&mut self, datagram: &Datagram) {
        if !self.latch.accepts_rtcp(datagram.from) {
            self.meters.rtp_foreign_source_packets_total.inc();
            return;
        }
        let Some(bytes) = self.opened(Kind::Rtcp, &datagram.bytes) else { return };
        let Ok(packets) = rtcp::parse(&bytes) else { return self.dropped("sip_rtcp_malformed") };
        self.reports_from = Some(datagram.from);
        self.tally.reported();
        for packet in packets {
            match packet {
                Rtcp::SenderReport { ssrc, info, blocks } => {
                    self.tally.on_sender_report(datagram.received, ssrc, &info);
                    self.take_blocks(&blocks, datagram.received);
                }
                Rtcp::ReceiverReport { blocks, .. } => self.take_blocks(&blocks, datagram.received),
                Rtcp::Bye { .. } | Rtcp::PictureLoss { .. } | Rtcp::FullIntra { .. } => {}
            }
        }
    }

    /// What they say of our stream.
    fn take_blocks(&mut self, blocks: &[ReportBlock], now: Instant) {
        let (Some(agreed), ours) = (&self.agreed, self.sequencer.ssrc()) else { return };
        if let Some(block) = blocks.iter().find(|block| block.ssrc == ours) {
            self.tally.on_report_block(block, agreed.stream.send.clock, self.ntp.at(now));
        }
    }

    fn rtcp_remote(&self, stream: &Stream) -> Option<SocketAddr> {
        match self.latch.remote() {
            Some(remote) if Some(remote) != stream.remote_rtp => {
                let beside = || Some(SocketAddr::new(remote.ip(), remote.port().checked_add(1)?));
                self.reports_from.filter(|from| from.ip() == remote.ip()).or_else(beside)
            }
            _ => stream.remote_rtcp,
        }
    }
}
