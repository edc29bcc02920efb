//! Telephone-events (RFC 4733) as machines: a sender that paces queued digits, a receiver that tells each digit once.
//!
//! Sender, for one digit of 160 ms at 20 ms a packet (the timestamp is that of the start in all of them):
//!
//! | at ms | 0 | 20 … 120 | 140, 160, 180 | 240 |
//! |---|---|---|---|---|
//! | packet | marker, duration 20 ms | duration 40 … 140 ms | E bit, duration 160 ms | next digit |
//!
//! Receiver: a digit is told at the first packet of it that arrives, be it the first, a middle or an end packet; all
//! others have the same timestamp and say nothing new.

use codecs::CodecError;
use codecs::payload::telephone_event::{self, TelephoneEvent};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Why a digit was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DigitError {
    /// None of `0`–`9`, `*`, `#`, `A`–`D`.
    #[error("dtmf: {0:?} is no digit")]
    NotADigit(char),
    /// More than [`MAX_QUEUED`] digits would wait.
    #[error("dtmf: more than {MAX_QUEUED} digits wait")]
    QueueFull,
}

/// What goes out as one RTP packet with the telephone-event payload type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DigitPacket {
    /// The payload.
    pub payload: [u8; TelephoneEvent::LENGTH],
    /// Where the digit began, in the stream's clock.
    pub timestamp: u32,
    /// First packet of the digit.
    pub marker: bool,
}

/// Sends digits one after the other, at the pace of the stream.
#[derive(Debug)]
pub struct DigitSender {
    clock_rate: u32,
    ptime: Duration,
    queue: VecDeque<(u8, Duration)>,
    /// When the next digit may start.
    ready_at: Instant,
    sending: Option<Sending>,
}

#[derive(Debug, Clone, Copy)]
struct Sending {
    event: u8,
    length: Duration,
    started: Instant,
    timestamp: u32,
    /// Packets sent, and packets until the digit ends; two more end packets follow.
    sent: u32,
    last: u32,
}

impl DigitSender {
    /// For a stream of this clock (8,000, 16,000 or 48,000 Hz) and packet duration.
    pub fn new(now: Instant, clock_rate: u32, ptime: Duration) -> Self {
        let ptime = ptime.max(MIN_PTIME);
        Self { clock_rate, ptime, queue: VecDeque::new(), ready_at: now, sending: None }
    }

    /// Puts digits at the end of the queue, all or none. A length is cut to 40–1,000 ms; none means 160 ms.
    pub fn queue(&mut self, digits: &str, length: Option<Duration>) -> Result<(), DigitError> {
        let length = length.unwrap_or(DEFAULT_LENGTH).clamp(MIN_LENGTH, MAX_LENGTH);
        let event = |digit| telephone_event::event(digit).ok_or(DigitError::NotADigit(digit));
        let events = digits.chars().take(MAX_QUEUED + 1).map(event).collect::<Result<Vec<_>, _>>()?;
        if self.queue.len() + events.len() > MAX_QUEUED {
            return Err(DigitError::QueueFull);
        }
        self.queue.extend(events.into_iter().map(|event| (event, length)));
        Ok(())
    }

    /// The packet that is due, if any; call until there is none. `media_timestamp` is the stream's timestamp now.
    pub fn poll(&mut self, now: Instant, media_timestamp: u32) -> Option<DigitPacket> {
        if self.deadline()? > now {
            return None;
        }
        let mut digit = match self.sending {
            Some(sending) => sending,
            None => self.start(now, media_timestamp)?,
        };
        let end = digit.sent >= digit.last;
        let so_far = self.ptime * (digit.sent + 1);
        let event = TelephoneEvent {
            event: digit.event,
            end,
            volume: VOLUME,
            duration: self.ticks(if end { digit.length } else { so_far }),
        };
        let packet =
            DigitPacket { payload: event.encode(), timestamp: digit.timestamp, marker: digit.sent == 0 };
        digit.sent += 1;
        let done = digit.sent == digit.last + END_PACKETS;
        if done {
            // Who was late does not catch up: on a network with jitter the next digit would overtake this one's end.
            self.ready_at = (digit.started + digit.length + GAP).max(now + self.ptime * 2);
        }
        self.sending = (!done).then_some(digit);
        Some(packet)
    }

    /// When to poll next; none when there is nothing to send.
    pub fn deadline(&self) -> Option<Instant> {
        match self.sending {
            Some(digit) => Some(digit.started + self.ptime * digit.sent),
            None => self.queue.front().map(|_| self.ready_at),
        }
    }

    /// Is a digit on the wire? The sound of the stream should rest meanwhile.
    pub fn is_sending(&self) -> bool {
        self.sending.is_some()
    }

    /// Digits that wait behind the present one.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    fn start(&mut self, now: Instant, timestamp: u32) -> Option<Sending> {
        let (event, length) = self.queue.pop_front()?;
        let packets = length.as_nanos().div_ceil(self.ptime.as_nanos());
        let last = u32::try_from(packets).unwrap_or(1).saturating_sub(1);
        Some(Sending { event, length, started: now, timestamp, sent: 0, last })
    }

    fn ticks(&self, duration: Duration) -> u16 {
        let ticks = duration.as_nanos() * u128::from(self.clock_rate) / 1_000_000_000;
        u16::try_from(ticks).unwrap_or(u16::MAX)
    }
}

/// Tells each digit once.
#[derive(Debug, Default)]
pub struct DigitReceiver {
    /// The last events, oldest first.
    recent: VecDeque<Event>,
}

#[derive(Debug, Clone, Copy)]
struct Event {
    timestamp: u32,
    code: u8,
    duration: u16,
    ended: bool,
}

impl DigitReceiver {
    /// Has heard nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The digit, if this packet is the first one of it. Events that are no digits are passed over.
    pub fn on_packet(
        &mut self,
        payload: &[u8],
        timestamp: u32,
        marker: bool,
    ) -> Result<Option<char>, CodecError> {
        let packet = TelephoneEvent::decode(payload)?;
        let same = |event: &&mut Event| event.timestamp == timestamp && event.code == packet.event;
        if let Some(event) = self.recent.iter_mut().find(same) {
            event.duration = event.duration.max(packet.duration);
            event.ended |= packet.end;
            return Ok(None);
        }
        let last = self.recent.back().filter(|_| !marker);
        let goes_on = last.is_some_and(|event| event.goes_on(packet.event, timestamp));
        if self.recent.len() == MAX_RECENT {
            self.recent.pop_front();
        }
        let TelephoneEvent { event: code, end: ended, duration, .. } = packet;
        self.recent.push_back(Event { timestamp, code, duration, ended });
        Ok(telephone_event::digit(code).filter(|_| !goes_on))
    }

    /// The far end began anew (another SSRC): its timestamps say nothing about the old ones.
    pub fn reset(&mut self) {
        self.recent.clear();
    }
}

impl Event {
    /// A new event cannot begin before this one ended: it is this one, as its next segment (RFC 4733 §2.5.1.3) or from
    /// a sender that moves the timestamp with each packet.
    fn goes_on(&self, code: u8, timestamp: u32) -> bool {
        let later = timestamp.wrapping_sub(self.timestamp);
        code == self.code && !self.ended && later <= u32::from(self.duration)
    }
}

/// Digits that may wait; more than any number that a person dials.
pub const MAX_QUEUED: usize = 64;
/// What telephones send; 40 ms is the least that must be understood (ITU-T Q.24).
const DEFAULT_LENGTH: Duration = Duration::from_millis(160);
const MIN_LENGTH: Duration = Duration::from_millis(40);
/// Fits 16 bits of a 48 kHz clock, so that a digit never needs segments.
const MAX_LENGTH: Duration = Duration::from_secs(1);
const GAP: Duration = Duration::from_millis(80);
const MIN_PTIME: Duration = Duration::from_millis(10);
/// RFC 4733 §2.5.1.4.
const END_PACKETS: u32 = 3;
/// -10 dBm0.
const VOLUME: u8 = 10;
/// Events that are remembered: five seconds of the fastest dialling, and no straggler is older.
const MAX_RECENT: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: Duration = Duration::from_millis(1);

    /// Runs a sender in virtual time, polled every 10 ms: ms, packet.
    fn sent(
        digits: &str,
        clock_rate: u32,
        length: Option<Duration>,
    ) -> Vec<(u128, TelephoneEvent, DigitPacket)> {
        let start = Instant::now();
        let mut sender = DigitSender::new(start, clock_rate, 20 * MS);
        sender.queue(digits, length).unwrap();
        let mut packets = Vec::new();
        for tick in 0..2000u32 {
            let now = start + 10 * MS * tick;
            while let Some(packet) = sender.poll(now, 1000 + clock_rate / 100 * tick) {
                let event = TelephoneEvent::decode(&packet.payload).unwrap();
                packets.push(((now - start).as_millis(), event, packet));
            }
        }
        assert_eq!((sender.queued(), sender.is_sending(), sender.deadline()), (0, false, None));
        packets
    }

    #[test]
    fn a_digit_goes_out_as_the_table_says() {
        for clock_rate in [8_000, 16_000, 48_000u32] {
            let step = clock_rate / 50;
            let packets = sent("5", clock_rate, None);
            let brief: Vec<_> = packets
                .iter()
                .map(|(ms, event, packet)| (*ms, u32::from(event.duration) / step, event.end, packet.marker))
                .collect();
            let expected: Vec<_> =
                (0..10u32).map(|n| (u128::from(n) * 20, (n + 1).min(8), n >= 7, n == 0)).collect();
            assert_eq!(brief, expected);
            assert!(packets.iter().all(|(_, event, packet)| packet.timestamp == 1000 && event.event == 5));
        }
    }

    #[test]
    fn digits_follow_each_other_with_a_pause_and_their_own_timestamps() {
        let starts: Vec<_> = sent("1#D", 8000, None)
            .into_iter()
            .filter(|(_, _, packet)| packet.marker)
            .map(|(ms, event, packet)| (ms, event.event, packet.timestamp))
            .collect();
        assert_eq!(starts, [(0, 1, 1000), (240, 11, 1000 + 240 * 8), (480, 15, 1000 + 480 * 8)]);
    }

    #[test]
    fn an_odd_length_is_kept_to_the_tick_and_an_extreme_one_is_cut() {
        let check = |length: u64, expected_ms: u16, expected_packets| {
            let packets = sent("1", 8000, Some(Duration::from_millis(length)));
            let last = packets.last().unwrap().1;
            assert_eq!(
                (last.duration / 8, last.end, packets.len()),
                (expected_ms, true, expected_packets),
                "{length}"
            );
        };
        check(50, 50, 5);
        check(1, 40, 4);
        check(60_000, 1000, 52);
    }

    #[test]
    fn a_late_poll_catches_up_with_its_digit_and_lets_the_next_one_wait() {
        let start = Instant::now();
        let mut sender = DigitSender::new(start, 8000, 20 * MS);
        sender.queue("12", None).unwrap();
        assert!(sender.poll(start, 0).is_some());
        let late = start + 5000 * MS;
        let rest = std::iter::from_fn(|| sender.poll(late, 0)).count();
        assert_eq!((rest, sender.deadline()), (9, Some(late + 40 * MS)));
    }

    #[test]
    fn what_is_no_digit_or_too_many_is_refused_as_a_whole() {
        let mut sender = DigitSender::new(Instant::now(), 8000, 20 * MS);
        assert_eq!(sender.queue("12x", None), Err(DigitError::NotADigit('x')));
        assert_eq!(sender.queue(&"1".repeat(65), None), Err(DigitError::QueueFull));
        assert_eq!(sender.queued(), 0);
        assert_eq!(sender.queue(&"1".repeat(64), None), Ok(()));
        assert_eq!(sender.queue("1", None), Err(DigitError::QueueFull));
    }

    /// Event, E bit, duration, timestamp, marker.
    type Row = (u8, bool, u16, u32, bool);

    fn told(rows: &[Row]) -> String {
        let mut receiver = DigitReceiver::new();
        let mut digits = String::new();
        for (event, end, duration, timestamp, marker) in rows {
            let payload =
                TelephoneEvent { event: *event, end: *end, volume: 10, duration: *duration }.encode();
            digits.extend(receiver.on_packet(&payload, *timestamp, *marker).unwrap());
        }
        digits
    }

    #[test]
    fn whatever_packet_of_a_digit_comes_first_tells_it() {
        let check = |rows: &[Row], expected| assert_eq!(told(rows), expected, "{rows:?}");
        let (start, middle, end) =
            ((1, false, 160, 0, true), (1, false, 320, 0, false), (1, true, 480, 0, false));
        check(&[start, middle, end, end, end], "1");
        check(&[middle, end], "1"); // the first is lost
        check(&[end, end], "1"); // only the end came
        check(&[end, middle, start], "1"); // swapped
        check(&[start, (1, false, 160, 4000, true)], "11"); // the end is lost, the same key again
        check(&[start, (1, true, 480, 4000, false)], "11"); // and the second's start too
        check(&[start, (1, false, 160, 160, true)], "11"); // no pause: the marker tells
        check(&[middle, (2, false, 160, 0, false)], "12"); // one timestamp for two keys
        check(&[end, (2, false, 160, 4000, true), end], "12"); // late double
        check(&[(16, false, 160, 0, true)], ""); // hook flash
    }

    #[test]
    fn segments_and_running_timestamps_are_one_digit() {
        let check = |rows: &[Row], expected| assert_eq!(told(rows), expected, "{rows:?}");
        check(
            &[(1, false, 65_535, 0, true), (1, false, 160, 65_535, false), (1, true, 320, 65_535, false)],
            "1",
        );
        check(&[(1, false, 160, 0, true), (1, false, 320, 160, false), (1, true, 480, 320, false)], "1");
    }

    proptest! {
        /// The sender's packets, lost and swapped as a bad network does, as long as one of each digit arrives.
        #[test]
        fn every_digit_is_told_once(lost in proptest::collection::vec(any::<bool>(), 160), swap in 0usize..8, digits in "[0-9*#A-D]{1,16}") {
            let mut packets = sent(&digits, 8000, Some(40 * MS));
            for at in (swap..packets.len().saturating_sub(1)).step_by(8) {
                packets.swap(at, at + 1);
            }
            let mut receiver = DigitReceiver::new();
            let mut told = String::new();
            for (place, (_, _, packet)) in packets.iter().enumerate() {
                if lost[place % 160] && place % 4 != 2 { continue; }
                told.extend(receiver.on_packet(&packet.payload, packet.timestamp, packet.marker).unwrap());
            }
            prop_assert_eq!(told, digits);
        }

        #[test]
        fn any_payload_is_taken_or_refused(
            packets in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..8), any::<u32>(), any::<bool>()), 0..200),
        ) {
            let mut receiver = DigitReceiver::new();
            for (payload, timestamp, marker) in packets {
                prop_assert_eq!(receiver.on_packet(&payload, timestamp, marker).is_err(), payload.len() < 4);
                prop_assert!(receiver.recent.len() <= MAX_RECENT);
            }
        }
    }
}
