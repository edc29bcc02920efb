//! The sockets of one RTP session: a pair of ports, and what comes in on them as a stream.
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::{Stream, StreamExt};

use super::ports::{PortLease, PortPool};
use crate::udp::{Datagram, Datagrams};

/// A bound pair: RTP on the even port, RTCP on the odd one. Dropping it gives the ports back.
#[derive(Debug)]
pub struct RtpSockets {
    rtp: Arc<UdpSocket>,
    rtcp: Arc<UdpSocket>,
    lease: PortLease,
}

/// The two ports of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// The even one.
    Rtp,
    /// The odd one.
    Rtcp,
}

/// Everything that comes in on a pair, with the port that it came to.
#[derive(Debug)]
pub struct Incoming([(Port, Datagrams); 2]);

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

    /// What comes in; to be asked for once.
    pub fn incoming(&self) -> io::Result<Incoming> {
        let rtp = Datagrams::new(self.rtp.clone())?;
        let rtcp = Datagrams::seldom(self.rtcp.clone())?;
        Ok(Incoming([(Port::Rtp, rtp), (Port::Rtcp, rtcp)]))
    }

    /// Sends at once or not at all: a full socket buffer means that the packet would be late anyway.
    pub fn send(&self, port: Port, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        let socket = match port {
            Port::Rtp => &self.rtp,
            Port::Rtcp => &self.rtcp,
        };
        socket.send_to(bytes, to).map(drop)
    }
}

fn bind(ip: IpAddr, port: u16) -> io::Result<Arc<UdpSocket>> {
    let socket = UdpSocket::bind((ip, port))?;
    socket.set_nonblocking(true)?;
    Ok(Arc::new(socket))
}

impl Stream for Incoming {
    type Item = (Port, Datagram);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        for (port, datagrams) in &mut self.0 {
            if let Poll::Ready(Some(datagram)) = datagrams.poll_next_unpin(cx) {
                return Poll::Ready(Some((*port, datagram)));
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::vocabulary::Meters;

    #[tokio::test]
    async fn datagrams_come_in_on_both_ports_and_the_ports_go_back() {
        let pool = PortPool::new((29000, 29099), Duration::ZERO, &Meters::new());
        let free = pool.free(Instant::now());
        let sockets = RtpSockets::bind(&pool, IpAddr::from([127, 0, 0, 1]), Instant::now()).unwrap();
        let mut incoming = sockets.incoming().unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for (port, text) in [(sockets.port(), "rtp"), (sockets.port() + 1, "rtcp")] {
            sender.send_to(text.as_bytes(), ("127.0.0.1", port)).unwrap();
            let (came_to, datagram) = incoming.next().await.unwrap();
            assert_eq!(came_to, if text == "rtp" { Port::Rtp } else { Port::Rtcp });
            assert_eq!(datagram.bytes, text);
            assert_eq!(datagram.from, sender.local_addr().unwrap());
        }
        drop((sockets, incoming));
        assert_eq!(pool.free(Instant::now()), free);
    }
}
