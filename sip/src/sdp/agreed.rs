//! The result of one offer and one answer, in the words of an RTP stack.

use std::net::{IpAddr, SocketAddr};

use super::{Direction, Feedback, Format, SrtpKeys};

/// What both sides may now send each other. Equal values mean that nothing changed for the media (a refresh).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Agreed {
    /// The one audio stream; `None` when either side switched it off (port 0).
    pub audio: Option<Stream>,
    /// The one video stream; `None` without one, or when either side switched it off.
    pub video: Option<Stream>,
}

impl Agreed {
    /// Every address that we would send to: each must pass the address policy before anything is sent.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.audio.iter().chain(&self.video).flat_map(Stream::addresses)
    }
}

/// One RTP stream, both directions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// Index of its m-line.
    pub line: usize,
    /// Where to send RTP; `None` while the peer gives no address (`c=0.0.0.0`).
    pub remote_rtp: Option<SocketAddr>,
    /// Where to send RTCP: `a=rtcp`, the same port when multiplexed, else port + 1 (RFC 3605, 5761, 3550 §11).
    pub remote_rtcp: Option<SocketAddr>,
    /// Whether RTP and RTCP share a port in both directions.
    pub rtcp_mux: bool,
    /// The codec to send, with the *peer's* number and parameters.
    pub send: Format,
    /// Every codec that the peer may send, with the numbers and parameters that *we* gave; of pictures, what belongs to
    /// [`send`](Self::send) comes first.
    pub receive: Vec<Format>,
    /// `telephone-event` to send, with the peer's number; its clock is that of [`send`](Self::send) when the peer has such a row.
    pub send_events: Option<Format>,
    /// Every `telephone-event` that the peer may send, with our numbers.
    pub receive_events: Vec<Format>,
    /// Our direction now.
    pub direction: Direction,
    /// Whether the peer does not listen to us: `sendonly`, `inactive` or `c=0.0.0.0` on its side.
    pub remote_holds: bool,
    /// Packet length to send, in ms; 20 unless the peer asks for another (10–120).
    pub ptime: u16,
    /// The keys of SRTP; `None`: plain RTP, both ways.
    pub srtp: Option<SrtpKeys>,
    /// What RTCP feedback the peer understands; of pictures alone.
    pub feedback: Feedback,
    /// Bits per second that the peer takes at most (`b=TIAS`, `b=AS`); of pictures alone.
    pub limit: Option<u32>,
}

impl Stream {
    /// Every address that we would send to: each must pass the address policy before anything is sent.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        [self.remote_rtp, self.remote_rtcp].into_iter().flatten().map(|address| address.ip())
    }
}
