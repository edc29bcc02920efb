//! The buffer at a Transcoder's mouth: packets in order for a decoder, and word of those that will not come.
//!
//! What comes out is decoded, encoded and sent as RTP again, and whoever receives that has a playout buffer of his own.
//! So we pace nothing: a packet in order passes at once, and on a calm network the buffer adds no delay. Only at a
//! hole do we wait, because a decoder cannot take back what it concealed. How long is learnt from how late packets
//! really came: from 10 ms up to 60 ms, and half of the way back in each calm second. Then the hole is told as
//! lost, together with the packet behind it, so that the chain can use the copy that it carries (FEC), or conceal.
//!
//! | event | buffer |
//! |---|---|
//! | next number | passes |
//! | number beyond a hole | waits, at most `wait` after the first packet behind the hole came |
//! | missing number, in time | closes its hole; lateness is learnt |
//! | missing number that was told as lost | dropped, counted late; lateness is learnt |
//! | number that came before | dropped, counted duplicate |
//! | other SSRC, or a jump of numbers | held; if the next packet follows it: [`Next::Restarted`], then both |
//! | buffer full (50 packets, a second of sound) | newcomer dropped, the hole is told as lost at once |

use crate::rtp::packet::RtpPacket;
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
}

/// Of one incoming stream.
#[derive(Debug, Default)]
pub struct JitterBuffer {
    stream: Option<Stream>,
    /// What waits, by number.
    waiting: VecDeque<Entry>,
    /// A packet that jumped; the one after it may confirm it.
    suspect: Option<RtpPacket>,
    /// To be told before the next packet.
    restarted: bool,
    /// The last hole told as lost: its first number, the one behind it, and when it opened.
    told: Option<(i64, i64, Instant)>,
    wait: Wait,
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
    arrived: Instant,
    /// None where it was taken out before it came here ([`JitterBuffer::skip`]).
    packet: Option<RtpPacket>,
}

impl JitterBuffer {
    /// Empty, and ready for any stream.
    pub fn new() -> Self {
        Self::default()
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
            if front.number > stream.next {
                return self.pop_hole(now);
            }
            stream.next += 1;
            if let Some(packet) = self.waiting.pop_front().and_then(|entry| entry.packet) {
                return Next::Packet(packet);
            }
        }
        Next::Wait(None)
    }

    /// How long a hole is waited for at present.
    pub fn wait(&self) -> Duration {
        self.wait.length
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
        let opened = self.waiting.iter().map(|entry| entry.arrived).min().unwrap_or(now);
        let give_up = opened + self.wait.length;
        if now < give_up && self.waiting.len() < CAPACITY {
            return Next::Wait(Some(give_up));
        }
        let count = u32::try_from(front.number - stream.next).unwrap_or(u32::MAX);
        let next = front.packet.as_ref().map(|packet| (packet.payload.clone(), packet.timestamp));
        self.told = Some((stream.next, front.number, opened));
        stream.next = front.number;
        self.counts.lost += u64::from(count);
        Next::Lost { count, next }
    }

    /// Puts a packet of the stream into its place.
    fn take(&mut self, now: Instant, number: i64, packet: Option<RtpPacket>) {
        self.counts.discarded += u64::from(self.suspect.take().is_some());
        self.wait.shrink(now);
        if self.stream.is_some_and(|stream| number < stream.next) {
            match self.told {
                Some((from, to, opened)) if (from..to).contains(&number) => {
                    self.counts.late += 1;
                    self.wait.learn(now, now.saturating_duration_since(opened));
                }
                _ => self.counts.duplicate += 1,
            }
            return;
        }
        let place = self.waiting.partition_point(|entry| entry.number < number);
        if self.waiting.get(place).is_some_and(|entry| entry.number == number) {
            self.counts.duplicate += 1;
            return;
        }
        if self.waiting.len() >= CAPACITY {
            self.counts.discarded += 1;
            return;
        }
        // Overtaken by those behind it: as late as the first of them is early.
        if let Some(first) = self.waiting.range(place..).map(|entry| entry.arrived).min() {
            self.wait.learn(now, now.saturating_duration_since(first));
        }
        self.waiting.insert(place, Entry { number, arrived: now, packet });
    }

    /// A packet from elsewhere: a new stream if it follows the one before it (RFC 3550 A.1's way).
    fn suspect(&mut self, now: Instant, packet: RtpPacket) {
        let Some(first) = self.suspect.take() else {
            self.suspect = Some(packet);
            return;
        };
        if first.ssrc != packet.ssrc || packet.sequence != first.sequence.wrapping_add(1) {
            self.counts.discarded += 1;
            self.suspect = Some(packet);
            return;
        }
        self.counts.discarded += self.waiting.len() as u64;
        self.counts.restarts += 1;
        self.waiting.clear();
        self.told = None;
        self.restarted = true;
        let number = i64::from(first.sequence);
        self.stream = Some(Stream { ssrc: first.ssrc, next: number });
        self.take(now, number, Some(first));
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

/// How long to wait for a missing packet.
#[derive(Debug)]
struct Wait {
    length: Duration,
    /// When it last changed.
    changed: Option<Instant>,
}

impl Default for Wait {
    fn default() -> Self {
        Self { length: MIN_WAIT, changed: None }
    }
}

impl Wait {
    /// A packet came this late: the next one shall be waited for.
    fn learn(&mut self, now: Instant, lateness: Duration) {
        let wanted = (lateness + MARGIN).min(MAX_WAIT);
        if wanted >= self.length {
            self.length = wanted;
            self.changed = Some(now);
        }
    }

    /// Goes half of the way back for each second in which nothing came as late.
    fn shrink(&mut self, now: Instant) {
        while let Some(changed) = self.changed.filter(|changed| now >= *changed + CALM) {
            self.length = MIN_WAIT + (self.length - MIN_WAIT) / 2;
            let settled = self.length < MIN_WAIT + Duration::from_millis(1);
            self.changed = (!settled).then_some(changed + CALM);
            if settled {
                self.length = MIN_WAIT;
            }
        }
    }
}

/// A second of 20 ms packets.
const CAPACITY: usize = 50;
/// Packets that took two ways through a local network are apart by less.
const MIN_WAIT: Duration = Duration::from_millis(10);
/// Three packets: beyond that a hole disturbs less than the delay.
const MAX_WAIT: Duration = Duration::from_millis(60);
/// Above the lateness seen, for the next one.
const MARGIN: Duration = Duration::from_millis(5);
const CALM: Duration = Duration::from_secs(1);
/// RFC 3550 A.1's figures for a source that did not restart.
const MAX_DROPOUT: i64 = 3000;
const MAX_MISORDER: i64 = 100;

#[cfg(test)]
#[path = "jitter_tests.rs"]
mod tests;
