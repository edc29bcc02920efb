//! SIP without I/O.

pub mod sdp;
