//! RTP payload formats that carry no coded sound.

pub mod comfort_noise;
pub mod telephone_event;
