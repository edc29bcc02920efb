//! Decode, scale if needed, encode: one direction of one call's pictures. Nothing waits in it: what goes in comes out, or never does.

use super::codec::{BITRATES, Coded, VideoDecoder, VideoEncoder, VideoSettings};
use super::format::{VIDEO_CLOCK, VideoCodec};
use super::picture::Picture;
use super::scale::{Scaler, fit};
use crate::error::CodecError;
use std::fmt;

/// A transcoder of one stream of pictures.
///
/// Timestamps pass as they are: both sides count in 90 kHz. Each end is told what it must do: the source sends a key frame while
/// [`wants_key_frame`](Self::wants_key_frame), and the target gets one after [`force_key_frame`](Self::force_key_frame) and whenever the size
/// changes.
pub struct VideoChain {
    from: VideoCodec,
    to: VideoCodec,
    settings: VideoSettings,
    decoder: Box<dyn VideoDecoder>,
    encoder: Box<dyn VideoEncoder>,
    scaler: Scaler,
    scaled: Picture,
    coded: Vec<u8>,
    /// The decoder cannot go on without a key frame: at the start, and after a loss or an error.
    broken: bool,
    /// It refused the last picture.
    damaged: bool,
    /// The target is owed a key frame.
    key_owed: bool,
    clock: Clock,
    pace: Pace,
}

/// One coded picture to send. It is lent for the length of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoFrame<'a> {
    /// A byte stream of H.264 or a frame of VP8.
    pub coded: &'a [u8],
    /// The timestamp of the picture that went in.
    pub timestamp: u32,
    /// Whether a decoder can start here.
    pub key: bool,
}

impl VideoChain {
    /// A chain that waits for a key frame.
    pub fn new(from: VideoCodec, to: VideoCodec, settings: &VideoSettings) -> Result<Self, CodecError> {
        Ok(Self {
            from,
            to,
            decoder: from.decoder()?,
            encoder: to.encoder(settings)?,
            scaler: Scaler::default(),
            scaled: Picture::new(2, 2)?,
            coded: Vec::with_capacity(USUAL_KEY_FRAME),
            broken: true,
            damaged: false,
            key_owed: true,
            clock: Clock::default(),
            pace: Pace::new(settings.max_fps),
            settings: settings.clone(),
        })
    }

    /// Takes a coded picture, whole; gives one or none. `late`: another one waits already. Then this one is decoded, for the next builds on it,
    /// and not encoded. An error costs the pictures up to the next key frame.
    pub fn push(
        &mut self,
        coded: &[u8],
        timestamp: u32,
        late: bool,
    ) -> Result<Option<VideoFrame<'_>>, CodecError> {
        if self.broken && !self.from.is_key(coded) {
            return Ok(None);
        }
        let at = self.clock.at(timestamp);
        if self.damaged {
            // What a bad picture leaves behind may spoil good ones.
            self.decoder = self.from.decoder()?;
            self.damaged = false;
        }
        let decoded = self.decoder.decode(coded);
        (self.broken, self.damaged) = match decoded {
            Ok(Some(_)) => (false, false),
            Ok(None) => (self.broken, false),
            Err(_) => (true, true),
        };
        let Some(mut picture) = decoded? else { return Ok(None) };
        if late || !self.pace.takes(at) {
            return Ok(None);
        }
        let size = (picture.width(), picture.height());
        let (long, short) = self.settings.max_size;
        let fitting = fit(size, (long as usize, short as usize));
        if fitting != size {
            self.scaled.resize(fitting.0, fitting.1)?;
            self.scaler.scale(picture, &mut self.scaled)?;
            picture = self.scaled.view();
        }
        let kind = self.encoder.encode(picture, self.key_owed, at, &mut self.coded)?;
        self.key_owed &= kind != Coded::Key;
        let frame = VideoFrame { coded: &self.coded, timestamp, key: kind == Coded::Key };
        Ok((kind != Coded::Nothing).then_some(frame))
    }

    /// A picture, or a part of one, will not come: what follows cannot be shown until a key frame comes.
    pub fn lost(&mut self) {
        self.broken = true;
    }

    /// Whether the source is to be asked for a key frame (RFC 4585 §6.3.1, RFC 5104 §4.3.1): nothing it sends is shown until then.
    pub fn wants_key_frame(&self) -> bool {
        self.broken
    }

    /// The target asks for a key frame: the next picture is one.
    pub fn force_key_frame(&mut self) {
        self.key_owed = true;
    }

    /// Aims at another bitrate from the next picture on, in bit/s; brought into [`BITRATES`], and never above the settings'.
    pub fn set_bitrate(&mut self, bitrate: u32) -> Result<(), CodecError> {
        self.encoder.set_bitrate(bitrate.min(self.settings.bitrate).max(*BITRATES.start()))
    }
}

impl fmt::Display for VideoChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.from.name(), self.to.name())
    }
}

/// RTP's timestamps, which wrap and may jump, as the time that only grows.
#[derive(Debug, Default)]
struct Clock {
    now: u64,
    last: Option<u32>,
}

impl Clock {
    fn at(&mut self, timestamp: u32) -> u64 {
        let step = self.last.map_or(1, |last| timestamp.wrapping_sub(last));
        // Backwards, or on by more than a pause: a new count has begun.
        self.now += u64::from(if (1..=LONGEST_PAUSE).contains(&step) { step } else { VIDEO_CLOCK / 30 });
        self.last = Some(timestamp);
        self.now
    }
}

/// Which pictures are left out so that no more than so many a second remain.
#[derive(Debug)]
struct Pace {
    interval: u64,
    /// When the next picture is; none before the first.
    due: Option<u64>,
}

impl Pace {
    fn new(max_fps: u32) -> Self {
        Self { interval: u64::from(VIDEO_CLOCK / max_fps), due: None }
    }

    fn takes(&mut self, at: u64) -> bool {
        let due = self.due.unwrap_or(at);
        // A camera's clock is not ours, so a picture may come early; the next is due no sooner for it.
        if at + EARLY.min(self.interval / 2) < due {
            return false;
        }
        // What was missed is not made up for.
        self.due = Some(if at > due + self.interval { at } else { due } + self.interval);
        true
    }
}

/// How much earlier than it is due a picture may come: half the time between two of a usual camera.
const EARLY: u64 = VIDEO_CLOCK as u64 / 60;
/// Bytes of a key frame in the usual box at the usual bitrate, and then some; more room is made when it is needed.
const USUAL_KEY_FRAME: usize = 64 * 1024;
/// A minute: a camera that is covered or on hold; beyond it the count is no longer believed.
const LONGEST_PAUSE: u32 = 60 * VIDEO_CLOCK;

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of ten seconds of pictures remain.
    fn remain(fps: u32, max_fps: u32, jitter: i64) -> usize {
        let mut pace = Pace::new(max_fps);
        let at = |number: u32| {
            let wobble = if number.is_multiple_of(2) { jitter } else { -jitter };
            (i64::from(number) * i64::from(VIDEO_CLOCK / fps) + 10_000 + wobble) as u64
        };
        (0..10 * fps).filter(|number| pace.takes(at(*number))).count()
    }

    #[test]
    fn the_pace_leaves_out_what_is_too_much_and_nothing_else() {
        let check = |fps, max_fps, expected: std::ops::RangeInclusive<usize>| {
            for jitter in [0, 200, 400] {
                let count = remain(fps, max_fps, jitter);
                assert!(expected.contains(&count), "{fps} at most {max_fps}, jitter {jitter}: {count}");
            }
        };
        check(30, 30, 300..=300);
        check(15, 30, 150..=150);
        check(30, 15, 149..=151);
        check(30, 20, 199..=201);
        check(60, 30, 299..=301);
        check(30, 1, 10..=10);
    }

    #[test]
    fn time_only_grows_whatever_the_timestamps_say() {
        let mut clock = Clock::default();
        let mut last = 0;
        for timestamp in
            [u32::MAX - 10, 2_990, 5_990, 5_990, 5_000, 4_000_000_000, 0, 3_000, 3_000 + LONGEST_PAUSE]
        {
            let now = clock.at(timestamp);
            assert!(now > last, "{timestamp}: {now} after {last}");
            assert!(now - last <= u64::from(LONGEST_PAUSE));
            last = now;
        }
        assert_eq!(clock.at(3_000 + LONGEST_PAUSE + 1_500) - last, 1_500);
    }
}
