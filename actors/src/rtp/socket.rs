//! The sockets of one RTP session: a pair of ports, and what comes in on them as a stream.
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

use super::ports::{PortLease, PortPool};

/// A bound pair: RTP on the even port, RTCP on the odd one. Dropping it gives the ports back.
#[derive(Debug)]
pub struct RtpSockets {
    rtp: Arc<UdpSocket>,
    rtcp: Arc<UdpSocket>,
    lease: PortLease,
}

/// A datagram from the network.
#[derive(Debug)]
pub struct Datagram {
    /// What came.
    pub bytes: Bytes,
    /// Who sent it.
    pub from: SocketAddr,
    /// Which port it came to: RTP's or RTCP's.
    pub port: Port,
    /// When.
    pub received: Instant,
}

/// The two ports of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// The even one.
    Rtp,
    /// The odd one.
    Rtcp,
}

/// Everything that comes in on a pair.
#[derive(Debug)]
pub struct Incoming {
    sockets: [(Port, Arc<UdpSocket>); 2],
    buffer: BytesMut,
    left: u32,
}

/// Datagrams taken per wake-up before others on the lane get their turn: some 0.3 ms of work, and more than
/// a call of 50 packets a second ever has waiting.
const BATCH: u32 = 32;

/// Longest datagram that is taken; longer ones are cut and then fail to parse. Audio needs 300 bytes.
const MAX_DATAGRAM: usize = 2048;

/// One allocation serves this many bytes of datagrams; each packet is a slice of it, not a copy.
const CHUNK: usize = 8 * MAX_DATAGRAM;

/// Pairs to try before giving up: somebody else may sit on a port of our range.
const BIND_TRIES: u32 = 8;

impl RtpSockets {
    /// Leases and binds a pair on `ip`.
    pub fn bind(pool: &PortPool, ip: IpAddr, now: Instant) -> io::Result<Self> {
        let mut last = io::Error::new(io::ErrorKind::AddrNotAvailable, "no free RTP port");
        for _ in 0..BIND_TRIES {
            let Some(lease) = pool.lease(now) else { break };
            match (bind(ip, lease.rtp()), bind(ip, lease.rtcp())) {
                (Ok(rtp), Ok(rtcp)) => return Ok(Self { rtp, rtcp, lease }),
                (Err(error), _) | (_, Err(error)) => last = error,
            }
        }
        Err(last)
    }

    /// The RTP port, for SDP. RTCP is the next.
    pub fn port(&self) -> u16 {
        self.lease.rtp()
    }

    /// What comes in.
    pub fn incoming(&self) -> Incoming {
        Incoming {
            sockets: [(Port::Rtp, self.rtp.clone()), (Port::Rtcp, self.rtcp.clone())],
            buffer: BytesMut::with_capacity(CHUNK),
            left: BATCH,
        }
    }

    /// Sends at once or not at all: a full socket buffer means that the packet would be late anyway.
    pub fn send(&self, port: Port, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        let socket = match port {
            Port::Rtp => &self.rtp,
            Port::Rtcp => &self.rtcp,
        };
        socket.try_send_to(bytes, to).map(drop)
    }
}

fn bind(ip: IpAddr, port: u16) -> io::Result<Arc<UdpSocket>> {
    let socket = std::net::UdpSocket::bind((ip, port))?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket).map(Arc::new)
}

impl Stream for Incoming {
    type Item = Datagram;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Datagram>> {
        let this = &mut *self;
        if this.left == 0 {
            this.left = BATCH;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        for index in 0..this.sockets.len() {
            let (port, socket) = &this.sockets[index];
            if this.buffer.capacity() < MAX_DATAGRAM {
                this.buffer = BytesMut::with_capacity(CHUNK);
            }
            this.buffer.resize(MAX_DATAGRAM, 0);
            let mut read = ReadBuf::new(&mut this.buffer);
            // An error here is an ICMP message about an earlier send: the far side may come up yet.
            if let Poll::Ready(Ok(from)) = socket.poll_recv_from(cx, &mut read) {
                let len = read.filled().len();
                let bytes = this.buffer.split_to(len).freeze();
                this.buffer.clear();
                this.left -= 1;
                return Poll::Ready(Some(Datagram { bytes, from, port: *port, received: now() }));
            }
            this.buffer.clear();
        }
        this.left = BATCH;
        Poll::Pending
    }
}

/// The clock that tests can stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::StreamExt;

    use super::*;
    use crate::vocabulary::Meters;

    #[tokio::test]
    async fn datagrams_come_in_on_both_ports_and_the_ports_go_back() {
        let pool = PortPool::new((29000, 29099), Duration::ZERO, &Meters::new());
        let free = pool.free(Instant::now());
        let sockets = RtpSockets::bind(&pool, IpAddr::from([127, 0, 0, 1]), Instant::now()).unwrap();
        let mut incoming = sockets.incoming();
        let sender = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        for (port, text) in [(sockets.port(), "rtp"), (sockets.port() + 1, "rtcp")] {
            sender.send_to(text.as_bytes(), ("127.0.0.1", port)).await.unwrap();
            let datagram = incoming.next().await.unwrap();
            assert_eq!(datagram.bytes, text);
            assert_eq!(datagram.from, sender.local_addr().unwrap());
        }
        drop((sockets, incoming));
        assert_eq!(pool.free(Instant::now()), free);
    }
}
