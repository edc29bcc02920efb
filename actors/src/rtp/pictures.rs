//! What is counted of pictures in one direction: how many, how many of them key frames, and when the motion stopped. Pure; time is an argument.
//!
//! A picture is a timestamp. It counts when its first packet comes, whatever becomes of the others: what a decoder could make of it, only a decoder knows.
//!
//! A *freeze* is a pause before a picture that is three times as long as is usual and 150 ms longer, as in the browsers' own figures (W3C webrtc-stats,
//! `freezeCount`).
use std::time::{Duration, Instant};

use codecs::VideoCodec;
use codecs::video::VIDEO_CLOCK;

use super::tally::Tally;
use crate::vocabulary::{VideoFlow, VideoMeasured};

/// Both directions of a leg.
#[derive(Debug, Default)]
pub struct PictureBooks {
    /// From the far end.
    pub received: PictureCount,
    /// To the far end.
    pub sent: PictureCount,
}

/// One direction.
#[derive(Debug, Default)]
pub struct PictureCount {
    /// The codec, and the counts that need no clock; its flow stays empty.
    counted: VideoFlow,
    /// The last packet; `None`: it was before a pause that was agreed.
    last: Option<Instant>,
    newest: Option<Newest>,
    /// The usual time between two pictures.
    usual: Option<Duration>,
}

/// The newest picture.
#[derive(Debug)]
struct Newest {
    timestamp: u32,
    key: bool,
    /// When it came; `None`: before a pause that was agreed.
    at: Option<Instant>,
}

/// A timestamp that is no more than this behind the newest belongs to an older picture; one farther behind, to another source.
const LATE: u32 = VIDEO_CLOCK;
/// How much longer than usual a pause must be at least.
const NOTICED: Duration = Duration::from_millis(150);

impl PictureBooks {
    /// The figures of both directions, with those of the packets.
    pub fn measured(&self, now: Instant, packets: &Tally) -> VideoMeasured {
        VideoMeasured {
            received: VideoFlow { flow: packets.received(), ..self.received.figures(now) },
            sent: VideoFlow { flow: packets.gone_out(), ..self.sent.figures(now) },
        }
    }

    /// Pictures stop or begin as agreed: the time until the next one is no freeze.
    pub fn pause(&mut self) {
        self.received.pause();
        self.sent.pause();
    }

    /// Whether there was any packet.
    pub fn is_empty(&self) -> bool {
        self.received.counted.codec.is_none() && self.sent.counted.codec.is_none()
    }
}

impl PictureCount {
    /// A packet came or went; `key`: a decoder can begin with it.
    pub fn on_packet(&mut self, now: Instant, codec: VideoCodec, timestamp: u32, key: bool) {
        self.counted.codec = Some(codec);
        if let Some(last) = self.last.replace(now) {
            self.counted.lasted += now.saturating_duration_since(last);
        }
        let behind = self.newest.as_ref().map(|newest| newest.timestamp.wrapping_sub(timestamp));
        if behind.is_none_or(|behind| behind > LATE) {
            if let Some(gap) = self.gap(now) {
                self.judge(gap);
            }
            self.counted.pictures += 1;
            self.newest = Some(Newest { timestamp, key: false, at: Some(now) });
        }
        // Parameter sets and slices of one picture each may look like its beginning.
        if let Some(newest) = self.newest.as_mut().filter(|newest| newest.timestamp == timestamp)
            && key
            && !std::mem::replace(&mut newest.key, true)
        {
            self.counted.key_frames += 1;
        }
    }

    /// The receiving end asked for a key frame.
    pub fn asked(&mut self) {
        self.counted.key_frames_asked += 1;
    }

    fn pause(&mut self) {
        self.last = None;
        if let Some(newest) = &mut self.newest {
            newest.at = None;
        }
    }

    fn gap(&self, now: Instant) -> Option<Duration> {
        self.newest.as_ref()?.at.map(|at| now.saturating_duration_since(at))
    }

    fn is_freeze(&self, gap: Duration) -> bool {
        self.usual.is_some_and(|usual| gap > (usual * 3).max(usual + NOTICED))
    }

    /// What is usual follows, so that a source which slows down is not frozen for ever.
    fn judge(&mut self, gap: Duration) {
        if self.is_freeze(gap) {
            self.counted.freezes += 1;
            self.counted.frozen += gap;
        }
        self.usual = Some(self.usual.map_or(gap, |usual| (usual * 7 + gap) / 8));
    }

    /// With a freeze that lasts still.
    fn figures(&self, now: Instant) -> VideoFlow {
        let mut figures = self.counted;
        if let Some(gap) = self.gap(now).filter(|gap| self.is_freeze(*gap)) {
            figures.freezes += 1;
            figures.frozen += gap;
        }
        figures
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CODEC: VideoCodec = VideoCodec::Vp8;

    /// One direction in which pictures of two packets come at these times (ms), each with the timestamp of its time.
    fn shown(at: impl IntoIterator<Item = u64>) -> (PictureCount, Instant) {
        let (start, mut count) = (Instant::now(), PictureCount::default());
        for ms in at {
            let now = start + Duration::from_millis(ms);
            count.on_packet(now, CODEC, ms as u32 * 90, ms == 0);
            count.on_packet(now, CODEC, ms as u32 * 90, false);
        }
        (count, start)
    }

    #[test]
    fn pictures_count_once_however_many_packets_they_have_and_in_whichever_order() {
        let (mut count, now) = (PictureCount::default(), Instant::now());
        for (timestamp, key) in
            [(9_000, true), (9_000, true), (9_000, false), (15_000, false), (9_000, true), (21_000, true)]
        {
            count.on_packet(now, CODEC, timestamp, key);
        }
        let figures = count.figures(now);
        assert_eq!((figures.pictures, figures.key_frames, figures.codec), (3, 2, Some(CODEC)));
        count.on_packet(now, CODEC, 4_000_000_000, false); // another source
        count.on_packet(now, CODEC, 12, false); // and on behind the end of its numbers
        assert_eq!(count.figures(now).pictures, 5);
    }

    #[test]
    fn motion_that_stops_is_a_freeze_while_it_lasts_and_after() {
        let (count, start) = shown((0..20).map(|n| n * 67));
        let at = |ms| count.figures(start + Duration::from_millis(ms));
        assert_eq!((at(1_400).freezes, at(1_480).freezes), (0, 0), "one picture is late");
        assert_eq!((at(1_773).freezes, at(1_773).frozen.as_millis()), (1, 500));
        assert_eq!(at(1_273).lasted.as_millis(), 1_273);

        let (count, start) = shown((0..20).chain(27..40).map(|n| n * 67));
        let figures = count.figures(start + Duration::from_millis(40 * 67));
        assert_eq!((figures.freezes, figures.frozen.as_millis()), (1, 8 * 67));
    }

    #[test]
    fn a_source_that_slows_down_or_is_held_is_not_frozen() {
        let (count, start) = shown((0..20).map(|n| n * 67).chain((0..50).map(|n| 1_400 + n * 500)));
        let freezes = count.figures(start + Duration::from_secs(26)).freezes;
        assert!((1..=5).contains(&freezes), "{freezes}: until 500 ms are usual");

        let (mut count, start) = shown((0..20).map(|n| n * 67));
        count.pause();
        let late = start + Duration::from_secs(60);
        assert_eq!(count.figures(late).freezes, 0);
        count.on_packet(late, CODEC, 60 * 90_000, false);
        let figures = count.figures(late);
        assert_eq!((figures.freezes, figures.lasted.as_millis(), figures.pictures), (0, 1_273, 21));
    }

    proptest! {
        #[test]
        fn any_timestamps_count_without_panic(packets in proptest::collection::vec((any::<u32>(), any::<bool>(), 0u64..5000), 0..100)) {
            let (mut count, mut now) = (PictureCount::default(), Instant::now());
            for (timestamp, key, pause) in packets.iter() {
                now += Duration::from_millis(*pause);
                count.on_packet(now, CODEC, *timestamp, *key);
            }
            let figures = count.figures(now);
            prop_assert!(figures.key_frames <= figures.pictures && figures.pictures <= packets.len() as u64);
            prop_assert!(figures.frozen <= figures.lasted);
        }
    }
}
