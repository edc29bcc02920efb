//! Samples and payload formats: what an RTP payload says, and how to say it in another codec.
//!
//! # Layout
//! - [`codec`]: what a codec is: its id, its facts, the traits [`Decoder`] and [`Encoder`]
//! - [`table`]: one row per codec; the only list of codecs in the house
//! - [`chain`]: decode, resample if needed, encode; one direction of one call
//! - [`audio`]: one file per codec
//! - [`plc`]: concealment for codecs that have none of their own
//! - [`resample`]: from one sample rate to another
//! - [`payload`]: RTP payload formats that are more than a codec's bytes: telephone-event, comfort noise, H.264, VP8
//! - [`tone`], [`voice`] and [`probe`]: make a sound, and measure what became of it
//! - [`video`]: codecs for pictures and their chain, and when a stream of one side fits the other
//! - [`ring_back`] and [`wav`]: sounds for those who wait, by country or from a file
//!
//! Deliberately absent: actors, threads, sockets, clocks. Nothing here allocates once it is built (pictures: once
//! their size is known), and nothing panics on what the network sends: payloads and durations are capped ([`MAX_PAYLOAD`], [`MAX_FRAME_MS`]).
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod audio;
pub mod chain;
pub mod codec;
pub mod error;
pub mod payload;
pub mod plc;
pub mod probe;
pub mod resample;
pub mod ring_back;
pub mod table;
pub mod tone;
pub mod video;
pub mod voice;
pub mod wav;

pub use chain::{Chain, Frame, Hearing, Loss};
pub use codec::{Browsers, CodecId, CodecSpec, Decoder, Encoder, MAX_FRAME_MS, MAX_PAYLOAD, Settings};
pub use error::CodecError;
pub use table::CODECS;
pub use video::{VideoCodec, VideoFormat};
