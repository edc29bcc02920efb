//! The buffer at a Transcoder's mouth: packets in order for a decoder, each when it is due, and word of those that will
//! not come. When that is says [`super::playout`]: at once on a calm network, later by what its jitter asks for else.
//!
//! A hole is given up when its packet would have been due and one behind it is here, so that the chain can use the copy
//! that this one carries (FEC), or conceal. Where two or more are missing, the second is waited for: it may come with the
//! first one's copy.
//!
//! | event | buffer |
//! |---|---|
//! | next number | passes when it is due |
//! | number beyond a hole | waits |
//! | missing number, in time | closes its hole |
//! | missing number that was told as lost | dropped, counted late; the delay learns from it |
//! | number that came before | dropped, counted duplicate |
//! | delay beyond the outgoing stream's lag | [`Next::Stretch`] before the next packet |
//! | other SSRC, or a jump of numbers | held; if the next packet follows it: [`Next::Restarted`], then both |
//! | buffer full (50 packets, a second of sound) | newcomer dropped, what waits is due at once |

use crate::rtp::packet::RtpPacket;
use crate::rtp::playout::Playout;
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What the decoder's side should do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Decode it.
    Packet(RtpPacket),
    /// Conceal. Comes before the packet behind the hole.
    Lost {
        /// How many sequence numbers are missing.
        count: u32,
        /// Payload and timestamp of the packet behind the hole: the payload may carry a copy of the last missing one,
        /// the timestamp tells how much sound is missing. None if that packet was taken out.
        next: Option<(Bytes, u32)>,
    },
    /// Make up this much sound: packets take longer from now on.
    Stretch(Duration),
    /// The source began anew: timestamps start over with the next packet.
    Restarted,
    /// Nothing now. Ask again at this time, or after the next packet if there is none.
    Wait(Option<Instant>),
}

/// What was dropped, and what never came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JitterCounts {
    /// Told as lost.
    pub lost: u64,
    /// Came after they were told as lost.
    pub late: u64,
    /// Came twice.
    pub duplicate: u64,
    /// Came when the buffer was full, or jumped and were not confirmed, or waited when the source began anew.
    pub discarded: u64,
    /// Times the source began anew.
    pub restarts: u64,
    /// Milliseconds made up because packets began to take longer.
    pub stretched_ms: u64,
    /// Milliseconds of quiet left out afterwards.
    pub shed_ms: u64,
}

/// Of one incoming stream.
#[derive(Debug)]
pub struct JitterBuffer {
    stream: Option<Stream>,
    /// What waits, by number.
    waiting: VecDeque<Entry>,
    /// A packet that jumped; the one after it may confirm it.
    suspect: Option<(Instant, RtpPacket)>,
    /// To be told before the next packet.
    restarted: bool,
    /// The last hole told as lost: its first number, and the one behind it.
    told: Option<(i64, i64)>,
    /// Number and timestamp of the last packet that passed.
    passed: Option<(i64, u32)>,
    playout: Playout,
    counts: JitterCounts,
}

#[derive(Debug, Clone, Copy)]
struct Stream {
    ssrc: u32,
    /// The number to pass next, extended.
    next: i64,
}

#[derive(Debug)]
struct Entry {
    number: i64,
    /// None where it was taken out before it came here ([`JitterBuffer::skip`]).
    packet: Option<RtpPacket>,
}

impl JitterBuffer {
    /// Empty, and ready for any stream of this RTP clock.
    pub fn new(clock_rate: u32) -> Self {
        Self {
            stream: None,
            waiting: VecDeque::new(),
            suspect: None,
            restarted: false,
            told: None,
            passed: None,
            playout: Playout::new(clock_rate),
            counts: JitterCounts::default(),
        }
    }

    /// Takes a packet; ask [`JitterBuffer::pop`] until it says wait.
    pub fn push(&mut self, now: Instant, packet: RtpPacket) {
        let (ssrc, sequence) = (packet.ssrc, packet.sequence);
        let stream = *self.stream.get_or_insert(Stream { ssrc, next: i64::from(sequence) });
        match stream.place(ssrc, sequence) {
            Some(number) => self.take(now, number, Some(packet)),
            None => self.suspect(now, packet),
        }
    }

    /// A packet of the stream was taken out by someone else (a telephone-event): its number is no loss.
    pub fn skip(&mut self, now: Instant, ssrc: u32, sequence: u16) {
        let stream = *self.stream.get_or_insert(Stream { ssrc, next: i64::from(sequence) });
        if let Some(number) = stream.place(ssrc, sequence) {
            self.take(now, number, None);
        }
    }

    /// What to do now.
    pub fn pop(&mut self, now: Instant) -> Next {
        if std::mem::take(&mut self.restarted) {
            return Next::Restarted;
        }
        while let (Some(stream), Some(front)) = (&mut self.stream, self.waiting.front()) {
            let packet = front.packet.as_ref();
            if packet.is_some() && self.passed.is_some() {
                let stretch = self.playout.stretch();
                if !stretch.is_zero() {
                    self.counts.stretched_ms += stretch.as_millis() as u64;
                    return Next::Stretch(stretch);
                }
            }
            if front.number > stream.next {
                return self.pop_hole(now);
            }
            let due = packet.and_then(|packet| self.playout.due(packet.timestamp));
            if due.is_some_and(|due| now < due) && self.waiting.len() < CAPACITY {
                return Next::Wait(due);
            }
            stream.next += 1;
            if let Some(Entry { number, packet: Some(packet) }) = self.waiting.pop_front() {
                self.passed = Some((number, packet.timestamp));
                return Next::Packet(packet);
            }
        }
        Next::Wait(None)
    }

    /// How much of the outgoing stream may be left out where it is quiet: the delay was longer once.
    pub fn surplus(&self) -> Duration {
        self.playout.surplus()
    }

    /// So much was left out.
    pub fn shed(&mut self, length: Duration) {
        self.playout.shortened(length);
        self.counts.shed_ms += length.as_millis() as u64;
    }

    /// How long packets are held at present, counted from the quickest way.
    pub fn delay(&self) -> Duration {
        self.playout.held()
    }

    /// What went wrong so far.
    pub fn counts(&self) -> JitterCounts {
        self.counts
    }

    /// What waits begins behind a hole: is it time to give up?
    fn pop_hole(&mut self, now: Instant) -> Next {
        let (Some(stream), Some(front)) = (&mut self.stream, self.waiting.front()) else {
            return Next::Wait(None);
        };
        if self.waiting.len() < CAPACITY {
            let dated = |entry: &Entry| entry.packet.as_ref().map(|packet| (entry.number, packet.timestamp));
            let Some(behind) = self.waiting.iter().find_map(dated) else {
                return Next::Wait(None); // telephone-events alone: no sound waits
            };
            let deadline = self.playout.deadline(between(self.passed, behind));
            if deadline.is_some_and(|deadline| now < deadline) {
                return Next::Wait(deadline);
            }
        }
        let count = u32::try_from(front.number - stream.next).unwrap_or(u32::MAX);
        let next = front.packet.as_ref().map(|packet| (packet.payload.clone(), packet.timestamp));
        self.told = Some((stream.next, front.number));
        stream.next = front.number;
        self.counts.lost += u64::from(count);
        Next::Lost { count, next }
    }

    /// Puts a packet of the stream into its place.
    fn take(&mut self, now: Instant, number: i64, packet: Option<RtpPacket>) {
        self.counts.discarded += u64::from(self.suspect.take().is_some());
        let place = self.waiting.partition_point(|entry| entry.number < number);
        let passed = self.stream.is_some_and(|stream| number < stream.next);
        let late = passed && self.told.is_some_and(|(from, to)| (from..to).contains(&number));
        if passed && !late || self.waiting.get(place).is_some_and(|entry| entry.number == number) {
            self.counts.duplicate += 1;
            return;
        }
        if let Some(packet) = &packet {
            self.playout.learn(now, packet.timestamp);
        }
        if late {
            self.counts.late += 1;
        } else if self.waiting.len() >= CAPACITY {
            self.counts.discarded += 1;
        } else {
            self.waiting.insert(place, Entry { number, packet });
        }
    }

    /// A packet from elsewhere: a new stream if it follows the one before it (RFC 3550 A.1's way).
    fn suspect(&mut self, now: Instant, packet: RtpPacket) {
        let Some((first_at, first)) = self.suspect.take() else {
            self.suspect = Some((now, packet));
            return;
        };
        if first.ssrc != packet.ssrc || packet.sequence != first.sequence.wrapping_add(1) {
            self.counts.discarded += 1;
            self.suspect = Some((now, packet));
            return;
        }
        self.counts.discarded += self.waiting.len() as u64;
        self.counts.restarts += 1;
        self.waiting.clear();
        (self.told, self.passed) = (None, None);
        self.playout.restart();
        self.restarted = true;
        let number = i64::from(first.sequence);
        self.stream = Some(Stream { ssrc: first.ssrc, next: number });
        self.take(first_at, number, Some(first));
        self.take(now, number + 1, Some(packet));
    }
}

impl Stream {
    /// The extended number of a packet, none if it is not of this stream.
    fn place(&self, ssrc: u32, sequence: u16) -> Option<i64> {
        let ahead = i64::from(sequence.wrapping_sub(self.next as u16).cast_signed());
        let near = ssrc == self.ssrc && (-MAX_MISORDER..MAX_DROPOUT).contains(&ahead);
        near.then_some(self.next + ahead)
    }
}

/// The timestamp by whose time a hole is given up, as far as its neighbours tell: of its only packet or else its second one,
/// which may still bring a copy of the first.
fn between(passed: Option<(i64, u32)>, (number, timestamp): (i64, u32)) -> u32 {
    let before = passed.filter(|(before, from)| {
        *before < number && timestamp.wrapping_sub(*from).cast_signed() > 0 // else its clock jumped
    });
    before.map_or(timestamp, |(before, from)| {
        let steps = number - before;
        let ahead = i64::from(timestamp.wrapping_sub(from)) * (steps - 1).min(2) / steps;
        from.wrapping_add(ahead as u32)
    })
}

/// A second of 20 ms packets.
const CAPACITY: usize = 50;
/// RFC 3550 A.1's figures for a source that did not restart.
const MAX_DROPOUT: i64 = 3000;
const MAX_MISORDER: i64 = 100;

#[cfg(test)]
#[path = "jitter_tests.rs"]
mod tests;
