//! RTP (RFC 3550) as the SIP leg speaks it. Pure but for the sockets: packets and `now` in, packets and verdicts out.
//!
//! - [`packet`]: parse and write
//! - [`sequencer`]: the outgoing stream, unbroken whatever is plugged in
//! - [`latch`]: whose packets we take, and where we send
//! - [`stats`]: what a receiver must know of a stream
//! - [`tally`]: what a leg counts of both directions
//! - [`rtcp`]: reports built from it, reports read
//! - [`digits`]: telephone-events sent and received
//! - [`jitter`]: order, pace and loss before a decoder; `playout` has the delay
//! - [`reorder`]: order before a picture is put together
//! - [`key_frames`]: when to ask for one
//! - [`holes`]: what a stream of pictures lacks, [`resends`]: what the far end may lack
//! - [`loss_limit`]: what a far end gets through its network; [`rate_limits`]: limits that both ends tell each other
//! - [`pictures`]: what is counted of pictures
//! - [`srtp`]: packets encrypted and tested, with keys from SDP
//! - [`ports`], [`socket`]: the pool of port pairs, and a bound pair as a stream of datagrams; not pure

pub mod digits;
pub mod holes;
pub mod jitter;
pub mod key_frames;
pub mod latch;
pub mod loss_limit;
pub mod packet;
pub mod pictures;
mod playout;
pub mod ports;
pub mod rate_limits;
pub mod reorder;
pub mod resends;
pub mod rtcp;
pub mod sequencer;
pub mod socket;
pub mod srtp;
pub mod stats;
pub mod tally;
