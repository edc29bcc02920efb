//! The words between a [`Peer`](super::rtc::Peer) and its owner. Plain values, no foreign type among them.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use crate::vocabulary::{KeyFrameAsk, Packet, Payload};

/// What a peer wants done or known.
#[derive(Debug)]
pub enum Output {
    /// The page proved to own `from`. Tell the lane's socket, and *before* the [`Output::Transmit`] that follows:
    /// the page may use the address as soon as it has our answer.
    Learnt {
        /// The page's address.
        from: SocketAddr,
    },
    /// Send this datagram.
    Transmit {
        /// The bound address to send from.
        from: SocketAddr,
        /// The page's address.
        to: SocketAddr,
        /// The datagram.
        bytes: Vec<u8>,
    },
    /// ICE and DTLS are done: media may flow both ways.
    Connected,
    /// A packet of the page's sound or pictures or a telephone event, authenticated and never seen before.
    Packet(Packet),
    /// The page cannot go on without a key frame.
    KeyFrameWanted(KeyFrameAsk),
    /// The page takes no more bits of pictures per second than this.
    VideoLimited(u32),
    /// RTCP figures of our sound, each second.
    Report(Report),
    /// The same of our pictures.
    VideoReport(Report),
    /// The end, said once. Nothing but the last [`Output::Transmit`]s follows.
    Disconnected(Lost),
}

/// An RTP packet for the page.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// What it carries; must have been agreed.
    pub kind: Payload,
    /// Counts from the start of the stream of sound, or of pictures, and never wraps; holes are losses upstream. Each is sent once.
    pub sequence: u64,
    /// RTP timestamp in the clock of `kind`.
    pub timestamp: u32,
    /// The marker bit: first packet after a silence; last of a picture.
    pub marker: bool,
    /// The payload, at most [`MAX_PAYLOAD`] bytes.
    pub payload: Bytes,
}

/// What the page says of our packets, from its receiver reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report {
    /// To the page and back.
    pub round_trip: Option<Duration>,
    /// Packets that it lost so far; `None`: it has not said.
    pub lost: Option<u64>,
    /// The jitter that it sees, in units of the RTP clock.
    pub jitter: u32,
}

/// Why a peer connection ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// No binding request with our password came in time: UDP is blocked, or our addresses are out of reach.
    #[error("ICE failed: no check from the page")]
    Ice,
    /// ICE was fine, the handshake did not end in time or broke.
    #[error("DTLS failed: {0}")]
    Dtls(String),
    /// The page's certificate is not the one its description announced.
    #[error("DTLS failed: the certificate does not match a=fingerprint")]
    Fingerprint,
    /// The page stopped checking for 30 s (RFC 7675 §5.1): it is gone or cut off.
    #[error("consent lost: no check from the page for 30 s")]
    Consent,
    /// The page closed its peer connection.
    #[error("closed by the page")]
    Closed,
}

/// Why a packet was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// ICE or DTLS is not done yet, or the peer has ended.
    #[error("not connected")]
    NotConnected,
    /// This kind of payload was not agreed, or the page does not receive.
    #[error("{0:?} was not agreed")]
    NotAgreed(Payload),
    /// A packet with this sequence number was sent, or many later ones were.
    #[error("sequence number {0} was used")]
    Repeated(u64),
    /// More than [`MAX_PAYLOAD`] bytes.
    #[error("payload of {0} bytes is too long")]
    TooLong(usize),
}

/// Datagrams that were dropped, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Not STUN, and from an address that never passed an ICE check.
    pub unproven: u64,
    /// STUN from more addresses than [`MAX_SOURCES`].
    pub sources: u64,
    /// Neither STUN nor DTLS nor RTP, or a broken one.
    pub malformed: u64,
    /// RTP that could not be decrypted, or came twice.
    pub undecryptable: u64,
    /// RTP of a payload type that was not agreed.
    pub wrong_payload_type: u64,
}

/// Largest RTP payload sent. The biggest Opus frame browsers and we make is far below; pictures of phones fill an Ethernet frame with
/// it: 1,400, 22 of headers with the mid, 10 of SRTP, 2 of a retransmission and 48 of UDP over IPv6 are 1,482. What we encode ourselves
/// should stay at 1,200, as browsers do, for tunnels on the way. str0m writes packets into buffers of 2,000 bytes and would panic beyond.
pub const MAX_PAYLOAD: usize = 1_400;
/// Most addresses that one page may use over a call. Each costs str0m a candidate for good; a page has some
/// interfaces times a NAT rebinding now and then.
pub const MAX_SOURCES: usize = 64;
/// How long the page may take to reach us. It checks every 50 ms at first; a call with no way for its media should
/// end within 10 s.
pub const ICE_LIMIT: Duration = Duration::from_secs(8);
/// How long ICE and DTLS together may take. A handshake repeats lost flights after 1, 2, 4 s.
pub const DTLS_LIMIT: Duration = Duration::from_secs(20);
/// RFC 7675 §5.1: consent ends 30 s after the last sign of it.
pub const CONSENT: Duration = Duration::from_secs(30);
