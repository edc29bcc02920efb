//! SIP without I/O: bytes and `now` in; bytes, events and the next deadline out.
//!
//! The listing reads like the RFCs. Each folder may use only those above it:
//!
//! | folder | what it knows | by what right |
//! |---|---|---|
//! | [`message`] | methods, URIs, headers, the parser, the checks that need no state | RFC 3261 7, 8.2, 19, 20, 25 |
//! | [`transport`] | stream framing, Via stamping, where an answer goes, the size rule | RFC 3261 18, RFC 3581, RFC 5626 |
//! | [`transaction`] | the four machines and the layer that owns them | RFC 3261 17, RFC 6026 |
//! | [`sdp`] | descriptions, offers and answers | RFC 8866, 3264, 6337 |
//! | [`auth`] | digest, both ends | RFC 7616, 8760 |
//! | [`resolve`] | where requests for a URI go | RFC 3263 |
//! | `dialog` | dialogs and the requests inside them | RFC 3261 12–15 |
//!
//! Deliberately absent: sockets, clocks, threads, actors, media.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod auth;
pub mod dialog;
pub mod message;
pub mod resolve;
pub mod sdp;
pub mod transaction;
pub mod transport;
