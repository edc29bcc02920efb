//! The outgoing RTP stream: one SSRC, sequence numbers and timestamps that never break, whatever is plugged in.
//!
//! A source counts for itself: its own sequence numbers and timestamps, its own start. The sequencer adds an offset to
//! both. A new source (another leg, a tone, a far end that began anew) gets new offsets, so that its first packet
//! follows the last one sent: the next sequence number, and a timestamp later by the time that went by.
//!
//! Holes in a forwarded source stay holes, so that the receiver sees the loss and conceals it, and late packets go to
//! their own places. Packets that we take out of a source ([`Sequencer::consumed`]) or put between
//! ([`Sequencer::insert`]) leave none.
//!
//! Silence that we make up because the source sends nothing ([`Sequencer::fill`]) stands for the sound of its time: when the source
//! speaks again it goes on behind it, and what it says of the time before, all at once after a hole in the network, comes too late.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What a source says of its packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incoming {
    /// Which source: any number that changes whenever another one speaks, or the same one begins anew.
    pub source: u64,
    /// Its sequence number. A generator or a transcoder has none: each packet is the next.
    pub sequence: Option<u16>,
    /// In the outgoing stream's clock; starts where the source likes.
    pub timestamp: u32,
    /// Start of a talkspurt.
    pub marker: bool,
}

/// What goes into the outgoing header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The stream's one SSRC.
    pub ssrc: u32,
    /// Starts below 65,536 and counts on past it; [`Stamp::sequence`] is what the header takes.
    pub extended_sequence: u64,
    /// In the stream's clock.
    pub timestamp: u32,
    /// The source's own, and always set on the first packet of a source.
    pub marker: bool,
}

impl Stamp {
    /// For the header.
    pub fn sequence(&self) -> u16 {
        self.extended_sequence as u16
    }
}

/// State of one outgoing stream.
#[derive(Debug)]
pub struct Sequencer {
    ssrc: u32,
    clock_rate: u32,
    /// The sequence number that nobody has yet, extended.
    next: i64,
    /// Timestamp of the newest packet, and when it was sent.
    timestamp: u32,
    sent_at: Option<Instant>,
    source: Option<Source>,
    /// Silence that was made up since the source spoke.
    silence: Option<Silence>,
}

/// Silence in place of a source.
#[derive(Debug)]
struct Silence {
    /// Timestamp of its last frame.
    newest: u32,
    /// Ticks of a frame.
    step: u32,
    /// Since when the source sends what comes too late.
    late_since: Option<Instant>,
}

impl Sequencer {
    /// A stream that has sent nothing. The first numbers should be random (RFC 3550 §5.1).
    pub fn new(ssrc: u32, clock_rate: u32, first_sequence: u16, first_timestamp: u32) -> Self {
        let next = i64::from(first_sequence);
        let timestamp = first_timestamp;
        Self { ssrc, clock_rate, next, timestamp, sent_at: None, source: None, silence: None }
    }

    /// Numbers a packet of a source. `None`: the packet is so late that its place is not known any more; drop it.
    pub fn stamp(&mut self, now: Instant, incoming: Incoming) -> Option<Stamp> {
        let elapsed = self.elapsed(now);
        let continues = self.continues(&incoming, elapsed);
        if continues && self.comes_too_late(now, &incoming) {
            if let Some(sequence) = incoming.sequence {
                self.consumed(incoming.source, sequence);
            }
            return None;
        }
        let fresh = !continues || self.silence.is_some();
        if fresh {
            self.plug(&incoming, elapsed);
        }
        let source = self.source.as_mut().expect("plugged above or continued");
        let number = source.extend(incoming.sequence);
        let sequence = source.place(number)?;
        let timestamp = incoming.timestamp.wrapping_add(source.timestamp_offset);
        if number > source.newest {
            source.newest = number;
            self.next = sequence + 1;
            (self.timestamp, self.sent_at) = (timestamp, Some(now));
        }
        Some(self.give(sequence, timestamp, incoming.marker || fresh))
    }

    /// Numbers a packet of our own (a telephone-event) that goes out between those of the source.
    pub fn insert(&mut self, now: Instant, timestamp: u32, marker: bool) -> Stamp {
        let sequence = self.next;
        self.next += 1;
        if let Some(source) = &mut self.source {
            source.shift(1);
        }
        if self.sent_at.is_none() || timestamp.wrapping_sub(self.timestamp).cast_signed() > 0 {
            (self.timestamp, self.sent_at) = (timestamp, Some(now));
        }
        self.give(sequence, timestamp, marker)
    }

    /// Numbers a frame of silence: the source sends nothing. Frames step exactly, whatever the caller's clock does.
    pub fn fill(&mut self, now: Instant, step: u32) -> Stamp {
        let due = self.timestamp_at(now);
        let next = self.silence.as_ref().map(|silence| silence.newest.wrapping_add(step));
        // Further off than some frames: a digit was sent meanwhile, or the lane stood still.
        let next = next.filter(|next| due.wrapping_sub(*next).cast_signed().unsigned_abs() < 5 * step);
        let timestamp = next.unwrap_or(due);
        self.silence = Some(Silence { newest: timestamp, step, late_since: None });
        self.insert(now, timestamp, next.is_none())
    }

    /// A packet of the source was taken out and is not sent on: those after it close up.
    pub fn consumed(&mut self, source: u64, sequence: u16) {
        let Some(source) = self.source.as_mut().filter(|known| known.id == source) else {
            return;
        };
        let number = source.extend(Some(sequence));
        if number > source.newest {
            source.newest = number;
            source.shift(-1);
            self.next = source.place(number + 1).expect("the newest place is known");
        }
    }

    /// The stream's timestamp at this moment: that of the newest packet plus the time since.
    pub fn timestamp_at(&self, now: Instant) -> u32 {
        self.timestamp.wrapping_add(self.elapsed(now))
    }

    /// The stream's one SSRC.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Is this the next packet of the source that spoke last, by all that it says of itself?
    fn continues(&self, incoming: &Incoming, elapsed: u32) -> bool {
        let Some(source) = self.source.as_ref().filter(|source| source.id == incoming.source) else {
            return false;
        };
        let ahead = source.extend(incoming.sequence) - source.newest;
        let timestamp = incoming.timestamp.wrapping_add(source.timestamp_offset);
        let step = i64::from(timestamp.wrapping_sub(self.timestamp).cast_signed());
        // A source may stop its clock in a silence, or start it anew: more than 5 s off the time that went by.
        let stray = (step - i64::from(elapsed)).abs();
        let most = ticks(MAX_STRAY, self.clock_rate);
        // Numbers that go back after a long time are not late, they have come round while nothing was sent: those in between were used.
        let is_late = ahead <= 0 && elapsed <= most;
        (is_late || ahead > 0) && (-MAX_MISORDER..MAX_DROPOUT).contains(&ahead) && stray <= i64::from(most)
    }

    /// Is this sound of a time that silence stands for already? A source whose clock stood still meanwhile looks alike, but not only
    /// for a moment.
    fn comes_too_late(&mut self, now: Instant, incoming: &Incoming) -> bool {
        let (Some(silence), Some(source)) = (&mut self.silence, &self.source) else { return false };
        let timestamp = incoming.timestamp.wrapping_add(source.timestamp_offset);
        let late = timestamp.wrapping_sub(silence.newest).cast_signed() <= 0;
        late && now.saturating_duration_since(*silence.late_since.get_or_insert(now)) < BURST
    }

    /// Offsets that put this packet right behind the last one sent.
    fn plug(&mut self, incoming: &Incoming, elapsed: u32) {
        let number = incoming.sequence.map_or(0, i64::from);
        // Two packets never share a timestamp, however quickly the source changed.
        let least = if self.sent_at.is_some() { ticks(LEAST_STEP, self.clock_rate) } else { 0 };
        let step = match self.silence.take() {
            Some(Silence { step, .. }) => (elapsed / step).max(1) * step, // on the silence's own grid: no crooked step is heard
            None => elapsed.max(least),
        };
        let timestamp = self.timestamp.wrapping_add(step);
        self.source = Some(Source {
            id: incoming.source,
            newest: number - 1,
            offsets: VecDeque::from([(number, self.next - number)]),
            timestamp_offset: timestamp.wrapping_sub(incoming.timestamp),
        });
    }

    /// Clock ticks since the newest packet.
    fn elapsed(&self, now: Instant) -> u32 {
        let since = self.sent_at.map_or(Duration::ZERO, |sent| now.saturating_duration_since(sent));
        ticks(since, self.clock_rate)
    }

    fn give(&self, sequence: i64, timestamp: u32, marker: bool) -> Stamp {
        Stamp { ssrc: self.ssrc, extended_sequence: sequence.cast_unsigned(), timestamp, marker }
    }
}

/// The source that speaks; its sequence numbers extended.
#[derive(Debug)]
struct Source {
    id: u64,
    newest: i64,
    /// From which number on which offset holds, oldest first; the first one is where the source began.
    offsets: VecDeque<(i64, i64)>,
    timestamp_offset: u32,
}

impl Source {
    /// The number nearest to the newest (RFC 3711 §3.3.1 has the idea).
    fn extend(&self, sequence: Option<u16>) -> i64 {
        let Some(sequence) = sequence else {
            return self.newest + 1;
        };
        self.newest + i64::from(sequence.wrapping_sub(self.newest as u16).cast_signed())
    }

    /// Its place in the outgoing stream, unless that is forgotten.
    fn place(&self, number: i64) -> Option<i64> {
        let holds = self.offsets.iter().rev().find(|(from, _)| *from <= number);
        holds.map(|(_, offset)| number + offset)
    }

    /// Moves all that comes after the newest.
    fn shift(&mut self, by: i64) {
        let from = self.newest + 1;
        match self.offsets.back_mut() {
            Some((last, offset)) if *last == from => *offset += by,
            Some((_, offset)) => {
                let offset = *offset + by;
                if self.offsets.len() == MAX_OFFSETS {
                    self.offsets.pop_front();
                }
                self.offsets.push_back((from, offset));
            }
            None => {}
        }
    }
}

fn ticks(duration: Duration, clock_rate: u32) -> u32 {
    (duration.as_nanos() * u128::from(clock_rate) / 1_000_000_000) as u32
}

/// RFC 3550 A.1's figures for a source that did not restart.
const MAX_DROPOUT: i64 = 3000;
const MAX_MISORDER: i64 = 100;
/// Longest that a source's clock may run apart from ours between two packets.
const MAX_STRAY: Duration = Duration::from_secs(5);
/// One usual packet.
const LEAST_STEP: Duration = Duration::from_millis(20);
/// How long packets that waited in the network may take to come, all at once.
const BURST: Duration = Duration::from_millis(100);
/// Changes that are remembered for late packets: a digit of 160 ms makes 10.
const MAX_OFFSETS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: Duration = Duration::from_millis(1);

    fn stream() -> (Sequencer, Instant) {
        (Sequencer::new(7, 8000, 100, 5000), Instant::now())
    }

    fn packet(source: u64, sequence: impl Into<Option<u16>>, timestamp: u32) -> Incoming {
        Incoming { source, sequence: sequence.into(), timestamp, marker: false }
    }

    /// Sequence number, timestamp, marker.
    fn brief(stamp: Option<Stamp>) -> Option<(u64, u32, bool)> {
        stamp.map(|stamp| (stamp.extended_sequence, stamp.timestamp, stamp.marker))
    }

    #[test]
    fn the_first_packet_takes_the_streams_first_numbers() {
        let (mut stream, now) = stream();
        assert_eq!(brief(stream.stamp(now, packet(1, 60_000, 777))), Some((100, 5000, true)));
        assert_eq!(brief(stream.stamp(now + 20 * MS, packet(1, 60_001, 937))), Some((101, 5160, false)));
    }

    #[test]
    fn loss_and_misorder_of_a_source_stay_visible() {
        let (mut stream, now) = stream();
        stream.stamp(now, packet(1, 65_535, 0));
        assert_eq!(brief(stream.stamp(now, packet(1, 3, 640))), Some((104, 5640, false)));
        assert_eq!(brief(stream.stamp(now, packet(1, 1, 320))), Some((102, 5320, false)));
        assert_eq!(brief(stream.stamp(now, packet(1, 4, 800))), Some((105, 5800, false)));
    }

    #[test]
    fn another_source_goes_on_where_the_last_one_stopped() {
        let (mut stream, now) = stream();
        stream.stamp(now, packet(1, 10, 0));
        let other = stream.stamp(now + 100 * MS, packet(2, None, 4_000_000_000));
        assert_eq!(brief(other), Some((101, 5800, true)));
        let back = stream.stamp(now + 101 * MS, packet(1, 15, 800));
        assert_eq!(brief(back), Some((102, 5960, true)), "never less than a packet later");
    }

    #[test]
    fn a_source_that_jumps_is_taken_for_a_new_one() {
        let check = |sequence, timestamp, after: Duration, expected: (u64, u32, bool)| {
            let (mut stream, now) = stream();
            stream.stamp(now, packet(1, 10, 0));
            assert_eq!(brief(stream.stamp(now + after, packet(1, sequence, timestamp))), Some(expected));
        };
        check(11, 160, 20 * MS, (101, 5160, false));
        check(11, 8000 * 60, 60_000 * MS, (101, 5000 + 480_000, false)); // silence, its clock ran on
        check(11, 160, 60_000 * MS, (101, 5000 + 480_000, true)); // silence, its clock stood still
        check(11, 3_000_000_000, 20 * MS, (101, 5160, true)); // another clock
        check(40_000, 160, 20 * MS, (101, 5160, true)); // other numbers
        check(65_000, 160, 20 * MS, (101, 5160, true)); // numbers went back
    }

    #[test]
    fn what_is_put_in_or_taken_out_leaves_no_hole_and_no_double() {
        let (mut stream, now) = stream();
        stream.stamp(now, packet(1, 10, 0));
        assert_eq!(stream.insert(now, 5160, true).extended_sequence, 101);
        assert_eq!(stream.insert(now, 5160, false).extended_sequence, 102);
        stream.consumed(1, 11);
        stream.consumed(1, 13); // 12 is late
        assert_eq!(stream.stamp(now, packet(1, 14, 640)).unwrap().extended_sequence, 104);
        assert_eq!(stream.stamp(now, packet(1, 12, 320)).unwrap().extended_sequence, 103);
        assert_eq!(stream.insert(now, 5800, false).extended_sequence, 105);
        assert_eq!(stream.stamp(now, packet(1, 15, 800)).unwrap().extended_sequence, 106);
        assert_eq!(stream.stamp(now, packet(1, 9, 0)), None, "from before the source was plugged in");
    }

    #[test]
    fn silence_goes_before_and_behind_a_source_in_even_steps() {
        let (mut stream, now) = stream();
        let fill = |stream: &mut Sequencer, ms| brief(Some(stream.fill(now + ms * MS, 160)));
        assert_eq!(fill(&mut stream, 0), Some((100, 5000, true)));
        assert_eq!(fill(&mut stream, 23), Some((101, 5160, false)), "a late timer makes no crooked step");
        assert_eq!(fill(&mut stream, 40), Some((102, 5320, false)));
        assert_eq!(brief(stream.stamp(now + 51 * MS, packet(1, 10, 777))), Some((103, 5480, true)));
        assert_eq!(brief(stream.stamp(now + 71 * MS, packet(1, 11, 937))), Some((104, 5640, false)));
        assert_eq!(fill(&mut stream, 571), Some((105, 9640, true)));
        assert_eq!(fill(&mut stream, 591), Some((106, 9800, false)));
        // Its clock ran on in a silence of its own.
        assert_eq!(brief(stream.stamp(now + 600 * MS, packet(1, 12, 5200))), Some((107, 9960, true)));
        assert_eq!(brief(stream.stamp(now + 620 * MS, packet(1, 13, 5360))), Some((108, 10_120, false)));
    }

    #[test]
    fn what_silence_has_stood_for_is_not_sent_when_it_comes_all_at_once() {
        let (mut stream, now) = stream();
        stream.stamp(now, packet(1, 10, 0));
        for frame in 0..25u32 {
            stream.fill(now + (500 + 20 * frame) * MS, 160); // up to 980 ms
        }
        let mut sent = vec![];
        for place in 1..=60u16 {
            let at = now + 985 * MS + (20 * u32::from(place.saturating_sub(50))) * MS;
            sent.extend(brief(stream.stamp(at, packet(1, 10 + place, u32::from(place) * 160))));
        }
        assert_eq!(sent[0], (126, 5000 + 50 * 160, true), "the first of its time");
        assert_eq!(sent.len(), 11, "50 to 60");
        assert!(sent.windows(2).all(|pair| pair[1].0 == pair[0].0 + 1 && pair[1].1 == pair[0].1 + 160));
    }

    #[test]
    fn a_source_whose_clock_stood_still_is_heard_again_soon() {
        let (mut stream, now) = stream();
        stream.stamp(now, packet(1, 10, 0));
        for frame in 0..100u32 {
            stream.fill(now + (500 + 20 * frame) * MS, 160);
        }
        let mut at = now + 2490 * MS;
        let mut lost = 0;
        for place in 1..=20u16 {
            at += 20 * MS;
            lost += u32::from(stream.stamp(at, packet(1, 10 + place, u32::from(place) * 160)).is_none());
        }
        assert_eq!(lost, 5);
    }

    #[test]
    fn the_clock_runs_on_between_packets() {
        let (mut stream, now) = stream();
        assert_eq!(stream.timestamp_at(now), 5000);
        stream.stamp(now, packet(1, 10, 0));
        assert_eq!(stream.timestamp_at(now + 50 * MS), 5400);
    }

    proptest! {
        /// Whatever comes: no number is given twice, and the newest numbers never jump.
        #[test]
        fn numbers_are_never_given_twice(events in proptest::collection::vec((0u8..6, 0u16..6, any::<u32>()), 1..200)) {
            let (mut stream, mut now) = stream();
            let (mut sent, mut spoken) = (std::collections::HashSet::new(), 0u16);
            let mut seen = std::collections::HashSet::new();
            let mut highest = 99;
            for (what, step, stray) in events {
                now += 20 * MS;
                let given = match what {
                    0 => Some(stream.insert(now, stream.timestamp_at(now), false)),
                    1 => { spoken = spoken.wrapping_add(1); seen.insert(spoken); stream.consumed(1, spoken); None }
                    2 => stream.stamp(now, packet(2, None, stray)),
                    5 => Some(stream.fill(now, 160)),
                    _ => {
                        let number = spoken.wrapping_add(step).wrapping_sub(2);
                        if !seen.insert(number) { continue; }
                        if number.wrapping_sub(spoken) < 100 { spoken = number; }
                        stream.stamp(now, packet(1, number, u32::from(number) * 160))
                    }
                };
                if let Some(stamp) = given {
                    prop_assert!(sent.insert(stamp.extended_sequence), "{} twice", stamp.extended_sequence);
                    prop_assert!(stamp.extended_sequence <= highest + 10);
                    highest = highest.max(stamp.extended_sequence);
                }
            }
        }
    }
}
