//! The switch: sockets, lanes, legs and calls. Knows no HTTP and no JSON; `src` sees only [`handle`].
//!
//! # Layout
//! A module may use only modules of lower floors; neighbours on one floor are strangers (`tests/arrows.rs`).
//!
//! | floor | modules |
//! |---|---|
//! | 7 | [`handle`]: plain async functions, the only door |
//! | 6 | [`switchboard`]: the book of sessions and calls; wires one call in one function |
//! | 5 | [`session`]: a page's account and calls · [`demo`]: registrar and answering machines |
//! | 4 | [`browser`], [`dialog`]: legs · [`registration`] · [`courier`] · [`mailbox`] · [`call`]: joins two legs and does not know what they are |
//! | 3 | [`page`]: the words of a page |
//! | 2 | [`leg`]: the contract between call and legs · [`transcoder`] · [`generator`] |
//! | 1 | [`rtp`]: packets, buffers, ports · [`quality`]: what figures mean · [`sip`]: the endpoint · [`lanes`]: threads and their WebRTC sockets |
//! | 0 | [`udp`]: a socket as a stream · [`vocabulary`]: ids, packets, reasons, settings, counters |
//!
//! An actor is a shell: it receives, asks its pure `state.rs`, and carries out the answer. Asks go down, events go up and
//! never wait. A parent holds its children strongly; everyone else holds weak addresses.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod browser;
pub mod call;
pub mod courier;
pub mod demo;
pub mod dialog;
pub mod generator;
pub mod handle;
pub mod lanes;
pub mod leg;
pub mod mailbox;
pub mod page;
pub mod quality;
pub mod registration;
pub mod rtp;
pub mod session;
pub mod sip;
pub mod switchboard;
pub mod transcoder;
pub mod udp;
pub mod vocabulary;
