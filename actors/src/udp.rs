//! A UDP socket as a stream of datagrams, read in batches.
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A datagram from the network.
#[derive(Debug)]
pub struct Datagram {
    /// What came.
    pub bytes: Bytes,
    /// Who sent it.
    pub from: SocketAddr,
    /// When.
    pub received: Instant,
}

/// Everything that comes in on a socket. Never ends.
#[derive(Debug)]
pub struct Datagrams {
    socket: AsyncFd<Arc<UdpSocket>>,
    /// Memory for what comes next.
    buffer: BytesMut,
    /// One allocation serves this many bytes of datagrams; each datagram is a slice of it, not a copy. A port where nothing comes in has none.
    chunk: usize,
    left: u32,
}

/// Datagrams taken per wake-up before others on the lane get their turn: under 1 ms of work.
const BATCH: u32 = 32;

/// Longest datagram that is taken; longer ones are cut and then fail to parse. Media keeps below an Ethernet frame.
pub const MAX_DATAGRAM: usize = 2048;

impl Datagrams {
    /// What comes in on `socket`, which does not block.
    pub fn new(socket: Arc<UdpSocket>) -> io::Result<Self> {
        // For reading alone: where a socket is watched for writing too, as tokio's own are, the kernel reports each datagram that has left, and
        // a lane would wake twice for each packet.
        #[expect(
            deprecated,
            reason = "unsound for types that change their descriptor; a UdpSocket keeps its own"
        )]
        let socket = AsyncFd::with_interest(socket, Interest::READABLE)?;
        Ok(Self { socket, buffer: BytesMut::new(), chunk: 4 * MAX_DATAGRAM, left: BATCH })
    }

    /// The same where it comes seldom: memory for one at a time.
    pub fn seldom(socket: Arc<UdpSocket>) -> io::Result<Self> {
        Ok(Self { chunk: MAX_DATAGRAM, ..Self::new(socket)? })
    }
}

impl Stream for Datagrams {
    type Item = Datagram;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Datagram>> {
        let Self { socket, buffer, chunk, left } = &mut *self;
        if *left == 0 {
            *left = BATCH;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let (length, from) = loop {
            let Poll::Ready(Ok(mut ready)) = socket.poll_read_ready(cx) else {
                *left = BATCH;
                return Poll::Pending;
            };
            if buffer.len() < MAX_DATAGRAM {
                buffer.clear();
                buffer.reserve(*chunk); // takes the old memory again where all its datagrams are gone
                buffer.resize(*chunk, 0);
            }
            match ready.try_io(|socket| socket.get_ref().recv_from(&mut buffer[..MAX_DATAGRAM])) {
                Ok(Ok(received)) => break received,
                Ok(Err(_)) => {
                    // An ICMP message about an earlier send: the far side may come up yet. It counts against the batch.
                    *left -= 1;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Err(_nothing_there) => {}
            }
        };
        let bytes = buffer.split_to(length).freeze();
        *left -= 1;
        let received = tokio::time::Instant::now().into_std(); // the clock that tests can stop
        Poll::Ready(Some(Datagram { bytes, from, received }))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::StreamExt;

    use super::*;

    fn socket() -> Arc<UdpSocket> {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        Arc::new(socket)
    }

    #[tokio::test]
    async fn datagrams_come_out_as_they_came_in() {
        let (socket, sender) = (socket(), socket());
        let mut datagrams = Datagrams::new(socket.clone()).unwrap();
        for round in 0..100 {
            let text = format!("datagram {round}");
            sender.send_to(text.as_bytes(), socket.local_addr().unwrap()).unwrap();
            let datagram = datagrams.next().await.unwrap();
            assert_eq!(datagram.bytes, text);
            assert_eq!(datagram.from, sender.local_addr().unwrap());
        }
    }

    #[test]
    fn what_leaves_wakes_nobody() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        let (socket, far) = (socket(), socket());
        let (ours, theirs) = (socket.local_addr().unwrap(), far.local_addr().unwrap());
        let wakes = runtime.block_on(async {
            let mut datagrams = Datagrams::new(socket.clone()).unwrap();
            let others = std::thread::spawn(move || {
                for _ in 0..200 {
                    socket.send_to(b"out", theirs).unwrap();
                    std::thread::sleep(Duration::from_millis(1)); // the other thread sleeps again meanwhile
                }
                far.send_to(b"in", ours).unwrap();
            });
            assert_eq!(datagrams.next().await.unwrap().bytes, "in");
            others.join().unwrap();
            runtime.metrics().worker_park_count(0)
        });
        assert!(wakes < 20, "{wakes} wakes for one datagram that came and 200 that left");
    }
}
