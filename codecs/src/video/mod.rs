//! Pictures: which codecs there are, and what two sides' formats of one have in common.

pub mod format;

pub use format::{H264Format, Passing, ProfileLevel, VideoCodec, VideoFormat};
