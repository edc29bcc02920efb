//! SIP without I/O: bytes and `now` in; bytes, events and the next deadline out.
//!
//! The listing reads like the RFCs. Each folder may use only those above it:
//!
//! | folder | what it knows | by what right |
//! |---|---|---|
//! | [`message`] | methods, URIs, headers, the parser, the checks that need no state | RFC 3261 7, 8.2, 19, 20, 25 |
//! | [`transport`] | stream framing, Via stamping, where an answer goes, the size rule | RFC 3261 18, RFC 3581, RFC 5626 |
//! | [`transaction`] | the four machines and the layer that owns them | RFC 3261 17, RFC 6026 |
//!
//! Deliberately absent: sockets, clocks, threads, actors, media.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod auth;
pub mod dialog;
pub mod message;
pub mod resolve;
pub mod sdp;
