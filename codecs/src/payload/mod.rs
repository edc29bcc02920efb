//! RTP payload formats that are more than coded sound.

pub mod comfort_noise;
pub mod h264;
mod numbers;
mod payloads;
pub mod picture;
pub mod telephone_event;
pub mod vp8;

pub use payloads::Payloads;
pub use picture::{CodedPicture, Depacketiser, Part};

/// Longest payload of pictures that we make: with the headers of IPv6, UDP, RTP and SRTP it fits 1,280 bytes, which every network carries
/// (RFC 8200 §5).
pub const LONGEST: usize = 1_150;
