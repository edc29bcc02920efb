//! RTCP of a SIP leg, and its books.
//!
//! Reports go where the SDP says (`a=rtcp`, else the port above), unless the source is locked elsewhere: then where theirs come from
//! (RFC 4961), else the port above the source. We offer no `rtcp-mux` and so agree to none; reports that come to the RTP port anyway
//! are read. A BYE of theirs ends nothing.
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::wire::Wire;
use super::{RtpSession, random_u32};
use crate::rtp::rtcp::{self, Report, ReportBlock, Rtcp, SenderInfo};
use crate::rtp::srtp::Kind;
use crate::udp::Datagram;
use crate::vocabulary::{LegKind, Measured, Owes};

/// When the next report is due; never in step with other calls (RFC 3550 §6.2).
pub fn next_report() -> Duration {
    rtcp::interval(f64::from(random_u32()) / f64::from(u32::MAX))
}

impl RtpSession {
    /// Sends an RTCP report.
    pub fn report(&mut self, now: Instant) {
        self.wire.report(now, false);
    }

    /// Says goodbye to the far end's RTCP.
    pub fn conclude(&mut self, now: Instant) {
        self.wire.report(now, true);
    }

    /// How the leg fares.
    pub fn measured(&self) -> Measured {
        let owes = self.wire.stream().map_or(Owes::NothingHeld, |stream| match stream {
            stream if stream.remote_holds || !stream.direction.receives() => Owes::NothingHeld,
            _ => Owes::Sound,
        });
        let (tally, path) = (&self.wire.tally, self.wire.latch.remote().is_some());
        Measured {
            kind: LegKind::Sip,
            codec: self.codec,
            received: tally.received(),
            sent: tally.gone_out(),
            round_trip: tally.round_trip(),
            ear: tally.ear(owes, path),
            video: None,
        }
    }
}

impl Wire {
    /// Sends an RTCP report.
    pub(super) fn report(&mut self, now: Instant, bye: bool) {
        if self.stream.is_some() {
            let report = self.compound(now, bye);
            self.transmit_rtcp(&report);
        }
    }

    /// A report, with which every RTCP datagram begins (RFC 3550 §6.1).
    pub(super) fn compound(&mut self, now: Instant, bye: bool) -> Bytes {
        let timestamp = self.sequencer.timestamp_at(now);
        let sender = (self.sent.packets > 0).then(|| SenderInfo {
            ntp: self.identity.ntp.at(now),
            rtp_timestamp: timestamp,
            packets: self.sent.packets,
            octets: self.sent.octets,
        });
        let block = self.tally.stream.report(now);
        Report { ssrc: self.sequencer.ssrc(), cname: &self.identity.cname, sender, block, bye }.build()
    }

    /// Reads RTCP into the books; none: it is not the far end's.
    pub(super) fn receive_rtcp(&mut self, datagram: &Datagram) -> Option<Vec<Rtcp>> {
        if !self.latch.accepts_rtcp(datagram.from) {
            self.foreign();
            return None;
        }
        let bytes = self.opened(Kind::Rtcp, &datagram.bytes)?;
        let Ok(packets) = rtcp::parse(&bytes) else {
            self.dropped("sip_rtcp_malformed");
            return None;
        };
        self.reports_from = Some(datagram.from);
        self.tally.reported();
        for packet in &packets {
            match packet {
                Rtcp::SenderReport { ssrc, info, blocks } => {
                    self.tally.on_sender_report(datagram.received, *ssrc, info);
                    self.take_blocks(blocks, datagram.received);
                }
                Rtcp::ReceiverReport { blocks, .. } => self.take_blocks(blocks, datagram.received),
                Rtcp::Bye { .. }
                | Rtcp::PictureLoss { .. }
                | Rtcp::FullIntra { .. }
                | Rtcp::RateLimited { .. }
                | Rtcp::Lost { .. } => {}
            }
        }
        Some(packets)
    }

    /// What they say of our stream.
    fn take_blocks(&mut self, blocks: &[ReportBlock], now: Instant) {
        let (Some(stream), ours) = (&self.stream, self.sequencer.ssrc()) else { return };
        if let Some(block) = blocks.iter().find(|block| block.ssrc == ours) {
            self.tally.on_report_block(block, stream.send.clock, self.identity.ntp.at(now));
        }
    }

    pub(super) fn rtcp_remote(&self) -> Option<SocketAddr> {
        let stream = self.stream.as_ref()?;
        match self.latch.remote() {
            Some(remote) if Some(remote) != stream.remote_rtp => {
                let beside = || Some(SocketAddr::new(remote.ip(), remote.port().checked_add(1)?));
                self.reports_from.filter(|from| from.ip() == remote.ip()).or_else(beside)
            }
            _ => stream.remote_rtcp,
        }
    }
}
