//! Moving pictures: which codecs there are, what two sides' formats of one have in common, and how one becomes the other.
//!
//! # Layout
//! - [`format`]: a codec with its parameters; when a stream of one side fits the other
//! - [`profile`]: H.264's profiles and levels
//! - [`codec`]: what decoders and encoders share, and the settings
//! - `limits`: the settings that a level of H.264 allows
//! - [`picture`]: a picture in memory (I420), whole or lent
//! - [`scale`]: a picture made smaller
//! - `openh264`, `libvpx`: one file per library, the only ones that call it
//! - [`chain`]: decode, scale if needed, encode; one direction of one call
//! - [`card`]: a still picture with words, coded once; [`font`]: its letters
//! - [`pattern`]: a moving picture, and how near another one comes to it

pub mod card;
pub mod chain;
pub mod codec;
pub mod font;
pub mod format;
mod libvpx;
mod limits;
mod openh264;
pub mod pattern;
pub mod picture;
pub mod profile;
pub mod scale;

pub use card::StillPicture;
pub use chain::{VideoChain, VideoFrame};
pub use codec::{Coded, VideoDecoder, VideoEncoder, VideoSettings};
pub use format::{H264Format, Passing, VIDEO_CLOCK, VideoCodec, VideoFormat};
pub use picture::{Picture, View};
pub use profile::{Level, Profile, ProfileLevel};
