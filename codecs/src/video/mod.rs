//! Pictures: which codecs there are, and what two sides' formats of one have in common.

pub mod format;
pub mod profile;

pub use format::{H264Format, Passing, VIDEO_CLOCK, VideoCodec, VideoFormat};
pub use profile::{Level, Profile, ProfileLevel};
