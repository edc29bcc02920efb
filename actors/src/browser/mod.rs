//! A browser as a leg: the peer connection of one page.

pub mod peer;
pub mod rtc;
pub mod sdp;
