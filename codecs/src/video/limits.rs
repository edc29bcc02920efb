//! What a decoder of an H.264 level bears, as settings for an encoder (H.264 table A-1).

use super::codec::VideoSettings;
use super::profile::{Level, ProfileLevel};

impl VideoSettings {
    /// These settings, less what is too much for a decoder of this level: a phone of level 1.3 gets 352×288 at 768 kbit/s.
    pub fn within(&self, level: Level) -> Self {
        let bears = |limit: &&Limit| limit.level() <= level;
        let limit = LIMITS.iter().rev().find(bears).unwrap_or(&LIMITS[0]);
        let ((long, short), (most_long, most_short)) = (self.max_size, limit.max_size);
        Self {
            bitrate: self.bitrate.min(limit.kilobits * 1_000),
            max_fps: self.max_fps.min(limit.max_fps),
            max_size: (long.max(short).min(most_long), long.min(short).min(most_short)),
            ..self.clone()
        }
    }
}

/// The most of one level.
struct Limit {
    level_idc: u8,
    /// In the shape of usual pictures, no more macroblocks than `MaxFS`; smaller where it would be a slide show.
    max_size: (u32, u32),
    /// Of that size: no more macroblocks a second than `MaxMBPS`.
    max_fps: u32,
    /// `MaxBR`.
    kilobits: u32,
}

impl Limit {
    const fn new(level_idc: u8, max_size: (u32, u32), max_fps: u32, kilobits: u32) -> Self {
        Self { level_idc, max_size, max_fps, kilobits }
    }

    fn level(&self) -> Level {
        ProfileLevel { level: self.level_idc, ..ProfileLevel::UNSAID }.level()
    }
}

/// Lowest first; 9 is 1b. Above 4 we send no more.
const LIMITS: [Limit; 12] = [
    Limit::new(10, (176, 144), 15, 64),
    Limit::new(9, (176, 144), 15, 128),
    Limit::new(11, (256, 192), 15, 192),
    Limit::new(12, (352, 288), 15, 384),
    Limit::new(13, (352, 288), 30, 768),
    Limit::new(20, (352, 288), 30, 2_000),
    Limit::new(21, (480, 352), 30, 4_000),
    Limit::new(22, (480, 352), 30, 4_000),
    Limit::new(30, (640, 480), 30, 10_000),
    Limit::new(31, (1280, 720), 30, 14_000),
    Limit::new(32, (1280, 720), 60, 20_000),
    Limit::new(40, (1920, 1088), 30, 20_000),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::video::{VideoCodec, pattern};

    /// The level that the encoder itself finds for what these settings allow.
    fn encoded(settings: &VideoSettings) -> Level {
        let mut coded = vec![];
        let mut encoder = VideoCodec::H264.encoder(settings).unwrap();
        let (width, height) = settings.max_size;
        let picture = pattern::picture((width as usize, height as usize), 0);
        encoder.encode(picture.view(), true, 0, &mut coded).unwrap();
        let at = coded.windows(4).position(|four| four == [0, 0, 1, 0x67]).unwrap();
        let [profile, constraints, level] = coded[at + 4..at + 7].try_into().unwrap();
        ProfileLevel { profile, constraints, level }.level()
    }

    #[test]
    fn no_stream_is_above_its_level_by_the_encoder_s_own_word() {
        let most = VideoSettings {
            bitrate: 8_000_000,
            max_size: (1920, 1088),
            max_fps: 60,
            ..VideoSettings::default()
        };
        for limit in &LIMITS {
            let settings = most.within(limit.level());
            let level = encoded(&settings);
            println!("{}: {:?} is {level}", limit.level(), settings.max_size);
            assert!(level <= limit.level(), "{level} for a decoder of {}", limit.level());
        }
        assert!(LIMITS.is_sorted_by_key(Limit::level));
    }

    #[test]
    fn a_level_takes_away_and_never_gives() {
        let level = |level| ProfileLevel { level, ..ProfileLevel::UNSAID }.level();
        let usual = VideoSettings::default();
        assert_eq!(usual.within(level(31)), usual);
        assert_eq!(usual.within(level(52)), usual);
        let small = usual.within(level(13));
        assert_eq!((small.max_size, small.max_fps, small.bitrate), ((352, 288), 30, 768_000));
        let tall = VideoSettings { max_size: (200, 300), max_fps: 10, ..usual };
        assert_eq!(tall.within(level(13)).max_size, (300, 200));
        assert_eq!(tall.within(level(1)).max_fps, 10, "unknown and low is level 1");
    }
}
