//! The switch.

pub mod rtp;
