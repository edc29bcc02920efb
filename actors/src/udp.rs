//! A UDP socket as a stream of datagrams, read in batches.
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::Stream;
use tokio::net::UdpSocket;

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
    socket: Arc<UdpSocket>,
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
    /// What comes in on `socket`.
    pub fn new(socket: Arc<UdpSocket>) -> Self {
        Self { socket, buffer: BytesMut::new(), chunk: 4 * MAX_DATAGRAM, left: BATCH }
    }

    /// The same where it comes seldom: memory for one at a time.
    pub fn seldom(socket: Arc<UdpSocket>) -> Self {
        Self { chunk: MAX_DATAGRAM, ..Self::new(socket) }
    }
}

impl Stream for Datagrams {
    type Item = Datagram;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Datagram>> {
        let this = &mut *self;
        if this.left == 0 {
            this.left = BATCH;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let (length, from) = loop {
            if this.socket.poll_recv_ready(cx).is_pending() {
                this.left = BATCH;
                return Poll::Pending;
            }
            if this.buffer.capacity() < MAX_DATAGRAM {
                this.buffer.reserve(this.chunk); // takes the old memory again where all its datagrams are gone
            }
            match this.socket.try_recv_buf_from(&mut (&mut this.buffer).limit(MAX_DATAGRAM)) {
                Ok(received) => break received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => {
                    // An ICMP message about an earlier send: the far side may come up yet. It counts against the batch.
                    this.left -= 1;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        };
        let bytes = this.buffer.split_to(length).freeze();
        this.left -= 1;
        let received = tokio::time::Instant::now().into_std(); // the clock that tests can stop
        Poll::Ready(Some(Datagram { bytes, from, received }))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    #[tokio::test]
    async fn datagrams_come_out_as_they_came_in() {
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let mut datagrams = Datagrams::new(socket.clone());
        let sender = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        for round in 0..100 {
            let text = format!("datagram {round}");
            sender.send_to(text.as_bytes(), socket.local_addr().unwrap()).await.unwrap();
            let datagram = datagrams.next().await.unwrap();
            assert_eq!(datagram.bytes, text);
            assert_eq!(datagram.from, sender.local_addr().unwrap());
        }
    }
}
