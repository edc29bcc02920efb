//! What a receiver must know of a stream: which numbers came, how many are missing, how unevenly they came
//! (RFC 3550 A.1, A.3, A.8).
//!
//! Unlike A.1 there is no probation: the latch has judged the source before, and the first packet counts.

use crate::rtp::rtcp::{ReportBlock, SenderInfo};
use std::time::{Duration, Instant};

/// Where a packet stands in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// The newest so far.
    Newest,
    /// Late, or a second copy.
    Late,
    /// Far off; if the next packet follows it, the stream began anew there. Not counted.
    Suspect,
    /// First packet of a stream: the first of all, another SSRC, or the second after a jump.
    First,
}

/// Statistics of one incoming stream; starts over by itself when the SSRC changes.
#[derive(Debug)]
pub struct ReceiveStats {
    clock_rate: u32,
    /// Zero of the arrival clock.
    epoch: Instant,
    stream: Option<Stream>,
    restarts: u32,
    /// Received and lost in the streams before this one.
    past: (u64, u64),
}

#[derive(Debug)]
struct Stream {
    ssrc: u32,
    /// Extended sequence number of the first packet, and highest one.
    base: u32,
    highest: u32,
    received: u32,
    /// As of the last report.
    expected_before: u32,
    received_before: u32,
    /// The number that would prove a restart.
    suspect: Option<u16>,
    /// Arrival minus timestamp of the last packet, and that timestamp, in ticks.
    transit: u32,
    timestamp: u32,
    /// Sixteen times the jitter in ticks, as A.8 keeps it.
    jitter: u32,
    /// Middle 32 bits of the last sender report's NTP time, and when it came.
    last_sr: Option<(u32, Instant)>,
}

/// Of all streams so far, for records and metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Packets that came, doubles included.
    pub received: u64,
    /// Packets that should have come and did not.
    pub lost: u64,
    /// Mean deviation of the arrival times, in the present stream.
    pub jitter: Duration,
    /// Times the stream began anew.
    pub restarts: u32,
}

impl ReceiveStats {
    /// For a stream whose timestamps count at `clock_rate` Hz.
    pub fn new(now: Instant, clock_rate: u32) -> Self {
        Self { clock_rate, epoch: now, stream: None, restarts: 0, past: (0, 0) }
    }

    /// Timestamps count at another rate from now on: what comes next is another stream.
    pub fn set_clock_rate(&mut self, clock_rate: u32) {
        self.close_stream();
        self.clock_rate = clock_rate;
    }

    /// Counts a packet.
    pub fn on_packet(&mut self, now: Instant, ssrc: u32, sequence: u16, timestamp: u32) -> Arrival {
        let since = now.saturating_duration_since(self.epoch);
        let rate = u64::from(self.clock_rate);
        let ticks = since.as_secs() * rate + u64::from(since.subsec_nanos()) * rate / 1_000_000_000;
        let arrived = ticks as u32; // wraps like a timestamp
        let transit = arrived.wrapping_sub(timestamp);
        let arrival = match self.stream.as_mut().filter(|stream| stream.ssrc == ssrc) {
            Some(stream) => stream.count(sequence),
            None => Arrival::First,
        };
        match (arrival, &mut self.stream) {
            (Arrival::First, known) => {
                self.restarts += u32::from(known.is_some());
                self.close_stream();
                self.stream = Some(Stream::new(ssrc, sequence, transit, timestamp));
            }
            (Arrival::Newest | Arrival::Late, Some(stream)) => stream.time(transit, timestamp),
            _ => {}
        }
        arrival
    }

    fn close_stream(&mut self) {
        if let Some(stream) = self.stream.take() {
            self.past.0 += u64::from(stream.received);
            self.past.1 += stream.lost();
        }
    }

    /// Notes a sender report of the stream, so that the next report can say how long ago it was.
    pub fn on_sender_report(&mut self, now: Instant, ssrc: u32, info: &SenderInfo) {
        if let Some(stream) = self.stream.as_mut().filter(|stream| stream.ssrc == ssrc) {
            stream.last_sr = Some((info.ntp_middle(), now));
        }
    }

    /// The block for our next report; its fraction lost counts from the last call on. None before the first packet.
    pub fn report(&mut self, now: Instant) -> Option<ReportBlock> {
        let stream = self.stream.as_mut()?;
        let expected = stream.expected();
        let expected_now = expected.wrapping_sub(stream.expected_before);
        let received_now = stream.received.wrapping_sub(stream.received_before);
        (stream.expected_before, stream.received_before) = (expected, stream.received);
        let lost_now = i64::from(expected_now) - i64::from(received_now);
        let fraction = if lost_now > 0 { (lost_now << 8) / i64::from(expected_now) } else { 0 };
        let lost = i64::from(expected) - i64::from(stream.received);
        let delay =
            |came: Instant| (now.saturating_duration_since(came).as_nanos() * 65_536 / 1_000_000_000) as u32;
        Some(ReportBlock {
            ssrc: stream.ssrc,
            fraction_lost: fraction.min(255) as u8,
            lost: lost.clamp(-0x80_0000, 0x7f_ffff) as i32,
            highest_sequence: stream.highest,
            jitter: stream.jitter >> 4,
            last_sr: stream.last_sr.map_or(0, |(middle, _)| middle),
            delay_since_last_sr: stream.last_sr.map_or(0, |(_, came)| delay(came)),
        })
    }

    /// Figures of all streams.
    pub fn summary(&self) -> Summary {
        let (received, lost) = self.past;
        let mut summary = Summary { received, lost, jitter: Duration::ZERO, restarts: self.restarts };
        if let Some(stream) = &self.stream {
            let ticks = f64::from(stream.jitter) / 16.0;
            summary.received += u64::from(stream.received);
            summary.lost += stream.lost();
            summary.jitter = Duration::from_secs_f64(ticks / f64::from(self.clock_rate));
        }
        summary
    }
}

impl Stream {
    fn new(ssrc: u32, sequence: u16, transit: u32, timestamp: u32) -> Self {
        let first = u32::from(sequence);
        Self {
            ssrc,
            base: first,
            highest: first,
            received: 1,
            expected_before: 0,
            received_before: 0,
            suspect: None,
            transit,
            timestamp,
            jitter: 0,
            last_sr: None,
        }
    }

    /// RFC 3550 A.1 without probation.
    fn count(&mut self, sequence: u16) -> Arrival {
        let ahead = sequence.wrapping_sub(self.highest as u16);
        let arrival = match ahead {
            1..MAX_DROPOUT => {
                self.highest = self.highest.wrapping_add(u32::from(ahead));
                Arrival::Newest
            }
            0 | MIN_LATE.. => Arrival::Late,
            _ if self.suspect == Some(sequence) => return Arrival::First,
            _ => {
                self.suspect = Some(sequence.wrapping_add(1));
                return Arrival::Suspect;
            }
        };
        self.suspect = None;
        self.received = self.received.wrapping_add(1);
        arrival
    }

    /// RFC 3550 A.8. Packets of one timestamp (a digit, a picture) say nothing about jitter.
    fn time(&mut self, transit: u32, timestamp: u32) {
        if timestamp == self.timestamp {
            return;
        }
        let step = transit.wrapping_sub(self.transit).cast_signed().unsigned_abs();
        (self.transit, self.timestamp) = (transit, timestamp);
        let jitter = u64::from(self.jitter);
        let next = jitter + u64::from(step) - ((jitter + 8) >> 4).min(jitter);
        self.jitter = next.min(u64::from(u32::MAX)) as u32;
    }

    fn expected(&self) -> u32 {
        self.highest.wrapping_sub(self.base).wrapping_add(1)
    }

    fn lost(&self) -> u64 {
        u64::from(self.expected().saturating_sub(self.received))
    }
}

/// RFC 3550 A.1: MAX_DROPOUT, and 65,536 - MAX_MISORDER.
const MAX_DROPOUT: u16 = 3000;
const MIN_LATE: u16 = u16::MAX - 98;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stats() -> (ReceiveStats, Instant) {
        let now = Instant::now();
        (ReceiveStats::new(now, 8000), now)
    }

    /// Sends the numbers 20 ms apart, one clock for all.
    fn feed(numbers: &[u16]) -> (ReceiveStats, Vec<Arrival>, Instant) {
        let (mut stats, mut now) = stats();
        let mut arrivals = Vec::new();
        for number in numbers {
            arrivals.push(stats.on_packet(now, 1, *number, u32::from(*number) * 160));
            now += Duration::from_millis(20);
        }
        (stats, arrivals, now)
    }

    #[test]
    fn packets_are_placed_as_a_1_says() {
        use Arrival::{First, Late, Newest, Suspect};
        let check =
            |numbers: &[u16], expected: &[Arrival]| assert_eq!(feed(numbers).1, expected, "{numbers:?}");
        check(&[10, 11, 13, 12, 13, 14], &[First, Newest, Newest, Late, Late, Newest]);
        check(&[65_535, 0, 1], &[First, Newest, Newest]);
        check(&[10, 3009], &[First, Newest]);
        check(&[10, 3010, 11, 3011], &[First, Suspect, Newest, Suspect]);
        check(&[10, 9000, 9001, 9002], &[First, Suspect, First, Newest]);
        check(&[5000, 4901, 4900], &[First, Late, Suspect]);
    }

    #[test]
    fn loss_is_what_was_expected_and_did_not_come() {
        let check = |numbers: &[u16], lost, fraction, highest| {
            let (mut stats, _, now) = feed(numbers);
            let block = stats.report(now).unwrap();
            assert_eq!(
                (block.lost, block.fraction_lost, block.highest_sequence),
                (lost, fraction, highest),
                "{numbers:?}"
            );
        };
        check(&[10, 11, 12, 13], 0, 0, 13);
        check(&[10, 11, 13], 1, 64, 13);
        check(&[65_534, 65_535, 1], 1, 64, 65_537);
        check(&[10, 11, 11, 11], -2, 0, 11);
        check(&[10, 12, 11], 0, 0, 12);
    }

    #[test]
    fn the_fraction_counts_from_report_to_report() {
        let (mut stats, _, now) = feed(&[1, 2, 4]);
        assert_eq!(stats.report(now).unwrap().fraction_lost, 64);
        stats.on_packet(now, 1, 5, 0);
        let block = stats.report(now).unwrap();
        assert_eq!((block.fraction_lost, block.lost), (0, 1));
        assert_eq!(stats.report(now).unwrap().fraction_lost, 0, "nothing came, nothing was expected");
    }

    #[test]
    fn even_packets_have_no_jitter_and_uneven_ones_have_theirs() {
        let (mut stats, mut now) = stats();
        for number in 0..200u16 {
            stats.on_packet(now, 1, number, u32::from(number) * 160);
            now += Duration::from_millis(20);
        }
        assert_eq!(stats.summary().jitter, Duration::ZERO);
        for number in 200..600u16 {
            let late = Duration::from_millis(if number % 2 == 0 { 10 } else { 0 });
            stats.on_packet(now + late, 1, number, u32::from(number) * 160);
            now += Duration::from_millis(20);
        }
        let jitter = stats.summary().jitter.as_millis();
        assert!((9..=10).contains(&jitter), "{jitter} ms");
    }

    #[test]
    fn a_report_tells_how_long_ago_the_last_sender_report_was() {
        let (mut stats, _, now) = feed(&[1, 2]);
        let info = SenderInfo { ntp: 0x1111_2222_3333_4444, rtp_timestamp: 0, packets: 0, octets: 0 };
        stats.on_sender_report(now, 99, &info);
        assert_eq!(stats.report(now).unwrap().last_sr, 0, "another stream's");
        stats.on_sender_report(now, 1, &info);
        let block = stats.report(now + Duration::from_millis(1500)).unwrap();
        assert_eq!((block.last_sr, block.delay_since_last_sr), (0x2222_3333, 98_304));
    }

    #[test]
    fn another_ssrc_starts_over() {
        let (mut stats, _, now) = feed(&[1, 2, 9]);
        assert_eq!(stats.on_packet(now, 2, 500, 0), Arrival::First);
        let block = stats.report(now).unwrap();
        assert_eq!((block.ssrc, block.lost, block.highest_sequence), (2, 0, 500));
        let all = Summary { received: 4, lost: 6, restarts: 1, ..Summary::default() };
        assert_eq!(stats.summary(), all, "what was lost before counts on");
    }

    #[test]
    fn another_clock_starts_over_and_keeps_what_was_counted() {
        let (mut stats, _, now) = feed(&[1, 2, 9]);
        stats.set_clock_rate(48_000);
        assert_eq!(stats.report(now), None);
        assert_eq!(stats.on_packet(now, 1, 10, 9600), Arrival::First);
        assert_eq!(stats.summary(), Summary { received: 4, lost: 6, ..Summary::default() });
    }

    proptest! {
        #[test]
        fn any_numbers_count_without_panic(packets in proptest::collection::vec((0u32..2, any::<u16>(), any::<u32>()), 0..100)) {
            let (mut stats, mut now) = stats();
            for (ssrc, sequence, timestamp) in packets {
                stats.on_packet(now, ssrc, sequence, timestamp);
                now += Duration::from_millis(7);
                stats.report(now);
            }
            let _ = stats.summary();
        }
    }
}
