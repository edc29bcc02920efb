//! RTCP reports (RFC 3550 §6), built and read; the only file that imports rtc-rtcp.
//!
//! Reading is lenient about what stands in a compound and strict about lengths: each packet is cut out by its own
//! length before the library sees it, unknown types are stepped over, and what is cut short ends the reading.

use bytes::Bytes;
use rtc_rtcp::goodbye::Goodbye;
use rtc_rtcp::packet::Packet;
use rtc_rtcp::payload_feedbacks::full_intra_request::{FirEntry, FullIntraRequest};
use rtc_rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc_rtcp::receiver_report::ReceiverReport;
use rtc_rtcp::reception_report::ReceptionReport;
use rtc_rtcp::sender_report::SenderReport;
use rtc_rtcp::source_description::{
    SdesType, SourceDescription, SourceDescriptionChunk, SourceDescriptionItem,
};
use rtc_rtcp::transport_feedbacks::transport_layer_nack::{
    TransportLayerNack, nack_pairs_from_sequence_numbers,
};
use rtc_shared::marshal::Unmarshal;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::rate_limits::RateLimit;

/// One packet of a compound, as far as it concerns us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rtcp {
    /// Its sender also sends RTP.
    SenderReport {
        /// Who reports.
        ssrc: u32,
        /// Of its own stream.
        info: SenderInfo,
        /// Of the streams that it receives.
        blocks: Vec<ReportBlock>,
    },
    /// Its sender only listens.
    ReceiverReport {
        /// Who reports.
        ssrc: u32,
        /// Of the streams that it receives.
        blocks: Vec<ReportBlock>,
    },
    /// These streams end. Never ends a call: anyone can write it.
    Bye {
        /// Which.
        sources: Vec<u32>,
    },
    /// A decoder lost its way and wants a key frame (RFC 4585 §6.3.1).
    PictureLoss {
        /// The stream that is asked.
        media_ssrc: u32,
    },
    /// Wants a key frame (RFC 5104 §4.3.1); a repeated number is the same wish.
    FullIntra {
        /// The stream that is asked, and the number of the wish.
        wishes: Vec<(u32, u8)>,
    },
    /// Its sender takes no more of these streams (RFC 5104 §4.2.1).
    RateLimited {
        /// Who says so.
        by: u32,
        /// Of which stream, and how much.
        limits: Vec<RateLimit>,
    },
    /// Packets did not arrive (RFC 4585 §6.2.1).
    Lost {
        /// The stream that is asked.
        media_ssrc: u32,
        /// Their numbers, at most some hundred.
        numbers: Vec<u16>,
    },
}

/// What a sender says of its stream (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderInfo {
    /// Wall clock of the report, 32.32 bits since 1900.
    pub ntp: u64,
    /// The same instant in the stream's clock.
    pub rtp_timestamp: u32,
    /// Packets sent so far.
    pub packets: u32,
    /// Payload bytes sent so far.
    pub octets: u32,
}

impl SenderInfo {
    /// The part of the time that reports send back.
    pub fn ntp_middle(&self) -> u32 {
        middle(self.ntp)
    }
}

/// What a receiver says of a stream (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportBlock {
    /// The stream.
    pub ssrc: u32,
    /// Lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Lost so far, 24 bits; doubles make it negative.
    pub lost: i32,
    /// Highest sequence number, extended.
    pub highest_sequence: u32,
    /// In ticks of the stream's clock.
    pub jitter: u32,
    /// [`SenderInfo::ntp_middle`] of the last sender report; 0 if there was none.
    pub last_sr: u32,
    /// Time since then, in 1/65,536 s.
    pub delay_since_last_sr: u32,
}

impl ReportBlock {
    /// Time to the reporter and back (RFC 3550 §6.4.1): now minus LSR minus DLSR. None without a sender report of
    /// ours, or if the figures make no sense.
    pub fn round_trip(&self, ntp_now: u64) -> Option<Duration> {
        let trip = middle(ntp_now).wrapping_sub(self.last_sr).wrapping_sub(self.delay_since_last_sr);
        let sensible = self.last_sr != 0 && trip < MAX_ROUND_TRIP;
        sensible.then(|| Duration::from_nanos(u64::from(trip) * 1_000_000_000 / 65_536))
    }
}

/// Why a datagram is no RTCP. It is dropped and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RtcpError {
    /// Not even one header, or a first packet that is longer than the datagram.
    #[error("rtcp: {0} bytes are too short")]
    Short(usize),
    /// Another version than 2.
    #[error("rtcp: version {0}")]
    Version(u8),
}

/// Reads a compound. Packets of unknown or broken content are left out.
pub fn parse(datagram: &Bytes) -> Result<Vec<Rtcp>, RtcpError> {
    let mut read = Vec::new();
    let mut start = 0;
    for _ in 0..MAX_PACKETS {
        let rest = &datagram[start..];
        if rest.is_empty() {
            break;
        }
        let (end, kind) = match head(rest) {
            Ok((length, kind)) => (start + length, kind),
            Err(error) if start == 0 => return Err(error),
            Err(_) => break,
        };
        read.extend(one(datagram.slice(start..end), kind));
        start = end;
    }
    Ok(read)
}

/// A compound report: SR if we send (else RR), SDES with the CNAME, and BYE at the end of the stream.
#[derive(Debug, Clone)]
pub struct Report<'a> {
    /// Our stream.
    pub ssrc: u32,
    /// The same for all our streams of the call; random, no name of a person or host (RFC 7022).
    pub cname: &'a str,
    /// Of our stream, if we send.
    pub sender: Option<SenderInfo>,
    /// Of the stream that we receive, if any.
    pub block: Option<ReportBlock>,
    /// Our stream ends.
    pub bye: bool,
}

impl Report<'_> {
    /// The datagram.
    pub fn build(&self) -> Bytes {
        let reports: Vec<ReceptionReport> = self.block.iter().map(to_library).collect();
        let first: Box<dyn Packet> = match &self.sender {
            Some(info) => Box::new(SenderReport {
                ssrc: self.ssrc,
                ntp_time: info.ntp,
                rtp_time: info.rtp_timestamp,
                packet_count: info.packets,
                octet_count: info.octets,
                reports,
                profile_extensions: Bytes::new(),
            }),
            None => Box::new(ReceiverReport { ssrc: self.ssrc, reports, profile_extensions: Bytes::new() }),
        };
        let length = self.cname.floor_char_boundary(MAX_CNAME);
        let text = Bytes::copy_from_slice(&self.cname.as_bytes()[..length]);
        let name = SourceDescriptionItem { sdes_type: SdesType::SdesCname, text };
        let chunk = SourceDescriptionChunk { source: self.ssrc, items: vec![name] };
        let mut packets: Vec<Box<dyn Packet>> =
            vec![first, Box::new(SourceDescription { chunks: vec![chunk] })];
        if self.bye {
            packets.push(Box::new(Goodbye { sources: vec![self.ssrc], reason: Bytes::new() }));
        }
        marshal(&packets)
    }
}

/// Asks the sender of `media_ssrc` for a key frame (RFC 4585 §6.3.1).
pub fn picture_loss(sender_ssrc: u32, media_ssrc: u32) -> Bytes {
    marshal(&[Box::new(PictureLossIndication { sender_ssrc, media_ssrc })])
}

/// The same by FIR (RFC 5104 §4.3.1); count `wish` up for each new one.
pub fn full_intra(sender_ssrc: u32, media_ssrc: u32, wish: u8) -> Bytes {
    let fir = vec![FirEntry { ssrc: media_ssrc, sequence_number: wish }];
    marshal(&[Box::new(FullIntraRequest { sender_ssrc, media_ssrc: 0, fir })])
}

/// Asks the sender of `media_ssrc` for packets that were lost (RFC 4585 §6.2.1); `numbers` in their order.
pub fn lost(sender_ssrc: u32, media_ssrc: u32, numbers: &[u16]) -> Bytes {
    let nacks = nack_pairs_from_sequence_numbers(numbers);
    marshal(&[Box::new(TransportLayerNack { sender_ssrc, media_ssrc, nacks })])
}

/// Wall clock for sender reports, fixed once and then run by the monotonic clock: it never jumps.
#[derive(Debug, Clone, Copy)]
pub struct NtpClock {
    epoch: Instant,
    /// NTP time at the epoch.
    ntp: u64,
}

impl NtpClock {
    /// `now` and `wall` are the same instant.
    pub fn new(now: Instant, wall: SystemTime) -> Self {
        let unix = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { epoch: now, ntp: fixed_point(unix).wrapping_add(NTP_TO_UNIX << 32) }
    }

    /// 32.32 bits since 1900, wraps in 2036 as all NTP times do.
    pub fn at(&self, now: Instant) -> u64 {
        self.ntp.wrapping_add(fixed_point(now.saturating_duration_since(self.epoch)))
    }
}

/// Time to the next report: 5 s, spread so that calls do not report in step (RFC 3550 §6.2, A.7). `random` is 0 to 1.
pub fn interval(random: f64) -> Duration {
    MIN_INTERVAL.mul_f64((0.5 + random.clamp(0.0, 1.0)) / COMPENSATION)
}

/// Length in bytes and type of the packet at the start.
fn head(rest: &[u8]) -> Result<(usize, (u8, u8)), RtcpError> {
    let &[first, kind, high, low, ..] = rest else {
        return Err(RtcpError::Short(rest.len()));
    };
    if first >> 6 != 2 {
        return Err(RtcpError::Version(first >> 6));
    }
    let length = (usize::from(u16::from_be_bytes([high, low])) + 1) * 4;
    if length > rest.len() { Err(RtcpError::Short(rest.len())) } else { Ok((length, (kind, first & 0x1f))) }
}

/// Reads one packet that was cut out by its length. `kind` is its packet type and format.
fn one(mut packet: Bytes, kind: (u8, u8)) -> Option<Rtcp> {
    match kind {
        (200, _) => SenderReport::unmarshal(&mut packet).ok().map(|report| Rtcp::SenderReport {
            ssrc: report.ssrc,
            info: SenderInfo {
                ntp: report.ntp_time,
                rtp_timestamp: report.rtp_time,
                packets: report.packet_count,
                octets: report.octet_count,
            },
            blocks: report.reports.iter().map(from_library).collect(),
        }),
        (201, _) => ReceiverReport::unmarshal(&mut packet).ok().map(|report| Rtcp::ReceiverReport {
            ssrc: report.ssrc,
            blocks: report.reports.iter().map(from_library).collect(),
        }),
        (203, _) => Goodbye::unmarshal(&mut packet).ok().map(|bye| Rtcp::Bye { sources: bye.sources }),
        (205, 1) => TransportLayerNack::unmarshal(&mut packet).ok().map(|nack| Rtcp::Lost {
            media_ssrc: nack.media_ssrc,
            numbers: nack.nacks.iter().flat_map(|pair| pair.packet_list()).take(MAX_LOST).collect(),
        }),
        (206, 1) => PictureLossIndication::unmarshal(&mut packet)
            .ok()
            .map(|loss| Rtcp::PictureLoss { media_ssrc: loss.media_ssrc }),
        (206, 4) => FullIntraRequest::unmarshal(&mut packet).ok().map(|wish| Rtcp::FullIntra {
            wishes: wish.fir.iter().map(|entry| (entry.ssrc, entry.sequence_number)).collect(),
        }),
        (205, 3) => Some(Rtcp::RateLimited {
            by: u32::from_be_bytes(packet.get(4..8)?.try_into().ok()?),
            limits: RateLimit::read(&packet),
        }),
        _ => None,
    }
}

fn from_library(block: &ReceptionReport) -> ReportBlock {
    ReportBlock {
        ssrc: block.ssrc,
        fraction_lost: block.fraction_lost,
        // 24 bits with sign; the library reads them as unsigned.
        lost: (block.total_lost << 8).cast_signed() >> 8,
        highest_sequence: block.last_sequence_number,
        jitter: block.jitter,
        last_sr: block.last_sender_report,
        delay_since_last_sr: block.delay,
    }
}

fn to_library(block: &ReportBlock) -> ReceptionReport {
    ReceptionReport {
        ssrc: block.ssrc,
        fraction_lost: block.fraction_lost,
        total_lost: block.lost.clamp(-0x80_0000, 0x7f_ffff).cast_unsigned() & 0xff_ffff,
        last_sequence_number: block.highest_sequence,
        jitter: block.jitter,
        last_sender_report: block.last_sr,
        delay: block.delay_since_last_sr,
    }
}

fn marshal(packets: &[Box<dyn Packet>]) -> Bytes {
    rtc_rtcp::packet::marshal(packets).expect("at most one block, one chunk and a short name").freeze()
}

fn middle(ntp: u64) -> u32 {
    (ntp >> 16) as u32
}

/// 32.32 bits.
fn fixed_point(duration: Duration) -> u64 {
    (duration.as_secs() << 32) | ((u64::from(duration.subsec_nanos()) << 32) / 1_000_000_000)
}

/// From 1900 to 1970.
const NTP_TO_UNIX: u64 = 2_208_988_800;
/// Numbers that are read of one NACK: more packets than we keep.
const MAX_LOST: usize = 256;
const MIN_INTERVAL: Duration = Duration::from_secs(5);
/// e - 3/2 (RFC 3550 A.7).
const COMPENSATION: f64 = 1.218_28;
/// One minute, in 1/65,536 s: more is a broken clock.
const MAX_ROUND_TRIP: u32 = 60 << 16;
/// An item's length is one byte.
const MAX_CNAME: usize = 255;
/// Packets read of one datagram; a usual compound has three.
const MAX_PACKETS: usize = 16;

#[cfg(test)]
#[path = "rtcp_tests.rs"]
mod tests;
