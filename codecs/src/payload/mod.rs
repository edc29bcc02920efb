//! RTP payload formats that carry no sound.

pub mod telephone_event;
