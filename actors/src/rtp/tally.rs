//! What a leg counts of its sound in both directions: some additions per packet, read once a second.

use crate::rtp::rtcp::{ReportBlock, SenderInfo};
use crate::rtp::stats::ReceiveStats;
use crate::vocabulary::{Ear, Flow, Owes, Reception};
use std::time::{Duration, Instant};

/// The books of one leg.
#[derive(Debug)]
pub struct Tally {
    /// The stream that comes in.
    pub stream: ReceiveStats,
    received_bytes: u64,
    sent: Flow,
    /// What the far end said last of the round trip.
    round_trip: Option<Duration>,
    /// The newest packet of ours that it named.
    newest: Option<u32>,
    /// Of the ear, all but what the leg knows itself.
    ear: Ear,
}

/// Why a packet was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotTaken {
    /// It could not be decrypted.
    Undecryptable,
    /// Nobody agreed on its payload type.
    WrongPayloadType,
    /// It is somebody else's.
    Foreign,
}

impl Tally {
    /// All at zero, for a stream whose timestamps count at `clock_rate` Hz.
    pub fn new(now: Instant, clock_rate: u32) -> Self {
        let stream = ReceiveStats::new(now, clock_rate);
        Self {
            stream,
            received_bytes: 0,
            sent: Flow::default(),
            round_trip: None,
            newest: None,
            ear: Ear::default(),
        }
    }

    /// A packet of the far end was taken.
    pub fn took(&mut self, now: Instant, (ssrc, sequence, timestamp): (u32, u16, u32), bytes: usize) {
        self.stream.on_packet(now, ssrc, sequence, timestamp);
        self.received_bytes += bytes as u64;
        self.ear.signs += 1;
    }

    /// A packet was not taken.
    pub fn refused(&mut self, why: NotTaken) {
        let count = match why {
            NotTaken::Undecryptable => &mut self.ear.undecryptable,
            NotTaken::WrongPayloadType => &mut self.ear.wrong_payload_type,
            NotTaken::Foreign => &mut self.ear.foreign,
        };
        *count += 1;
    }

    /// RTCP of the far end came.
    pub fn reported(&mut self) {
        self.ear.signs += 1;
        self.ear.reports += 1;
    }

    /// A packet went out.
    pub fn sent(&mut self, bytes: usize) {
        self.sent.packets += 1;
        self.sent.bytes += bytes as u64;
    }

    /// A sender report about the stream that comes in.
    pub fn on_sender_report(&mut self, now: Instant, ssrc: u32, info: &SenderInfo) {
        self.stream.on_sender_report(now, ssrc, info);
        self.ear.claimed = Some(u64::from(info.packets));
    }

    /// What the far end says of ours, whose timestamps count at `clock_rate` Hz.
    pub fn on_report_block(&mut self, block: &ReportBlock, clock_rate: u32, ntp_now: u64) {
        let jitter = Duration::from_secs(u64::from(block.jitter)) / clock_rate.max(1);
        if self.newest.replace(block.highest_sequence) != Some(block.highest_sequence) {
            self.ear.progress += 1;
        }
        self.told(u64::from(block.lost.max(0).unsigned_abs()), jitter, block.round_trip(ntp_now));
    }

    /// The same, by whoever else reads the reports.
    pub fn told(&mut self, lost: u64, jitter: Duration, round_trip: Option<Duration>) {
        self.sent.reception = Some(Reception { lost, jitter });
        self.round_trip = round_trip.or(self.round_trip);
    }

    /// What came in.
    pub fn received(&self) -> Flow {
        let summary = self.stream.summary();
        let reception = Reception { lost: summary.lost, jitter: summary.jitter };
        let reception = (summary.received > 0).then_some(reception);
        Flow { packets: summary.received, bytes: self.received_bytes, reception }
    }

    /// What went out.
    pub fn gone_out(&self) -> Flow {
        self.sent
    }

    /// To the far end and back.
    pub fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// What is heard of the far end.
    pub fn ear(&self, owes: Owes, path: bool) -> Ear {
        Ear { owes, path, ..self.ear }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_are_counted_apart() {
        let start = Instant::now();
        let mut tally = Tally::new(start, 8000);
        assert_eq!((tally.received(), tally.gone_out()), (Flow::default(), Flow::default()));
        for (n, sequence) in [10u16, 11, 13].into_iter().enumerate() {
            let now = start + Duration::from_millis(20 * n as u64);
            tally.took(now, (1, sequence, u32::from(sequence) * 160), 160);
        }
        tally.sent(100);
        let received = tally.received();
        assert_eq!((received.packets, received.bytes, received.reception.unwrap().lost), (3, 480, 1));
        assert_eq!(tally.gone_out(), Flow { packets: 1, bytes: 100, reception: None });
        assert_eq!(tally.ear(Owes::Sound, true).signs, 3);
    }

    #[test]
    fn the_far_end_says_what_became_of_ours() {
        let mut tally = Tally::new(Instant::now(), 48_000);
        let (sent_at, ntp_now) = (0x0001_0000, 0x0001_0800_u64 << 16);
        let block = ReportBlock {
            ssrc: 1,
            fraction_lost: 0,
            lost: 7,
            highest_sequence: 0,
            jitter: 480,
            last_sr: sent_at,
            delay_since_last_sr: 0,
        };
        tally.on_report_block(&block, 48_000, ntp_now);
        let reception = Reception { lost: 7, jitter: Duration::from_millis(10) };
        assert_eq!(tally.gone_out().reception, Some(reception));
        assert_eq!(tally.round_trip(), Some(Duration::from_micros(31_250)));
        // Doubles make their count negative; a report without an echo leaves the round trip as it was.
        let before = tally.round_trip();
        tally.on_report_block(&ReportBlock { lost: -3, last_sr: 0, ..block }, 48_000, ntp_now);
        assert_eq!((tally.gone_out().reception.unwrap().lost, tally.round_trip()), (0, before));
        let progress = |tally: &Tally| tally.ear(Owes::Sound, true).progress;
        assert_eq!(progress(&tally), 1, "both named the same packet");
        tally.on_report_block(&ReportBlock { highest_sequence: 9, ..block }, 48_000, ntp_now);
        assert_eq!(progress(&tally), 2);
    }
}
