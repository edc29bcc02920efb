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

mod source;

use std::time::{Duration, Instant};

use source::Source;

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
        let timestamp_offset = timestamp.wrapping_sub(incoming.timestamp);
        self.source = Some(Source::beginning(incoming.source, (number, self.next), timestamp_offset));
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

#[cfg(test)]
mod tests;
