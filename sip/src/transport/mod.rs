//! What RFC 3261 18 asks of a transport, without the sockets: framing, Via stamping, where an answer goes, how large is too large.

mod address;
mod framing;

use std::net::SocketAddr;

pub use crate::message::Transport;
pub use address::{UDP_REQUEST_MAX, fits_udp, response_address, stamp_top_via};
pub use framing::{BODY_DEADLINE, Frame, Framer, KEEP_ALIVE_PING, KEEP_ALIVE_PONG};

/// A way to a peer: a connection, or a pair of addresses over UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flow {
    /// How bytes travel.
    pub transport: Transport,
    /// Our address, as bound or connected.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
}
