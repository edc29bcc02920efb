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
